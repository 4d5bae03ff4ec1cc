"""Shapes of lesions, changed through their signed distance functions: shrunk, grown, rotated, deformed, respaced.

Each class and all that lies deeper (the whole lesion, core with rim, rim ...) has a signed distance function phi, < 0
inside. A change moves phi, and the lesion is read back as the n voxels where phi is smallest, n being the number asked
for: volumes are met to the voxel, and nested classes stay nested.
**Source** of phi: S. Osher and J. A. Sethian, Fronts propagating with curvature-dependent speed, J. Comput. Phys. 79,
1988; of the deformation, a smoothed random displacement: P. Y. Simard, D. Steinkraus and J. C. Platt, Best practices
for convolutional neural networks applied to visual document analysis, ICDAR 2003.
**Differs** from interpolating the label map, which loses thin classes and changes volumes.
**Checked** in tests/synthesis/editing/test_shapes.py (volumes of every class, centroids, nesting, in 2D and 3D).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from understudy.core.errors import UsageError
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion

Level = tuple[int, np.ndarray, int]  # class; phi of it and all deeper ones, mm; their number of voxels
SMOOTH = 1.0  # voxels; a smoothed phi decides between voxels at equal distance
DISPLACED = 3.0  # largest displacement, in root mean squares


def signed_distance(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the distance in mm to the nearest voxel of the other kind, < 0 inside; beside the array is outside."""
    wide, inner = np.pad(mask, 1), (slice(1, -1),) * mask.ndim
    outside, inside = (ndimage.distance_transform_edt(m, sampling=spacing)[inner] for m in (~wide, wide))
    return outside - inside


def nearest(phi: np.ndarray, count: int, candidates: np.ndarray) -> np.ndarray:
    """Return the ``count`` candidates where phi is smallest, bool (*S); at equal phi those that make the shape rounder.

    Phi and candidates are (*S); all candidates are returned where there are no more than ``count``.
    """
    values = phi[candidates]
    if count >= len(values):
        return candidates.copy()
    limit = np.partition(values, count - 1)[count - 1]
    out = candidates & (phi < limit)
    ties, missing = np.argwhere(candidates & (phi == limit)), count - np.count_nonzero(out)
    if len(ties) > missing:
        smooth = ndimage.gaussian_filter(phi, SMOOTH, mode="nearest")[tuple(ties.T)]
        ties = ties[np.argsort(smooth, kind="stable")[:missing]]
    out[tuple(ties.T)] = True
    return out


def levels(lesion: Lesion, factor: float = 1.0) -> list[Level]:
    """Return a lesion's classes, the outermost first, each with its phi and the voxels it shall have with all deeper.

    Classes are ordered by their mean depth below the lesion's surface; ``factor`` is of the numbers of voxels.
    """
    depth = signed_distance(lesion.mask, lesion.spacing)
    values = np.unique(lesion.classes[lesion.mask]).tolist()
    values.sort(key=lambda k: -depth[lesion.classes == k].mean())
    unions = [np.isin(lesion.classes, values[i:]) for i in range(len(values))]
    return [
        (k, signed_distance(union, lesion.spacing), max(1, round(factor * int(union.sum()))))
        for k, union in zip(values, unions, strict=True)
    ]


def read_back(stack: Sequence[Level], region: np.ndarray) -> np.ndarray:
    """Return the classes uint8 (*S) of a lesion from its levels, within a region; each level within the one before."""
    out = np.zeros(region.shape, np.uint8)
    for k, phi, count in stack:
        region = nearest(phi, count, region)
        out[region] = k
    return out


def shrunk(lesion: Lesion, factor: float) -> Lesion:
    """Return a lesion with ``factor`` <= 1 of its volume, within where it was; every class shrinks alike."""
    return Lesion.of(read_back(levels(lesion, factor), lesion.mask), lesion.corner, lesion.spacing)


def grown(lesion: Lesion, factor: float, allowed: np.ndarray) -> Lesion:
    """Return a lesion with ``factor`` >= 1 times its volume, every class grown alike, connected with where it was.

    It lies, and grows outwards, only where it may: ``allowed``, bool (*S). Raises CannotBeMet without that much room.
    """
    reach = _radius(factor * lesion.voxels * math.prod(lesion.spacing), lesion.classes.ndim)
    margins = [math.ceil(reach / s) + 1 for s in lesion.spacing]
    near = tuple(
        slice(max(b.start - m, 0), min(b.stop + m, n))
        for b, m, n in zip(lesion.box, margins, allowed.shape, strict=True)
    )
    everywhere = tuple(slice(0, n) for n in allowed.shape)
    found = _grown(lesion, factor, allowed, near, reach) or _grown(lesion, factor, allowed, everywhere, math.inf)
    if found is None:
        raise CannotBeMet(
            "no room to grow", f"a lesion of {lesion.voxels} voxels cannot grow to {factor:g} times where it may lie"
        )
    return found


def _grown(
    lesion: Lesion, factor: float, allowed: np.ndarray, window: tuple[slice, ...], reach: float
) -> Lesion | None:
    """Grow within a window; None where it has not the room, or where more than ``reach`` mm were needed."""
    start = Lesion(lesion.on(allowed.shape)[window], tuple(part.start for part in window), lesion.spacing)
    stack = levels(start, factor)
    _, phi, count = stack[0]
    region = _reached(start.mask, allowed[window] | start.mask)
    while np.count_nonzero(region) >= count:
        chosen = nearest(phi, count, region)
        loose = chosen & ~_reached(start.mask, chosen)
        if not loose.any():
            near = phi[chosen].max() <= reach
            return Lesion.of(read_back(stack, region), start.corner, lesion.spacing) if near else None
        region = region & ~loose
    return None


