"""The task segmentation: scores per test subject and class, slices of a subject stacked before scoring.

Scored are the classes, their mean, and where there are several all of them as one ("whole lesion").
**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024).
The test subjects are read once by each segmenter with the weights of each choice (arms.py), after it was made.
**Checked** in tests/evaluation/utility/test_stage.py, test_segmentation.py and test_report.py (known counts give known
numbers).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.statistics import Means
from understudy.evaluation.folder import write_rows
from understudy.evaluation.guard import slug
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.groups import Group, column_groups, reference_sizes, thirds
from understudy.evaluation.utility.surface import SURFACES, contiguous_stacks, described, surface_scores
from understudy.evaluation.utility.task import Outcome, Score, Task
from understudy.tasks.fitting import Judges, TaskCases, TaskNetwork
from understudy.tasks.overlap import OVERLAPS, RULES, class_mean, overlaps, rules, whole
from understudy.tasks.segmentation import CohortCases, Segmenter, numbered_cases, subject_cases, train_segmenter

PER_SUBJECT = ("subject_id", "trained_on", "network", "repeat", "class", "dice", "rule", *OVERLAPS[1:], *SURFACES)
WHOLE = "whole lesion"


@dataclass(frozen=True)
class MapScores:
    """What one segmenter saw on S test subjects, by class; where there are several classes, last all of them as one.

    The scores (S, K', M) are in the order of the task's, NaN where both maps are empty; rules (S, K') are positions in
    RULES; `one_sided` (S, K') is in how many stacks of the subject (surface.py) only one map has the class.
    """

    scores: np.ndarray
    rule: np.ndarray
    one_sided: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, surfaces: np.ndarray, one_sided: np.ndarray) -> "MapScores":
        """Join voxel counts (S, K, K) and what ``surface_scores`` returns."""
        several = [counts, whole(counts)] if counts.shape[-1] > 2 else [counts]
        overlap, rule = (np.concatenate([f(c) for c in several], 1) for f in (overlaps, rules))
        return cls(np.concatenate([overlap, surfaces], -1), rule, one_sided)


@dataclass
class MapOutcome(Outcome):
    """Readings of the test subjects, one a repeat; how many classes a mean has; what distances are measured within."""

    classes: int = 1
    within: str = ""
    readings: list[MapScores] = field(default_factory=list)

    @property
    def networks(self) -> int:
        """How many networks were tested."""
        return len(self.readings)

    def joined(self, others: Sequence["MapOutcome"]) -> "MapOutcome":
        """Return the readings of all, one after another; curves are left."""
        return replace(self, readings=[reading for one in (self, *others) for reading in one.readings])

    def last(self) -> np.ndarray:
        """Return the last reading, (S, K', M + 2) float64."""
        reading = self.readings[-1]
        return np.concatenate([reading.scores, reading.rule[..., None], reading.one_sided[..., None]], -1)

    def add(self, done: np.ndarray) -> None:
        """Add a reading."""
        rule, one_sided = (done[..., place].astype(int) for place in (-2, -1))
        self.readings.append(MapScores(done[..., :-2], rule, one_sided))

    def measured(self, k: int | None, score: int = 0) -> Means:
        """Return the means over subjects of a score of class k, or with None of its mean over classes."""
        each = np.stack([reading.scores[..., score] for reading in self.readings])
        return Means(class_mean(each[..., : self.classes]) if k is None else each[..., k])

    def counted(self, k: int | None) -> np.ndarray:
        """Return which subjects have the class, in the reference or in a prediction."""
        return np.isfinite(self.measured(k).scores).any(0)

    def behind(self, k: int | None) -> int:
        """Return the number of subjects that count."""
        return int(self.counted(k).sum())

    def _chosen(self, name: str, k: int | None) -> np.ndarray:
        each = np.stack([getattr(reading, name) for reading in self.readings])
        return each[..., : self.classes] if k is None else each[..., k]

    def note(self, k: int | None, score: int = 0) -> str:
        """Say how often the rule for empty maps applied."""
        missed, false_positive, empty, one_sided = self.cells(k)
        note = f"mean over {len(self.readings)} segmenter(s); empty-map rule: {missed} missed, {false_positive} false "
        note += f"positive, {empty} both empty"
        stacks = f"; distances within {self.within}; {one_sided} times one of these has the class in one map only"
        return note if score < len(OVERLAPS) else note + stacks

    def cells(self, k: int | None) -> list[Any]:
        """Return how often each case of the rule applied, over repeats, and in how many stacks of subjects."""
        codes = self._chosen("rule", k)
        return [*(int((codes == code).sum()) for code in range(1, len(RULES))), int(self._chosen("one_sided", k).sum())]


class Segmentation(Task):
    """Segmenters on images and label maps."""

    Config = UtilityConfig
    needs_labels = True
    model = "segmenter"
    columns = ("missed", "false_positive", "both_empty", "one_sided")

    def __init__(self, real: Cohort, others: list[Cohort], config: UtilityConfig) -> None:
        """Read the label maps of the test subjects."""
        self.config, self.encoding = config, real.encoding
        self.names = scored_names(real)
        self.classes = len(real.scheme) - 1 if real.scheme else 0
        self.tested = subject_cases(real, "test")
        self.subjects, self.validation_subjects = self.tested.subjects, len(real.subjects("validation"))
        rows, number = self.tested.cases.rows, self.tested.number
        self.stacks, unit = contiguous_stacks(real, rows, number)
        self.scores = map_scores(config.tolerance, unit)
        self.sizes, self.size_unit = reference_sizes(real, rows, number, len(self.subjects), self.tested.classes)
        self.by_column = [group for name in config.by for group in column_groups(real, "test", name)]

    def cases(self, cohort: Cohort, rows: np.ndarray) -> CohortCases:
        """Return cases with label maps."""
        return CohortCases(cohort, rows, self.encoding)

    def outcome(self) -> MapOutcome:
        """Return an outcome without readings."""
        return MapOutcome(classes=self.classes, within=described(self.stacks))

    def judge(self, cohort: Cohort, rows: np.ndarray) -> Callable[[Any], float]:
        """Return the mean Dice over classes, then subjects."""
        return numbered_cases(self.cases(cohort, rows)).score

    def train(self, cases: TaskCases, judges: Judges[Any], seed: int, advance: Callable[[], None]) -> Segmenter:
        """Train a segmenter."""
        return train_segmenter(cases, self.tested.classes, self.config, seed, judges, advance)

    def test(self, network: TaskNetwork, outcome: Outcome) -> None:
        """Score the label maps of the test subjects."""
        assert isinstance(outcome, MapOutcome)
        test = self.tested
        predicted, subjects = network.predict_cases(test.cases), len(test.subjects)
        surfaces = surface_scores(predicted, test.labels, self.stacks, subjects, test.classes, self.config.tolerance)
        outcome.readings.append(MapScores.of(test.counts(predicted), *surfaces))

    def groups(self, k: int | None) -> list[tuple[Group, float]]:
        """Return thirds by the reference size of a class, of all of them for the mean, and groups by column."""
        sizes = self.sizes[:, -1 if k is None else k]
        return [(group, float(sizes[group.chosen].mean())) for group in (*thirds(sizes), *self.by_column)]

    def write_inside(self, folder: Path, outcomes: dict[str, Any]) -> None:
        """Write internal/per_subject.csv."""
        write_rows(folder / "per_subject.csv", PER_SUBJECT, self._rows(outcomes))

    def _rows(self, outcomes: dict[str, MapOutcome]) -> Iterator[list[Any]]:
        for name, outcome in outcomes.items():
            for repeat, reading in enumerate(outcome.readings):
                for s, subject in enumerate(self.subjects):
                    for k, label in enumerate(self.names):
                        first, *others = (float(v) if np.isfinite(v) else None for v in reading.scores[s, k])
                        rule = RULES[reading.rule[s, k]]
                        yield [subject, name, self.config.network, repeat, label, first, rule, *others]


def scored_names(cohort: Cohort) -> tuple[str, ...]:
    """Return the names of the foreground classes and, where there are several, last that of all of them as one."""
    classes: tuple[str, ...] = cohort.scheme.names[1:] if cohort.scheme else ()
    if slug(WHOLE) in map(slug, classes[1:] and classes):
        raise UsageError(f"all classes together are called {WHOLE!r}, and a class is too: leave it out with classes=")
    return (*classes, WHOLE) if len(classes) > 1 else classes


def map_scores(tolerance: float, unit: str) -> tuple[Score, ...]:
    """Return what is scored, in the order of OVERLAPS and SURFACES; tolerance of NSD in the unit of lengths."""
    shares = [("dice", "Dice"), ("iou", "IoU"), ("precision", "precision"), ("recall", "recall")]
    lengths = [("hd", "HD"), ("hd95", "HD95"), ("assd", "ASSD")]
    return (
        *(Score(name, words, highest=1) for name, words in shares),
        Score("volume_difference", "volume difference", "lower"),
        *(Score(name, words, "lower", unit) for name, words in lengths),
        Score("nsd", f"NSD within {tolerance:g} {unit}", highest=1),
    )
