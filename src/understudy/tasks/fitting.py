"""The recipe of all task networks: AdamW for a fixed number of updates; the weights that scored best are kept.

Scores are computed by the caller's judges, e.g. on real validation subjects, at evenly spaced checks and at two more
before the first of these; the best weights by each judge are kept, and the last. Batches are drawn uniformly;
order and augmentation have seeds of their own, so that the same seed gives the same bits on the same processor.
Fine-tuning changes nothing but the cases: the same optimiser goes on, on the one schedule of the whole run.

**Source**: Smith and Topin, Super-Convergence (2018, arXiv 1708.07120), ``OneCycleLR``; ``poly``, of power 0.9, as
nnU-Net (Isensee et al. 2021); ``cosine``: Loshchilov and Hutter, SGDR (2017, arXiv 1608.03983), one period; mixed
cases: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): real slices are
repeated so that real and synthetic ones are seen equally often, a share of a half.
**Differs**: fine-tuning does not start again at a tenth of the rate: no further setting to tune, and as much learning
in all as in every other arm. Any share of whole percents; within a kind no case stands more than once oftener than
another.
**Checked**: tests/tasks/test_fitting.py (shares are exact), test_segmentation.py, test_classification.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, PolynomialLR

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import derive, rng
from understudy.training.engine import Engine

LEARNED = ("train", "validation")  # what a network has seen that was trained on the first and chosen on the second
MIN_SD = 1e-3  # of images in [-1, 1]; a constant channel becomes zero
VOXELS_PER_BLOCK = 2**18  # of one channel, predicted at once: 64 images of 64 px


class FittingConfig(BaseModel):
    """How a task network is trained; the same in every arm of a comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    updates: int = Field(1000, ge=1, description="optimiser steps; as many on every arm of a comparison")
    batch_size: int = Field(32, ge=1, description="cases a step")
    learning_rate: float = Field(2e-3, gt=0, description="of AdamW, where the schedule is highest")
    weight_decay: float = Field(1e-2, ge=0, description="of AdamW")
    augment: bool = Field(True, description="augment training cases classically: augmentation.py")
    schedule: Literal["one-cycle", "poly", "cosine"] = Field("one-cycle", description="of the learning rate")
    checks: int = Field(
        10, ge=1, description="evenly spaced checks of the score that weights are kept by; and two early ones"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="bf16 where it is fast, or fp32")

    MENU: ClassVar[Mapping[str, Any]] = {}  # what ``network`` may name

    @field_validator("network", check_fields=False)
    @classmethod
    def _on_the_menu(cls, name: str) -> str:
        if name not in cls.MENU:
            raise ValueError(f"one of {', '.join(cls.MENU)} was expected, found {name!r}")
        return name


@dataclass(frozen=True)
class Kept:
    """Weights, and after how many updates the network had them."""

    updates: int
    weights: dict[str, Tensor] = field(repr=False)


@dataclass
class TaskNetwork(ABC):
    """A network that maps z-scores (N, C, *S) to logits, and how its training went.

    Attributes:
        curves: (updates, score) at every check, by judge.
        kept: the weights that each judge found best, and ``last``.
    """

    network: nn.Module
    engine: Engine
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)

    def choose(self, judge: str) -> None:
        """Give the network the weights that a judge found best, or with ``last`` those at the end."""
        self.network.load_state_dict(self.kept[judge].weights)

    @abstractmethod
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Map one block of images (n, C, *S) float32 in [-1, 1] to what they show, (n, ...)."""

    def predict_cases(self, cases: "TaskCases") -> np.ndarray:
        """Map all cases as :meth:`predict` does, in blocks of about VOXELS_PER_BLOCK."""
        return np.concatenate([self.predict(images) for images in image_blocks(cases, VOXELS_PER_BLOCK)])


Fitted = TypeVar("Fitted", bound=TaskNetwork)
Judges = Mapping[str, Callable[[Fitted], float]]  # higher is better; none may read test subjects
LAST = "last"  # the weights at the end, whatever the judges say


class TaskCases(Protocol):
    """What a task network is trained on: a number of cases that can be read in any order."""

    def __len__(self) -> int:
        """Return the number of cases."""

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images (n, C, *S) float32 in [-1, 1] and the targets (n, ...) of the chosen positions."""


