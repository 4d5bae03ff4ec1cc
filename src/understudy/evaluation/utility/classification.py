"""The task classification: the area under the ROC curve of each class column, and its mean over the classes.

**Source**: Segal et al., Evaluating the Clinical Realism of Synthetic Chest X-Rays Generated Using Progressively
Growing GANs (2021, arXiv 2010.03975): a classifier trained on labelled conditioned samples, tested on real images.
**Differs**: in every arm the same updates, seeds and augmentation, and weights chosen on the same real validation
subjects; a class that fewer than five test subjects have, or fewer than five lack, has no public number and takes no
part in the mean. Class columns of a synthetic cohort are what it was sampled with.
The test subjects are read once by each classifier with the weights of each choice (arms.py), after it was made.
**Checked** in tests/evaluation/utility/test_classification.py (end to end; a class that is absent; a planted leak).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.classes import short_class_names
from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.evaluation.folder import write_rows
from understudy.evaluation.utility.auc import Areas, fewer_subjects
from understudy.evaluation.utility.config import ClassUtilityConfig
from understudy.evaluation.utility.task import Outcome, Score, Task
from understudy.tasks.classification import (
    ClassCases,
    Classifier,
    chosen_classes,
    class_cases,
    train_classifier,
    validation_score,
)
from understudy.tasks.fitting import Judges, TaskCases, TaskNetwork

PER_CASE = ("case_id", "subject_id", "trained_on", "network", "repeat", "class", "has_class", "probability")


@dataclass
class AreaOutcome(Outcome):
    """Probabilities (n, K) of the K classes `names` on the test cases, one matrix a repeat.

    The targets (n, K) are 0 and 1, NaN where missing; the number (n,) is that of each case's subject, 0..subjects-1.
    """

    targets: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    number: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    subjects: int = 0
    names: tuple[str, ...] = ()
    probabilities: list[np.ndarray] = field(default_factory=list)

    def _fewer(self, k: int) -> int:
        return fewer_subjects(self.targets[:, k], self.number)

    def _averaged(self) -> tuple[int, ...]:
        """The classes of the mean: those that may be published, or where there are none, those that have an area."""
        kinds = [self._fewer(k) for k in range(len(self.names))]
        for minimum in (MIN_SUBJECTS, 1):
            if kept := tuple(k for k, kind in enumerate(kinds) if kind >= minimum):
                return kept
        return ()

    @property
    def networks(self) -> int:
        """How many networks were tested."""
        return len(self.probabilities)

    def joined(self, others: Sequence["AreaOutcome"]) -> "AreaOutcome":
        """Return the probabilities of all, one after another; curves are left."""
        return replace(self, probabilities=[matrix for one in (self, *others) for matrix in one.probabilities])

    def last(self) -> np.ndarray:
        """Return the probabilities of the last classifier, (n, K) float32."""
        return self.probabilities[-1]

    def add(self, done: np.ndarray) -> None:
        """Add the probabilities of a classifier."""
        self.probabilities.append(done)

    def measured(self, k: int | None, score: int = 0) -> Areas:
        """Return the areas of a class, or their mean."""
        return Areas(self.targets, self.probabilities, self.number, self.subjects, self._classes(k))

    def counted(self, k: int | None) -> np.ndarray:
        """Return which subjects have a known entry, where there are cases of both kinds."""
        counted = np.zeros(self.subjects, bool)
        for one in self._classes(k):
            if self._fewer(one):
                counted[self.number[np.isfinite(self.targets[:, one])]] = True
        return counted

    def behind(self, k: int | None) -> int:
        """Return how many subjects have the class, or lack it, whichever are fewer."""
        return min((self._fewer(one) for one in self._classes(k)), default=0)

    def _classes(self, k: int | None) -> tuple[int, ...]:
        return self._averaged() if k is None else (k,)

    def note(self, k: int | None, score: int = 0) -> str:
        """Say how many cases have the class, or which classes take no part in the mean."""
        note = f"mean over {len(self.probabilities)} classifier(s); 0.5 is chance"
        if k is not None:
            return f"{note}; {self._cases(k, 1)} of {self._cases(k, 0) + self._cases(k, 1)} test cases have the class"
        left = [name for one, name in enumerate(self.names) if one not in self._averaged()]
        without = f" (without {', '.join(left)}: too few test subjects)" if left else ""
        return f"{note}; mean of {len(self._averaged())} of {len(self.names)} classes{without}"

    def missing(self, k: int | None) -> str:
        """Say which kind of case the test subjects lack."""
        if k is None:
            return "no class has test cases both with and without it"
        kind = "has" if self._cases(k, 0) else "lacks"
        return f"no test case {kind} the class, and an area needs both kinds of case"

    def _cases(self, k: int, value: int) -> int:
        return int((self.targets[:, k] == value).sum())

    def cells(self, k: int | None) -> list[Any]:
        """Return the number of test cases with and without the class, or of classes in the mean and left out of it."""
        averaged = len(self._averaged())
        if k is None:
            return [None, None, averaged, len(self.names) - averaged]
        return [self._cases(k, 1), self._cases(k, 0), None, None]


class Classification(Task):
    """Classifiers on images and class columns."""

    Config = ClassUtilityConfig
    needs_labels = False
    model = "classifier"
    columns = ("cases_with", "cases_without", "classes", "classes_left_out")
    scores = (Score("auc", "AUC", highest=1),)

    def __init__(self, real: Cohort, others: list[Cohort], config: ClassUtilityConfig) -> None:
        """Read the class columns of all cohorts."""
        self.config, self.encoding, self.cohort = config, real.encoding, real
        self.columns_read = chosen_classes(real, config)
        self.names = tuple(short_class_names(self.columns_read))
        self.tested = self.cases(real, real.rows("test"))
        for other in others:
            self.cases(other, other.rows())
        self.subjects, self.validation_subjects = real.subjects("test"), len(real.subjects("validation"))

    def cases(self, cohort: Cohort, rows: np.ndarray) -> ClassCases:
        """Return cases with their class columns."""
        return class_cases(cohort, rows, self.encoding, self.columns_read)

    def outcome(self) -> AreaOutcome:
        """Return an outcome without repeats."""
        number = np.searchsorted(self.subjects, self.cohort.column("subject_id")[self.tested.rows])
        return AreaOutcome({}, self.tested.targets, number, len(self.subjects), self.names)

    def judge(self, cohort: Cohort, rows: np.ndarray) -> Callable[[Any], float]:
        """Return the mean area over classes."""
        return validation_score(self.cases(cohort, rows))

    def train(self, cases: TaskCases, judges: Judges[Any], seed: int, advance: Callable[[], None]) -> Classifier:
        """Train a classifier."""
        return train_classifier(cases, self.columns_read, self.config, seed, judges, advance)

    def test(self, network: TaskNetwork, outcome: Outcome) -> None:
        """Let a classifier predict the test cases."""
        assert isinstance(outcome, AreaOutcome)
        outcome.probabilities.append(network.predict_cases(self.tested))

    def write_inside(self, folder: Path, outcomes: dict[str, Any]) -> None:
        """Write internal/per_case.csv."""
        write_rows(folder / "per_case.csv", PER_CASE, self._rows(outcomes))

    def _rows(self, outcomes: dict[str, AreaOutcome]) -> Iterator[list[Any]]:
        cases, subjects = (self.cohort.column(name)[self.tested.rows] for name in ("case_id", "subject_id"))
        for name, outcome in outcomes.items():
            for repeat, probabilities in enumerate(outcome.probabilities):
                for i, (case, subject) in enumerate(zip(cases, subjects, strict=True)):
                    for k, label in enumerate(self.names):
                        target = self.tested.targets[i, k]
                        entry = [label, int(target) if np.isfinite(target) else None, float(probabilities[i, k])]
                        yield [case, subject, name, self.config.network, repeat, *entry]
