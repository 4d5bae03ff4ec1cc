"""Intervals for scores that were repeated over training seeds and measured on subjects: the nested bootstrap.

A resample draws the repeats with replacement and, independently, the subjects with replacement; slices of a subject
never part. In a ratio both sides get the same subjects (paired), and repeats of their own.
**Source**: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval (13.3); two-way
resampling as in Owen, The pigeonhole bootstrap (2007, doi 10.1214/07-AOAS122), whose variance is mildly conservative.
**Differs**: nothing is assumed of subjects whose score is missing (NaN): they drop out of the mean of that repeat.
**Checked** in tests/evaluation/test_statistics.py (scipy.stats.bootstrap; known variance of a mean; pairing).
"""

from dataclasses import dataclass

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


def mean_interval(scores: np.ndarray, seed: int, draws: int = 2000) -> Interval:
    """Return the mean over repeats of the mean over subjects.

    Args:
        scores: (repeats, subjects), NaN where a subject does not count.
        seed: of the resampling.
        draws: number of resamples.

    Raises:
        UnderstudyError: no score counts.
    """
    subjects = _subject_weights(scores.shape[1], seed, draws)
    return _interval(_value(scores), _resampled(scores, subjects, seed, "repeats"))


def ratio_interval(numerator: np.ndarray, denominator: np.ndarray, seed: int, draws: int = 2000) -> Interval | None:
    """Return the ratio of two means, each over repeats and subjects; both sides see the same resampled subjects.

    Args:
        numerator: (repeats, subjects).
        denominator: (any number of repeats, the same subjects in the same order).
        seed: of the resampling.
        draws: number of resamples.

    Returns:
        The ratio with its interval; None where the denominator is zero.
    """
    if numerator.shape[1] != denominator.shape[1]:
        raise UnderstudyError(
            f"a ratio compares the same subjects, found {numerator.shape[1]} above and {denominator.shape[1]} below"
        )
    below = _value(denominator)
    if below == 0:
        return None
    subjects = _subject_weights(numerator.shape[1], seed, draws)
    above = _resampled(numerator, subjects, seed, "numerator")
    under = _resampled(denominator, subjects, seed, "denominator")
    ratios = np.divide(above, under, out=np.full(draws, np.nan), where=under > 0)
    return _interval(_value(numerator) / below, ratios)


def _value(scores: np.ndarray) -> float:
    counted = np.isfinite(scores)
    n = counted.sum(1)
    if not n.any():
        raise UnderstudyError("a mean over subjects needs at least one score, found none")
    return float((np.where(counted, scores, 0).sum(1)[n > 0] / n[n > 0]).mean())


def _subject_weights(subjects: int, seed: int, draws: int) -> np.ndarray:
    """Return how often each subject stands in each resample, (draws, subjects)."""
    return rng(seed, "bootstrap", "subjects").multinomial(subjects, np.full(subjects, 1 / subjects), draws)


def _resampled(scores: np.ndarray, subjects: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Return the mean of each resample, (draws,); NaN where a resample holds no score."""
    counted = np.isfinite(scores)
    n = subjects @ counted.T
    means = np.divide(subjects @ np.where(counted, scores, 0).T, n, out=np.zeros(n.shape), where=n > 0)
    repeats = len(scores)
    weights = rng(seed, "bootstrap", name).multinomial(repeats, np.full(repeats, 1 / repeats), len(subjects)) * (n > 0)
    total = weights.sum(1)
    return np.divide((weights * means).sum(1), total, out=np.full(len(subjects), np.nan), where=total > 0)


def _interval(value: float, resamples: np.ndarray) -> Interval:
    low, high = np.nanpercentile(resamples, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
