"""Whether a validation curve had converged when the training ended, or whether more updates may help.

Compared are the means of the last fifth of the checks and of the fifth before: single checks waver, and a schedule that
ends on a small rate lifts the last one nearly always. **Checked** in tests/evaluation/utility/test_convergence.py.
"""

from collections.abc import Sequence

import numpy as np

RISE = 0.01  # of a score in 0..1, from one fifth of the checks to the next
PARTS = 5


def still_rising(curves: Sequence[Sequence[tuple[int, float]]], after: int = 0) -> bool:
    """Return whether the mean validation score over repeats, of curves (updates, score), still rose at the end.

    It did where the last fifth of the checks, at least one, is better than the fifth before by more than RISE. Checks
    up to `after` updates do not count, nor those where a score is NaN; False where there are not two.
    """
    points = np.array(curves, float).reshape(len(curves), -1, 2)
    counted = (points[..., 0] > after).all(0) & np.isfinite(points[..., 1]).all(0)
    scores = points[:, counted, 1].mean(0) if counted.any() else np.empty(0)
    n = max(1, len(scores) // PARTS)
    return len(scores) >= 2 and bool(scores[-n:].mean() - scores[-2 * n : -n].mean() > RISE)
