"""Areas under the ROC curve of readers' ratings, and how they vary together from case to case.

A rating is a number; the higher, the surer the reader is that the case is synthetic. AUC 0.5: readers cannot tell.
**Source**: DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988): placements and their covariance, equations 3 to
6. **Checked** in tests/reader/statistics/test_roc.py (pairs counted out; the variance of R's MRMCaov).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from understudy.core.errors import UnderstudyError

MIN_EACH = 2  # real and synthetic cases, for a variance


class Averages(NamedTuple):
    """What several readers (R,) reach, each a mean over cases, and the covariance (R, R) over the draw of cases."""

    values: np.ndarray
    covariance: np.ndarray


class Placements(NamedTuple):
    """The areas (R,) of R readers, and the placements of m synthetic (R, m) and n real (R, n) cases."""

    areas: np.ndarray
    synthetic: np.ndarray
    real: np.ndarray


def placements(*, real: np.ndarray, synthetic: np.ndarray) -> Placements:
    """Return areas and placements of ratings of real (R, n) and synthetic (R, m) cases.

    Raises:
        UnderstudyError: fewer than two real or two synthetic cases.
    """
    if min(real.shape[1], synthetic.shape[1]) < MIN_EACH:
        raise UnderstudyError(
            f"an area under the ROC curve needs {MIN_EACH} real and {MIN_EACH} synthetic cases, found {real.shape[1]} "
            f"and {synthetic.shape[1]}"
        )
    above, below = np.empty(synthetic.shape), np.empty(real.shape)
    for r, (x, y) in enumerate(zip(synthetic, real, strict=True)):
        won = (x[:, None] > y) + 0.5 * (x[:, None] == y)
        above[r], below[r] = won.mean(1), won.mean(0)
    return Placements(above.mean(1), above, below)


def covariance(x: np.ndarray) -> np.ndarray:
    """Return the covariance (R, R) of the means of rows (R, n)."""
    return np.atleast_2d(np.cov(x)) / x.shape[1]


def areas(*, real: np.ndarray, synthetic: np.ndarray) -> Averages:
    """Return the areas of readers with DeLong's covariance, from ratings (R, n) and (R, m)."""
    found = placements(real=real, synthetic=synthetic)
    return Averages(found.areas, covariance(found.synthetic) + covariance(found.real))


def means(*groups: np.ndarray) -> Averages:
    """Return the means of readers over all cases of some independent groups (R, n) each, e.g. of real and of synthetic.

    The groups' sizes are those of the design: only which cases stand in them is chance.
    """
    sizes = np.array([group.shape[1] for group in groups])
    shares = sizes / sizes.sum()
    values = sum(share * group.mean(1) for share, group in zip(shares, groups, strict=True))
    spread = sum(share**2 * covariance(group) for share, group in zip(shares, groups, strict=True))
    return Averages(np.asarray(values), np.asarray(spread))


def normal_interval(value: float, variance: float, level: float = 0.95) -> tuple[float, float]:
    """Return the normal interval of one reader's area, within [0, 1]."""
    half = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(variance))
    return max(0.0, value - half), min(1.0, value + half)


def curve(*, real: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the false-positive and true-positive rates of one reader, from (0, 0) to (1, 1), a point a rating.

    Ratings are (n,) and (m,); a positive is a case that is called synthetic.
    """
    steps = np.r_[np.inf, np.unique(np.r_[real, synthetic])[::-1]]
    return (real >= steps[:, None]).mean(1), (synthetic >= steps[:, None]).mean(1)
