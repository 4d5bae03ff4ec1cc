"""What a task of ``evaluate utility`` is: how a network is trained in one arm, and how it is scored on test subjects.

arms.py decides what networks are trained on and report.py writes what was found; neither knows what a Dice is. A task
is a file of its own (segmentation.py, classification.py) and a line of the menu in stage.py.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.statistics import Measurement
from understudy.evaluation.utility.config import Repeats
from understudy.evaluation.utility.groups import Group
from understudy.tasks.fitting import Judges, TaskCases, TaskNetwork


@dataclass(frozen=True)
class Score:
    """What is scored: its name in results and tables, its words for people, which way is better, its unit,
    and the highest value that it can have; the lowest is 0.
    """

    name: str
    words: str
    better: str = "higher"
    unit: str = ""
    highest: float = math.inf


@dataclass
class Outcome(ABC):
    """What the networks of one arm did on the test subjects, class by class (k = 0..K-1; None is their mean).

    Scores are named by their position among those of the task. A curve is (updates, score by a judge) of one repeat.
    """

    curves: dict[str, list[list[tuple[int, float]]]] = field(default_factory=dict)

    @property
    @abstractmethod
    def networks(self) -> int:
        """How many networks were tested."""

    @abstractmethod
    def joined(self, others: Sequence[Self]) -> Self:
        """Return what these networks and others did on the same subjects, one after another."""

    @abstractmethod
    def last(self) -> np.ndarray:
        """Return what the last network did as one array, which :meth:`add` takes."""

    @abstractmethod
    def add(self, done: np.ndarray) -> None:
        """Add a network that did this, in the words of :meth:`last`."""

    def take(self, other: "Outcome") -> None:
        """Add the last network of another outcome, if one was tested, and all its curves."""
        if other.networks:
            self.add(other.last())
        for judge, curves in other.curves.items():
            self.curves.setdefault(judge, []).extend(curves)

    @abstractmethod
    def measured(self, k: int | None, score: int = 0) -> Measurement:
        """Return a score of a class, or their mean, by repeat and subject."""

    @abstractmethod
    def counted(self, k: int | None) -> np.ndarray:
        """Return which test subjects count, bool (S,)."""

    @abstractmethod
    def behind(self, k: int | None) -> int:
        """Return how many subjects stand behind the number, which decides whether it may be published."""

    @abstractmethod
    def note(self, k: int | None, score: int = 0) -> str:
        """Return what must be known to read the number."""

    def missing(self, k: int | None) -> str:
        """Return why there is no number where no subject counts."""
        return "no test subject counts"

    @abstractmethod
    def cells(self, k: int | None) -> list[Any]:
        """Return the entries of the task's own columns of the table."""


class Task(ABC):
    """A downstream task on a real cohort and the synthetic cohorts that stand for it.

    Attributes:
        Config: its settings, a task network's (tasks/fitting.py) and ``Repeats``.
        model: how a trained network is called.
        columns: its own columns of the table.
        scores: what is scored; the first one has a ratio to real-only, the others a difference.
        names: the K classes that are scored.
        subjects: the S test subjects, in the order of every outcome.
        validation_subjects: how many choose the weights.
        size_unit: of the reference size of a class.
    """

    Config: ClassVar[type[Repeats]]
    needs_labels: ClassVar[bool]
    model: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    scores: tuple[Score, ...]
    names: tuple[str, ...]
    subjects: list[str]
    validation_subjects: int
    size_unit: str = ""

    @abstractmethod
    def __init__(self, real: Cohort, others: list[Cohort], config: Any) -> None:
        """Read what the task needs of the cohorts, and refuse what cannot be."""

    @abstractmethod
    def cases(self, cohort: Cohort, rows: np.ndarray) -> TaskCases:
        """Return some rows of one of the cohorts as training cases."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return an empty outcome."""

    @abstractmethod
    def judge(self, cohort: Cohort, rows: np.ndarray) -> Callable[[Any], float]:
        """Return the score of a network on some annotated cases of one of the cohorts, by which weights are chosen."""

    @abstractmethod
    def train(self, cases: TaskCases, judges: Judges[Any], seed: int, advance: Callable[[], None]) -> TaskNetwork:
        """Train one network."""

    @abstractmethod
    def test(self, network: TaskNetwork, outcome: Outcome) -> None:
        """Read the test subjects once with the weights that a network has, and add what it did to the outcome."""

    def run(
        self,
        cases: TaskCases,
        judges: Judges[Any],
        outcomes: Mapping[str, Outcome],
        seed: int,
        advance: Callable[[], None],
    ) -> None:
        """Train one network, and test it with the weights of each choice that could be made; outcomes are by choice."""
        network, leading = self.train(cases, judges, seed, advance), next(iter(outcomes))
        if leading not in network.kept:
            raise UnderstudyError(
                f"the {leading} cases that choose the weights hold no class to score: sample more cases, or let real "
                "ones choose with --set select=real"
            )
        for choice, outcome in outcomes.items():
            for judge, curve in network.curves.items():
                outcome.curves.setdefault(judge, []).append(curve)
            if choice in network.kept:
                network.choose(choice)
                self.test(network, outcome)

    def groups(self, k: int | None) -> list[tuple[Group, float]]:
        """Return groups of test subjects with the mean reference size of a class in them."""
        return []

    @abstractmethod
    def write_inside(self, folder: Path, outcomes: dict[str, Any]) -> None:
        """Write rows per real subject or case below ``internal/``."""
