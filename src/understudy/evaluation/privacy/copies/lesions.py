"""Label maps as evidence of a copy: single lesions about their own centre, and whole label maps.

**Lesions**: has a lesion been copied into another brain? Every connected part of a class that is neither tiny nor most
of the image is cut out about its centre of mass. The similarity of two is the Dice of their outlines times Pearson's r
of the images within the query's outline, each channel about its own mean; mirrored and shifted by one pixel, too.
**Label maps**: does a synthetic map repeat that of one training case? The similarity is Dice over all classes but the
background together: the highest over all flips and over shifts of up to a tenth of the side, in two and in three
dimensions. Small components count for nothing: specks that were added or wiped away hide no copy. Only sampled maps are
judged: a patient's map, edited or not, repeats one by design.
**As good as equal**: whatever the similarity of unseen subjects, a map is a copy that can be laid over a real one,
their foregrounds' centroids meeting, mirrored along any axis and with the rows and columns of square planes exchanged
or not, so that at most 3 % of the foreground differ, or two voxels; a voxel counts twice where both maps have a class
there, and not the same; both as they are, or without small components. Maps with little foreground are alike by
chance, and do not count. A map that was cut at the border by its shift, deformed, or changed in more voxels is left
to the similarity. The evaluation, the gate and `verify` ask for the same. Of lgg_tcga's label maps at 64 px none is
as good as equal to another subject's, and from 8 % on three of 302 are.
**Checked** in tests/evaluation/privacy/copies/test_lesions.py (by hand; pasted lesions and moved maps are found).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, joined, nearest_two, ratio

WINDOWS = {2: 28, 3: 14}  # pixels a side, by dimensions
LESION_SIZES = {2: (20, 700), 3: (90, 2300)}  # fewest and most pixels of a lesion, of 64 x 64 or 32 x 32 x 32
BLOCK = 200
MAP_SIDES, MAP_REACHES = {2: 32, 3: 20}, {2: 3, 3: 2}  # by dimensions: side of a small map; shifts
SMALL = 0.1  # share of the largest component of its class, below which a component counts for nothing
MAP_BLOCK = 500
DIFFERENT, VOXELS = 0.03, 2  # share of the foreground, and voxels in any case, that may differ in maps as good as equal
MIN_FOREGROUND = 64  # voxels from which two maps as good as equal are no chance


@dataclass(frozen=True)
class Lesions:
    """L lesions: the case each is of, mask float32 (L, WINDOW^d) and images (L, C, WINDOW^d), centred."""

    case: Tensor
    mask: Tensor
    images: Tensor


def lesions_of(cases: SmallCases) -> Lesions:
    """Cut out the lesions of cases with label maps."""
    assert cases.labels is not None
    dims = cases.labels.ndim - 1
    case, masks, crops, window = [], [], [], WINDOWS[dims]
    padded = F.pad(cases.images, (window // 2,) * (2 * dims), mode="replicate")
    for i, labels in enumerate(cases.labels.numpy()):
        for mask in _parts(labels):
            centre = [round(float(x)) for x in ndimage.center_of_mass(mask)]
            around = tuple(slice(x, x + window) for x in centre)
            case.append(i)
            masks.append(np.pad(mask, window // 2)[around])
            crops.append(padded[i][(slice(None), *around)])
    shape = (0, cases.images.shape[1], *[window] * dims)
    return Lesions(
        torch.tensor(case, dtype=torch.int64),
        torch.from_numpy(np.array(masks, np.float32).reshape(-1, window**dims)),
        (torch.stack(crops) if crops else torch.zeros(shape)).flatten(2),
    )


def _parts(labels: np.ndarray) -> list[np.ndarray]:
    """Return the masks (*S) of the parts of all classes that are of a lesion's size."""
    found, (fewest, most) = [], LESION_SIZES[labels.ndim]
    for value in np.unique(labels[labels > 0]):
        parts, n = ndimage.label(labels == value, np.ones((3,) * labels.ndim))
        sizes = np.bincount(parts.ravel(), minlength=n + 1)
        found += [parts == part for part in range(1, n + 1) if fewest <= sizes[part] <= most]
    return found


