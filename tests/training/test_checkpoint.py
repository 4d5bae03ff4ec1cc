"""State on disk: what is no whole, regular, fitting file is refused in a sentence; what was written comes back."""

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from understudy.core.cohort import file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.training.checkpoint import (
    latest,
    load_modules,
    load_optimizer_state,
    optimizer_state,
    read_state,
    start_from,
    write_state,
)


def described(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def written(header: Any, values: bytes = bytes(8), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + values


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(100),
    "a pickle": b"\x80\x04}.",
    "an archive": b"PK\x03\x04" * 10,
    "a header of 2 ** 60 bytes": written(described(), length=2**60),
    "a header of 2 ** 64 bytes": b"\xff" * 30,
    "cut": written(described(), bytes(4)),
    "more": written(described(), bytes(12)),
    "no JSON": written(b"{"),
    "a list": written([]),
    "deep": written(b'{"a":' * 100_000),
    "an unknown type": written(described("X\ny")),
    "a shape that lies": written(described(shape=(3,))),
    "a shape below 0": written(described(shape=(-2,))),
    "a shape beyond": written(described(shape=(2**62, 4))),
    "a shape of text": written(described(shape="2")),
    "offsets turned round": written(described(offsets=(8, 0))),
    "offsets beyond": written(described(offsets=(0, 2**63))),
    "an overlap": written({**described(), "b": described()["a"]}),
    "a hole": written({**described(), "b": described(offsets=(16, 24))["a"]}, bytes(24)),
    "a type of 8 bits": written(described("F8_E4M3", (8,))),
    "a type of 4 bits": written(described("F4", (16,))),
    "complex numbers": written(described("C64", (1,))),
    "no offsets": written({"a": {"dtype": "F32", "shape": [2]}}),
}


def refused(folder: Path) -> str:
    start = time.monotonic()
    with pytest.raises(UnderstudyError, match=f"{folder} is not a whole checkpoint or snapshot .*: remove") as caught:
        read_state(folder)
    assert time.monotonic() - start < 5 and "\n" not in str(caught.value) and len(str(caught.value)) < 800
    return str(caught.value)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    write_state(tmp_path / "000000100", {"a": torch.zeros(2)}, {"b": 1})
    return tmp_path / "000000100"


def test_what_was_written_is_read(state: Path) -> None:
    tensors, scalars = read_state(state)
    assert torch.equal(tensors["a"], torch.zeros(2)) and scalars == {"b": 1}


@pytest.mark.parametrize("kind", BROKEN)
def test_weights_that_are_damaged_or_something_else(state: Path, kind: str) -> None:
    (state / "tensors.safetensors").write_bytes(BROKEN[kind])
    refused(state)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "null", '"a"', "{", "\xff", "[" * 100_000, '{"a":' * 100_000], ids=lambda text: text[:6]
)
def test_scalars_that_are_damaged_or_something_else(state: Path, text: str) -> None:
    (state / "scalars.json").write_bytes(text.encode("latin1"))
    refused(state)


PLACES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pipe": (os.mkfifo, "a pipe"),
    "folder": (Path.mkdir, "a folder"),
    "device": (lambda place: place.symlink_to("/dev/zero"), "a device"),
    "circle": (lambda place: place.symlink_to(place), "what cannot be opened"),
    "link to nothing": (lambda place: place.symlink_to("none"), "nothing"),
    "nothing": (lambda place: None, "nothing"),
}


@pytest.mark.parametrize("name", ["tensors.safetensors", "scalars.json"])
@pytest.mark.parametrize("kind", PLACES)
def test_what_is_no_file_is_refused_at_once(state: Path, kind: str, name: str) -> None:
    make, found = PLACES[kind]
    (state / name).unlink()
    make(state / name)
    assert f"a file was expected at {state / name}, found {found}" in refused(state)
    with pytest.raises(UsageError, match=f"found {found}"):
        file_hash(state / name)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)


