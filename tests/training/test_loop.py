"""The training loop with a toy method: counts, snapshots, resume, and what is refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.training.checkpoint import read_state
from understudy.training.engine import Engine
from understudy.training.loop import make_run, open_run, train

RECORD: dict[str, Any] = {
    "generator": "toy",
    "config": {},
    "encoding": Encoding((), "uint8", None).to_json(),
    "size": [8, 8],
    "classes": [],
    "modality": "MR",
    "seed": 3,
    "trained_on": [],
    "provenance": Provenance("train toy", {}, 3).to_json(),
}


class Walk:
    """One number that takes a random step for each batch."""

    def __init__(self, stop: int = 10**9, loss: float = 0.5) -> None:
        self.x, self.stop, self.loss, self.batches = torch.zeros(1), stop, loss, []  # type: ignore[var-annotated]

    def schedule(self, images_seen: int) -> tuple[int, int]:
        return 4, 8

    def batch(self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice) -> int:
        assert (batch_size, resolution, part) == (4, 8, slice(0, 4))
        return images_seen

    def update(self, batch: int) -> dict[str, Any]:
        if batch >= self.stop:
            raise KeyboardInterrupt
        self.batches.append(batch)
        self.x = self.x + torch.randn(1)
        return {"loss": self.loss}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"x": self.x}, {}

    def load_state(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        self.x = tensors["x"]

    snapshot = state


def go(run: Path, method: Walk, **changes: Any) -> Walk:
    assert not open_run(run, RECORD)
    make_run(run, RECORD)
    settings = {"seed": 3, "total": 20, "snapshot_every": 8, "grid_every": 10, "checkpoint_seconds": 0} | changes
    train(method, method, Engine("fp32", "cpu"), run, grid=lambda: np.zeros((1, 1, 4, 4)), **settings)
    return method


def test_a_run_has_its_snapshots_grids_and_one_checkpoint(tmp_path: Path) -> None:
    method = go(tmp_path / "run", Walk())
    assert method.batches == [0, 4, 8, 12, 16]
    names = {kind: sorted(int(p.stem) for p in (tmp_path / "run" / kind).iterdir()) for kind in ("snapshots", "grids")}
    assert names == {"snapshots": [8, 16, 20], "grids": [12, 20]}
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["000000020"]
    assert json.loads((tmp_path / "run" / "complete.json").read_text()) == {"images_seen": 20}
    assert open_run(tmp_path / "run", RECORD)


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    whole = go(tmp_path / "whole", Walk())
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", Walk(stop=12))
    again = go(tmp_path / "run", Walk())
    assert again.batches == [12, 16]
    assert torch.equal(again.x, whole.x)
    assert torch.equal(read_state(tmp_path / "run" / "snapshots" / "000000020")[0]["x"], whole.x)


@pytest.mark.parametrize("stop", [12, 20])
def test_what_killed_processes_left_is_gone(tmp_path: Path, stop: int) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    with suppress(KeyboardInterrupt):
        go(tmp_path / "run", Walk(stop=stop))
    (tmp_path / "run" / "complete.json").unlink(missing_ok=True)
    for left in ("000000004/scalars.json", ".000000016.partial/tensors.safetensors"):  # half removed, half written
        (checkpoints / left).parent.mkdir()
        (checkpoints / left).write_bytes(b"left")
    (checkpoints / "2 (a copy)").mkdir()  # a user's: no checkpoint, and not ours to remove
    go(tmp_path / "run", Walk())
    assert sorted(p.name for p in checkpoints.iterdir()) == ["000000020", "2 (a copy)"]


def test_a_loss_that_is_not_finite_stops_it(tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match="loss is not finite after 4 images"):
        go(tmp_path / "run", Walk(loss=float("nan")))
    assert not (tmp_path / "run" / "complete.json").exists()


def test_last_weights_that_are_not_finite_stop_it_too(tmp_path: Path) -> None:
    """The loss is taken before the step, so that the last step alone may break the weights."""

    class Breaks(Walk):
        def update(self, batch: int) -> dict[str, Any]:
            losses = super().update(batch)
            self.x = self.x * float("nan" if batch == 16 else 1)
            return losses

    with pytest.raises(UnderstudyError, match=r"training diverged: x is not finite, and .*000000020 is not written"):
        go(tmp_path / "run", Breaks())
    assert not (tmp_path / "run" / "complete.json").exists()
    assert sorted(p.name for p in (tmp_path / "run" / "snapshots").iterdir()) == ["000000008", "000000016"]
    assert torch.isfinite(read_state(tmp_path / "run" / "checkpoints" / "000000016")[0]["x"]).all()


class Joint:
    """An engine of three processes, each of which begins after another number of images."""

    rank, world_size, device = 0, 3, torch.device("cpu")

    def gather(self, x: Tensor) -> Tensor:
        return torch.cat([x, x + 4, x])


def test_processes_share_batches_evenly_and_begin_together(tmp_path: Path) -> None:
    class Wide(Walk):
        def schedule(self, images_seen: int) -> tuple[int, int]:
            return (6 if images_seen < 12 else 4), 8

    make_run(tmp_path / "run", RECORD)
    engine: Any = Joint()
    settings: dict[str, Any] = {"seed": 3, "snapshot_every": 8, "grid_every": 8, "checkpoint_seconds": 0}
    for total, error, told in (
        (20, UsageError, "a batch of 4 cannot be shared evenly by 3 processes"),
        (12, UnderstudyError, "the processes begin after 0, 4, 0 images"),
    ):
        with pytest.raises(error, match=told):
            train(Wide(), Wide(), engine, tmp_path / "run", total=total, grid=lambda: np.zeros(1), **settings)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["run.json"]


@pytest.mark.parametrize("text", ["[]", "{", '{"generator": 3}'])
def test_a_record_of_other_types_is_refused(tmp_path: Path, text: str) -> None:
    make_run(tmp_path / "run", RECORD)
    (tmp_path / "run" / "run.json").write_text(text)
    with pytest.raises(UnderstudyError, match=r"run\.json is not the record of a training"):
        open_run(tmp_path / "run", RECORD)


def test_other_runs_and_folders_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "run", RECORD)
    with pytest.raises(UsageError, match=r"another run \(different: seed\)"):
        open_run(tmp_path / "run", RECORD | {"seed": 4})
    with pytest.raises(UsageError, match="holds a toy run"):
        open_run(tmp_path / "run", RECORD | {"generator": "other"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(UsageError, match="is not a run of understudy"):
        open_run(tmp_path / "other", RECORD)
    with pytest.raises(UsageError, match="does not exist"):
        open_run(tmp_path / "none" / "run", RECORD)