def variants(lesions: Lesions, dims: int) -> list[Lesions]:
    """Return the lesions as they are, mirrored about their centre, and shifted by one pixel along each axis."""
    axes, made = tuple(range(-dims, 0)), []
    mask, images = (x.unflatten(-1, (WINDOWS[dims],) * dims) for x in (lesions.mask, lesions.images))
    steps = [tuple(by * (axis == other) for other in axes) for axis in axes for by in (1, -1)]
    # the centre is pixel 14 of 28 and would be mirrored to 13: one pixel back
    for shift, mirror in [((0,) * dims, False), (steps[-2], True), *((step, False) for step in steps)]:
        both = [x.flip(-1) if mirror else x for x in (mask, images)]
        made.append(Lesions(lesions.case, *(torch.roll(x, shift, axes).flatten(-dims) for x in both)))
    return made


def likeness(query: Lesions, target: Lesions) -> Tensor:
    """Return the similarity (L, M) of lesions, in [0, 1]."""
    sizes = query.mask.sum(1, keepdim=True)
    dice = 2 * query.mask @ target.mask.T / (sizes + target.mask.sum(1))
    products, own, other = (torch.zeros_like(dice) for _ in range(3))
    for c in range(query.images.shape[1]):
        t, weighed = target.images[:, c], query.mask * query.images[:, c]
        total_q, total_t = weighed.sum(1, keepdim=True), query.mask @ t.T
        products += weighed @ t.T - total_q * total_t / sizes
        own += (weighed * query.images[:, c]).sum(1, keepdim=True) - total_q**2 / sizes
        other += query.mask @ (t**2).T - total_t**2 / sizes
    r = products / (own.clamp_min(0) * other.clamp_min(0)).sqrt().clamp_min(1e-6)
    return (dice * r).clamp(0, 1)


def similar_lesions(queries: SmallCases, targets: SmallCases, own: Tensor) -> NearestTwo:
    """Compare the lesions of cases with those of all targets; a case without lesions has similarity 0."""
    ours, theirs = lesions_of(queries), lesions_of(targets)
    none, found = np.zeros(len(queries)), np.zeros(len(queries), bool)
    case, first, score = np.zeros(len(queries), np.int64), none.copy(), ratio(none, none)
    if not len(theirs.case):
        return NearestTwo(case, first, score)
    many = variants(theirs, queries.images.ndim - 2)
    for start in range(0, len(ours.case), BLOCK):
        part = Lesions(*(x[start : start + BLOCK] for x in (ours.case, ours.mask, ours.images)))
        similarity = torch.stack([likeness(part, variant) for variant in many]).amax(0)
        near = nearest_two(similarity, targets.subjects[theirs.case], own[part.case])
        for i, row in enumerate(part.case.tolist()):  # the lesion with the highest score stands for its case
            if not found[row] or near.score[i] > score[row]:
                found[row] = True
                case[row], first[row], score[row] = theirs.case[near.case[i]], near.first[i], near.score[i]
    return NearestTwo(case, first, score)


def alike_maps(real: Cohort, other: Cohort) -> tuple[Cohort, Cohort]:
    """Return both with label maps that can be compared: where their classes differ, foreground and background alone.

    So that a patient's map whose classes were renumbered, merged or named anew is still found.
    """
    schemes = (real.scheme, other.scheme)
    if None in schemes or len({scheme.names for scheme in schemes if scheme}) == 1:
        return real, other
    return real.foreground(), other.foreground()


def small_maps(cohort: Cohort, rows: np.ndarray) -> Tensor:
    """Return label maps without small components, int64 (N, 32, 32) or (N, 20, 20, 20), read block by block."""
    assert cohort.labels is not None
    dimensions = len(cohort.size)
    size = (MAP_SIDES[dimensions],) * dimensions
    small = torch.empty((len(rows), *size), dtype=torch.int64)
    for start in range(0, len(rows), MAP_BLOCK):
        maps = np.asarray(cohort.labels[rows[start : start + MAP_BLOCK]])
        kept = np.stack([without_small_components(one) for one in maps]).astype(np.float32)
        small[start : start + MAP_BLOCK] = F.interpolate(torch.from_numpy(kept)[:, None], size).long()[:, 0]
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
    best, reach = torch.zeros(len(queries), len(targets)), MAP_REACHES[queries.ndim - 1]
    for shift in itertools.product(range(-reach, reach + 1), repeat=queries.ndim - 1):
        torch.maximum(best, rows @ shifted(theirs, shift).flatten(1).T, out=best)
    return 2 * best / sizes.clamp_min(1)


