"""Label maps as evidence of a copy: does a map repeat that of one training case?

**Overlap**: Dice over all classes but the background together, the highest over all flips and over shifts of up to a
tenth of the side, in two and in three dimensions. So that renumbered classes hide no copy, foregrounds are compared as
well: a foreground is what is not the largest part of a map, whatever the numbers of its classes.
**Shape**: a foreground is put at the middle of a window that grows with it, and read there in many poses, mirrored and
turned; the similarity is Pearson's r of two windows, the highest over the poses of one. So maps that were turned,
magnified or grown are still alike, which overlap does not see; smooth bodies of different people are alike as well, and
the calibration on unseen subjects says how much. Volumes are turned by small angles about each of their axes, and
mirrored along any.
Small components count for nothing: specks that were added or wiped away hide no copy; nor do maps that show fewer than
16 voxels, of which many are equal by chance. Only sampled maps are judged: a patient's map, edited or not, repeats one
by design.
**As good as equal**: whatever the similarity of unseen subjects, a map is a copy of a real one if their foregrounds, or
a class of each, whatever their numbers, can be laid over each other, centroids meeting, mirrored along any axis and
with axes of equal sides exchanged or not, so that at most 3 % of the voxels differ, or two voxels; both as they are, or
without small components. Of the synthetic map, background and whatever is not of one class serve as well. So classes
that were renumbered, merged, or exchanged, also with the background, hide no copy. What has few voxels is alike by
chance, and does not count; what fills more than half of the image differs by shares of the rest. A map that was cut at
the border by its shift, deformed, or changed in more voxels is left to the similarity. The evaluation, the gate and
`verify` ask for the same. Of lgg_tcga's label maps at 64 px none is as good as equal to another subject's, and from 8 %
on three of 302 are.
**Checked** in tests/evaluation/privacy/copies/test_label_maps.py (by hand; moved and turned maps are found); the audit
counts what is found of copies that were changed on purpose.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.core.cohort import PATIENTS_OWN, Cohort
from understudy.core.labels import Renumbered
from understudy.core.seed import derive
from understudy.evaluation.privacy.copies.cases import NearestTwo, joined, nearest_two
from understudy.evaluation.privacy.copies.decision import CopyDecision, CopyScores
from understudy.evaluation.privacy.copies.registration import sample
from understudy.nets.affine import affine_grid

MAP_SIDES, MAP_REACHES = {2: 32, 3: 20}, {2: 3, 3: 2}  # by dimensions: side of a small map; shifts
SMALL = 0.1  # share of the largest component of its class, below which a component counts for nothing
MAP_BLOCK = 500
DIFFERENT, VOXELS = 0.03, 2  # share of a region, and voxels in any case, that may differ in those as good as equal
MIN_FOREGROUND = 64  # voxels from which two regions as good as equal are no chance
FEWEST = 16  # voxels of what a map shows, below which maps of different people are often equal
WINDOW_SIDES = {2: 32, 3: 24}  # of a shape, by dimensions; twice the side of a square or cube of its size
SOFT = 0.7  # voxels by which outlines are smoothed
DEGREES = {2: range(0, 360, 10), 3: range(-20, 21, 10)}
SHAPE_BLOCK = 250
Maps = np.ndarray | Renumbered  # label maps (N, *S), maybe mapped from a file


class MapDetector:
    """Says which label maps repeat that of one of some training cases; those of unseen subjects set the threshold."""

    def __init__(
        self, labels: Maps, rows: np.ndarray, unseen: np.ndarray, subjects: np.ndarray, note: str, rate: float,
        draws: int, seed: int,
    ) -> None:  # fmt: skip
        """Calibrate on rows of unseen subjects beside rows of training cases; ``subjects`` are of all label maps.

        The note says who the unseen subjects are; rate, draws and seed are as in :class:`CopyDecision`, which says what
        is raised where all their maps are alike.
        """
        small = small_maps(labels, rows)
        self.trained = {"label maps": small, "foregrounds": foregrounds(small), "shapes": shapes(labels, rows)}
        self.subjects = torch.from_numpy(subjects[rows])
        found = self._matched(labels, unseen, torch.from_numpy(subjects[unseen]))
        self.decision = CopyDecision(found, subjects[unseen], note, rate, draws, derive(seed, "label maps"))

    def decide(self, labels: Maps, rows: np.ndarray, equal: np.ndarray) -> CopyScores:
        """Decide on some label maps; ``equal`` (N,) are training cases to which they are as good as equal, or -1."""
        scores = self.decision.decide(self._matched(labels, rows, torch.full((len(rows),), -1)))
        case, flagged = np.where(equal >= 0, equal, scores.case), scores.flagged | (equal >= 0)
        return replace(scores, case=case, flagged=flagged)

    def _matched(self, labels: Maps, rows: np.ndarray, own: Tensor) -> dict[str, NearestTwo]:
        """Compare some label maps with those of the training cases, but for a map's own subject."""
        maps, trained, whose = small_maps(labels, rows), self.trained, self.subjects
        overlaps = foregrounds_too = similar_maps(maps, trained["label maps"], whose, own)
        reduced = foregrounds(maps)
        if not (torch.equal(reduced, maps) and torch.equal(trained["foregrounds"], trained["label maps"])):
            foregrounds_too = similar_maps(reduced, trained["foregrounds"], whose, own)
        alike = similar_shapes(labels, rows, trained["shapes"], whose, own)
        return {"label maps": overlaps, "foregrounds": foregrounds_too, "shapes": alike}


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


