"""Dice per subject and class, and the one rule for empty maps.

Slices of a subject are stacked: voxels are counted over all its cases. **Rule**, stated here and nowhere else:
reference empty and prediction not -> Dice 0 ("false positive"); reference not empty and prediction empty -> Dice 0
("missed"); both empty -> the class does not count for the subject ("both empty"). All are counted.
**Source**: Dice, Ecology 26 (1945): 2|A n B| / (|A| + |B|). **Differs** from MONAI's ``DiceMetric``, which gives nan
to a false positive on an empty reference. **Checked** in tests/evaluation/utility/test_scores.py (MONAI to 1e-6 where
it is right; hand-made cases where it is not).
"""

import numpy as np

RULES = ("", "missed", "false positive", "both empty")


def confusion(
    predicted: np.ndarray, reference: np.ndarray, subject: np.ndarray, subjects: int, classes: int
) -> np.ndarray:
    """Count voxels by subject, reference class and predicted class.

    Args:
        predicted: (n, *S) label maps 0..K-1.
        reference: (n, *S) label maps 0..K-1.
        subject: (n,) the subject's number, 0..subjects-1, of each case.
        subjects: number of subjects.
        classes: K with the background.

    Returns:
        int64 (subjects, K, K), [subject, reference, predicted].
    """
    counts = np.zeros((subjects, classes * classes), np.int64)
    for p, r, s in zip(predicted, reference, subject, strict=True):
        pairs = r.astype(np.intp).ravel() * classes + p.ravel()
        counts[s] += np.bincount(pairs, minlength=classes * classes)
    return counts.reshape(subjects, classes, classes)


def dice(counts: np.ndarray) -> np.ndarray:
    """Return Dice (subjects, K - 1) in 0..1 of the foreground classes, higher is better; NaN where both maps are empty.

    Args:
        counts: what :func:`confusion` returns.
    """
    both = np.einsum("skk->sk", counts)[:, 1:]
    total = (counts.sum(1) + counts.sum(2))[:, 1:]
    return np.divide(2 * both, total, out=np.full(both.shape, np.nan), where=total > 0)


def rules(counts: np.ndarray) -> np.ndarray:
    """Return which case of the rule for empty maps applied, as positions in ``RULES``, int (subjects, K - 1)."""
    predicted, reference = counts.sum(1)[:, 1:] > 0, counts.sum(2)[:, 1:] > 0
    return np.select([reference & ~predicted, ~reference & predicted, ~reference & ~predicted], [1, 2, 3], 0)


def mean_over_classes(scores: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that count, (..., K - 1) -> (...); NaN where none counts."""
    counted = np.isfinite(scores)
    n = counted.sum(-1)
    return np.divide(np.where(counted, scores, 0).sum(-1), n, out=np.full(n.shape, np.nan), where=n > 0)