def similar_maps(queries: Tensor, targets: Tensor, subjects: Tensor, own: Tensor) -> NearestTwo:
    """Return the training case with the most similar label map of each query, shifted and flipped or not.

    Queries are (N, ...), targets (M, ...) of subjects (M,); a query's ``own`` (N,) is left out, none where -1.
    """
    axes, parts = range(1, queries.ndim), []
    flips = [flip for n in range(queries.ndim) for flip in itertools.combinations(axes, n)]
    for start in range(0, len(queries), MAP_BLOCK):
        block = queries[start : start + MAP_BLOCK]
        similarity = torch.stack([overlap(block.flip(flip) if flip else block, targets) for flip in flips]).amax(0)
        parts.append(nearest_two(similarity, subjects, own[start : start + MAP_BLOCK]))
    return joined(parts)


class RealMaps:
    """Label maps uint8 (N, *S) of real cases, those with at least ``fewest`` voxels of foreground.

    Classes beyond the ``last`` count as it, so that foreground alone is compared with where the last is 1.
    """

    def __init__(self, labels: np.ndarray, fewest: int = MIN_FOREGROUND, last: int = 255) -> None:
        """Move the centroid of each map's foreground to the first voxel, around the border."""
        self._fewest, self._last = fewest, last
        moved = []
        for i in range(len(labels)):
            for label in _with_and_without(np.asarray(labels[i], np.uint8)):
                places = np.argwhere(label)
                if len(places) >= fewest:
                    middle = np.rint(places.mean(0)).astype(int)
                    moved.append((len(places), i, np.roll(label, -middle, range(label.ndim)).ravel()))
        moved.sort(key=lambda one: one[0])
        self._sizes, self._cases = (np.array([one[k] for one in moved], int) for k in (0, 1))
        self._maps = np.array([one[2] for one in moved], np.uint8)

    def copied(self, labels: np.ndarray) -> np.ndarray:
        """Return of label maps (n, *S) which real one each is as good as equal to, int64 (n,); -1: none."""
        if not len(self._maps) or np.prod(labels.shape[1:]) != self._maps.shape[1]:
            return np.full(len(labels), -1)
        reduced = (np.minimum(labels[i], self._last) for i in range(len(labels)))
        forms = (_with_and_without(np.asarray(one, np.uint8)) for one in reduced)
        return np.array([max(map(self._copied, both)) for both in forms], int)

    def _copied(self, label: np.ndarray) -> int:
        places = np.argwhere(label)
        n, allowed = len(places), max(VOXELS, int(DIFFERENT * len(places)))
        first, last = np.searchsorted(self._sizes, [n - allowed, n + allowed + 1])
        if n < self._fewest or first == last:
            return -1
        classes, sizes, maps = label[tuple(places.T)], self._sizes[first:last], self._maps[first:last]
        for index in _laid(places, label.shape):
            differ = sizes + n - 2 * (maps[:, index] == classes).sum(1)
            if differ.min() <= allowed:
                return int(self._cases[first + differ.argmin()])
        return -1


def _with_and_without(label: np.ndarray) -> list[np.ndarray]:
    """Return a label map as it is and, where they are not the same, without its small components."""
    without = without_small_components(label)
    return [label] if np.array_equal(label, without) else [label, without]


def _laid(places: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield the flat indices of some voxels (n, dims) with their centroid at the first one, in each way it can lie."""
    ways = [places, places[:, [*range(places.shape[1] - 2), -1, -2]]] if shape[-1] == shape[-2] else [places]
    for one, signs in itertools.product(ways, itertools.product((1, -1), repeat=places.shape[1])):
        mirrored = one * np.array(signs)
        middle = mirrored.mean(0)
        corners = zip(np.floor(middle).astype(int), np.ceil(middle).astype(int), strict=True)
        for corner in set(itertools.product(*corners)):
            yield np.ravel_multi_index(tuple(((mirrored - np.array(corner)) % np.array(shape)).T), shape)