@dataclass(frozen=True)
class FineTuned:
    """Cases of one set for the first updates, cases of another for the rest; weights are chosen in the rest alone."""

    before: TaskCases  # e.g. synthetic cases
    after: TaskCases  # e.g. real cases
    share: float  # of the updates that are made on ``after``; above 0 and below 1

    def __len__(self) -> int:
        """Return the number of cases of both sets."""
        return len(self.before) + len(self.after)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cases of both sets, those of ``before`` first; see :class:`TaskCases`."""
        late = chosen >= len(self.before)
        return _read_both(self.before, self.after, late, chosen - len(self.before) * late)

    def start(self, updates: int) -> int:
        """Return how many of so many updates are made on ``before``: at least one, and all but one at most.

        Raises:
            UsageError: one update cannot be parted.
        """
        if updates < 2:
            raise UsageError(f"fine-tuning needs two updates at least, found updates = {updates}: ask for more")
        return min(max(round(updates * (1 - self.share)), 1), updates - 1)


def chosen_from(cases: TaskCases, updates: int) -> int:
    """Return after how many of so many updates weights may be chosen."""
    return cases.start(updates) if isinstance(cases, FineTuned) else 0


def fit(
    trained: Fitted,
    cases: TaskCases,
    batch: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    config: FittingConfig,
    seed: int,
    judges: Judges[Fitted],
    progress: Callable[[], None] = lambda: None,
) -> Fitted:
    """Train a network for ``config.updates`` updates; give it the weights that the first judge with a score chose.

    Args:
        trained: the network, in its place already; it is given the curve and the best weights of every judge.
        cases: the training cases; each update draws its batch uniformly from them.
        batch: makes a network's input and target of z-scores and targets; augments them.
        loss: of float32 logits, targets and the network's input.
        config: the schedule.
        seed: of order and augmentation; the same seed gives the same bits on the same processor.
        judges: called at :func:`check_points`.
        progress: called after each update.

    Raises:
        UnderstudyError: no check gave a score by any judge.
    """
    network, engine = trained.network, trained.engine
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = SCHEDULES[config.schedule](optimizer, config)
    order, generator = rng(seed, "order"), torch.Generator().manual_seed(derive(seed, "augmentation"))
    trained.curves = {name: [] for name in judges}
    start, checks = chosen_from(cases, config.updates), check_points(config.updates, config.checks)
    for update in range(1, config.updates + 1):
        drawn = cases if not isinstance(cases, FineTuned) else cases.before if update <= start else cases.after
        images, targets = drawn.read(order.integers(len(drawn), size=config.batch_size))
        z = standardised(images_to_device(images, engine))
        x, y = batch(z, torch.from_numpy(targets).to(engine.device), generator)
        network.train()
        with engine.autocast():
            logits = network(channels_last(x))
        optimizer.zero_grad(set_to_none=True)
        loss(logits.float(), y, x).backward()
        optimizer.step()
        schedule.step()
        progress()
        if update in checks:
            _judge(trained, judges, update, start)
    trained.kept[LAST] = Kept(config.updates, _weights(network))
    chosen = next((name for name in judges if name in trained.kept), None)
    if chosen is None:
        raise UnderstudyError(
            f"no check while training gave a score: the {' and '.join(judges)} cases that choose the weights hold no "
            "class to score"
        )
    trained.choose(chosen)
    return trained


def check_points(updates: int, checks: int) -> set[int]:
    """Return after which updates networks are judged: evenly spaced, and at a quarter and half of the first of these.

    Networks that learn synthetic cases are often best early: nine of 17 at a tenth of the updates, on lgg_tcga.
    """
    return {max(1, round(updates * i / checks)) for i in (0.25, 0.5, *range(1, checks + 1))}


def _judge(trained: Fitted, judges: Judges[Fitted], update: int, start: int) -> None:
    """Let every judge score the network; after ``start`` updates, keep weights better than any before."""
    for name, judge in judges.items():
        found, before = judge(trained), [score for at, score in trained.curves[name] if at > start]
        trained.curves[name].append((update, found))
        if update > start and found > np.nanmax([-np.inf, *before]):
            trained.kept[name] = Kept(update, _weights(trained.network))


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _one_cycle(optimizer: torch.optim.Optimizer, config: FittingConfig) -> LRScheduler:
    rise = 0.1 if config.updates > 10 else 0.3  # a tenth of ten updates is one step: OneCycleLR divides by zero
    return OneCycleLR(optimizer, config.learning_rate, config.updates, pct_start=rise)


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, FittingConfig], LRScheduler]] = {
    "one-cycle": _one_cycle,
    "poly": lambda optimizer, config: PolynomialLR(optimizer, config.updates, power=0.9),
    "cosine": lambda optimizer, config: CosineAnnealingLR(optimizer, config.updates),
}


def refuse_unlearnable(cohort: Cohort, network: str) -> None:
    """Refuse a cohort without training or validation cases; the network is e.g. ``a classifier``."""
    for split in LEARNED:
        if not len(cohort.rows(split)):
            raise UnderstudyError(
                f"{network} is trained on the train split and chosen on the validation split, and "
                f"{cohort.path.name} has no {split} case: import it with --split train=...,validation=..."
            )


def seen_by_network(cohort: Cohort) -> list[dict[str, Any]]:
    """Return ``trained_on`` of what is made with a network that a cohort trained and chose: an entry a split."""
    return [*cohort.trained_on, *(cohort.seen(split) for split in LEARNED)]


def image_blocks(cases: TaskCases, voxels: int) -> Iterator[np.ndarray]:
    """Yield the images of all cases in order, in blocks of about so many voxels of one channel."""
    size = int(np.prod(cases.read(np.zeros(1, int))[0].shape[2:]))
    block = max(1, voxels // size)
    for start in range(0, len(cases), block):
        yield cases.read(np.arange(start, min(start + block, len(cases))))[0]


def standardised(images: Tensor) -> Tensor:
    """Return images (N, C, *S) as z-scores per image and channel over the whole image."""
    axes = tuple(range(2, images.ndim))
    sd, mean = torch.std_mean(images, axes, correction=0, keepdim=True)
    return (images - mean) / sd.clamp_min(MIN_SD)


def to_device(network: nn.Module, engine: Engine, dims: int) -> nn.Module:
    """Move a network to the engine's device, in the memory format that is fast there."""
    return engine.place(network) if dims == 2 else network.to(engine.device)


