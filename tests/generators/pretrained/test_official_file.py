"""Official files: what was written is what is read; calls at any place are refused and nothing runs; damage, bombs."""

import io
import os
import pickle  # noqa: TID251  the attacks are real pickles
import random
import re
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.errors import UnderstudyError, UsageError
from understudy.generators.pretrained import official_file
from understudy.generators.pretrained.official_file import OfficialReader, StandIn, read_bytes, read_official
from understudy.generators.pretrained.pickle_file import Budget


class Call:
    """A pickle of this calls os.system when Python reads it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


class FromBytes:
    """A tensor's storage as files hold it, with any bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (self.data,)


def saved(thing: Any, archive: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


def value(data: bytes) -> Any:
    """Read any object with what an official file may ask for."""
    return OfficialReader(io.BytesIO(data), "file.pkl", Budget(4 * len(data) + 2**20)).load()


# ---------------------------------------------------------------------- what a file holds
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("classes", [0, 3])
def test_what_was_written_is_what_is_read(official_layout: ModuleType, protocol: int, classes: int) -> None:
    networks = read_official(official_layout.stylegan2_file(classes, protocol=protocol), "network-snapshot-000100.pkl")
    assert set(networks) == {"G", "D", "G_ema", "augment_pipe"}
    wanted = official_layout.stylegan2_network(classes).state_dict()
    found = networks["G_ema"].tensors()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert type(found[name]) is Tensor and found[name].dtype == torch.float32 and not found[name].requires_grad
        assert torch.equal(found[name], tensor), name
    parts = dict(networks["G_ema"].parts())
    assert (
        parts[""].class_name == "Generator" and parts["synthesis.b8.conv0.affine"].class_name == "FullyConnectedLayer"
    )
    assert networks["G_ema"].settings["mapping_kwargs"] == {"num_layers": 3} and parts[""].state["c_dim"] == classes
    assert parts["mapping"].state["weight_gain"] == 0.25 and type(parts["mapping"].state["weight_gain"]) is float
    assert parts["mapping"].state["size"].value.tolist() == [36, 36]
    assert networks["augment_pipe"].tensors()["p"] == 0.25


def test_numbers_and_arrays() -> None:
    numbers = [np.float32(0.5), np.float64(-2.5), np.int64(-7), np.uint8(200), np.bool_(True)]
    arrays = [np.arange(6, dtype="i2").reshape(2, 3), np.asfortranarray(np.eye(3)[:2]), np.zeros((0, 3)), np.array(1.5)]
    for protocol in (2, 3, 4, 5):
        assert value(pickle.dumps(numbers, protocol)) == [0.5, -2.5, -7, 200, True]
        for array, found in zip(arrays, value(pickle.dumps(arrays, protocol)), strict=True):
            assert found.value.dtype == array.dtype and np.array_equal(found.value, array)
    old = pickle.dumps([np.float64(3), np.arange(3)], 4).replace(
        b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray"
    )
    assert value(_unframed(old))[0] == 3.0


def _unframed(data: bytes) -> bytes:
    assert data[2:3] == b"\x95"
    return data[:2] + data[11:]


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_storages_of_both_forms(archive: bool, dtype: torch.dtype) -> None:
    tensor = torch.arange(5).to(dtype)
    found = value(pickle.dumps(FromBytes(saved(tensor._typed_storage(), archive))))
    assert torch.equal(found.values, tensor)
    assert value(pickle.dumps(FromBytes(saved(torch.zeros(0)._typed_storage(), archive)))).values.shape == (0,)


def test_views_share_their_storage_as_they_did() -> None:
    whole = torch.arange(24.0)
    views = [
        whole.view(4, 6)[1:3, ::2],
        whole.view(2, 3, 4).permute(2, 0, 1),
        whole[5],
        whole[3:3],
        whole.view(6, 4).t(),
    ]
    for view, found in zip(views, value(pickle.dumps(views)), strict=True):
        assert torch.equal(found, view) and found.stride() == view.stride()


def test_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_bytes(tmp_path / "a") == b"abc"
    for place, found in ((tmp_path, "found a folder"), (tmp_path / "b", "found nothing")):
        with pytest.raises(UsageError, match=found):
            read_bytes(place)


# ---------------------------------------------------------------------- attacks
def top(layout: ModuleType, canary: Path) -> bytes:
    return layout.dumps(layout.snapshot(Call(canary)))


def before_the_dict(layout: ModuleType, canary: Path) -> bytes:
    return b"\x80\x04" + layout.dumps(Call(canary))[2:-1] + b"0" + layout.stylegan2_file()[2:]


def bytes_of_a_pickle(layout: ModuleType, canary: Path) -> bytes:
    return layout.dumps(layout.snapshot(FromBytes(pickle.dumps(Call(canary)))))


def bytes_of_a_stream(layout: ModuleType, canary: Path) -> bytes:
    return layout.dumps(layout.snapshot(FromBytes(saved({"weight": Call(canary)}, archive=False))))


def bytes_of_an_archive(layout: ModuleType, canary: Path) -> bytes:
    return layout.dumps(layout.snapshot(FromBytes(saved({"weight": Call(canary)}, archive=True))))


def hooks_of_a_tensor(layout: ModuleType, canary: Path) -> bytes:
    g = layout.Persistent("Generator", {"_backward_hooks": {1: Call(canary)}})
    return layout.dumps(layout.snapshot(g))


def source_on_top(layout: ModuleType, canary: Path) -> bytes:
    return layout.stylegan2_file(source=f"import os\nos.system('touch {canary}')\n" + layout.SOURCE)


def source_in_a_method(layout: ModuleType, canary: Path) -> bytes:
    return layout.stylegan2_file(source=layout.SOURCE + f"        torch.os.system('touch {canary}')\n")


ATTACKS = [
    top, before_the_dict, bytes_of_a_pickle, bytes_of_a_stream, bytes_of_an_archive, hooks_of_a_tensor, source_on_top,
    source_in_a_method,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_call_of_os_system_is_refused_by_name_and_nothing_runs(
    official_layout: ModuleType, tmp_path: Path, attack: Callable[[ModuleType, Path], bytes]
) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(UnderstudyError, match=r"os\.system.* nothing was run and nothing written") as caught:
        read_official(attack(official_layout, canary), "network-snapshot-000100.pkl")
    assert "network-snapshot-000100.pkl" in str(caught.value) and "\n" not in str(caught.value)
    assert not canary.exists()


def test_the_attacks_are_real(official_layout: ModuleType, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for attack in ATTACKS[:4]:
        data = attack(official_layout, canary)
        with official_layout.official_modules(), suppress(Exception):  # what a file does after its call does not matter
            pickle.loads(data)
        assert canary.exists(), attack.__name__
        canary.unlink()


def test_tensorflow_files_have_a_sentence_of_their_own() -> None:
    data = b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00)\x81q\x01}b."
    with pytest.raises(UnderstudyError, match=r"TensorFlow code of StyleGAN.*legacy\.py") as caught:
        read_official(data, "stylegan2-ffhq-config-f.pkl")
    assert "damaged" not in str(caught.value)


# ---------------------------------------------------------------------- damage
def storage(numbers: int = 6) -> FromBytes:
    return FromBytes(saved(torch.arange(float(numbers))._typed_storage(), archive=False))


class Rebuilt:
    """Any call of one of torch's own rebuilding functions."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, self.arguments


VIEWS = {
    "beyond": (storage(), 0, (7,), (1,), False, {}), "offset": (storage(), 4, (3,), (1,), False, {}),
    "offset of nothing": (storage(), 7, (0,), (1,), False, {}), "stride": (storage(), 0, (2, 3), (4, 1), False, {}),
    "negative": (storage(), -1, (3,), (1,), False, {}), "backwards": (storage(), 5, (3,), (-1,), False, {}),
    "expanded": (storage(), 0, (2**40,), (0,), False, {}), "huge stride": (storage(), 0, (1,), (2**70,), False, {}),
    "ranks": (storage(), 0, (2, 3), (1,), False, {}), "no storage": ({}, 0, (1,), (1,), False, {}),
    "hooks": (storage(), 0, (1,), (1,), False, {1: 2}), "nine": (storage(), 0, (1,) * 9, (1,) * 9, False, {}),
    "truth": (storage(), True, (1,), (1,), False, {}), "text": (storage(), 0, "ab", (1,), False, {}),
    "metadata": (storage(), 0, (1,), (1,), False, {}, {"conj": True}), "few": (storage(), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_a_tensor_stays_inside_its_storage(name: str) -> None:
    outside = name in ("beyond", "offset", "offset of nothing", "stride", "expanded", "huge stride")
    with pytest.raises(UnderstudyError, match=r"^file.pkl is damaged") as caught:
        value(pickle.dumps(Rebuilt(*VIEWS[name])))
    assert ("reaches outside its storage" in str(caught.value)) == outside


def test_lengths_of_storages_and_arrays_must_fit() -> None:
    good = saved(torch.arange(6.0)._typed_storage(), archive=False)
    wrong = [good[:-1], good + b"\0", good[:-32] + struct.pack("<q", 2**60) + good[-24:], b"", b"PK\x03\x04", good[:50]]
    key = re.findall(rb"X.\0\0\0(\d{3,})", good)[-1]
    wrong += [good[:-4], good + bytes(4), good[: good.rfind(key)] + key[::-1] + good[good.rfind(key) + len(key) :]]
    wrong += [
        saved(torch.arange(6.0), archive=False),
        pickle.dumps(5),
        saved(torch.arange(6)._typed_storage(), archive=True),
    ]
    archive = bytearray(saved(torch.arange(6.0)._typed_storage(), archive=True))
    wrong += [bytes(archive[:-30]), bytes(archive).replace(b"little", b"bigger")]
    for data in wrong:
        with pytest.raises(UnderstudyError, match="damaged|asks for torch"):
            value(pickle.dumps(FromBytes(data)))
    for array in (
        np.array([1, 2], ">i4"),
        np.array(["a"]),
        np.array([None]),
        np.zeros(2, [("a", "f4")]),
        np.zeros(1, "c8"),
    ):
        with pytest.raises(UnderstudyError):
            value(pickle.dumps(array, 4))
    whole = pickle.dumps(np.arange(3, dtype="f4"), 4)
    assert b"K\x03\x85" in whole
    with pytest.raises(UnderstudyError, match="do not fit its shape"):
        value(whole.replace(b"K\x03\x85", b"K\x04\x85"))


def test_the_same_bytes_cannot_be_asked_for_without_end() -> None:
    text = b"\x80\x04c_codecs\nencode\nq\x00X" + struct.pack("<I", 2**18) + b"x" * 2**18 + b"\x85q\x01"
    with pytest.raises(UnderstudyError, match="more opcodes or bytes"):
        value(text + b"h\x00h\x01R" * 50 + b".")


def test_networks_that_are_none(official_layout: ModuleType) -> None:
    layout = official_layout
    for content, says in (
        ([1], "a dict was expected in the weights file, found list"),
        ({"G_ema": {}}, "holds no network G_ema"),
        ({"G_ema": layout.Persistent("Generator", {}, version=5)}, "version 6 was expected"),
        ({"G_ema": layout.Persistent("Generator", [])}, "a dict was expected"),  # type: ignore[arg-type]
        ({"G_ema": layout.Persistent("Generator", {}, source=b"x")}, "version 6 was expected"),
        ({f"{i}": layout.Persistent("A", {}, source=f"x = {i}") for i in range(20)}, "more than 16 sources"),
    ):
        with pytest.raises(UnderstudyError, match=says):
            read_official(layout.dumps(content), "x.pkl")
    good = layout.stylegan2_file()
    for data, says in (
        (b"PK\x03\x04", "begins with b'PK"), (b"", "begins with b''"), (b"version https://git-lfs", "protocol 2 to 5"),
        (b"\x80\x09.", "protocol 2 to 5"), (good + b"more", "goes on for 4 bytes"), (good[:-1], "is damaged"),
    ):  # fmt: skip
        with pytest.raises(UnderstudyError, match=says):
            read_official(data, "x.pkl")


def test_modules_in_circles_and_names_without_end() -> None:
    part = StandIn("A", {})
    with pytest.raises(UnderstudyError, match="two places"):
        list(StandIn("G", {"_modules": {"a": part, "b": part}}).parts())
    circle: dict[str, Any] = {}
    circle["_modules"] = {"a": StandIn("A", circle)}
    with pytest.raises(UnderstudyError, match="two places"):
        list(StandIn("G", circle).parts())
    chain = StandIn("A", {})
    for _ in range(150):
        chain = StandIn("A", {"_modules": {"a": chain}})
    with pytest.raises(UnderstudyError, match="without proper names"):
        list(chain.parts())
    for name in ("a.b", "x" * 300, 7, ""):
        with pytest.raises(UnderstudyError, match="without proper names"):
            StandIn("G", {"_buffers": {name: torch.zeros(1)}}).tensors()


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official_file, "MAX_BYTES", 2)
    (tmp_path / "x.pkl").write_bytes(b"abc")
    with pytest.raises(UnderstudyError, match="it is something else"):
        read_bytes(tmp_path / "x.pkl")


def mutated(data: bytes, chance: random.Random) -> bytes:
    kind = chance.randrange(5)
    at, to = sorted(chance.randrange(2, len(data)) for _ in range(2))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[to:]
    if kind == 2:
        return data[:at] + data[chance.randrange(len(data)) :][: chance.randrange(1, 200)] + data[at:]
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 20)):
        spot = chance.randrange(2, len(data) if kind == 3 else 2000)
        changed[spot] = chance.randrange(256)
    return bytes(changed)


def test_200_mutated_files_end_in_a_sentence_or_a_good_read(official_layout: ModuleType) -> None:
    good, start, read = official_layout.stylegan2_file(3), time.process_time(), 0
    for seed in range(200):
        with suppress(UnderstudyError):
            network = read_official(mutated(good, random.Random(seed)), "x.pkl")["G_ema"]
            assert all(type(tensor) is Tensor for tensor in network.tensors().values())
            read += 1
    assert 5 < read < 150 and time.process_time() - start < 30
