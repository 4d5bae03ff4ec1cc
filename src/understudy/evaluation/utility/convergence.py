"""Whether a score had converged when the training ended, still rose, or fell from its best.

Compared are means of a fifth of the checks: single checks waver, and a schedule that ends on a small rate lifts the
last one nearly always. **Checked** in tests/evaluation/utility/test_convergence.py.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

CHANGE = 0.01  # of a score in 0..1, from one fifth of the checks to another
PARTS = 5
Trend = Literal["rose", "fell", ""]


def trend(curves: Sequence[Sequence[tuple[int, float]]], after: int = 0) -> Trend:
    """Return how the mean score over repeats, of curves (updates, score), ended.

    It still rose where the last fifth of the checks, at least one, is better than the fifth before by more than CHANGE;
    it fell where it is worse than some fifth by more than that. Checks up to `after` updates do not count, nor those
    where a score is NaN; "" where neither is so, or there are not two checks.
    """
    points = np.array(curves, float).reshape(len(curves), -1, 2)
    counted = (points[..., 0] > after).all(0) & np.isfinite(points[..., 1]).all(0)
    scores = points[:, counted, 1].mean(0) if counted.any() else np.empty(0)
    n = max(1, len(scores) // PARTS)
    if len(scores) < 2:
        return ""
    fifths = np.convolve(scores, np.full(n, 1 / n), "valid")
    if fifths[-1] - scores[-2 * n : -n].mean() > CHANGE:
        return "rose"
    return "fell" if fifths.max() - fifths[-1] > CHANGE else ""
