"""How far readers agree with each other, or one with himself, on the same cases; 1 is perfect, 0 what chance gives.

Ratings are (R, N): readers and cases, none missing.
**Source**: Cohen, Educ Psychol Meas 20:37 (1960), weights of 70:213 (1968); Fleiss, Psychol Bull 76:378 (1971); Gwet,
Br J Math Stat Psychol 61:29 (2008); Krippendorff, Content Analysis (2004), chapter 11; Shrout and Fleiss, Psychol Bull
86:420 (1979), ICC(2,1), with its interval.
**Differs**: a coefficient whose expected disagreement is 0, since all said one thing, is None.
**Checked** in tests/reader/statistics/test_agreement.py (statsmodels, krippendorff, pingouin, irrCAC; published ones).
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

MIN_RATERS = 2


class Icc(NamedTuple):
    """ICC(2,1), absolute agreement of single readers, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def cohen(a: np.ndarray, b: np.ndarray, weights: str = "none") -> float | None:
    """Return Cohen's kappa of two series of ratings (N,).

    Weights are "none", or "linear" and "quadratic" in the difference of ratings, which are then numbers.
    """
    values, place = np.unique(np.r_[a, b], return_inverse=True)
    q, n = len(values), len(a)
    joint = np.bincount(place[:n] * q + place[n:], minlength=q * q).reshape(q, q) / n
    expected = joint.sum(1)[:, None] * joint.sum(0)
    lost = _lost(values, weights)
    return _chance_corrected(float((lost * joint).sum()), float((lost * expected).sum()))


def mean_cohen(ratings: np.ndarray, weights: str = "none") -> float | None:
    """Return the mean of Cohen's kappa over all pairs of readers that have one."""
    pairs = [cohen(ratings[i], ratings[k], weights) for i, k in combinations(range(len(ratings)), 2)]
    told = [kappa for kappa in pairs if kappa is not None]
    return float(np.mean(told)) if told else None


def fleiss(ratings: np.ndarray) -> float | None:
    """Return Fleiss' kappa."""
    agreed, shares = _agreed(ratings)
    return _chance_corrected(1 - agreed, 1 - float((shares**2).sum()))


def gwet(ratings: np.ndarray, categories: int | None = None) -> float | None:
    """Return Gwet's AC1; ``categories``: how many answers were possible, default: how many were given."""
    agreed, shares = _agreed(ratings)
    q = categories or len(shares)
    if q < 2:
        return None
    return _chance_corrected(1 - agreed, 1 - float((shares * (1 - shares)).sum() / (q - 1)))


def krippendorff(ratings: np.ndarray, level: str = "nominal") -> float | None:
    """Return Krippendorff's alpha at a level of measurement: nominal, ordinal or interval."""
    values, counts = _counts(ratings)
    r, total = len(ratings), ratings.size
    pairs = (counts.T @ counts - np.diag(counts.sum(0))) / (r - 1)  # coincidences o_ck
    margins = counts.sum(0)
    expected = (np.outer(margins, margins) - np.diag(margins)) / (total - 1)
    lost = _distances(values, margins, level)
    return _chance_corrected(float((lost * pairs).sum()), float((lost * expected).sum()))


def icc(ratings: np.ndarray) -> Icc | None:
    """Return ICC(2,1): readers random, absolute agreement."""
    k, n = ratings.shape
    x = ratings.T.astype(float)
    total, cases, readers = x.mean(), x.mean(1), x.mean(0)
    rows = k * ((cases - total) ** 2).sum() / (n - 1)
    columns = n * ((readers - total) ** 2).sum() / (k - 1)
    rest = ((x - cases[:, None] - readers + total) ** 2).sum() / ((n - 1) * (k - 1))
    under = rows + (k - 1) * rest + k * (columns - rest) / n
    if under == 0 or rest == 0:
        return None
    value = (rows - rest) / under
    a, b = k * value / (n * (1 - value)), 1 + k * value * (n - 1) / (n * (1 - value))
    df = (a * columns + b * rest) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1)))
    upper, lower = stats.f.ppf(0.975, n - 1, df), stats.f.ppf(0.975, df, n - 1)
    spread = k * columns + (k * n - k - n) * rest
    low = n * (rows - upper * rest) / (upper * spread + n * rows)
    high = n * (lower * rows - rest) / (spread + n * lower * rows)
    return Icc(float(value), float(low), float(high))


def _chance_corrected(observed: float, expected: float) -> float | None:
    """Return 1 - observed / expected disagreement."""
    return None if expected == 0 else 1 - observed / expected


def _lost(values: np.ndarray, weights: str) -> np.ndarray:
    if weights == "none":
        return 1 - np.eye(len(values))
    apart = np.abs(np.subtract.outer(values.astype(float), values.astype(float)))
    return apart if weights == "linear" else apart**2


def _counts(ratings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (q,) that were given, and how many readers gave each to each case, (N, q)."""
    values = np.unique(ratings)
    return values, (ratings.T[:, :, None] == values).sum(1).astype(float)


def _agreed(ratings: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the share of pairs of readers that agree, and the share of each value."""
    _, counts = _counts(ratings)
    r = len(ratings)
    agreed = ((counts * (counts - 1)).sum(1) / (r * (r - 1))).mean()
    return float(agreed), counts.sum(0) / counts.sum()


def _distances(values: np.ndarray, margins: np.ndarray, level: str) -> np.ndarray:
    """Return the squared differences (q, q) of values at a level of measurement."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    if level == "interval":
        return np.subtract.outer(values.astype(float), values.astype(float)) ** 2
    middle = margins.cumsum() - margins / 2  # the ranks: sums between, half of both ends
    return np.subtract.outer(middle, middle) ** 2
