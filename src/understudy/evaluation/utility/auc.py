"""Areas under the ROC curve over repeats, on the test subjects and on subjects reweighted by a bootstrap.

A subject's weight is the weight of each of its cases. **Source**: Hanley and McNeil, Radiology 143 (1982): with
weights, the area is sum_ij w_i w_j [s_i > s_j] + [s_i = s_j] / 2 over cases i with the class and j without it, divided
by sum_ij w_i w_j. **Checked** in tests/evaluation/utility/test_auc.py (scikit-learn with sample weights, ties).
"""

from dataclasses import dataclass

import numpy as np

from understudy.tasks.classification import class_auc
from understudy.tasks.overlap import class_mean

ENTRIES = 2**22  # draws times cases held at once


@dataclass(frozen=True)
class Areas:
    """The mean area of those of the K classes that `classes` names, by repeat.

    Targets (n, K) are 0 and 1, NaN where missing; there is one (n, K) of scores a repeat; `number` (n,) is that of each
    case's subject, 0..subjects-1.
    """

    targets: np.ndarray
    scores: list[np.ndarray]
    number: np.ndarray
    subjects: int
    classes: tuple[int, ...]

    def values(self) -> np.ndarray:
        """Return the mean area of each repeat, (repeats,); NaN where no class has one."""
        return class_mean(np.stack([class_auc(self.targets, s)[list(self.classes)] for s in self.scores]))

    def on(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean areas (draws, repeats) over weighted subjects (draws, subjects)."""
        columns = []
        for scores in self.scores:
            each = [weighted_area(self.targets[:, k], scores[:, k], weights, self.number) for k in self.classes]
            columns.append(class_mean(np.stack(each, 1)))  # of K of (draws,)
        return np.stack(columns, 1)


def fewer_subjects(targets: np.ndarray, number: np.ndarray) -> int:
    """Return how many subjects have a class or lack it, whichever are fewer.

    Targets (n,) are 0 and 1, NaN where missing; `number` (n,) is that of each case's subject.
    """
    return min(len(np.unique(number[targets == value])) for value in (0, 1))


def weighted_area(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the area of one class on reweighted subjects, (draws,); NaN where a draw holds only one kind of case.

    Targets (n,) are 0 and 1, NaN where missing; scores (n,) are higher for the class; weights are integers (draws,
    subjects); `number` (n,) is that of each case's subject.
    """
    order = np.flatnonzero(np.isfinite(targets))
    order = order[np.argsort(scores[order], kind="stable")]
    areas = np.full(len(weights), np.nan)
    if not len(order):
        return areas
    sick, ranked, subject = targets[order] == 1, scores[order], number[order]
    ties = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # where each run of equal scores starts
    step = max(1, ENTRIES // len(order))
    for start in range(0, len(weights), step):
        w = weights[start : start + step][:, subject].astype(np.float64)
        with_class, without = (np.add.reduceat(w * kind, ties, axis=1) for kind in (sick, ~sick))
        below = without.cumsum(1) - without
        pairs = with_class.sum(1) * without.sum(1)
        won = (with_class * (below + without / 2)).sum(1)
        areas[start : start + step] = np.divide(won, pairs, out=np.full(len(w), np.nan), where=pairs > 0)
    return areas
