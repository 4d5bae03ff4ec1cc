"""Statistics of subjects: cases grouped by subject, subjects resampled, and the percentile intervals of what comes out.

:class:`Sample` draws subjects and weighs their cases; slices of a subject never part. :class:`Means` are scores that
were repeated over training seeds; intervals on them are those of core/pooled.py.
**Source**: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval (13.3).
**Differs**: nothing is assumed of subjects whose score is missing (NaN): they drop out of the mean of that repeat.
**Checked** in tests/core/test_statistics.py (known variance of a mean; NumPy's quantiles; by hand).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from understudy.core.errors import UnderstudyError

TAILS = 0.025, 0.975


class Groups(NamedTuple):
    """The subjects (S,), ascending; the number 0..S-1 of each case's subject (n,); how many cases each has (S,)."""

    names: np.ndarray
    number: np.ndarray
    counts: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Weights (n,) of the cases, the same for every subject, that add up to 1."""
        return 1 / (len(self.names) * self.counts[self.number])


def by_subject(subjects: np.ndarray) -> Groups:
    """Group cases by their subjects, (n,)."""
    return Groups(*np.unique(subjects, return_inverse=True, return_counts=True))


def resample(draw: np.random.Generator, n: int, draws: int) -> np.ndarray:
    """Return how often each of n subjects stands in each resample of n, (draws, n); UnderstudyError if n is 0."""
    if not n:
        raise UnderstudyError("a mean over subjects needs at least one score, found none")
    return draw.multinomial(n, np.full(n, 1 / n), draws)


def percentile_interval(
    resamples: np.ndarray | Sequence[float], tails: tuple[float, float] = TAILS
) -> tuple[float, float]:
    """Return between which ends the middle 95 % of resampled values lie; NaN does not count."""
    low, high = np.nanquantile(resamples, tails)
    return float(low), float(high)


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Sample:
    """Values of cases (n,), ascending, the number 0..S-1 of the subject of each, and weights (n,) that add up to 1."""

    values: np.ndarray
    number: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, subjects: np.ndarray) -> "Sample":
        """Return the sample of values (n,) of the cases of subjects (n,), each subject counting once; NaN never."""
        kept = np.flatnonzero(~np.isnan(values))
        order = kept[np.argsort(values[kept], kind="stable")]
        groups = by_subject(subjects[order])
        return cls(values[order], groups.number, groups.weights)

    @property
    def subjects(self) -> int:
        """S, the number of subjects that count."""
        return int(self.number.max(initial=-1)) + 1

    def mean(self, weights: np.ndarray | None = None) -> float:
        """Return the mean; with other weights (n,) than the sample's own, that of a resample."""
        weights = self.weights if weights is None else weights
        return float(weights @ self.values / weights.sum())

    def by_subject(self, values: np.ndarray | None = None) -> np.ndarray:
        """Return the mean of each subject, (S,), of the sample's values, or of others (n,) in their order."""
        values = self.values if values is None else values
        return np.bincount(self.number, self.weights * values) / np.bincount(self.number, self.weights)

    def quantile(self, q: float, weights: np.ndarray | None = None) -> float:
        """Return the smallest value with at least a share q, in (0, 1], of the weight at or below it."""
        weights = self.weights if weights is None else weights
        total = np.cumsum(weights)
        heaviest = np.flatnonzero(weights)[-1]
        return float(self.values[min(int(np.searchsorted(total, q * total[-1] - 1e-9)), heaviest)])

    def mean_of_highest(self, share: float) -> float:
        """Return the mean of the highest values that have together a share, in (0, 1], of the weight."""
        counted = np.clip(self.weights.cumsum() - (1 - share), 0, self.weights)
        held = counted > 0
        return float(counted[held] @ self.values[held] / counted.sum())

    def below(self, threshold: float, weights: np.ndarray | None = None) -> float:
        """Return the share of the weight that lies below a threshold."""
        weights = self.weights if weights is None else weights
        return float(weights[: int(np.searchsorted(self.values, threshold - 1e-9))].sum() / weights.sum())

    def resamples(self, draws: int, draw: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of the cases in resamples of subjects."""
        for _ in range(draws):
            times = np.bincount(draw.integers(0, self.subjects, self.subjects), minlength=self.subjects)
            yield self.weights * times[self.number]


class Measurement(Protocol):
    """What was measured in several repeats on the same subjects, and can be measured on these subjects reweighted."""

    @property
    def subjects(self) -> int:
        """Number of subjects."""

    def values(self) -> np.ndarray:
        """Return the value of each repeat, (repeats,); NaN where nothing counts."""

    def on(self, weights: np.ndarray) -> np.ndarray:
        """Return the values (draws, repeats) where each subject stands ``weights`` (draws, subjects) times; or NaN."""


@dataclass(frozen=True)
class Means:
    """Means over subjects of scores (repeats, subjects), NaN where a subject does not count."""

    scores: np.ndarray

    @property
    def subjects(self) -> int:
        """Number of subjects."""
        return self.scores.shape[1]

    def values(self) -> np.ndarray:
        """Return the mean of each repeat, (repeats,); NaN where nothing counts."""
        return _means(self.scores, 1)

    def by_subject(self) -> np.ndarray:
        """Return the mean of each subject over repeats, (subjects,); NaN where none counts."""
        return _means(self.scores, 0)

    def among(self, chosen: np.ndarray) -> "Means":
        """Return the means over some of the subjects, bool (subjects,)."""
        return Means(self.scores[:, chosen])

    def on(self, weights: np.ndarray) -> np.ndarray:
        """Return the means (draws, repeats) over weighted subjects."""
        counted = np.isfinite(self.scores)
        return _quotient(weights @ np.where(counted, self.scores, 0).T, weights @ counted.T)


def _means(scores: np.ndarray, axis: int) -> np.ndarray:
    counted = np.isfinite(scores)
    return _quotient(np.where(counted, scores, 0).sum(axis), counted.sum(axis))


def _quotient(above: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Return the quotient, NaN where the denominator is not above 0."""
    return np.divide(above, under, out=np.full(under.shape, np.nan), where=under > 0)
