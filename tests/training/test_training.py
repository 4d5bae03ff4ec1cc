"""Checkpoints: state on disk and back, and another run to start from."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from understudy.core.errors import UnderstudyError, UsageError
from understudy.training.checkpoint import (
    latest,
    load_optimizer_state,
    optimizer_state,
    read_state,
    start_from,
    write_state,
)
from understudy.training.record import start_record


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
    (tmp_path / "run.json").write_text(json.dumps({"trained_on": [{"cohort": "a"}]}))
    with pytest.raises(UsageError, match="no weights to start from"):
        start_record(tmp_path)
    write_state(tmp_path / "snapshots" / "000000008", {f"ema.{k}": v for k, v in g.state_dict().items()}, {})
    assert start_record(tmp_path)["trained_on"] == [{"cohort": "a"}]
    before = d[0].weight.clone()
    assert start_from(tmp_path, {"g": new, "d": d}) == ["d"]
    assert torch.equal(new.weight, g.weight) and torch.equal(d[0].weight, before)
    write_state(tmp_path / "checkpoints" / "000000008", {f"d.{k}": v + 1 for k, v in d.state_dict().items()}, {})
    assert start_from(tmp_path, {"d": d}) == [] and torch.equal(d[0].weight, before + 1)
    with pytest.raises(UsageError, match="d.0.weight was expected as"):
        start_from(tmp_path, {"d": nn.Sequential(nn.Linear(5, 1))})


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