def _reached(start: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the connected parts of a region that contain voxels of ``start``."""
    parts, _ = ndimage.label(region, np.ones((3,) * region.ndim))
    return np.isin(parts, np.unique(parts[start & region])) & region


def rotated(lesion: Lesion, degrees: float, axis: int = 0) -> Lesion:
    """Return a lesion rotated around its centroid, in mm; its volume stays.

    Positive ``degrees`` go from the first towards the second of the axes of rotation; in 3D ``axis`` stays: 0, 1 or 2,
    else a UsageError.
    """
    dims = lesion.classes.ndim
    if not 0 <= axis < 3:
        raise UsageError(f"a lesion is rotated about axis 0, 1 or 2, found {axis}")
    i, j = (0, 1) if dims == 2 else [a for a in range(3) if a != axis]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = np.eye(dims)
    back[i, i], back[i, j], back[j, i], back[j, j] = cos, sin, -sin, cos
    offsets = (np.argwhere(lesion.classes) + np.array(lesion.corner) - lesion.centroid) * lesion.spacing
    reach = float(np.linalg.norm(offsets, axis=1).max())
    return _carried(lesion, reach, lambda position: np.tensordot(back, position, 1)).centred(lesion.centroid)


def deformed(lesion: Lesion, strength: float, generator: np.random.Generator) -> Lesion:
    """Return a lesion deformed by a smooth random displacement; its volume and centroid stay.

    ``strength``, 0 to 1 (else UsageError), is the root mean square of the displacement along each axis, as a share of
    the radius of a ball of the lesion's volume; above about 0.5 it is hardly itself.
    """
    if not 0 <= strength <= 1:
        raise UsageError(f"a deformation has a strength from 0 to 1, found {strength:g}")
    radius = _radius(lesion.voxels * math.prod(lesion.spacing), lesion.classes.ndim)
    width = [max(radius / 2 / s, 1.0) for s in lesion.spacing]

    def back(position: np.ndarray) -> np.ndarray:
        noise = generator.standard_normal(position.shape)
        field = np.stack([ndimage.gaussian_filter(part, width, mode="reflect") for part in noise])
        flat = field.reshape(len(field), -1)
        rms = np.sqrt(((flat - flat.mean(1, keepdims=True)) ** 2).mean())
        shift = np.clip((flat - flat.mean(1, keepdims=True)) / rms, -DISPLACED, DISPLACED).reshape(position.shape)
        return position + strength * radius * shift

    return _carried(lesion, DISPLACED * strength * radius, back).centred(lesion.centroid)


def respaced(lesion: Lesion, spacing: Sequence[float]) -> Lesion:
    """Return a lesion on voxels of another size; its volume in mm stays, its place must be given anew."""
    same = tuple(float(s) for s in spacing) == lesion.spacing
    return lesion if same else _carried(lesion, max(lesion.spacing), lambda position: position, spacing)


def _carried(
    lesion: Lesion, margin: float, back: Callable[[np.ndarray], np.ndarray], spacing: Sequence[float] | None = None
) -> Lesion:
    """Carry a lesion's signed distances along a mapping and read it back with the volume that it had.

    ``back`` maps positions in mm from the centroid, (dims, *S), to those that come to lie there, up to ``margin`` mm
    out of the box; ``spacing`` is mm per voxel of the result, None: as before.
    """
    old, new = np.array(lesion.spacing), np.array(spacing or lesion.spacing, float)
    canvas = lesion.padded([math.ceil(margin / s) + 2 for s in old])
    middle = canvas.centroid - np.array(canvas.corner)
    shape = tuple(math.ceil(n * f) for n, f in zip(canvas.classes.shape, old / new, strict=True))
    upright = (-1,) + (1,) * len(shape)
    target = ((middle + 0.5) * old / new - 0.5).reshape(upright)
    source = back((np.indices(shape) - target) * new.reshape(upright)) / old.reshape(upright) + middle.reshape(upright)
    stack = [
        (k, ndimage.map_coordinates(phi, source, order=1, mode="nearest"), count)
        for k, phi, count in levels(canvas, float(np.prod(old / new)))
    ]
    _, parts = ndimage.label(lesion.mask, np.ones((3,) * len(shape)))
    return Lesion.of(read_back(stack, _whole(stack[0], parts)), canvas.corner, new.tolist())


def _whole(outermost: Level, parts: int) -> np.ndarray:
    """Return the region, bool (*S), in which a lesion that is read back has no more connected parts than these."""
    _, phi, count = outermost
    region = np.ones(phi.shape, bool)
    while True:
        found, n = ndimage.label(nearest(phi, count, region), np.ones((3,) * phi.ndim))
        if n <= parts:
            return region
        sizes = np.bincount(found.reshape(-1))[1:]
        region &= ~np.isin(found, 1 + np.argsort(sizes, kind="stable")[: n - parts])


def _radius(volume: float, dims: int) -> float:
    """Radius of a disc or ball."""
    return math.sqrt(volume / math.pi) if dims == 2 else (volume * 3 / (4 * math.pi)) ** (1 / 3)