def small_maps(labels: Maps, rows: np.ndarray) -> Tensor:
    """Return label maps, :func:`cleaned`, int64 (N, 32, 32) or (N, 20, 20, 20), read block by block."""
    dimensions = len(labels.shape) - 1
    size = (MAP_SIDES[dimensions],) * dimensions
    small = torch.empty((len(rows), *size), dtype=torch.int64)
    for start in range(0, len(rows), MAP_BLOCK):
        maps = np.asarray(labels[rows[start : start + MAP_BLOCK]])
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


@cache
def poses(dims: int) -> Tensor:
    """Return the turns (P, d, d) in which a shape is read, each mirrored along no axis and along others; the first not.

    In two dimensions one mirror and all turns give every pose; volumes are turned about one axis, a little.
    """
    eye, turned = torch.eye(dims), []
    for degrees in DEGREES[dims]:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        for a, b in itertools.combinations(range(dims), 2):
            turn = eye.clone()
            turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cos, -sin, sin, cos
            turned.append(turn)
    signs = [(1, 1), (-1, 1)] if dims == 2 else list(itertools.product((1, -1), repeat=dims))
    found = torch.unique(torch.stack([turn * torch.tensor(sign) for sign in signs for turn in turned]), dim=0)
    identity = (found - eye).abs().amax((1, 2)) < 1e-6
    return torch.cat([eye[None], found[~identity]])


def windows(maps: np.ndarray, turns: Tensor) -> Iterator[Tensor]:
    """Yield the shapes of label maps (N, *S) in one pose after another, as vectors (N, F) of mean 0 and length 1.

    A map that shows too little to tell is a vector of zeros.
    """
    n, dims, sides = len(maps), maps.ndim - 1, np.array(maps.shape[1:])
    soft, centre, reach = torch.zeros(n, 1, *maps.shape[1:]), np.zeros((n, dims)), np.ones(n)
    for i, shown in enumerate(foregrounds(torch.from_numpy(np.stack([cleaned(one) for one in maps])).long()).numpy()):
        if shown.any():
            soft[i, 0] = torch.from_numpy(ndimage.gaussian_filter(shown.astype(np.float32), SOFT))
            centre[i], reach[i] = np.argwhere(shown).mean(0), shown.sum() ** (1 / dims)
    # to coordinates from -1 to 1, edge to edge, the last axis first
    middle = torch.from_numpy(((2 * centre + 1) / sides - 1)[:, ::-1].copy()).float()
    extent = torch.from_numpy((2 * reach[:, None] / sides)[:, ::-1].copy()).float()
    for turn in turns:
        grid = affine_grid(torch.cat([extent[:, :, None] * turn, middle[:, :, None]], 2), (WINDOW_SIDES[dims],) * dims)
        seen = sample(soft, grid).flatten(1)
        seen = seen - seen.mean(1, keepdim=True)
        yield seen / seen.norm(dim=1, keepdim=True).clamp_min(1e-6)


def shapes(labels: Maps, rows: np.ndarray) -> Tensor:
    """Return the shapes (N, F) of some rows, as they lie."""
    turn, starts = poses(len(labels.shape) - 1)[:1], range(0, len(rows), SHAPE_BLOCK)
    blocks = (np.asarray(labels[rows[start : start + SHAPE_BLOCK]]) for start in starts)
    return torch.cat([next(windows(maps, turn)) for maps in blocks])


def similar_shapes(labels: Maps, rows: np.ndarray, targets: Tensor, subjects: Tensor, own: Tensor) -> NearestTwo:
    """Return the training case with the most similar shape to each of some rows, in any pose.

    Targets are shapes (M, F) of subjects (M,); a row's ``own`` (N,) is left out, none where -1.
    """
    parts = []
    for start in range(0, len(rows), SHAPE_BLOCK):
        maps, best = np.asarray(labels[rows[start : start + SHAPE_BLOCK]]), None
        for seen in windows(maps, poses(len(labels.shape) - 1)):
            similarity = seen @ targets.T
            best = similarity if best is None else torch.maximum(best, similarity)
        assert best is not None
        parts.append(nearest_two(best, subjects, own[start : start + SHAPE_BLOCK]))
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
