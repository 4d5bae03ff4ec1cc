"""Intervals for scores that were repeated over training seeds and measured on subjects: the nested bootstrap.

A resample draws the repeats with replacement and, independently, the subjects with replacement; slices of a subject
never part. In a ratio both sides get the same subjects (paired), and repeats of their own.
**Source**: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval (13.3); two-way
resampling as in Owen, The pigeonhole bootstrap (2007, doi 10.1214/07-AOAS122), whose variance is mildly conservative.
**Differs**: nothing is assumed of subjects whose score is missing (NaN): they drop out of the mean of that repeat.
**Checked** in tests/core/test_statistics.py (scipy.stats.bootstrap; known variance of a mean; pairing).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its percentile interval."""

    value: float
    low: float
    high: float


class Measured(Protocol):
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
        n = weights @ counted.T
        total = weights @ np.where(counted, self.scores, 0).T
        return np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)


def interval(measured: Measured, seed: int, draws: int = 2000) -> Interval:
    """Return the mean over repeats with its interval.

    Args:
        measured: what was measured.
        seed: of the resampling.
        draws: number of resamples.

    Raises:
        UnderstudyError: no score counts.
    """
    weights = _subject_weights(measured.subjects, seed, draws)
    return _interval(_value(measured), _resampled(measured, weights, seed, "repeats"))


def ratio(numerator: Measured, denominator: Measured, seed: int, draws: int = 2000) -> Interval | None:
    """Return the ratio of two means over repeats; both sides see the same resampled subjects.

    Args:
        numerator: what was measured on one side.
        denominator: on the other; any number of repeats, the same subjects in the same order.
        seed: of the resampling.
        draws: number of resamples.

    Returns:
        The ratio with its interval; None where the denominator is zero.
    """
    _refuse_other_subjects("ratio", numerator, denominator)
    below = _value(denominator)
    if below == 0:
        return None
    weights = _subject_weights(numerator.subjects, seed, draws)
    above = _resampled(numerator, weights, seed, "numerator")
    under = _resampled(denominator, weights, seed, "denominator")
    ratios = np.divide(above, under, out=np.full(draws, np.nan), where=under > 0)
    return _interval(_value(numerator) / below, ratios)


def difference(minuend: Measured, subtrahend: Measured, seed: int, draws: int = 2000) -> Interval:
    """Return the difference of two means over repeats; both sides see the same resampled subjects.

    Args:
        minuend: what was measured on one side.
        subtrahend: on the other; any number of repeats, the same subjects in the same order.
        seed: of the resampling.
        draws: number of resamples.

    Raises:
        UnderstudyError: a side without scores, or other subjects.
    """
    _refuse_other_subjects("difference", minuend, subtrahend)
    weights = _subject_weights(minuend.subjects, seed, draws)
    gains = _resampled(minuend, weights, seed, "numerator") - _resampled(subtrahend, weights, seed, "denominator")
    return _interval(_value(minuend) - _value(subtrahend), gains)


def mean_interval(scores: np.ndarray, seed: int, draws: int = 2000) -> Interval:
    """Return :func:`interval` of the means over subjects of scores (repeats, subjects); NaN does not count."""
    return interval(Means(scores), seed, draws)


def ratio_interval(numerator: np.ndarray, denominator: np.ndarray, seed: int, draws: int = 2000) -> Interval | None:
    """Return :func:`ratio` of the means over subjects of two matrices of scores (repeats, subjects)."""
    return ratio(Means(numerator), Means(denominator), seed, draws)


def _means(scores: np.ndarray, axis: int) -> np.ndarray:
    counted = np.isfinite(scores)
    n = counted.sum(axis)
    return np.divide(np.where(counted, scores, 0).sum(axis), n, out=np.full(n.shape, np.nan), where=n > 0)


def _refuse_other_subjects(what: str, one: Measured, other: Measured) -> None:
    if one.subjects != other.subjects:
        raise UnderstudyError(f"a {what} compares the same subjects, found {one.subjects} and {other.subjects}")


def _value(measured: Measured) -> float:
    values = measured.values()
    if not np.isfinite(values).any():
        raise UnderstudyError("a mean over subjects needs at least one score, found none")
    return float(values[np.isfinite(values)].mean())


def _subject_weights(subjects: int, seed: int, draws: int) -> np.ndarray:
    """Return how often each subject stands in each resample, (draws, subjects)."""
    return rng(seed, "bootstrap", "subjects").multinomial(subjects, np.full(subjects, 1 / subjects), draws)


def _resampled(measured: Measured, weights: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Return the mean over resampled repeats of each draw, (draws,); NaN where a resample holds no score."""
    values = measured.on(weights)
    counted = np.isfinite(values)
    draws, repeats = values.shape
    times = rng(seed, "bootstrap", name).multinomial(repeats, np.full(repeats, 1 / repeats), draws) * counted
    total = times.sum(1)
    sums = (times * np.where(counted, values, 0)).sum(1)
    return np.divide(sums, total, out=np.full(draws, np.nan), where=total > 0)


def _interval(value: float, resamples: np.ndarray) -> Interval:
    low, high = np.nanpercentile(resamples, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
