"""Calls of one reader: shares with exact intervals, and d' with the criterion of signal detection theory.

A hit is a synthetic case called synthetic, a false alarm a real one called synthetic.
**Source**: Clopper and Pearson, Biometrika 26:404 (1934); log-linear correction: Hautus, Behav Res Meth 27:46 (1995).
**Checked** in tests/reader/statistics/test_detection.py (SciPy's exact interval, tail probabilities, by hand).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Share(NamedTuple):
    """k of n, and the ends of the exact interval."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share."""
        return self.k / self.n


class Sensitivity(NamedTuple):
    """d', 0 where a reader cannot tell; and the criterion, above 0 where the reader tends to say real."""

    d_prime: float
    criterion: float


def share(hits: np.ndarray, level: float = 0.95) -> Share | None:
    """Return how many of some cases, bool (n,), hold, with the exact binomial interval; None of no case."""
    n, k = len(hits), int(np.sum(hits))
    if not n:
        return None
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return Share(k, n, low, high)


def chance_p(found: Share) -> float:
    """Return the two-sided exact p of a share against 0.5."""
    return float(stats.binomtest(found.k, found.n, 0.5).pvalue)


def sensitivity(*, real: np.ndarray, synthetic: np.ndarray) -> Sensitivity:
    """Return d' and criterion from calls, bool (n,) and (m,), True for synthetic, with the log-linear correction."""
    hit, alarm = ((x.sum() + 0.5) / (len(x) + 1) for x in (synthetic, real))
    z_hit, z_alarm = float(stats.norm.ppf(hit)), float(stats.norm.ppf(alarm))
    return Sensitivity(z_hit - z_alarm, -(z_hit + z_alarm) / 2)
