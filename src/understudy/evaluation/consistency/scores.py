"""How far a segmenter's reading of each image agrees with the label map that stands beside it, case by case.

Dice and its rule for empty maps are those of evaluation/utility/overlap.py, with a case in the place of a subject: one
map empty -> 0 ("missed", "false positive"). Both empty -> full consistency, in that nothing is there: 1 for the case,
and counted apart: it enters no mean and no quantile, which would only say how many cases hold nothing.
**Checked** in tests/evaluation/consistency/test_scores.py (by hand, each rule, block sizes).

How scores of cases are spread: mean, low quantile, share below a threshold, each subject counting once.

A case weighs 1 / (subjects * cases of its subject); resamples draw whole subjects. A synthetic case is its own subject.
**Source**: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval (13.3).
**Checked** in tests/evaluation/consistency/test_scores_spread.py (by hand; NumPy's quantile; slices do not part).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from understudy.core.seed import rng
from understudy.core.statistics import Interval
from understudy.evaluation.utility.overlap import confusion, dice, mean_over_classes, rules
from understudy.tasks.segmentation import VOXELS_PER_BLOCK, CohortCases, Segmenter


@dataclass(frozen=True)
class CaseScores:
    """Consistency of n cases.

    Attributes:
        dice: (n, K - 1) in 0..1 of the foreground classes; NaN where both maps are empty.
        rule: (n, K - 1) positions in ``RULES`` of evaluation/utility/overlap.py.
        accuracy: (n,) share of voxels on which the two maps agree, background included.
    """

    dice: np.ndarray
    rule: np.ndarray
    accuracy: np.ndarray

    def of(self, k: int | None) -> np.ndarray:
        """Return Dice (n,) of foreground class k, or with None the mean of a case's classes; NaN where none counts."""
        return mean_over_classes(self.dice) if k is None else self.dice[:, k]

    def ruled(self, k: int | None) -> list[int]:
        """Return how often each case of the rule applied, in the order of RULES[1:]; of all classes with None."""
        codes = self.rule if k is None else self.rule[:, k]
        return [int((codes == code).sum()) for code in (1, 2, 3)]


def case_scores(segmenter: Segmenter, cases: CohortCases, classes: int, block: int = VOXELS_PER_BLOCK) -> CaseScores:
    """Let a segmenter read every image and compare its label map with the one of the case.

    Args:
        segmenter: trained on real cases.
        cases: images and label maps.
        classes: K with the background.
        block: voxels read at once; the scores do not depend on it.
    """
    parts, step = [], max(1, block // int(np.prod(cases.cohort.size)))
    for start in range(0, len(cases), step):
        images, labels = cases.read(np.arange(start, min(start + step, len(cases))))
        counts = confusion(segmenter.predict(images), labels, np.arange(len(labels)), len(labels), classes)
        agreed = np.einsum("nkk->n", counts) / counts.sum((1, 2))
        parts.append((dice(counts), rules(counts), agreed))
    return CaseScores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Spread:
    """Scores (n,), ascending, the number 0..S-1 of the subject of each, and weights (n,) that add up to 1."""

    scores: np.ndarray
    owner: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, subjects: np.ndarray) -> "Spread":
        """Return the spread of scores (n,) of subjects (n,); NaN does not count."""
        kept = np.flatnonzero(np.isfinite(scores))
        order = kept[np.argsort(scores[kept], kind="stable")]
        _, owner, counts = np.unique(subjects[order], return_inverse=True, return_counts=True)
        return cls(scores[order], owner, 1 / (len(counts) * counts[owner]))

    @property
    def subjects(self) -> int:
        """S, the number of subjects that count."""
        return int(self.owner.max(initial=-1)) + 1

    def mean(self, weights: np.ndarray | None = None) -> float:
        """Return the mean; with other weights (n,) than the spread's own, that of a resample."""
        weights = self.weights if weights is None else weights
        return float(weights @ self.scores / weights.sum())

    def quantile(self, q: float, weights: np.ndarray | None = None) -> float:
        """Return the smallest score with at least a share q, in (0, 1), of the weight at or below it."""
        total = np.cumsum(self.weights if weights is None else weights)
        return float(self.scores[min(int(np.searchsorted(total, q * total[-1] - 1e-9)), len(total) - 1)])

    def below(self, threshold: float, weights: np.ndarray | None = None) -> float:
        """Return the share of the weight that lies below a threshold."""
        weights = self.weights if weights is None else weights
        return float(weights[: int(np.searchsorted(self.scores, threshold - 1e-9))].sum() / weights.sum())

    def resamples(self, draws: int, seed: int) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of resamples of subjects."""
        draw = rng(seed, "agreement", "subjects")
        for _ in range(draws):
            times = np.bincount(draw.integers(0, self.subjects, self.subjects), minlength=self.subjects)
            yield self.weights * times[self.owner]


def percentiles(value: float, resampled: list[float]) -> Interval:
    """Return a value with the 95 % percentile interval of its resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))