LIKE = {"d.layer.weight": torch.zeros(3, 2), "d.layer.bias": torch.zeros(3)}
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"d.layer.bias": torch.zeros(4)}, r"layer.bias was expected as \(3,\), found \(4,\)"),
    "rank": ({"d.layer.bias": torch.zeros(3, 1)}, r"layer.bias was expected as \(3,\), found \(3, 1\)"),
    "integers": ({"d.layer.bias": torch.zeros(3, dtype=torch.int64)}, "as torch.float32, found torch.int64"),
    "complex": ({"d.layer.bias": torch.zeros(3, dtype=torch.complex64)}, "found torch.complex64"),
    "half": ({"d.layer.bias": torch.zeros(3, dtype=torch.float16)}, "found torch.float16"),
    "more": ({"d.layer.other": torch.zeros(1)}, r"layer.other was expected as none, found \(1,\)"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_weights_of_another_network(tmp_path: Path, kind: str) -> None:
    changed, says = OTHERS[kind]
    with pytest.raises(UnderstudyError, match=f"do not fit the network d .*{says}"):
        load_modules({"d": Two()}, LIKE | changed)
    write_state(tmp_path / "checkpoints" / "000000100", LIKE | changed, {})
    says = (
        "its tensors hold torch.complex64" if kind == "complex" else rf"holds weights of another network: d\..*{says}"
    )
    with pytest.raises(UnderstudyError, match=says):
        start_from(tmp_path, {"d": Two()})


def test_missing_weights() -> None:
    with pytest.raises(UnderstudyError, match=r"layer.bias was expected as \(3,\), found none"):
        load_modules({"d": Two()}, {"d.layer.weight": torch.zeros(3, 2)})
    load_modules({"d": Two()}, LIKE)


def test_an_optimizer_of_another_network() -> None:
    network = Two()
    adam = torch.optim.Adam(network.parameters())
    sum(p.sum() for p in network.parameters()).backward()
    adam.step()
    tensors, scalars = optimizer_state(adam, "o")
    load_optimizer_state(adam, "o", tensors, scalars)
    with pytest.raises(ValueError, match=r"o.0.exp_avg has the shape \(5,\)"):
        load_optimizer_state(adam, "o", tensors | {"o.0.exp_avg": torch.zeros(5)}, scalars)


def test_the_latest_is_the_largest_number(tmp_path: Path) -> None:
    for name in ("000000100", "999999999", "1000000000", "2 (copy)", "3.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / "2000000000").touch()
    assert latest(tmp_path) == tmp_path / "1000000000"
    assert latest(tmp_path / "none") is None


def test_a_name_that_leads_out_is_a_name(state: Path) -> None:
    save_file({"../../a": torch.zeros(1)}, state / "tensors.safetensors")
    assert list(read_state(state)[0]) == ["../../a"] and [p.name for p in state.parent.iterdir()] == [state.name]


def test_state_round_trip_and_damage(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4).to(torch.bfloat16), "b": torch.arange(5)}
    write_state(tmp_path / "c" / "000000012", tensors, {"x": [1, 2.5]})
    found, scalars = read_state(tmp_path / "c" / "000000012")
    assert scalars == {"x": [1, 2.5]} and all(torch.equal(found[k], tensors[k]) for k in tensors)
    (tmp_path / "c" / ".000000024.partial").mkdir()
    assert latest(tmp_path / "c") == tmp_path / "c" / "000000012" and latest(tmp_path / "none") is None
    file = tmp_path / "c" / "000000012" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(UnderstudyError, match="not a whole checkpoint"):
        read_state(tmp_path / "c" / "000000012")


def test_optimizer_state_round_trip() -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    models = [nn.Conv2d(3, 3, 3).to(memory_format=torch.channels_last) for _ in range(2)]  # type: ignore[call-overload]
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.1) for m in models]
    step(models[0], optimizers[0], 0)
    tensors, scalars = optimizer_state(optimizers[0], "o")
    scalars = json.loads(json.dumps(scalars))
    models[1].load_state_dict(models[0].state_dict())
    load_optimizer_state(optimizers[1], "o", {k: v.clone() for k, v in tensors.items()}, scalars)
    for model, optimizer in zip(models, optimizers, strict=True):
        step(model, optimizer, 1)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    g, d, new = nn.Linear(2, 3), nn.Sequential(nn.Linear(4, 1)), nn.Linear(2, 3)
    write_state(tmp_path / "snapshots" / "000000008", {f"ema.{k}": v for k, v in g.state_dict().items()}, {})
    before = d[0].weight.clone()
    assert start_from(tmp_path, {"g": new, "d": d}) == ["d"]
    assert torch.equal(new.weight, g.weight) and torch.equal(d[0].weight, before)
    write_state(tmp_path / "checkpoints" / "000000008", {f"d.{k}": v + 1 for k, v in d.state_dict().items()}, {})
    assert start_from(tmp_path, {"d": d}) == [] and torch.equal(d[0].weight, before + 1)
    with pytest.raises(UsageError, match="d.0.weight was expected as"):
        start_from(tmp_path, {"d": nn.Sequential(nn.Linear(5, 1))})


class Classes(nn.Module):
    """Whose part `c` depends on the classes alone."""

    CLASS_PART = "c"

    def __init__(self, classes: int, width: int = 3) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(2, width), nn.Linear(classes, 3) if classes else None


def test_a_run_that_knew_other_classes_or_none(tmp_path: Path) -> None:
    for folder, classes in (("none", 0), ("two", 2)):
        tensors = {f"net.{k}": v + 1 for k, v in Classes(classes).state_dict().items()}
        write_state(tmp_path / folder / "checkpoints" / "000000008", tensors, {})
        new = Classes(5)
        own = {k: v.clone() for k, v in new.state_dict().items()}
        assert start_from(tmp_path / folder, {"net": new}) == ["net.c"]
        found = new.state_dict()
        assert torch.equal(found["a.weight"], tensors["net.a.weight"])
        assert torch.equal(found["c.weight"], own["c.weight"]) and torch.equal(found["c.bias"], own["c.bias"])
        with pytest.raises(UsageError, match="net.a.weight was expected as"):
            start_from(tmp_path / folder, {"net": Classes(5, width=4)})
    same = Classes(2)
    assert start_from(tmp_path / "two", {"net": same}) == []
    with pytest.raises(UsageError, match=r"net.c.* was expected as none"):
        start_from(tmp_path / "two", {"net": Classes(0)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_neither_written_nor_read(tmp_path: Path, value: float) -> None:
    good, bad = {"g.a": torch.zeros(2)}, {"g.a": torch.zeros(2), "g.b": torch.tensor([0.0, value])}
    with pytest.raises(UnderstudyError, match=r"training diverged: g\.b is not finite, and .*000000008 is not written"):
        write_state(tmp_path / "000000008", bad, {})
    assert not (tmp_path / "000000008").exists()
    write_state(tmp_path / "000000008", good, {})
    save_file(bad, tmp_path / "000000008" / "tensors.safetensors")
    with pytest.raises(UnderstudyError, match=r"000000008 holds weights that are not finite \(g\.b\)"):
        read_state(tmp_path / "000000008")
