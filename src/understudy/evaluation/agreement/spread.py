"""How scores of cases are spread: mean, low quantile, share below a threshold, each subject counting once.

A case weighs 1 / (subjects * cases of its subject); resamples draw whole subjects. A synthetic case is its own subject.
**Source**: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval (13.3).
**Checked** in tests/evaluation/agreement/test_spread.py (by hand; NumPy's quantile; slices do not part).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from understudy.core.seed import rng
from understudy.evaluation.statistics import Interval


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
