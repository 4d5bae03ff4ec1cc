"""Label maps as evidence of a copy: single lesions about their own centre, and whole label maps.

**Lesions**: has a lesion been copied into another brain? Every connected part of a class that is neither tiny nor most
of the image is cut out about its centre of mass. The similarity of two is the Dice of their outlines times Pearson's r
of the images within the query's outline, each channel about its own mean; mirrored and shifted by one pixel, too.
**Label maps**: does a synthetic map repeat that of one training case? The similarity is Dice over all classes but the
background together: the highest over all flips and over shifts of up to a tenth of the side, in two and in three
dimensions. So that renumbered classes hide no copy, foregrounds are compared as well,
where background is the largest part, whatever its number, and their shapes (shapes.py). Small components count for
nothing: specks that were added or wiped away hide no copy; nor do maps that show fewer than 16 voxels, of which many
are equal by chance. Only sampled maps are judged: a patient's map, edited or not, repeats one by design.
**As good as equal**: whatever the similarity of unseen subjects, a map is a copy of a real one if their foregrounds, or
a class of each, whatever their numbers, can be laid over each other, centroids meeting, mirrored along any axis and
with axes of equal sides exchanged or not, so that at most 3 % of the voxels differ, or two voxels; both as they are, or
without small components. Of the synthetic map, background and whatever is not of one class serve as well. So classes
that were renumbered, merged, or exchanged, also with the background, hide no copy. What has few voxels is alike by
chance, and does not count; what fills more than half of the image differs by shares of the rest. A map that was cut at
the border by its shift, deformed, or changed in more voxels is left to the similarity. The evaluation, the gate and
`verify` ask for the same. Of lgg_tcga's label maps at 64 px none is as good as equal to another subject's, and from 8 %
on three of 302 are.
**Checked** in tests/evaluation/privacy/copies/test_lesions.py (by hand; pasted lesions and moved maps are found).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.core.cohort import PATIENTS_OWN, Cohort
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, joined, nearest_two, ratio

WINDOWS = {2: 28, 3: 14}  # pixels a side, by dimensions
LESION_SIZES = {2: (20, 700), 3: (90, 2300)}  # fewest and most pixels of a lesion, of 64 x 64 or 32 x 32 x 32
BLOCK = 200
MAP_SIDES, MAP_REACHES = {2: 32, 3: 20}, {2: 3, 3: 2}  # by dimensions: side of a small map; shifts
SMALL = 0.1  # share of the largest component of its class, below which a component counts for nothing
MAP_BLOCK = 500
DIFFERENT, VOXELS = 0.03, 2  # share of a region, and voxels in any case, that may differ in those as good as equal
MIN_FOREGROUND = 64  # voxels from which two regions as good as equal are no chance
FEWEST = 16  # voxels of what a map shows, below which maps of different people are often equal


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


def not_compared(real: Cohort, other: Cohort) -> str:
    """Say why the label maps of another cohort are not held against real ones, or ""."""
    if real.labels is None or other.labels is None:
        return "one of the cohorts has no label maps"
    if other.label_source in PATIENTS_OWN:
        return f"the label maps are of the source {other.label_source!r}, and repeat patients' by design"
    return ""


def alike_maps(real: Cohort, other: Cohort) -> tuple[Cohort, Cohort]:
    """Return both with label maps that can be compared: where their classes differ, foreground and background alone.

    So that a patient's map whose classes were renumbered, merged or named anew is still found.
    """
    schemes = (real.scheme, other.scheme)
    if None in schemes or len({scheme.names for scheme in schemes if scheme}) == 1:
        return real, other
    return real.foreground(), other.foreground()


def small_maps(cohort: Cohort, rows: np.ndarray) -> Tensor:
    """Return label maps, :func:`cleaned`, int64 (N, 32, 32) or (N, 20, 20, 20), read block by block."""
    assert cohort.labels is not None
    dimensions = len(cohort.size)
    size = (MAP_SIDES[dimensions],) * dimensions
    small = torch.empty((len(rows), *size), dtype=torch.int64)
    for start in range(0, len(rows), MAP_BLOCK):
        maps = np.asarray(cohort.labels[rows[start : start + MAP_BLOCK]])
        kept = np.stack([cleaned(one) for one in maps]).astype(np.float32)
        small[start : start + MAP_BLOCK] = F.interpolate(torch.from_numpy(kept)[:, None], size).long()[:, 0]
    return small


def cleaned(labels: np.ndarray) -> np.ndarray:
    """Return a label map without small components; its largest part alone where it then shows too few voxels."""
    kept = without_small_components(labels)
    largest = np.bincount(kept.ravel()).argmax()
    return kept if (kept != largest).sum() >= FEWEST else np.full_like(kept, largest)


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


def foregrounds(maps: Tensor) -> Tensor:
    """Return maps (N, ...) of 0 and 1: all but the largest part is foreground, whatever its number."""
    flat = maps.flatten(1)
    return (flat != flat.mode(1, keepdim=True).values).long().view(maps.shape)


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
    """The regions of real label maps (N, *S), foregrounds and classes, that have at least ``fewest`` voxels."""

    def __init__(self, labels: np.ndarray, fewest: int = MIN_FOREGROUND) -> None:
        """Move the centroid of each region to the first voxel, around the border; keep its voxels and its profiles."""
        self._fewest, self._shape = fewest, labels.shape[1:]
        sizes, cases, masks, profiles = [], [], [], []
        for i in range(len(labels)):
            for mask in _regions(np.asarray(labels[i], np.uint8)):
                places = np.argwhere(mask)
                if self._counts(len(places)):
                    lines = ((places - np.rint(places.mean(0)).astype(int)) % self._shape).T
                    moved = np.zeros(self._shape, bool)
                    moved[tuple(lines)] = True
                    sizes.append(len(places))
                    cases.append(i)
                    masks.append(np.packbits(moved))
                    profiles.append(
                        [np.bincount(line, minlength=side) for line, side in zip(lines, self._shape, strict=True)]
                    )
        order = np.argsort(sizes, kind="stable")
        self._sizes, self._cases = np.array(sizes, int)[order], np.array(cases, int)[order]
        self._masks = [masks[k] for k in order]
        self._profiles = [np.array([profiles[k][axis] for k in order], np.int32) for axis in range(len(self._shape))]

    def copied(self, labels: np.ndarray) -> np.ndarray:
        """Return of label maps (n, *S) which real one each is as good as equal to, int64 (n,); -1: none."""
        if not len(self._sizes) or labels.shape[1:] != self._shape:
            return np.full(len(labels), -1)
        found = (map(self._copied, _regions(np.asarray(one, np.uint8), exchanged=True)) for one in labels)
        return np.array([next((case for case in cases if case >= 0), -1) for cases in found], int)

    def _counts(self, n: int) -> bool:
        return self._fewest <= n <= math.prod(self._shape) - self._fewest

    def _copied(self, mask: np.ndarray) -> int:
        """Return the real case that a region is of, or -1.

        Regions differ in at least as many voxels as their profiles do, the numbers of voxels along one axis: few pairs
        are compared voxel by voxel.
        """
        places, dims = np.argwhere(mask), mask.ndim
        n, allowed = len(places), max(VOXELS, int(DIFFERENT * min(len(places), mask.size - len(places))))
        first, last = np.searchsorted(self._sizes, [n - allowed, n + allowed + 1])
        if not self._counts(n) or first == last:
            return -1
        ways = []  # for each axis, which axis of this region can lie along it, and how
        for axis, side in enumerate(self._shape):
            lying = [(b, line) for b in range(dims) if self._shape[b] == side for line in _laid(places[:, b], side)]
            counts = [np.bincount(line, minlength=side) for _, line in lying]
            fits = [np.abs(self._profiles[axis][first:last] - one).sum(1) <= allowed for one in counts]
            ways.append([(b, line, fit) for (b, line), fit in zip(lying, fits, strict=True) if fit.any()])
        for chosen in itertools.product(*ways):
            axes, lines, fit_all = zip(*chosen, strict=True)
            for k in first + np.flatnonzero(np.all(fit_all, 0)) if len(set(axes)) == dims else ():
                other = np.unpackbits(self._masks[k], count=mask.size)
                if self._sizes[k] + n - 2 * int(other[np.ravel_multi_index(lines, mask.shape)].sum()) <= allowed:
                    return int(self._cases[k])
        return -1


def _regions(label: np.ndarray, exchanged: bool = False) -> list[np.ndarray]:
    """Return the masks of the foreground and of each class, also without small components, each once.

    Where classes may be ``exchanged`` with the background, this is a region too, and whatever is not of one class.
    """
    found = []
    for form in (label, without_small_components(label)):
        classes = np.unique(form[form > 0])
        found += [form > 0, *(form == value for value in classes)]
        if exchanged:
            found += [form == 0, *(form != value for value in classes)]
    return list({mask.tobytes(): mask for mask in found}.values())


def _laid(places: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Yield places (n,) along one axis with their mean at the first one, mirrored or not, rounded down or up."""
    for mirrored in (places, -places):
        middle = mirrored.mean()
        for corner in {math.floor(middle), math.ceil(middle)}:
            yield (mirrored - corner) % side
