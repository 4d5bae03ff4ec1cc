"""Space for the phantom: a field of view in mm, smooth noise that does not depend on the voxel size, signed distances.

Everything the phantom is made of is a function of millimetres, so one subject has the same anatomy at 32 and at 256
pixels. Distances are in mm and negative inside.

**Source**: the ellipsoid's distance is the first-order estimate f / |grad f| of an implicit surface (G. Taubin,
Distance approximations for rasterizing implicit curves, ACM Transactions on Graphics 13(1), 1994); the noise is a
uniform cubic B-spline with normal coefficients.
**Differs**: own lines; the noise is scaled to unit variance averaged over the cell.
**Checked** in tests/data/phantom/test_geometry.py (distance to a sphere within 1e-3 mm; noise: unit variance, same
field at two voxel sizes within 1e-4).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

Volume = np.ndarray
Axes = tuple[Volume, Volume, Volume]  # voxel centres in mm along z, y, x

FIELD_OF_VIEW_MM = (155.0, 240.0, 240.0)  # along D (inferior to superior), H (anterior to posterior), W (right to left)
_LOWEST_MM = -67.0
_SPLINE_STD = (151 / 315) ** 0.5  # per axis: root mean square of the four cubic B-spline weights


def voxel_size(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Return the voxel size in mm along (D, H, W) of a volume of that shape."""
    depth, height, width = (extent / count for extent, count in zip(FIELD_OF_VIEW_MM, shape, strict=True))
    return depth, height, width


def axes_mm(shape: tuple[int, ...]) -> Axes:
    """Voxel centres in mm: z up (rises along D), y to the front (falls along H), x to the right (falls along W)."""
    size = voxel_size(shape)
    centres = [(np.arange(count, dtype=np.float32) + 0.5) * step for count, step in zip(shape, size, strict=True)]
    return (
        (centres[0] + _LOWEST_MM).astype(np.float32),
        (FIELD_OF_VIEW_MM[1] / 2 - centres[1]).astype(np.float32),
        (FIELD_OF_VIEW_MM[2] / 2 - centres[2]).astype(np.float32),
    )


def affine_mm(shape: tuple[int, ...], slice_index: int | None = None) -> np.ndarray:
    """Return the matrix from array indices (D, H, W) of a volume, or of one of its slices, to RAS millimetres.

    It is float64 (4, 4). For a slice, D counts from that slice: its index is 0.
    """
    z, y, x = axes_mm(shape)
    depth, height, width = voxel_size(shape)
    affine = np.zeros((4, 4))
    affine[:, 3] = x[0], y[0], z[slice_index or 0], 1
    affine[2, 0], affine[1, 1], affine[0, 2] = depth, -height, -width
    return affine


def smooth_noise(generator: np.random.Generator, axes: Axes, length_mm: float) -> Volume:
    """Draw smooth noise of mean 0 and variance 1 on a grid inside the field of view, float32 (D, H, W).

    The spline's knots lie ``length_mm`` apart, about the size of the blobs: it alone says how many coefficients are
    drawn.
    """
    lowest = (_LOWEST_MM, -FIELD_OF_VIEW_MM[1] / 2, -FIELD_OF_VIEW_MM[2] / 2)
    counts = [int(np.ceil(extent / length_mm)) + 4 for extent in FIELD_OF_VIEW_MM]
    field = generator.standard_normal(counts, dtype=np.float32)
    for k in (2, 1, 0):  # the last one moves whole slices
        field = _spline(field, (axes[k] - np.float32(lowest[k])) / np.float32(length_mm) + 1, k)
    return field / np.float32(_SPLINE_STD**3)


def _spline(knots: Volume, position: Volume, axis: int) -> Volume:
    """Cubic B-spline with those coefficients along one axis, at positions counted in knots (1 is the second knot)."""
    first = np.floor(position).astype(np.int64) - 1
    side = [1, 1, 1]
    side[axis] = len(position)
    total: Volume | None = None
    for tap in range(4):
        distance = np.abs(position - (first + tap))
        near, far = 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6
        term = np.take(knots, first + tap, axis) * np.where(distance < 1, near, far).astype(np.float32).reshape(side)
        total = term if total is None else total + term
    return np.asarray(total)


class NoiseField:
    """Smooth noise of variance 1 that can be read at any point, not on a grid alone."""

    def __init__(self, generator: np.random.Generator, length_mm: float) -> None:
        """Draw the field and tabulate it at 2.5 points a knot."""
        shape = [int(extent / (length_mm / 2.5)) for extent in FIELD_OF_VIEW_MM]
        self._axes = axes_mm(tuple(shape))
        self._table = smooth_noise(generator, self._axes, length_mm)

    def at(self, points: Volume) -> Volume:
        """Read the field at ``points`` (3, ...), mm in order x, y, z; reflected outside the field of view."""
        indices = [(points[2 - k] - axis[0]) / (axis[1] - axis[0]) for k, axis in enumerate(self._axes)]
        return ndimage.map_coordinates(self._table, np.stack(indices), order=1, mode="mirror", prefilter=False)


def mirrored(points: Volume) -> Volume:
    """Return points (3, ...) with the left half laid onto the right: structures that come in pairs are drawn once."""
    return np.concatenate((np.abs(points[:1]), points[1:]))


def _column(values: ArrayLike, points: Volume) -> Volume:
    return np.asarray(values, dtype=np.float32).reshape(3, *[1] * (points.ndim - 1))


def ellipsoid(points: Volume, centre: ArrayLike, radii: ArrayLike) -> Volume:
    """Approximate signed distance in mm of ``points`` (3, ...) to an ellipsoid; exact for a sphere."""
    offset = (points - _column(centre, points)) / _column(radii, points)
    level = np.sqrt((offset**2).sum(0))
    slope = np.sqrt(((offset / _column(radii, points)) ** 2).sum(0))
    return level * (level - 1) / np.maximum(slope, 1e-6)


def tube(points: Volume, path: ArrayLike, radii: ArrayLike) -> Volume:
    """Signed distance in mm of points (3, ...) to a tube along corners (n, 3) with radii (n,), linear in between."""
    corners, widths = np.asarray(path, np.float32), np.asarray(radii, np.float32)
    nearest: Volume | None = None
    for start, end, first, last in zip(corners[:-1], corners[1:], widths[:-1], widths[1:], strict=True):
        along, offset = end - start, points - _column(start, points)
        part = np.clip((_column(along, points) * offset).sum(0) / (along @ along), 0, 1)
        gap = np.sqrt(((offset - _column(along, points) * part) ** 2).sum(0)) - (first + part * (last - first))
        nearest = gap if nearest is None else np.minimum(nearest, gap)
    if nearest is None:
        raise ValueError(f"a tube needs at least 2 corners, found {len(corners)}")
    return nearest


def blend(first: Volume, second: Volume, radius_mm: float) -> Volume:
    """Union of two distances with the crease rounded over ``radius_mm`` (polynomial smooth minimum)."""
    overlap = np.clip(radius_mm - np.abs(first - second), 0, None) / radius_mm
    return np.minimum(first, second) - overlap**2 * (radius_mm / 4)


def occupancy(distance: Volume, voxel_mm: float) -> Volume:
    """Share in [0, 1] of a voxel that lies inside a surface at that signed distance (a plane, seen face on)."""
    return np.clip(0.5 - distance / voxel_mm, 0, 1).astype(np.float32)
