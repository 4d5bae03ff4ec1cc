"""Whole label maps: does a synthetic map repeat that of one training case?

Two maps are as similar as their classes overlap: Dice over all classes but the background together, at 32 pixels,
mirrored or not. Maps that were sampled are judged; maps that are a patient's, edited or not, repeat one by design.
**Checked** in tests/evaluation/privacy/copies/test_labels.py (by hand).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies.near import Near, joined, nearest_two

SIDE = 32
BLOCK = 500


def small_maps(cohort: Cohort, rows: np.ndarray) -> Tensor:
    """Return label maps of two dimensions, int64 (N, 32, 32)."""
    assert cohort.labels is not None
    maps = torch.from_numpy(np.asarray(cohort.labels[rows]).astype(np.float32))
    return F.interpolate(maps[:, None], (SIDE, SIDE)).long()[:, 0]


def overlap(queries: Tensor, targets: Tensor) -> Tensor:
    """Return Dice (N, M) of maps (N, 32, 32) and (M, 32, 32) over all classes together; 0 where both are empty."""
    classes = int(max(queries.max(), targets.max())) + 1
    ours, theirs = (F.one_hot(x, classes)[..., 1:].flatten(1).float() for x in (queries, targets))
    sizes = ours.sum(1, keepdim=True) + theirs.sum(1)
    return 2 * ours @ theirs.T / sizes.clamp_min(1)


def similar_maps(queries: Tensor, targets: Tensor, subjects: Tensor, own: Tensor) -> Near:
    """Return the training case with the most similar label map of each query, mirrored or not.

    Args:
        queries: (N, 32, 32).
        targets: (M, 32, 32).
        subjects: (M,) whose the targets are.
        own: (N,) subject that is left out; -1 for none.
    """
    parts = []
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        similarity = torch.maximum(overlap(block, targets), overlap(block.flip(-1), targets))
        parts.append(nearest_two(similarity, subjects, own[start : start + BLOCK]))
    return joined(parts)
