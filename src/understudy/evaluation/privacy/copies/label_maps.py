"""Label maps as evidence of a copy: does a synthetic map repeat that of one training case, shifted or flipped?

The similarity is Dice over all classes but the background together: the highest over all flips and over shifts of up to
a tenth of the side, so that a map that was moved is found, in two and in three dimensions. Small components count for
nothing: specks that were added or wiped away hide no copy. Only sampled maps are judged: a patient's map, edited or
not, repeats one by design.
**Source**: Dice, Ecology 26 (1945).
**Checked** in tests/evaluation/privacy/copies/test_label_maps.py (by hand; shifted, flipped and speckled maps).
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies.cases import NearestTwo, joined, nearest_two

SIDES, REACHES = {2: 32, 3: 20}, {2: 3, 3: 2}  # by dimensions: side of a small map, and pixels by which it is shifted
SMALL = 0.1  # share of the largest component of its class, below which a component counts for nothing
BLOCK = 500


def small_maps(cohort: Cohort, rows: np.ndarray) -> Tensor:
    """Return label maps without small components, int64 (N, 32, 32) or (N, 20, 20, 20), read block by block."""
    assert cohort.labels is not None
    dimensions = len(cohort.size)
    size = (SIDES[dimensions],) * dimensions
    small = torch.empty((len(rows), *size), dtype=torch.int64)
    for start in range(0, len(rows), BLOCK):
        maps = np.asarray(cohort.labels[rows[start : start + BLOCK]])
        kept = np.stack([without_small_components(one) for one in maps]).astype(np.float32)
        small[start : start + BLOCK] = F.interpolate(torch.from_numpy(kept)[:, None], size).long()[:, 0]
    return small


def without_small_components(labels: np.ndarray) -> np.ndarray:
    """Return a label map without the components that are small beside the largest of their class."""
    kept = np.zeros_like(labels)
    for value in np.unique(labels[labels > 0]):
        parts, _ = ndimage.label(labels == value, np.ones((3,) * labels.ndim))
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        kept[(sizes >= SMALL * sizes.max())[parts] & (parts > 0)] = value
    return kept


def shifted(maps: Tensor, shift: tuple[int, ...]) -> Tensor:
    """Return maps (..., S, S) or (..., S, S, S) moved by so many pixels along the last axes; background comes in."""
    axes = tuple(range(-len(shift), 0))
    moved = torch.roll(maps, shift, axes)
    for axis, by in zip(axes, shift, strict=True):
        if by:
            moved.narrow(axis, 0 if by > 0 else moved.shape[axis] + by, abs(by)).zero_()
    return moved


def overlap(queries: Tensor, targets: Tensor) -> Tensor:
    """Return the highest Dice (N, M) of maps (N, ...) and (M, ...), shifted; 0 where both are empty.

    Dice is that of all classes together, over the sizes of the whole maps: what leaves the image is missed.
    """
    classes = torch.arange(1, int(max(queries.max(), targets.max())) + 1).view(-1, *[1] * (queries.ndim - 1))
    ours, theirs = ((maps[:, None] == classes).float() for maps in (queries, targets))  # (N, classes, ...)
    rows, sizes = ours.flatten(1), ours.flatten(1).sum(1, keepdim=True) + theirs.flatten(1).sum(1)
    best, reach = torch.zeros(len(queries), len(targets)), REACHES[queries.ndim - 1]
    for shift in itertools.product(range(-reach, reach + 1), repeat=queries.ndim - 1):
        torch.maximum(best, rows @ shifted(theirs, shift).flatten(1).T, out=best)
    return 2 * best / sizes.clamp_min(1)


def similar_maps(queries: Tensor, targets: Tensor, subjects: Tensor, own: Tensor) -> NearestTwo:
    """Return the training case with the most similar label map of each query, shifted and flipped or not.

    Queries are (N, ...), targets (M, ...) of subjects (M,); a query's ``own`` (N,) is left out, none where -1.
    """
    axes, parts = range(1, queries.ndim), []
    flips = [flip for n in range(queries.ndim) for flip in itertools.combinations(axes, n)]
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK]
        similarity = torch.stack([overlap(block.flip(flip) if flip else block, targets) for flip in flips]).amax(0)
        parts.append(nearest_two(similarity, subjects, own[start : start + BLOCK]))
    return joined(parts)
