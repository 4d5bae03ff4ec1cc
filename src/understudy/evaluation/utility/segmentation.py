"""The task segmentation: Dice per class, slices of a test subject stacked before scoring.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024).
The test subjects are read once by each segmenter, after its weights were chosen.
**Checked** in tests/evaluation/utility/test_protocol.py and test_findings.py (known counts give known numbers).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.folder import write_rows
from understudy.evaluation.statistics import Means
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.scores import RULES, confusion, dice, mean_over_classes, rules
from understudy.evaluation.utility.task import Outcome, Task
from understudy.tasks.fitting import Cases
from understudy.tasks.segmentation import CohortCases, Segmenter, train_segmenter

PER_SUBJECT = ("subject_id", "trained_on", "network", "repeat", "class", "dice", "rule")


@dataclass(frozen=True)
class SubjectCases:
    """Real cases that are scored by subject."""

    cases: CohortCases
    number: np.ndarray  # (n,) of each case's subject
    subjects: list[str]
    classes: int
    labels: np.ndarray = field(repr=False)

    def counts(self, segmenter: Segmenter) -> np.ndarray:
        """Return voxel counts (subjects, K, K) of a segmenter's predictions."""
        predicted = segmenter.predict_cases(self.cases)
        return confusion(predicted, self.labels, self.number, len(self.subjects), self.classes)

    def score(self, segmenter: Segmenter) -> float:
        """Return the mean Dice over classes, then subjects, 0..1; NaN where nothing counts."""
        scores = mean_over_classes(dice(self.counts(segmenter)))
        return float(scores[np.isfinite(scores)].mean()) if np.isfinite(scores).any() else float("nan")


def subject_cases(cohort: Cohort, split: str) -> SubjectCases:
    """Return the cases of a split of a cohort with label maps, numbered by subject."""
    rows, subjects = cohort.rows(split), cohort.subjects(split)
    number = np.searchsorted(subjects, cohort.column("subject_id")[rows])
    labels = np.empty((0,)) if cohort.labels is None else cohort.labels[rows]
    classes = len(cohort.scheme) if cohort.scheme else 0
    return SubjectCases(CohortCases(cohort, rows, cohort.encoding), number, subjects, classes, labels)


@dataclass
class DiceOutcome(Outcome):
    """Voxel counts (S, K + 1, K + 1) of each repeat on the test subjects."""

    counts: list[np.ndarray] = field(default_factory=list)

    def scores(self, k: int | None) -> np.ndarray:
        """Return Dice (repeats, S) of foreground class k, or with None the mean over classes."""
        each = np.stack([dice(c) for c in self.counts])
        return mean_over_classes(each) if k is None else each[..., k]

    def measured(self, k: int | None) -> Means:
        """Return the means over subjects of Dice."""
        return Means(self.scores(k))

    def counted(self, k: int | None) -> np.ndarray:
        """Return which subjects have the class, in the reference or in a prediction."""
        return np.isfinite(self.scores(k)).any(0)

    def behind(self, k: int | None) -> int:
        """Return the number of subjects that count."""
        return int(self.counted(k).sum())

    def ruled(self, k: int | None) -> list[int]:
        """Return how often each case of the empty-map rule applied, in the order of RULES[1:], over repeats."""
        each = np.stack([rules(c) for c in self.counts])
        return [int(((each if k is None else each[..., k]) == code).sum()) for code in range(1, len(RULES))]

    def note(self, k: int | None) -> str:
        """Say how often the rule for empty maps applied."""
        ruled = self.ruled(k)
        return (
            f"mean over {len(self.counts)} segmenter(s); empty-map rule: {ruled[0]} missed, {ruled[1]} false positive, "
            f"{ruled[2]} both empty"
        )

    def cells(self, k: int | None) -> list[Any]:
        """Return how often each case of the rule applied."""
        return list(self.ruled(k))


class Segmentation(Task):
    """Segmenters on images and label maps."""

    Config = UtilityConfig
    needs_labels = True
    model, score, words = "segmenter", "dice", "Dice"
    columns = ("missed", "false_positive", "both_empty")

    def __init__(self, real: Cohort, others: list[Cohort], config: UtilityConfig) -> None:
        """Read the label maps of validation and test subjects."""
        self.config, self.encoding = config, real.encoding
        self.names = real.scheme.names[1:] if real.scheme else ()
        self.validation, self.test = subject_cases(real, "validation"), subject_cases(real, "test")
        self.subjects, self.validation_subjects = self.test.subjects, len(self.validation.subjects)

    def cases(self, cohort: Cohort, rows: np.ndarray) -> CohortCases:
        """Return cases with label maps."""
        return CohortCases(cohort, rows, self.encoding)

    def outcome(self) -> DiceOutcome:
        """Return an outcome without repeats."""
        return DiceOutcome()

    def run(self, cases: Cases, outcome: Outcome, seed: int, advance: Callable[[], None]) -> None:
        """Train a segmenter and count its voxels on the test subjects."""
        assert isinstance(outcome, DiceOutcome)
        segmenter = train_segmenter(cases, self.test.classes, self.config, seed, self.validation.score, advance)
        outcome.counts.append(self.test.counts(segmenter))
        outcome.curves.append(segmenter.curve)

    def write_inside(self, folder: Path, outcomes: dict[str, Any]) -> None:
        """Write internal/per_subject.csv."""
        write_rows(folder / "per_subject.csv", PER_SUBJECT, self._rows(outcomes))

    def _rows(self, outcomes: dict[str, DiceOutcome]) -> Iterator[list[Any]]:
        for name, outcome in outcomes.items():
            for repeat, counts in enumerate(outcome.counts):
                scores, codes = dice(counts), rules(counts)
                for s, subject in enumerate(self.subjects):
                    for k, label in enumerate(self.names):
                        value = float(scores[s, k]) if np.isfinite(scores[s, k]) else None
                        yield [subject, name, self.config.network, repeat, label, value, RULES[codes[s, k]]]
