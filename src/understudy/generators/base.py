"""The Generator contract: one class, one paper; a network with its loss and its sampler.

A generator sees network channels only: image channels, then label channels, float32 in [-1, 1] (core/encoding.py). It
is trained by the one loop of training/loop.py and sampled in blocks of one fixed size, each case from a seed of its
own, so that a case depends neither on its neighbours nor on how many are drawn. What is random in a training step comes
from torch's global generator, which the loop seeds at each step. What differential privacy needs beside is ``Private``
in training/dp/training.py. **Checked** by tests/generators/test_contract.py, which runs over the menu.
"""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.seed import derive, rng
from understudy.training.batches import Batch, BatchStream
from understudy.training.checkpoint import (
    latest,
    load_modules,
    load_optimizer_state,
    optimizer_state,
    read_state,
    start_from,
)
from understudy.training.dp.secret import destroyed
from understudy.training.dp.training import PrivateTraining
from understudy.training.ema import ema_decay, ema_update
from understudy.training.engine import Engine
from understudy.training.loop import BatchSource, make_run, open_run, train
from understudy.training.record import fitting, training_record
from understudy.training.run_record import read_run
from understudy.training.settings import GeneratorConfig

GRID_CASES = 16
MEASURED_CASES = 2048
MEASURED_VALUES = 2**22  # network values of training cases that are looked at together


@dataclass(frozen=True)
class Samples:
    """Decoded cases: images (n, C, *S) in the cohort's data type, or None; labels (n, *S) uint8, or None."""

    images: np.ndarray | None
    labels: np.ndarray | None