def channels_last(x: Tensor) -> Tensor:
    """Return a batch in the memory format of :func:`to_device`."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()


def images_to_device(images: np.ndarray, engine: Engine) -> Tensor:
    """Return a block of images on the engine's device."""
    return channels_last(torch.from_numpy(images).to(engine.device))


@dataclass(frozen=True)
class Mixed:
    """Cases of two sets in a cycle of positions: of every q positions the last p are the second set's."""

    first: TaskCases  # e.g. real cases
    second: TaskCases  # e.g. synthetic cases
    share: float = 0.5  # p / q; above 0 and below 1, in whole percents

    @property
    def _slots(self) -> tuple[int, int]:
        """Positions of either set in a cycle: q - p and p."""
        share = Fraction(round(100 * self.share), 100)
        return share.denominator - share.numerator, share.numerator

    def __len__(self) -> int:
        """Return the number of positions, in whole cycles; each case of either set stands in them at least once."""
        sets = zip((self.first, self.second), self._slots, strict=True)
        return sum(self._slots) * max(-(-len(cases) // slots) for cases, slots in sets)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images and targets at the chosen positions; see :class:`TaskCases`."""
        early, later = self._slots
        cycle, slot = np.divmod(chosen, early + later)
        first, second = (cycle * early + slot) % len(self.first), (cycle * later + slot - early) % len(self.second)
        late = slot >= early
        return _read_both(self.first, self.second, late, np.where(late, second, first))


def _read_both(
    first: TaskCases, second: TaskCases, late: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read the cases at positions of ``second`` where ``late``, else of ``first``, in the order of the positions."""
    sets = [(first, ~late), (second, late)]
    parts = [cases.read(positions[here]) for cases, here in sets if here.any()]
    order = np.argsort(np.argsort(late, kind="stable"))
    images, targets = (np.concatenate(part)[order] for part in zip(*parts, strict=True))
    return images, targets
