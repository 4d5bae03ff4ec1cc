"""Paired tests on subjects, and their correction where a table holds several.

**Source**: Wilcoxon, Biometrics Bulletin 1 (1945): zero differences are left out; Holm, Scandinavian Journal of
Statistics 6 (1979): the step-down procedure. **Differs**: where every difference is zero there is nothing to rank, and
p is 1. **Checked** in tests/evaluation/test_paired.py (SciPy; sign flips counted out; Holm by hand).
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

DIGITS = 12  # what lies below is rounding, and would break ties


def signed_rank(differences: np.ndarray) -> float | None:
    """Return the two-sided p in 0..1 of the Wilcoxon signed-rank test that differences (n,) lie symmetrically around 0.

    Exact up to 50 differences, or 13 where some are equal in size; else the normal approximation, corrected for ties.
    NaN stands for a subject that does not count; None where none counts.
    """
    counted = np.round(differences[np.isfinite(differences)], DIGITS)
    moved = counted[counted != 0]
    if not len(moved):
        return 1.0 if len(counted) else None
    return float(stats.wilcoxon(moved).pvalue)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected by Holm over those of a table; None stays None and counts for nothing."""
    corrected: list[float | None] = [None] * len(values)
    order = sorted((p, i) for i, p in enumerate(values) if p is not None)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[i] = highest
    return corrected
