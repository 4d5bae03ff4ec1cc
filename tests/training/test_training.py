"""Engine, EMA, checkpoints, feed, log, memory: each against its definition."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.training.batches import BatchStream, rotated
from understudy.training.checkpoint import (
    latest,
    load_optimizer_state,
    optimizer_state,
    read_state,
    start_from,
    start_record,
    write_state,
)
from understudy.training.ema import ema_decay, ema_update
from understudy.training.engine import Engine
from understudy.training.log import TrainingLog, save_grid


# ---------------------------------------------------------------- EMA
def test_ema_half_life() -> None:
    assert ema_decay(100, 1000, 10**9) == pytest.approx(0.5**0.1)
    assert ema_decay(100, 1000, 2000, rampup=0.05) == pytest.approx(0.5)
    source, target = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    source.weight.data.fill_(3.0)
    source.running_mean.fill_(5.0)  # type: ignore[union-attr,operator]
    ema_update(target, source, 0.75)
    assert torch.allclose(target.weight, torch.full((2,), 1.5)) and target.running_mean.tolist() == [5, 5]  # type: ignore[union-attr]


# ---------------------------------------------------------------- checkpoints
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


# ---------------------------------------------------------------- feed
@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=(4, 4), channels=[Channel("a", 0, 100)], dtype="uint8",
        scheme=None, label_source=None, provenance=Provenance("test"), classes=["k"],
    ) as writer:  # fmt: skip
        for i in range(7):
            image = np.full((1, 4, 4), i, np.uint8)
            image[..., 0] = 90
            row = {"case_id": str(i), "subject_id": str(i), "split": "train" if i else "test", "k": str(i)}
            writer.append(image, None, row)
    return Cohort.open(tmp_path / "c")


def values(feed: BatchStream, start: int, size: int) -> list[int]:
    batch = feed.batch(start, size, 4, torch.device("cpu"), slice(None))
    return [round(float(v)) for v in (batch.x[:, 0, 0, 1:3].mean(-1) + 1) * 50]


def test_every_case_once_an_epoch_whatever_the_batches(cohort: Cohort) -> None:
    feed = BatchStream(cohort, 3, mirror=False)
    stream = values(feed, 0, 18)
    assert sorted(stream[:6]) == sorted(stream[6:12]) == [1, 2, 3, 4, 5, 6] and stream[:6] != stream[6:12]
    assert stream == values(feed, 0, 5) + values(feed, 5, 4) + values(feed, 9, 9)
    assert stream != values(BatchStream(cohort, 4, mirror=False), 0, 18)


def test_parts_mirror_condition_and_resolution(cohort: Cohort) -> None:
    cpu, feed = torch.device("cpu"), BatchStream(cohort, 3, mirror=True, conditional=True)
    whole = feed.batch(0, 60, 4, cpu, slice(None))
    halves = [feed.batch(0, 60, 4, cpu, part).x for part in (slice(0, 30), slice(30, 60))]
    assert torch.equal(whole.x, torch.cat(halves))
    left = (whole.x[:, 0, 0, 0] > 0.7).float().mean()
    assert 0.3 < float(left) < 0.7 and torch.equal((whole.x[:, 0, 0, 3] > 0.7), (whole.x[:, 0, 0, 0] < 0.7))
    assert whole.condition is not None and whole.condition.shape == (60, 1)
    assert [round(float(k)) for k in whole.condition[:, 0]] == values(feed, 0, 60)
    small = feed.batch(0, 6, 2, cpu, slice(None)).x
    assert torch.allclose(small, torch.nn.functional.avg_pool2d(whole.x[:6], 2))


def test_turning_moves_images_and_labels_alike() -> None:
    x = torch.rand(4, 3, 9, 9) * 2 - 1
    angles = torch.tensor([0.0, 90.0, 180.0, 30.0])
    y = rotated(x, angles, image_channels=2)
    torch.testing.assert_close(y[0], x[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1], x[1].rot90(1, (1, 2)), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[2], x[2].rot90(2, (1, 2)), atol=1e-5, rtol=0)
    known = {*x[3, 2].flatten().tolist(), -1.0}
    assert all(min(abs(v - k) for k in known) < 1e-6 for v in y[3, 2].flatten().tolist())  # labels: no new values
    assert y[3, :, 0, 0].tolist() == [-1, -1, -1]


def test_nine_of_ten_are_turned_whatever_the_batches(cohort: Cohort) -> None:
    cpu, whole = torch.device("cpu"), slice(None)
    feed = BatchStream(cohort, 3, mirror=False, rotate=75)
    together = feed.batch(0, 8, 4, cpu, whole).x
    apart = torch.cat([feed.batch(i, 4, 4, cpu, whole).x for i in (0, 4)])
    assert torch.equal(together, apart)
    assert (together != BatchStream(cohort, 3, mirror=False).batch(0, 8, 4, cpu, whole).x).flatten(1).any(1).sum() >= 5


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


def test_no_training_split_is_refused(cohort: Cohort) -> None:
    cohort._table["split"] = ["test"] * 7
    with pytest.raises(UnderstudyError, match="training split"):
        BatchStream(cohort, 0, mirror=False)


# ---------------------------------------------------------------- log
def test_log_drops_what_lies_beyond_the_resumed_point(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"images_seen": 10}\n{"images_seen": 20}\n{"images_se')
    with TrainingLog(file, 30, 10, quiet=True) as log:
        log.line(30, {"loss": torch.tensor(0.5)})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == [10, 30] and lines[1]["loss"] == 0.5


def test_grid(tmp_path: Path) -> None:
    x = np.full((3, 2, 4, 4), -1.0)
    x[1, 1] = 1.0
    save_grid(x, tmp_path / "g.png")
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    assert pixels.shape == (8, 12) and pixels.sum() == 255 * 16 and (pixels[4:, 4:8] == 255).all()
    save_grid(np.zeros((2, 1, 5, 4, 4)), tmp_path / "v.png")
    assert np.asarray(Image.open(tmp_path / "v.png")).shape == (4, 8)


# ---------------------------------------------------------------- memory and engine
MEASURE = """
import resource, torch
from understudy.training.engine import keep_freed_memory
{call}
for _ in range(40):
    torch.empty(20_000_000).fill_(1)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt if _ == 19 else locals().get("start", 0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of Linux")
def test_freed_memory_is_kept() -> None:
    def faults(call: str) -> int:
        return int(
            subprocess.run(
                [sys.executable, "-c", MEASURE.format(call=call)], capture_output=True, text=True, check=True
            ).stdout
        )

    assert resource.getpagesize() > 0
    assert faults("keep_freed_memory()") * 10 < faults("pass")


def test_engine() -> None:
    engine = Engine("fp32", "cpu")
    assert engine.device.type == "cpu" and engine.rank == 0 and engine.world_size == 1
    with pytest.raises(UsageError, match="precision"):
        Engine("fp16")
    with Engine("bf16", "cpu").autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16


RANKS = """
import torch
from torch import nn
from understudy.training.engine import Engine
engine = Engine("fp32", "cpu", devices=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)); unused = nn.Linear(2, 2)
x = torch.arange(6.0).reshape(2, 3)[engine.rank : engine.rank + 1].requires_grad_()
gradient, = torch.autograd.grad(net(x).sum(), x, create_graph=True)   # a backward that is only a gradient penalty
gradient.square().sum().backward()
parameters = [*net.parameters(), *unused.parameters()]
engine.average_gradients(parameters)
everyone = engine.fabric.all_gather(torch.cat([p.grad.reshape(-1) for p in parameters]))
if engine.rank == 0:
    assert torch.equal(everyone[0], everyone[1]) and everyone[0].abs().sum() > 0
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    net.zero_grad()
    gradient, = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (gradient.square().sum() / 2).backward()
    alone = torch.cat([p.grad.reshape(-1) if p.grad is not None else torch.zeros(p.numel()) for p in parameters])
    assert torch.allclose(alone, everyone[0], atol=1e-6)
    print("equal")
"""


@pytest.mark.loopback
def test_two_processes_hold_equal_gradients(tmp_path: Path) -> None:
    """Two ranks over loopback (in processes of their own, which the socket block of the tests does not reach)."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert "equal" in run.stdout, run.stderr[-2000:]
