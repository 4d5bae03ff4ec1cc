"""Twins: one person under two names, found by pixels: near copies, and slices of one volume under two subjects.

Every case, as an 8 x 8 thumbnail (256 bytes, kept), is compared with all cases of other subjects, and with their mirror
images. Its nearest cases, of ``NEAREST`` other subjects and one mirrored, are compared in detail: fine structure
(the picture less a 5 x 5 mean, clipped at one standard deviation, so that the rim of a head does not decide), the best
correlation over shifts of one pixel, at most about 128 pixels a side; volumes by their middle slice.

A **near copy** has a correlation of ``COPY`` or more. **Slices of one volume** under the subjects A and B: the images
of A are most like those of B, and by far: the correlation with B's less that with the next subject's, added up over the
cases of A that are nearest to B, is ``VOLUME`` a case or more (of ``MIN_CASES`` cases or more).
**Differs** from the attacks of the privacy evaluation, which look for deformed copies as well. Small pictures (sides
below ``MIN_SIDE``) have no fine structure, and nothing is said of them.
**Checked** in tests/data/checks/test_twins.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.statistics import by_subject
from understudy.data.checks.notice import Notice, warning

MIN_SIDE, SIDE, THUMBNAIL = 48, 80, 8  # pixels
BLOCK = 128  # cases
NEAREST = 3
COPY, VOLUME, MIN_CASES = 0.85, 0.16, 4
ALIKE = 0.4  # correlation from which on half pixels are tried
MAX_CASES = 20000  # above, nothing is compared


@dataclass(frozen=True)
class _Compared:
    """Cases sorted by subject (n,), with the nearest case of each of k other subjects, the last of them mirrored.

    Attributes:
        rows: row numbers.
        number: number 0..S-1 of each case's subject.
        nearest: positions (n, k) in ``rows``.
        detail: correlations (n, k) of their fine structure.
        exact: whether they are exact copies, (n, k), which is told of elsewhere.
    """

    rows: np.ndarray
    number: np.ndarray
    nearest: np.ndarray
    detail: np.ndarray
    exact: np.ndarray

    def pairs(self) -> np.ndarray:
        """Return the two subjects (n, k, 2) of each comparison, the lower number first."""
        own = np.broadcast_to(self.number[:, None], self.nearest.shape)
        return np.sort(np.stack([own, self.number[self.nearest]], -1), -1)


def twins(cohort: Cohort, copies: np.ndarray) -> Iterable[Notice]:
    """Say which images show one person under two names.

    Args:
        cohort: with images.
        copies: (N,), the same number for images that are exact copies of each other; -1 for those that hold NaN or one
            value, which are left out.
    """
    rows = np.flatnonzero(copies >= 0)
    subjects = cohort.column("subject_id")[rows]
    if min(cohort.size[-2:]) < MIN_SIDE or not 2 <= len(rows) <= MAX_CASES or len(set(subjects.tolist())) < 2:
        return
    order = np.argsort(subjects, kind="stable")
    found = _compared(cohort, rows[order], copies)
    volumes = _volumes(found) if len(cohort.size) == 2 else {}
    yield from _told_volumes(cohort, found, volumes)
    near = (found.detail >= COPY) & ~found.exact
    near &= ~np.array([[tuple(pair) in volumes for pair in pairs] for pairs in found.pairs().tolist()])
    at = np.argwhere(near)
    if len(at):
        twin = found.nearest[at[:, 0], at[:, 1]]
        a, b = sorted(cohort.entry("case_id", int(found.rows[i])) for i in (at[0, 0], twin[0]))
        yield warning(
            f"{len({*at[:, 0].tolist(), *twin.tolist()})} images have a near copy (brightness changed, compressed "
            f"again, shifted or mirrored) under another subject (the first: {a} and {b}): is a person there under two "
            "names?"
        )


def _told_volumes(cohort: Cohort, found: _Compared, volumes: dict[tuple[int, int], float]) -> Iterable[Notice]:
    if volumes:
        splits, subjects = cohort.column("split")[found.rows], cohort.column("subject_id")[found.rows]
        of = dict(zip(found.number.tolist(), zip(subjects.tolist(), splits.tolist(), strict=True), strict=True))
        apart = sum(of[a][1] != of[b][1] for a, b in volumes)
        (a, b) = min(volumes)
        yield warning(
            f"{len(volumes)} pairs of subjects, {apart} of them in two splits, have images as like one another as "
            f"neighbouring slices of one volume are (the first: {of[a][0]} and {of[b][0]}): is a person there under "
            "two names?"
        )


def _compared(cohort: Cohort, rows: np.ndarray, copies: np.ndarray) -> _Compared:
    """Compare cases, sorted by subject, with those of other subjects; fine structures lie in a file meanwhile."""
    number = by_subject(cohort.column("subject_id")[rows]).number
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    blocks = [slice(first, first + BLOCK) for first in range(0, len(rows), BLOCK)]
    small, nearest, detail, halves = [], [], [], _step(cohort) > 1
    with TemporaryFile() as file:
        for block in blocks:
            shown = pictures(cohort, rows[block])
            small.append(thumbnails(shown))
            file.write(structure(shown).tobytes())
        file.flush()
        fine = np.memmap(file, np.int8, "r", shape=(len(rows), *shown.shape[1:]))
        every = np.concatenate(small)
        for block in blocks:
            found = _others(every[block], every, number[block], number, starts, NEAREST)
            mirrored = every[block].reshape(-1, THUMBNAIL, THUMBNAIL)[:, :, ::-1].reshape(-1, THUMBNAIL**2)
            found = np.hstack([found, _others(mirrored, every, number[block], number, starts, 1)])
            ours = fine[block].astype(np.float32)
            alike = [likeness(fine[other].astype(np.float32), ours, halves) for other in found.T[:-1]]
            alike.append(likeness(fine[found[:, -1]].astype(np.float32), ours[:, :, ::-1], halves))
            nearest.append(found)
            detail.append(np.stack(alike, 1))
    every_nearest = np.concatenate(nearest)
    exact = copies[rows][every_nearest] == copies[rows][:, None]
    return _Compared(rows, number, every_nearest, np.concatenate(detail), exact)


def pictures(cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return cases as float32 (n, H, W): the mean of their standardised channels, reduced to sides of about 80 to 160.

    Volumes are shown by their middle slice.
    """
    images = np.asarray(cohort.images)
    images = images[rows, :, images.shape[2] // 2] if images.ndim == 5 else images[rows]
    step = _step(cohort)
    height, width = (side // step for side in images.shape[2:])
    values = images[:, :, : height * step, : width * step].astype(np.float32)
    if step > 1:
        values = values.reshape(*values.shape[:2], height, step, width, step).mean((3, 5))
    values -= values.mean((2, 3), keepdims=True)
    return np.asarray((values / (values.std((2, 3), keepdims=True) + 1e-6)).mean(1))


def _step(cohort: Cohort) -> int:
    """How many pixels along an axis become one."""
    return max(1, min(cohort.size[-2:]) // SIDE)


def thumbnails(shown: np.ndarray) -> np.ndarray:
    """Return pictures (n, H, W) as 8 x 8 means, float32 (n, 64) of mean 0 and length 1."""
    rows, columns = (np.arange(THUMBNAIL) * side // THUMBNAIL for side in shown.shape[1:])
    small = np.add.reduceat(np.add.reduceat(shown, rows, 1), columns, 2)
    small /= np.outer(np.diff([*rows, shown.shape[1]]), np.diff([*columns, shown.shape[2]]))
    flat = small.reshape(len(small), -1)
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6))


def structure(shown: np.ndarray) -> np.ndarray:
    """Return the fine structure of pictures (n, H, W), int8, 127 at one standard deviation."""
    fine = shown - ndimage.uniform_filter(shown, (0, 5, 5))
    spread = fine.std((1, 2), keepdims=True) + 1e-6
    return np.asarray(np.rint(np.clip(fine / spread, -1, 1) * 127).astype(np.int8))


def likeness(one: np.ndarray, other: np.ndarray, halves: bool = False) -> np.ndarray:
    """Return the highest correlation (n,) of structures (n, H, W) over shifts by up to one pixel along each axis.

    With ``halves``, those that are alike are shifted by half pixels too (means of two neighbours): where pictures were
    reduced, one pixel is less.
    """
    best = _highest(one, other)
    close = np.flatnonzero(best >= (ALIKE if halves else np.inf))
    if len(close):
        near, like = one[close], other[close]
        down, right = (near[:, 1:] + near[:, :-1]) / 2, (near[:, :, 1:] + near[:, :, :-1]) / 2
        both = (down[:, :, 1:] + down[:, :, :-1]) / 2
        best[close] = np.max([best[close], *(_highest(moved, like) for moved in (down, right, both))], 0)
    return best


def _highest(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The highest correlation (n,) of the inside of ``other`` with any window of its size in ``one``."""
    height, width = (side - 2 for side in other.shape[1:])
    inner = other[:, 1:-1, 1:-1].reshape(len(other), -1)
    length = np.einsum("np,np->n", inner, inner)
    best = np.full(len(one), -1.0)
    for down in range(one.shape[1] - height + 1):
        for right in range(one.shape[2] - width + 1):
            part = one[:, down : down + height, right : right + width].reshape(len(one), -1)
            power = np.sqrt(np.maximum(np.einsum("np,np->n", part, part) * length, 1))
            best = np.maximum(best, np.einsum("np,np->n", part, inner) / power)
    return best


def _others(
    asked: np.ndarray, small: np.ndarray, own: np.ndarray, number: np.ndarray, starts: np.ndarray, k: int
) -> np.ndarray:
    """The nearest cases (n, k) of k other subjects; cases are sorted by subject, and ``starts`` is each one's first."""
    alike = asked @ small.T
    alike[own[:, None] == number[None]] = -2
    best = np.maximum.reduceat(alike, starts, axis=1)  # by subject
    k = min(k, best.shape[1] - 1)
    nearest = np.argpartition(-best, k - 1, axis=1)[:, :k] if k < best.shape[1] else np.argsort(-best, 1)[:, :k]
    rows = np.arange(len(asked))[:, None]
    found = [np.where(number[None] == subject[:, None], alike, -3).argmax(1) for subject in nearest.T]
    return np.stack(found, 1)[rows, np.argsort(-best[rows, nearest], 1)]


def _volumes(found: _Compared) -> dict[tuple[int, int], float]:
    """Pairs of subjects of whom one has images most like the other's, and by far -> by how much a case."""
    direct = np.where(found.exact, 0, found.detail)[:, :-1]
    if direct.shape[1] < 2:
        return {}
    rows, order = np.arange(len(direct)), np.argsort(-direct, 1)
    lead = direct[rows, order[:, 0]] - direct[rows, order[:, 1]]
    counts = np.bincount(found.number)
    nearest = found.number[found.nearest[rows, order[:, 0]]]
    pairs, which, cases = np.unique(
        np.stack([found.number, nearest], 1), axis=0, return_inverse=True, return_counts=True
    )
    mean = np.bincount(which.reshape(-1), lead) / counts[pairs[:, 0]]
    kept = (mean >= VOLUME) & (cases >= MIN_CASES) & (2 * cases >= counts[pairs[:, 0]])
    return {(min(a, b), max(a, b)): float(m) for (a, b), m in zip(pairs[kept].tolist(), mean[kept], strict=True)}
