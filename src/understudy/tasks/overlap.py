"""Scores of the overlap of two label maps per subject and class, and the one rule for empty maps.

Slices of a subject are stacked: voxels are counted over all its cases. **Rule**, stated here and nowhere else:
prediction empty and reference not ("missed"), or reference empty and prediction not ("false positive") -> the worst
value of the score: 0 of Dice, IoU, precision, recall and NSD, 1 of the volume difference, and of a distance the
diagonal of the field of view (surface.py). Both empty -> the class does not count for the subject ("both empty"). All
are counted.
**Source**: Dice, Ecology 26 (1945): 2|P n R| / (|P| + |R|); Taha and Hanbury, BMC Medical Imaging 15:29 (2015) for the
others; the volume difference ||P| - |R|| / (|P| + |R|) is 1 minus their volumetric similarity: unlike a difference
relative to |R| it has a worst value where R is empty. **Differs** from MONAI's ``DiceMetric``, which gives nan to a
false positive on an empty reference. **Checked** in tests/tasks/test_overlap.py (MONAI to 1e-6 where it is
right; scikit-learn to 1e-12; hand-made cases).
"""

import numpy as np

RULES = ("", "missed", "false positive", "both empty")
OVERLAPS = ("dice", "iou", "precision", "recall", "volume_difference")


def confusion(
    predicted: np.ndarray, reference: np.ndarray, subject: np.ndarray, subjects: int, classes: int
) -> np.ndarray:
    """Count voxels by subject, reference class and predicted class: int64 (subjects, K, K), in this order.

    Label maps are (n, *S) with values 0..K-1; `subject`: (n,) the number 0..subjects-1 of each case's subject.
    """
    counts = np.zeros((subjects, classes * classes), np.int64)
    for p, r, s in zip(predicted, reference, subject, strict=True):
        pairs = r.astype(np.intp).ravel() * classes + p.ravel()
        counts[s] += np.bincount(pairs, minlength=classes * classes)
    return counts.reshape(subjects, classes, classes)


def whole(counts: np.ndarray) -> np.ndarray:
    """Return the counts (subjects, 2, 2) of background and all other classes taken as one."""
    return np.add.reduceat(np.add.reduceat(counts, [0, 1], 1), [0, 1], 2)


def overlaps(counts: np.ndarray) -> np.ndarray:
    """Return the scores (subjects, K - 1, 5) of the foreground classes, in the order of ``OVERLAPS``, each in 0..1.

    Counts come from :func:`confusion`. Higher is better but for the volume difference; NaN where both maps are empty.
    """
    both = np.einsum("skk->sk", counts)[:, 1:]
    predicted, reference = counts.sum(1)[:, 1:], counts.sum(2)[:, 1:]
    total = predicted + reference

    def share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.divide(part, of, out=np.where(total > 0, 0.0, np.nan), where=of > 0)

    shares = [(2 * both, total), (both, total - both), (both, predicted), (both, reference)]
    return np.stack([share(*pair) for pair in (*shares, (np.abs(predicted - reference), total))], -1)


def dice(counts: np.ndarray) -> np.ndarray:
    """Return Dice (subjects, K - 1) of the foreground classes in 0..1, higher is better; NaN if both maps are empty."""
    return overlaps(counts)[..., OVERLAPS.index("dice")]


def rules(counts: np.ndarray) -> np.ndarray:
    """Return which case of the rule for empty maps applied, as positions in ``RULES``, int (subjects, K - 1)."""
    predicted, reference = counts.sum(1)[:, 1:] > 0, counts.sum(2)[:, 1:] > 0
    return np.select([reference & ~predicted, ~reference & predicted, ~reference & ~predicted], [1, 2, 3], 0)


def class_mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean over the classes that count, (..., classes) -> (...); NaN where none counts."""
    counted = np.isfinite(scores)
    n = counted.sum(-1)
    return np.divide(np.where(counted, scores, 0).sum(-1), n, out=np.full(n.shape, np.nan), where=n > 0)
