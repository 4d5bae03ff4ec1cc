"""The training loop: ``for batch: losses = method.update(batch)``; counts, logs, snapshots, resume. It knows no method.

    RUN/
      run.json                 what is trained on what: generator, config, encoding, seed, trained_on, provenance
      log.jsonl                losses and images per second
      grids/000012800.png      sample grids
      checkpoints/000012800/   the state to resume from (the latest only)
      snapshots/000012800/     weights to sample from
      complete.json            written last

Randomness is stateless: before each step torch is seeded with derive(seed, "step", rank, images_seen), so a resumed run
does what the uninterrupted one would have done, whenever checkpoints were taken. Several processes share each batch
evenly. They follow the training of one process up to rounding where a step draws nothing and no case of the batch
counts in the loss of another; noise is drawn by each process anew, and minibatch deviations are those of its share. The
log has the losses of the first process, which alone writes. **Checked** in tests/training/test_loop.py, and for every
generator in tests/generators/test_contract.py and test_processes.py.
"""

import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from understudy.core.atomic import lock, whole_file
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import derive
from understudy.training.checkpoint import latest, read_state, write_state
from understudy.training.engine import Engine
from understudy.training.log import save_grid, training_log
from understudy.training.run_record import read_run

LOG_SECONDS = 5.0