class Generator(ABC):
    """A method that learns a cohort and samples cases. Subclasses set the class variables and the abstract methods."""

    name: ClassVar[str]
    Config: ClassVar[type[GeneratorConfig]]
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    BY_IMAGES: ClassVar[dict[int, dict[str, Any]]] = {0: {}}  # preset auto: settings from so many training images up
    SAMPLING: ClassVar[tuple[str, ...]] = ("sample_block",)  # settings that may be changed after training
    LABELS_ONLY: ClassVar[bool] = False  # learns and samples label maps without images
    OTHER: ClassVar[Literal["unpaired", "images"] | None] = None  # a second cohort: needed, unpaired; or images alone
    NETWORKS: ClassVar[tuple[str, ...]] = ("g", "d", "ema")  # attributes with weights or buffers, EMA copies included
    SNAPSHOT: ClassVar[tuple[str, ...]] = ("ema",)  # those of them that sampling needs (EMA weights)
    NUMBERS: ClassVar[tuple[str, ...]] = ()  # attributes that a resume needs beside them, JSON values
    adams: dict[str, Optimizer]  # set by build
    classes: int = 0  # class columns of a condition; set by build
    ema: Any  # the averaged network; set by build
    taken: frozenset[str] = frozenset()  # networks that began with the weights of another run, whole; set by fit

    def __init__(self, config: GeneratorConfig) -> None:
        """Store the configuration; networks are made by :meth:`build`."""
        self.config = config

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What a translator is given of every case; None where cases come from noise, and classes."""
        return None

    @property
    def scheme(self) -> LabelScheme:
        """The label scheme, of methods that refuse a training without one."""
        assert self.encoding.scheme is not None
        return self.encoding.scheme

    @classmethod
    def settings_for(cls, images: int) -> dict[str, Any]:
        """Return the settings of preset `auto`: those of `small`, and what so many training images call for."""
        return {**cls.PRESETS.get("small", {}), **cls.BY_IMAGES[max(n for n in cls.BY_IMAGES if n <= images)]}

    # ------------------------------------------------------------------ what a paper's file writes
    @abstractmethod
    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make networks and optimisers on ``self.engine.device``; torch is seeded by the caller.

        A case has ``encoding.n`` channels and the spatial size `size`, a condition `classes` class columns.
        """

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take the optimiser steps of one batch; return losses by name."""

    @abstractmethod
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw N cases, one a seed; all randomness of case i comes from ``seeds[i]``.

        The condition is (N, classes) float32, or None; a translator's is what it is given: label maps (N, *S) int64, or
        image channels (N, C, *S) float32 in [-1, 1]. The result is float32 (N, C + L, *S) in the network's own range,
        about [-1, 1]; a translator puts what it was given in its place.
        """

    def modules(self) -> dict[str, nn.Module]:
        """Return everything that has weights or buffers, EMA copies included."""
        return {name: getattr(self, name) for name in self.NETWORKS}

    def measure(self, cases: Iterable[Tensor]) -> None:  # noqa: B027
        """Look at blocks of training cases (n, C + L, *S) before the first step, for data statistics; most do not.

        A case is read and encoded when it is asked for. A resume reads what was measured with the networks.
        """

    def schedule(self, images_seen: int) -> tuple[int, int]:
        """Return batch size and resolution for the next step; ProGAN grows, most do not."""
        return self.config.batch_size, self.size[-1]

    def scalars(self) -> dict[str, Any]:
        """Return further state as JSON values (ADA p, running means kept as numbers)."""
        return {name: getattr(self, name) for name in self.NUMBERS}

    def load_scalars(self, scalars: dict[str, Any]) -> None:
        """Put back what :meth:`scalars` gave."""
        for name in self.NUMBERS:
            setattr(self, name, scalars[name])

    def keep_away(self, images: np.ndarray, subjects: np.ndarray) -> float:
        """Sample no case that comes too near to training images (M, C, *S) in [-1, 1] of subjects (M,).

        Returns the likeness, Pearson's r, above which a case is turned away. UsageError where the method cannot.
        """
        raise UsageError(f"{self.name} cannot be kept away from images while it samples: diffusion can")

    def class_condition(self, condition: Tensor | None) -> Tensor | None:
        """Return the class columns (N, classes) that cases are drawn for, None without; UsageError for missing ones."""
        if self.classes and condition is None:
            raise UsageError(
                f"this {self.name} was trained with {self.classes} classes and needs a condition: name the classes"
            )
        return condition

    def given_cases(self, condition: Tensor | None, n: int) -> Tensor:
        """Return what a translator is given of n cases: label maps (n, *S), or image channels (n, C, *S).

        Raises:
            UsageError: it is missing, has another shape, or holds classes that the scheme does not know.
        """
        shape = (n, *((self.encoding.image_channels,) if self.given == "images" else ()), *self.size)
        if condition is None or condition.shape != shape:
            found = "none" if condition is None else tuple(condition.shape)
            raise UsageError(
                f"this {self.name} is given {self.given}: {n} of shape {shape[1:]} were expected, found {found}: "
                "name a cohort with --labels"
            )
        if self.given == "labels" and n and not 0 <= int(condition.min()) <= int(condition.max()) < len(self.scheme):
            raise UsageError(
                f"label maps with the classes 0 to {len(self.scheme) - 1} were expected, found "
                f"{int(condition.min())} to {int(condition.max())}: give maps of the label scheme that was trained with"
            )
        return condition

    # ------------------------------------------------------------------ training
    def move_average(
        self, source: nn.Module, batch_size: int, half_life: float, images_seen: int, rampup: float | None = 0.05
    ) -> None:
        """Move ``ema`` towards a network after a step; see :func:`understudy.training.ema.ema_decay`.

        An average that was taken from another run is not ramped up, which would throw it away at the first step.
        """
        decay = ema_decay(batch_size, half_life, images_seen, None if "ema" in self.taken else rampup)
        ema_update(self.ema, source, decay)

    def fit(
        self,
        cohort: Cohort,
        out: Path,
        seed: int,
        other: Cohort | None = None,
        engine: Engine | None = None,
        preset: str | None = None,
        start: Path | None = None,
    ) -> Path:
        """Train on a cohort's training split into the run folder `out`; run again = resume, finished = nothing to do.

        The seed is that of initialisation, order and every step; `other` a second cohort, where the method
        takes one (``OTHER``); the engine by default the best one here; `preset` what the configuration started from,
        for the record; `start` another run of the same networks, whose weights to begin with: what it saw counts as
        seen.

        Raises:
            UsageError: the folder holds another run, the method takes no second cohort, or needs one or label maps.
            UnderstudyError: nothing to train on, or the training diverged.
        """
        cfg = self.config
        cohort, other = fitting(self, cohort, other)
        feed, rows = self.stream(cohort, other, seed), cohort.rows("train")
        method: Any = self
        if getattr(cfg, "dp", None):
            method = PrivateTraining(method, cohort, other, start, seed)
        record = training_record(self, cohort, other, start, seed, preset, getattr(method, "statement", None))
        if open_run(out, record):
            destroyed(out)
            return out
        encoding = Encoding.from_json(record["encoding"])
        self._start(encoding, cohort.size, len(record["classes"]), derive(seed, "init"), engine)
        if start:
            self._take(start)
        if method is not self or latest(out / "checkpoints") is None:
            method.measure(_blocks_of(cohort, rng(seed, "measure").permutation(rows)[:MEASURED_CASES]))
        if self.engine.rank == 0:
            make_run(out, record)
        self.engine.wait()
        grid_seeds = [derive(seed, "grid", i) for i in range(GRID_CASES)]
        grid_condition = method.condition_of(cohort, np.resize(rows, GRID_CASES))
        pace = cfg.model_dump(include={"snapshot_every", "grid_every", "checkpoint_seconds"})

        def grid() -> np.ndarray:
            return np.concatenate(list(self._blocks(grid_seeds, grid_condition, min(cfg.sample_block, GRID_CASES))))

        source = feed if method is self else method.source(out)
        train(method, source, self.engine, out, seed=seed, total=cfg.images_seen, grid=grid, **pace)
        self.engine.wait()
        destroyed(out)
        return out

    def stream(self, cohort: Cohort, other: Cohort | None, seed: int) -> BatchSource:
        """Return the batches of a training; `other` is served beside the cohort, in an order of its own."""
        return BatchStream.of(self.config, cohort, other, seed)

    def condition_of(self, cohort: Cohort, rows: np.ndarray) -> np.ndarray | None:
        """Return what :meth:`sample` needs to draw cases like these rows of a cohort; None where that is nothing."""
        if self.given:
            return np.asarray((cohort.labels if self.given == "labels" else cohort.images)[rows])  # type: ignore[index]
        return np.nan_to_num(cohort.class_matrix(rows)) if self.config.conditional else None

    def _start(self, encoding: Encoding, size: tuple[int, ...], classes: int, seed: int, engine: Engine | None) -> None:
        self.encoding, self.size, self.engine = encoding, tuple(size), engine or Engine(self.config.precision)
        torch.manual_seed(seed)
        self.build(encoding, self.size, classes)

    def _take(self, start: Path) -> None:
        """Begin with the weights of another run, and warn of what it does not hold."""
        if anew := start_from(start, self.modules()):
            warnings.warn(f"{start} holds no weights of {', '.join(anew)}: begun anew", stacklevel=3)
        self.taken = frozenset(self.modules()) - {name.partition(".")[0] for name in anew}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a resume needs: weights, optimisers, scalars."""
        tensors = _weights(self.modules())
        scalars: dict[str, Any] = {"scalars": self.scalars(), "optimizers": {}}
        for name, optimizer in self.adams.items():
            found, scalars["optimizers"][name] = optimizer_state(optimizer, f"optimizer.{name}")
            tensors |= found
        return tensors, scalars

    def load_state(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        """Put back what :meth:`state` gave."""
        load_modules(self.modules(), tensors)
        for name, optimizer in self.adams.items():
            load_optimizer_state(optimizer, f"optimizer.{name}", tensors, scalars["optimizers"][name])
        self.load_scalars(scalars["scalars"])

    # ------------------------------------------------------------------ sampling
    def snapshot_modules(self) -> dict[str, nn.Module]:
        """Return the modules (EMA weights) that sampling needs; a part of :meth:`modules`."""
        return {name: getattr(self, name) for name in self.SNAPSHOT}

    def snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights that sampling needs, and the name of the generator."""
        return _weights(self.snapshot_modules()), {"generator": self.name}

    def load(self, run: Path, snapshot: Path, engine: Engine | None = None) -> None:
        """Make the networks of a run and read one of its snapshots into them; default engine: the best one here.

        Raises:
            UnderstudyError: the snapshot is damaged or of another generator.
        """
        record = read_run(run)
        self._start(Encoding.from_json(record["encoding"]), tuple(record["size"]), len(record["classes"]), 0, engine)
        tensors, scalars = read_state(snapshot)
        if scalars.get("generator") != self.name:
            raise UnderstudyError(
                f"{snapshot} is a snapshot of {scalars.get('generator')}, and {self.name} was expected: "
                "the run folder was mixed up; train again"
            )
        load_modules(self.snapshot_modules(), tensors)

    def restore(
        self, encoding: Encoding, size: tuple[int, ...], classes: int, tensors: dict[str, Tensor], engine: Engine
    ) -> None:
        """Make the networks of released weights, and read these into them.

        Raises:
            UnderstudyError: the weights do not fit, or hold more than sampling needs.
        """
        self._start(encoding, size, classes, 0, engine)
        if further := sorted(tensors.keys() - _weights(self.snapshot_modules()).keys()):
            raise UnderstudyError(f"the weights hold {further[0][:80]!r}, which {self.name} does not sample with")
        load_modules(self.snapshot_modules(), tensors)

    def sample(self, n: int, seed: int, condition: np.ndarray | None = None) -> Samples:
        """Draw n cases, decoded; case i is drawn with ``derive(seed, "case", i)`` and the same for every n.

        The condition is (n, classes) float32, or None; a translator's is what it is given: label maps (n, *S) with
        values 0..K-1, or images (n, C, *S) in the cohort's data type.
        """
        blocks = list(self.sample_blocks([derive(seed, "case", i) for i in range(n)], condition))
        images, labels = [b.images for b in blocks], [b.labels for b in blocks]
        return Samples(_joined(images), _joined(labels))

    def sample_blocks(self, seeds: list[int], condition: np.ndarray | None = None) -> Iterator[Samples]:
        """Draw one case a seed, block by block, decoded."""
        for x in self._blocks(seeds, condition, self.config.sample_block):
            yield Samples(*self.encoding.decode(x))

    @torch.no_grad()
    def _blocks(self, seeds: list[int], condition: np.ndarray | None, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(seeds), size):
            block = seeds[start : start + size]
            padded = block + block[-1:] * (size - len(block))
            chosen = None
            if condition is not None:
                c = self._as_tensor(condition[start : start + size])
                chosen = torch.cat([c, c[-1:].expand(size - len(block), *c.shape[1:])]).to(self.engine.device)
            yield self.draw(padded, chosen)[: len(block)].float().contiguous().cpu().numpy()

    def _as_tensor(self, condition: np.ndarray) -> Tensor:
        """Return a condition as :meth:`draw` takes it."""
        if self.given == "labels":
            return torch.from_numpy(np.asarray(condition, np.int64))
        if self.given == "images":
            return torch.from_numpy(self.encoding.encode_images(condition))
        return torch.from_numpy(np.asarray(condition, np.float32))


def _blocks_of(cohort: Cohort, rows: np.ndarray) -> Iterator[Tensor]:
    """Yield cases (n, C + L, *S) of a cohort, few enough at once that memory does not grow with their number."""
    size = max(MEASURED_VALUES // (cohort.encoding.n * math.prod(cohort.size)), 1)
    for start in range(0, len(rows), size):
        yield torch.from_numpy(cohort.encoded(rows[start : start + size]))


def _weights(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for name, m in modules.items() for key, value in m.state_dict().items()}


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None
