"""Resampling: an array that lies on one grid, put on another, in one space.

Each voxel centre of the new grid takes what lies there in the old one: linear interpolation of an image, the nearest
voxel of a label map. The half voxel around an old grid belongs to its outermost voxels; beyond it stands a fill value.
**Source** for the borders: SimpleITK's ``ResampleImageFilter``, whose buffers end half a voxel beyond the last centre.
**Differs** from it where grids coincide voxel by voxel (up to turned axes and whole shifts): values are copied, bit for
bit. Nothing is smoothed: an image that becomes much coarser keeps the noise of its voxels.
Memory: the result, and one plane of one channel in float64.
**Checked** in tests/data/test_resampling.py (SimpleITK's filter, all 48 orientations, a linear ramp).
"""

from typing import Protocol

import numpy as np
from scipy.ndimage import affine_transform

from understudy.core.errors import UnderstudyError

COINCIDE = 1e-3  # voxels, at any corner, up to which grids are one and values are copied


class TargetGrid(Protocol):
    """A grid: ``affine`` (4, 4), indices (i, j, k, 1) to millimetres, and ``size`` (I, J, K)."""

    @property
    def affine(self) -> np.ndarray:
        """Return the affine."""
        ...

    @property
    def size(self) -> tuple[int, int, int]:
        """Return (I, J, K)."""
        ...


def onto_grid(array: np.ndarray, affine: np.ndarray, grid: TargetGrid, order: int = 1, fill: float = 0) -> np.ndarray:
    """Put an array (C, i, j, k) with its affine on a grid: (C, I, J, K) of the same type.

    Args:
        array: numbers of any type; integers come back rounded.
        affine: (4, 4), the array's indices (i, j, k, 1) to millimetres.
        grid: where the result lies; in the same space as ``affine``.
        order: 1 for images (linear), 0 for label maps (nearest).
        fill: value of voxels that lie outside the array.

    Raises:
        UnderstudyError: an affine has no inverse: its voxels have no volume.
    """
    step = between(affine, grid.affine)
    lattice = whole_steps(step, grid.size)
    if lattice is not None:
        return _copied(array, lattice, grid.size, fill)
    result = np.full((len(array), *grid.size), fill, array.dtype)
    whole = array.dtype.kind in "iub"
    for i in range(grid.size[0]):
        start = step[:3, 0] * i + step[:3, 3]
        inside = _inside(step, start, array.shape[1:], grid.size[1:])
        for channel, target in zip(array, result, strict=True) if inside.any() else ():
            found = affine_transform(
                channel, step[:3, :3], start, (1, *grid.size[1:]), np.float64, order=order, mode="nearest"
            )[0]  # fmt: skip
            np.copyto(target[i], np.rint(found) if whole else found, "unsafe", inside)
    return result


def between(affine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (4, 4): indices (i, j, k, 1) of the other grid to those of the first, in voxels.

    Raises:
        UnderstudyError: an affine has no inverse, or is not finite.
    """
    for one in (affine, other):
        if not np.isfinite(one).all() or not abs(np.linalg.det(one[:3, :3])) > 1e-12:
            raise UnderstudyError(
                "a volume's geometry gives its voxels no volume (an affine without an inverse): its header is damaged; "
                "repair or remove it"
            )
    return np.linalg.inv(affine) @ other


def whole_steps(step: np.ndarray, size: tuple[int, ...], tolerance: float = COINCIDE) -> np.ndarray | None:
    """Return the whole numbers (4, 4) that a step between grids is, or None where no corner-to-corner copy is exact.

    Args:
        step: what :func:`between` gives, from a grid of this ``size``.
        size: along each axis of that grid.
        tolerance: voxels, by which a corner may lie aside.
    """
    if not np.isfinite(step).all() or np.abs(step).max() > 2**31:
        return None
    whole = np.rint(step)
    once = np.abs(whole[:3, :3])
    if not (once.sum(0) == 1).all() or not (once.sum(1) == 1).all():
        return None
    away = np.abs((step - whole)[:3])
    far = away[:, :3] @ (np.array(size, float) - 1) + away[:, 3]
    return whole.astype(np.int64) if far.max() <= tolerance else None


def shared(
    lattice: np.ndarray, source: tuple[int, ...], target: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...], tuple[int, ...]]:
    """Return where two grids share voxels: slices of the source, slices of the target, and the order of source axes.

    ``target[slices] = source[slices].transpose(order)`` copies all that they share.

    Args:
        lattice: whole steps (4, 4), indices (i, j, k, 1) of the target to those of the source.
        source: size along each axis.
        target: size along each axis.
    """
    order = tuple(np.abs(lattice[:3, :3]).argmax(0).tolist())
    taken, put = [slice(0)] * 3, [slice(0)] * 3
    for axis, along in enumerate(order):
        step, start = int(lattice[along, axis]), int(lattice[along, 3])
        last = source[along] - 1
        first = max(0, -start if step > 0 else start - last)
        stop = min(target[axis], last - start + 1 if step > 0 else start + 1)
        if first < stop:
            put[axis] = slice(first, stop)
            ends = step * first + start, step * (stop - 1) + start + step
            taken[along] = slice(ends[0], ends[1] if ends[1] >= 0 else None, step)
    return tuple(taken), tuple(put), order


def _copied(array: np.ndarray, lattice: np.ndarray, size: tuple[int, ...], fill: float) -> np.ndarray:
    """Values at whole steps, without arithmetic."""
    result = np.full((len(array), *size), fill, array.dtype)
    taken, put, order = shared(lattice, array.shape[1:], size)
    for channel, target in zip(array, result, strict=True):
        target[put] = channel[taken].transpose(order)
    return result


def _inside(step: np.ndarray, start: np.ndarray, size: tuple[int, ...], plane: tuple[int, int]) -> np.ndarray:
    """Which voxels (J, K) of a plane lie within half a voxel of an array of this size."""
    rows, columns = np.arange(plane[0])[:, None], np.arange(plane[1])
    inside = np.ones(plane, bool)
    for axis in range(3):
        at = step[axis, 1] * rows + step[axis, 2] * columns + start[axis]
        inside &= (at >= -0.5 - 1e-9) & (at <= size[axis] - 0.5 + 1e-9)
    return inside