class Trainable(Protocol):
    """What the loop asks of a generator."""

    def schedule(self, images_seen: int) -> tuple[int, int]:
        """Return batch size and resolution for the next step."""

    def update(self, batch: Any) -> dict[str, Any]:
        """Take the optimiser steps of one batch of the source; return losses as numbers or 0-d tensors."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a resume needs."""

    def load_state(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        """Put a state back."""

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights that sampling needs."""


class BatchSource(Protocol):
    """What the loop takes batches from: training/batches.py, or with privacy training/dp/subjects.py."""

    def batch(self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice) -> Any:
        """Return what a method's step is made of."""


def open_run(run: Path, record: dict[str, Any]) -> bool:
    """Look for a run folder without making it; :func:`make_run` does, once the networks could be built.

    Returns True if the run with this record is complete already; False if it is to be started or resumed.

    Raises:
        UsageError: the folder holds another run, or something else.
    """
    file = run / "run.json"
    record = json.loads(json.dumps(record))
    if file.is_file():
        made = read_run(run)
        if made != record:
            differ = sorted(key for key in {*made, *record} if made.get(key) != record.get(key))
            found = f"a {made.get('generator')} run" if made.get("generator") != record["generator"] else "another run"
            raise UsageError(
                f"{run} holds {found} (different: {', '.join(differ)}), and a {record['generator']} run with these "
                "settings was asked for: choose another --out, or give the same settings to resume"
            )
        return (run / "complete.json").is_file()
    if run.exists() and any(p for p in run.iterdir() if p.name not in (".run.json.partial", ".lock")):
        raise UsageError(f"{run} exists and is not a run of understudy: choose another --out")
    if not run.absolute().parent.is_dir():
        raise UsageError(
            f"the folder {run.absolute().parent}, in which the run would lie, does not exist: make it first"
        )
    return False


def make_run(run: Path, record: dict[str, Any]) -> None:
    """Make the run folder with its run.json, unless it is there; a failure leaves nothing."""
    if (run / "run.json").is_file():
        return
    made = not run.exists()
    run.mkdir(exist_ok=True)
    try:
        _write_json(run / "run.json", record)
    except OSError:
        if made:
            shutil.rmtree(run)
        raise


def train(
    method: Trainable,
    batches: BatchSource,
    engine: Engine,
    run: Path,
    *,
    seed: int,
    total: int,
    snapshot_every: int,
    grid_every: int,
    checkpoint_seconds: float,
    grid: Callable[[], np.ndarray],
) -> None:
    """Train until ``total`` images were seen, in a run folder, from its latest checkpoint if there is one.

    Snapshots and grids come every so many images, and at the end; checkpoints after ``checkpoint_seconds``. ``grid``
    returns samples (n, channels, *S) in [-1, 1].

    Raises:
        UsageError: a batch cannot be shared evenly by the processes.
        UnderstudyError: a loss or a weight is not a finite number.
    """
    _refuse_uneven(method, engine.world_size, total)
    with lock(run / ".lock", f"training {run}") if engine.rank == 0 else nullcontext():
        images_seen = _resume(method, run)
        _refuse_apart(engine, images_seen, run)
        if engine.rank == 0:
            _drop_others(run / "checkpoints", images_seen)
        log_file = run / "log.jsonl" if engine.rank == 0 else Path(os.devnull)
        with training_log(log_file, total, images_seen, quiet=engine.rank > 0) as log:
            logged = saved = time.monotonic()
            while images_seen < total:
                before = images_seen
                batch_size, losses = _step(method, batches, engine, seed, images_seen)
                images_seen += batch_size
                passed = {every: images_seen // every > before // every for every in (snapshot_every, grid_every)}
                last, now = images_seen >= total, time.monotonic()
                if last or now - logged > LOG_SECONDS:
                    _refuse_infinite(losses, images_seen, run)
                    log(images_seen, losses)
                    logged = now
                if engine.rank == 0:
                    if passed[snapshot_every] or last:
                        write_state(run / "snapshots" / f"{images_seen:09d}", *method.snapshot())
                    if passed[grid_every] or last:
                        (run / "grids").mkdir(exist_ok=True)
                        save_grid(grid(), run / "grids" / f"{images_seen:09d}.png")
                    if last or now - saved > checkpoint_seconds:
                        _refuse_infinite(losses, images_seen, run)
                        _checkpoint(method, run, images_seen)
                        saved = time.monotonic()
        if engine.rank == 0:
            _write_json(run / "complete.json", {"images_seen": images_seen})


def _step(
    method: Trainable, batches: BatchSource, engine: Engine, seed: int, images_seen: int
) -> tuple[int, dict[str, Any]]:
    batch_size, resolution = method.schedule(images_seen)
    share = batch_size // engine.world_size
    part = slice(engine.rank * share, (engine.rank + 1) * share)
    batch = batches.batch(images_seen, batch_size, resolution, engine.device, part)
    torch.manual_seed(derive(seed, "step", engine.rank, images_seen))
    return batch_size, method.update(batch)


def _refuse_apart(engine: Engine, images_seen: int, run: Path) -> None:
    found = engine.gather(torch.tensor([images_seen], device=engine.device)).tolist()
    if len(set(found)) > 1:
        raise UnderstudyError(
            f"the processes begin after {', '.join(map(str, found))} images: all of them must see the same {run}"
        )


def _refuse_uneven(method: Trainable, processes: int, total: int) -> None:
    images_seen = 0
    while processes > 1 and images_seen < total:
        batch_size = method.schedule(images_seen)[0]
        if batch_size % processes:
            raise UsageError(
                f"a batch of {batch_size} cannot be shared evenly by {processes} processes: set a batch_size that "
                "divides by their number"
            )
        images_seen += batch_size


def _resume(method: Trainable, run: Path) -> int:
    found = latest(run / "checkpoints")
    if found is None:
        return 0
    tensors, scalars = read_state(found)
    try:
        method.load_state(tensors, scalars)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UnderstudyError(
            f"{found} is no checkpoint of this training ({why}): remove it and run train again"
        ) from error
    return int(found.name)


def _checkpoint(method: Trainable, run: Path, images_seen: int) -> None:
    write_state(run / "checkpoints" / f"{images_seen:09d}", *method.state())
    _drop_others(run / "checkpoints", images_seen)


def _drop_others(checkpoints: Path, images_seen: int) -> None:
    """Remove all checkpoints but one, and what killed processes had begun to write or to remove."""
    for old in checkpoints.glob("*"):
        if re.fullmatch(r"\d+|\.\d+\.partial", old.name) and old.name != f"{images_seen:09d}":
            shutil.rmtree(old)


def _refuse_infinite(losses: dict[str, Any], images_seen: int, run: Path) -> None:
    bad = [name for name, value in losses.items() if not math.isfinite(float(value))]
    if bad:
        raise UnderstudyError(
            f"training diverged: {', '.join(bad)} is not finite after {images_seen} images; the last whole "
            f"checkpoint in {run} is kept: lower the learning rate with --set"
        )


def _write_json(file: Path, data: dict[str, Any]) -> None:
    with whole_file(file) as handle:
        handle.write((json.dumps(data, indent=1) + "\n").encode())
