"""How near is too near: thresholds on the highest correlation, calibrated on real subjects whom no generator saw.

Each subject counts once, however many cases it has: a case weighs 1 / (subjects * cases of its subject). Intervals come
from resampling whole subjects.
**Source** for the exact interval of a share: Clopper, Pearson, Biometrika 26 (1934).
**Checked** in tests/evaluation/privacy/test_calibration.py (by hand, and coverage on simulated subjects).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng

FIRM = 50  # subjects below which what they calibrate is called weak, and others join them
COPY = 1 - 1e-6  # r of a copy up to gain and offset; flagged whatever the control subjects say


@dataclass(frozen=True)
class Reference:
    """Highest r of real cases to training cases of other subjects: the natural nearness of strangers.

    Attributes:
        r: (n,) highest correlations.
        subjects: (n,) the subject of each case.
        note: what was compared with what.
    """

    r: np.ndarray
    subjects: np.ndarray
    note: str

    @property
    def n_subjects(self) -> int:
        """Number of subjects behind the reference."""
        return len(np.unique(self.subjects))

    def weights(self) -> np.ndarray:
        """Return (n,) weights that add up to 1, the same for every subject."""
        _, inverse, counts = np.unique(self.subjects, return_inverse=True, return_counts=True)
        return 1 / (len(counts) * counts[inverse])

    def quantiles(self, q: float, draws: int = 0, seed: int = 0) -> tuple[float, np.ndarray]:
        """Return the subject-weighted quantile and the quantiles of ``draws`` resamples of subjects.

        Args:
            q: in (0, 1]; 1 is the highest value.
            draws: number of bootstrap resamples.
            seed: for the resamples.
        """
        order = np.argsort(self.r, kind="stable")
        r, weights = self.r[order], self.weights()[order]
        _, inverse = np.unique(self.subjects[order], return_inverse=True)
        n, draw = self.n_subjects, rng(seed, "privacy", "subjects")
        resampled = np.empty(draws)
        for i in range(draws):
            times = np.bincount(draw.integers(0, n, n), minlength=n)
            resampled[i] = _quantile(r, weights * times[inverse], q)
        return _quantile(r, weights, q), resampled

    def share_above(self, threshold: float) -> float:
        """Return the subject-weighted share of cases above a threshold."""
        return float(self.weights()[self.r > threshold].sum())


def _quantile(sorted_r: np.ndarray, weights: np.ndarray, q: float) -> float:
    """Return the smallest value with at least a share q of the weight at or below it."""
    total = np.cumsum(weights)
    heavy = np.flatnonzero(weights)
    return float(sorted_r[min(int(np.searchsorted(total, q * total[-1] - 1e-9)), heavy[-1])])


@dataclass(frozen=True)
class Threshold:
    """The r above which a case is flagged, the same from resampled subjects, and whose nearness set it."""

    value: float
    resampled: np.ndarray
    reference: Reference
    rate: float

    def flags(self, r: np.ndarray) -> np.ndarray:
        """Return a mask (n,) of what is nearer than the calibration allows, or a copy."""
        return (r > self.value) | (r >= COPY)

    def flagged_interval(self, r: np.ndarray, copies: int) -> tuple[float, float]:
        """Return the 95 % range of the number flagged, had other subjects set the threshold; ``copies`` always are."""
        ordered = np.sort(r)
        counts = np.maximum(len(r) - np.searchsorted(ordered, self.resampled, side="right"), copies)
        low, high = np.quantile(counts, (0.025, 0.975))
        return float(low), float(high)


def calibrate(reference: Reference, rate: float, draws: int, seed: int) -> Threshold:
    """Set the threshold at which a share ``rate`` of strangers' cases would be flagged.

    Args:
        reference: highest r of cases of subjects that no generator saw.
        rate: false-alarm rate per case, each subject counting once.
        draws: bootstrap resamples of subjects.
        seed: for the resamples.

    Raises:
        UnderstudyError: the reference is empty.
    """
    if not len(reference.r):
        raise UnderstudyError("at least one case of an unseen subject was expected to calibrate on, found none")
    value, resampled = reference.quantiles(1 - rate, draws, seed)
    return Threshold(value, resampled, reference, rate)


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share k / n."""
    low = 0.0 if k == 0 else float(stats.beta.ppf(0.025, k, n - k + 1))
    return low, 1.0 if k == n else float(stats.beta.ppf(0.975, k + 1, n - k))


def by_chance(rate: float, n: int) -> tuple[float, float, float]:
    """Return how many of n independent cases are flagged at a false-alarm rate: the mean and the central 95 % range."""
    low, high = stats.binom.ppf((0.025, 0.975), n, rate)
    return rate * n, float(low), float(high)


def order_interval(r: np.ndarray, q: float) -> tuple[float, float]:
    """Return the 95 % interval of a quantile from order statistics, for independent cases."""
    ranks = stats.binom.ppf((0.025, 0.975), len(r), q).astype(int)
    low, high = np.sort(r)[np.clip(ranks, 0, len(r) - 1)]
    return float(low), float(high)
