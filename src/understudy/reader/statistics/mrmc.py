"""Many readers, many cases: means over readers whose intervals hold for other readers and other cases.

Each of R readers reaches a value (an AUC, a share) in each of T treatments, here generators; the covariance (T, R, T,
R) of the values is that over cases (roc.py). Readers and cases are random, treatments fixed.
**Source**: Obuchowski and Rockette, Commun Stat Simul 24:285 (1995); degrees of freedom and the constraint
``max(..., 0)`` of Hillis, Stat Med 26:596 (2007); one treatment alone and several: Hillis, Stat Med 33:330 (2014).
Intervals of areas and shares are those of their logits, Pepe, The Statistical Evaluation of Medical Tests (2003),
section 5.2. Equivalence: two one-sided t tests, Schuirmann, J Pharmacokinet Biopharm 15:657 (1987).
**Differs**: generators share the real cases and each has synthetic cases of its own, where the usual design has every
case in every treatment; the covariance says which it is. A value without any variance has an interval of no width.
**Checked** in tests/reader/statistics/test_mrmc.py (R's MRMCaov to 1e-9); coverage in docs/reader-statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from understudy.core.errors import UnderstudyError
from understudy.reader.statistics.roc import Averages, covariance, placements


class Estimate(NamedTuple):
    """A mean over readers: value, standard error, degrees of freedom."""

    value: float
    error: float
    df: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t interval."""
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.error
        return self.value - half, self.value + half

    def interval_of_share(self, level: float = 0.95) -> tuple[float, float]:
        """Return the t interval of a value between 0 and 1 on the scale of its logit; at 0 and 1 that of its own."""
        spread = self.value * (1 - self.value)
        if spread <= 0:
            low, high = self.interval(level)
            return max(low, 0.0), min(high, 1.0)
        ends = Estimate(float(logit(self.value)), self.error / spread, self.df).interval(level)
        return float(expit(ends[0])), float(expit(ends[1]))


@dataclass(frozen=True)
class TreatmentComparison:
    """Whether treatments differ: F test with its degrees of freedom, and the differences of pairs (i, k).

    Attributes:
        variance: mean of the variances over cases.
        covariances: same reader in other treatments; other readers in the same; other readers in others.
    """

    f: float
    df: tuple[float, float]
    p: float
    variance: float
    covariances: tuple[float, float, float]
    pairs: dict[tuple[int, int], Estimate]


def over_readers(found: Averages) -> Estimate:
    """Return the mean of what readers reach in one treatment, with readers and cases random.

    Raises:
        UnderstudyError: fewer than two readers.
    """
    r = len(found.values)
    if r < 2:
        raise UnderstudyError(f"a mean over readers needs at least 2 of them, found {r}")
    between = float(found.values.var(ddof=1))  # MS(R)
    shared = (found.covariance.sum() - np.trace(found.covariance)) / (r * (r - 1))  # Cov2
    whole = between + max(r * float(shared), 0.0)
    df = whole**2 / (between**2 / (r - 1)) if between > 0 else float("inf")
    return Estimate(float(found.values.mean()), float(np.sqrt(whole / r)), df)


def stacked(real: Sequence[np.ndarray], synthetic: Sequence[np.ndarray], shared: str = "real") -> Averages:
    """Return the areas (T, R) of T treatments, and their covariance (T, R, T, R).

    Args:
        real: ratings (R, n) of each treatment.
        synthetic: ratings (R, m) of each treatment.
        shared: which cases are the same in all treatments, in one order: ``real``, or ``both``, as in a factorial
            design.
    """
    found = [placements(real=x, synthetic=y) for x, y in zip(real, synthetic, strict=True)]
    t, r = len(found), len(found[0].areas)
    spread = covariance(np.concatenate([one.real for one in found]))
    if shared == "both":
        spread = spread + covariance(np.concatenate([one.synthetic for one in found]))
    else:
        for i, one in enumerate(found):
            spread[i * r : (i + 1) * r, i * r : (i + 1) * r] += covariance(one.synthetic)
    return Averages(np.stack([one.areas for one in found]), spread.reshape(t, r, t, r))


def one_treatment(found: Averages, i: int) -> Averages:
    """Return treatment i of several."""
    return Averages(found.values[i], found.covariance[i, :, i, :])


def compare(found: Averages) -> TreatmentComparison:
    """Compare T treatments by what R readers reach in them, values (T, R) with their covariance (T, R, T, R).

    Raises:
        UnderstudyError: fewer than two treatments or readers.
    """
    (t, r), values = found.values.shape, found.values
    if t < 2 or r < 2:
        raise UnderstudyError(f"a comparison needs 2 generators and 2 readers, found {t} and {r}")
    cov1, cov2, cov3 = covariances = _covariances(found.covariance)
    of, total = values.mean(1), values.mean()
    rest = values - of[:, None] - values.mean(0) + total
    ms_tr = float((rest**2).sum() / ((t - 1) * (r - 1)))
    ms_t = float(r * ((of - total) ** 2).sum() / (t - 1))
    under = ms_tr + max(r * (cov2 - cov3), 0.0)
    df = under**2 / (ms_tr**2 / ((t - 1) * (r - 1))) if ms_tr > 0 else float("inf")
    f = ms_t / under if under > 0 else (0.0 if ms_t == 0 else float("inf"))
    error = float(np.sqrt(2 / r * under))
    pairs = {(i, k): Estimate(float(of[i] - of[k]), error, df) for i in range(t) for k in range(i + 1, t)}
    variance = float(np.einsum("ijij->", found.covariance) / (t * r))
    return TreatmentComparison(f, (t - 1.0, df), float(stats.f.sf(f, t - 1, df)), variance, covariances, pairs)


def _covariances(s: np.ndarray) -> tuple[float, float, float]:
    """Return Cov1, Cov2, Cov3 of (T, R, T, R)."""
    t, r = s.shape[:2]
    treatment = np.eye(t, dtype=bool)[:, None, :, None]
    reader = np.eye(r, dtype=bool)[None, :, None, :]
    cells = (~treatment & reader, treatment & ~reader, ~treatment & ~reader)
    cov1, cov2, cov3 = (float(s[np.broadcast_to(cell, s.shape)].mean()) for cell in cells)
    return cov1, cov2, cov3


def equivalence_p(found: Estimate, low: float, high: float) -> float:
    """Return p of the two one-sided t tests that the value lies within (low, high).

    Below 0.05: the 90 % interval lies within.
    """
    if found.error == 0:
        return float(not low < found.value < high)
    below = stats.t.sf((found.value - low) / found.error, found.df)
    return float(max(below, stats.t.cdf((found.value - high) / found.error, found.df)))
