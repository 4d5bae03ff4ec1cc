"""Area under the ROC curve, a class at a time: how well a score ranks cases that have a class above those without.

**Source**: Hanley and McNeil, Radiology 143 (1982): the area is the probability that a random case with the class is
scored above a random case without it, ties counting half. Values by scikit-learn.
**Differs**: a class of which all known cases are the same has no area (NaN), where scikit-learn warns or raises; cases
whose entry is missing do not count for that class.
**Checked** in tests/tasks/test_auc.py (scikit-learn; classes that are absent; missing entries).
"""

import numpy as np
from sklearn.metrics import roc_auc_score


def class_auc(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the area of each class, (K,), 0..1, 0.5 is chance, higher is better; NaN where it is not defined.

    Args:
        targets: (n, K) of 0 and 1, NaN where missing.
        scores: (n, K), higher for the class.
    """
    areas = np.full(targets.shape[1], np.nan)
    for k in range(len(areas)):
        known = np.isfinite(targets[:, k])
        if len(np.unique(targets[known, k])) == 2:
            areas[k] = roc_auc_score(targets[known, k], scores[known, k])
    return areas


def macro(areas: np.ndarray) -> float:
    """Return the mean over the classes that have an area, NaN where none has."""
    return float(areas[np.isfinite(areas)].mean()) if np.isfinite(areas).any() else float("nan")
