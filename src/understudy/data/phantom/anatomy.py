"""The healthy head of the phantom: from a subject's seed to the share of each tissue in each voxel.

Every structure is a signed distance in a template space (x right, y front, z up, mm, origin near the centre of the
brain); a subject is a pose, a smooth deformation of that space and a few sizes. Sulci are the zero level of smooth
noise read at points pushed onto a shell, so that they stand on the surface; cortex is a layer of constant depth below
the surface and the sulci.

**Source**: sizes and places are rounded from what any atlas shows; own construction.
**Differs**: no vessels but the sagittal sinus and sulcal veins, no nerves, no face.
**Checked** in tests/data/phantom/test_anatomy.py (shares sum to 1, ranks of contrasts, subjects, neighbouring slices).
"""

from dataclasses import dataclass

import numpy as np

from understudy.core.seed import rng
from understudy.data.phantom.geometry import (
    NoiseField,
    Volume,
    axes_mm,
    blend,
    ellipsoid,
    mirrored,
    occupancy,
    smooth_noise,
    tube,
)

# In the order of the tissue axis of ``Head.shares``.
TISSUES = ("air", "muscle", "fat", "bone", "marrow", "csf", "grey", "white", "deep grey", "vessel", "hyperintensity")
_BRAIN = ((0, 0, 15), (68, 87, 63))
_HORNS = ((8, 50, 5), (9, 31, 14), (10, 10, 22), (16, -14, 23), (25, -28, 14), (23, -52, 8))
_TEMPORAL_HORN = ((25, -28, 14), (34, -12, -10), (33, 6, -18))
_STEM = ((0, -8, -8), (0, -12, -30), (0, -26, -75))
_SYLVIAN = ((40, 34, -6), (39, 12, 2), (41, -8, 10))


@dataclass(frozen=True)
class Head:
    """A healthy head on a grid (D, H, W); distances in mm, negative inside.

    Attributes:
        shares: float32 (T, D, H, W), the share of each of ``TISSUES``; sums to 1.
        points: float32 (3, D, H, W), template coordinates x, y, z of each voxel.
        brain: distance to the outer surface of the brain.
        depth: depth below the nearest pial surface (sulci included); white matter begins at ``cortex_mm``.
        cavity: distance to the ventricles.
        cortex_mm: thickness of the cortex.
    """

    shares: Volume
    points: Volume
    brain: Volume
    depth: Volume
    cavity: Volume
    cortex_mm: float


@dataclass(frozen=True)
class Push:
    """Mass effect: what lies around ``centre`` (template mm) is pushed outwards within about ``reach_mm``."""

    centre: np.ndarray
    reach_mm: float
    strength: float

    def source(self, points: Volume) -> Volume:
        """Return where the tissue that is now at ``points`` (3, ...) came from."""
        offset = points - self.centre.astype(np.float32).reshape(3, 1, 1, 1)
        fall = np.exp(-(offset**2).sum(0) / np.float32(2 * self.reach_mm**2))
        return points - offset * (self.strength * fall)


def template_points(seed: int, subject: int, shape: tuple[int, int, int]) -> Volume:
    """Template coordinates (3, D, H, W) in mm of each voxel of that subject: pose, size and a smooth deformation."""
    generator = rng(seed, "phantom", subject, "pose")
    axes = axes_mm(shape)
    z, y, x = np.meshgrid(*axes, indexing="ij")
    yaw, roll, pitch = np.deg2rad(generator.normal(0, (3.5, 1.8, 4.0))).astype(np.float32)
    shift = generator.normal(0, (2.0, 3.0, 3.0)).astype(np.float32)
    scale = (generator.normal(1, 0.035) * generator.normal(1, (0.03, 0.035, 0.03))).astype(np.float32)
    x, y, z = x - shift[0], y - shift[1] + 2, z - shift[2]
    x, y = np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y
    x, z = np.cos(roll) * x - np.sin(roll) * z, np.sin(roll) * x + np.cos(roll) * z
    y, z = np.cos(pitch) * y - np.sin(pitch) * z, np.sin(pitch) * y + np.cos(pitch) * z
    points = np.stack((x / scale[0], y / scale[1], z / scale[2]))
    for k in range(3):
        points[k] += 1.8 * smooth_noise(generator, axes, 60)
    return points


def brain_envelope(points: Volume) -> Volume:
    """Distance to the smooth outer surface of cerebrum, without sulci, for points (3, ...) of template space."""
    squared = _egg(points)
    main = np.maximum(ellipsoid(squared, *_BRAIN), -18 - 0.1 * np.clip(points[1], 0, 60) - points[2])
    return blend(main, ellipsoid(mirrored(points), (44, 2, -16), (21, 41, 21)), 8)


def ventricle_axis(points: Volume) -> Volume:
    """Distance in mm to the middle of the nearest lateral ventricle, for points (3, ...) of template space."""
    return tube(mirrored(points), _HORNS, np.zeros(len(_HORNS)))


def _egg(points: Volume) -> Volume:
    """Narrow the front and widen the back, as heads are."""
    width = 1 + np.clip(points[1], -60, 90) * np.float32(0.0016)
    return np.concatenate((points[:1] * width, points[1:]))


def healthy_head(seed: int, subject: int, shape: tuple[int, int, int], push: Push | None = None) -> Head:
    """Build the head of a subject, counted from 0, on a grid (D, H, W), under the mass effect of a lesion, if any.

    The field of view is the same for every shape.
    """
    generator = rng(seed, "phantom", subject, "anatomy")
    axes = axes_mm(shape)
    points = template_points(seed, subject, shape)
    voxel_mm = float(abs(axes[2][1] - axes[2][0]))
    inner = points if push is None else push.source(points)
    inner = inner + 2.0 * np.stack([smooth_noise(generator, axes, 26) for _ in range(3)])
    gap = float(np.clip(generator.gamma(4, 0.75), 1.0, 6.5))  # atrophy widens it
    brain = brain_envelope(points)
    stem = tube(points, _STEM, (15, 14, 8))
    cerebellum = _cerebellum(points)
    skull = _inner_skull(points, brain, cerebellum, stem, gap)
    cavity = _ventricles(inner, generator, gap)
    depth = _pial_depth(inner, brain, generator, gap)
    cortex_mm = float(generator.uniform(3.2, 4.1))
    shares = np.zeros((len(TISSUES), *shape), np.float32)
    shares[0] = 1
    paint = _Painter(shares, voxel_mm)
    thick, scalp = generator.uniform(5.0, 7.5), generator.uniform(4.5, 8.0)
    _paint_outside(paint, points, skull, thick, scalp, smooth_noise(generator, axes, 13))
    paint("csf", skull)
    halo = cavity - generator.gamma(1.6, 1.3) * (1 + 0.7 * smooth_noise(generator, axes, 14))
    _paint_brain(paint, inner, brain, depth, cortex_mm, halo)
    paint("csf", cavity)
    _paint_below(paint, inner, cerebellum, stem, brain, NoiseField(generator, 9))
    _paint_veins(paint, points, skull, depth, brain, smooth_noise(generator, axes, 9))
    return Head(shares, points, brain, depth, cavity, cortex_mm)


class _Painter:
    """Lays one tissue over what is there."""

    def __init__(self, shares: Volume, voxel_mm: float) -> None:
        self.shares, self.voxel_mm = shares, voxel_mm

    def __call__(self, tissue: str, distance: Volume, strength: float | Volume = 1.0) -> None:
        cover = occupancy(distance, self.voxel_mm) * strength
        self.shares *= 1 - cover
        self.shares[TISSUES.index(tissue)] += cover


def _cerebellum(points: Volume) -> Volume:
    lobes = ellipsoid(mirrored(points), (23, -46, -35), (28, 28, 21))
    return blend(lobes, ellipsoid(points, (0, -47, -33), (14, 25, 19)), 6)


def _inner_skull(points: Volume, brain: Volume, cerebellum: Volume, stem: Volume, gap: float) -> Volume:
    dome = np.maximum(ellipsoid(_egg(points), *_BRAIN), gap - 18.5 - 0.1 * np.clip(points[1], 0, 60) - points[2])
    fossa = np.minimum(cerebellum - 1.5, stem - 4)
    return blend(blend(np.minimum(dome, brain) - gap, fossa - 1.5, 12), stem - 4, 6)


def _pial_depth(inner: Volume, brain: Volume, generator: np.random.Generator, gap: float) -> Volume:
    """Depth in mm below the nearest of: surface of the brain, sulci, Sylvian fissures, fissure of the midline."""
    middle, sylvian = _fissures(inner, generator, gap)
    surface = np.minimum(-ellipsoid(_egg(inner), *_BRAIN), middle)
    shell = np.nonzero((surface > -4) & (brain < 2) & (surface < 38))
    at = inner[:, shell[0], shell[1], shell[2]]
    medial = -brain[shell] > middle[shell] + 3
    below = surface[shell] * np.where(medial, np.float32(1.9), np.float32(1))  # medial sulci are short
    at = at + np.stack([3.0 * NoiseField(generator, 15).at(at) for _ in range(3)])
    centre = np.array([[0], [0], [12]], np.float32)
    radius = np.sqrt((((at - centre) / np.array([[68], [87], [63]], np.float32)) ** 2).sum(0))
    onto = (at - centre) / np.maximum(radius, 0.55) ** np.float32(0.8) + centre
    bend = NoiseField(generator, 22).at(at)
    nearest = surface[shell]
    for spacing, reach, width in ((8.6, 25.0, 1.3), (5.8, 14.0, 1.0)):
        spacing, reach = spacing * generator.uniform(0.92, 1.08), reach * generator.uniform(0.85, 1.1)
        floor = reach * np.clip(0.9 + 0.25 * bend, 0.4, 1.3)
        sheet = np.abs(NoiseField(generator, spacing).at(onto)) * np.float32(spacing * 0.62)
        wide = width * (0.15 + 0.2 * gap) * (1 + 0.3 * bend) * np.clip(1.1 - below / floor, 0.1, 1)
        nearest = np.minimum(nearest, np.hypot(sheet, np.clip(below - floor, 0, None) * 1.3) - wide)
    depth = np.minimum(-brain, middle)
    depth[shell] = np.minimum(depth[shell], nearest)
    return np.minimum(depth, sylvian)


def _fissures(inner: Volume, generator: np.random.Generator, gap: float) -> tuple[Volume, Volume]:
    """Distances to the fissure between the hemispheres and to the Sylvian fissures."""
    callosum = ellipsoid(inner, (0, 6, 4), (60, 44, 26))
    middle = np.hypot(inner[0], np.clip(-callosum, 0, None)) - 0.3 - 0.2 * gap
    paired = mirrored(inner)
    insula = tube(paired, _SYLVIAN, (2.0, 2.2, 1.2)) - generator.uniform(0, 0.35) * gap
    opening = tube(paired, ((40, 16, -1), (66, 14, 1)), (1.4, 1.6)) - 0.15 * gap
    return middle, np.minimum(insula, opening)


def _ventricles(inner: Volume, generator: np.random.Generator, gap: float) -> Volume:
    size = float(np.clip(generator.normal(0.75 + 0.09 * gap, 0.18), 0.5, 1.6))
    lean = float(generator.normal(0, 0.9))
    horn = np.array((3.0, 5.4, 4.6, 5.2, 7.0, 2.5)) * size * generator.uniform(0.85, 1.15, 6)
    paired = np.stack((np.abs(inner[0]), inner[1] + generator.normal(0, 2.0), inner[2]))
    side = lean * np.tanh(inner[0] / 8)
    lateral = tube(paired, _HORNS, horn) - side
    lateral = np.maximum(lateral, 0.8 - paired[0])  # the septum
    temporal = tube(paired, _TEMPORAL_HORN, (4.5 * size, 2.4 * size, 1.6 * size))
    third = ellipsoid(inner, (0, 5, 2), (1.2 + 1.3 * size, 14, 11))
    fourth = ellipsoid(inner, (0, -28, -33), (6 * size**0.5, 4.5, 9))
    return np.minimum(np.minimum(lateral, temporal), np.minimum(third, fourth))


def _paint_outside(paint: _Painter, points: Volume, skull: Volume, thick: float, scalp: float, blotch: Volume) -> None:
    lower = ellipsoid(points * np.array([1, 1, 0.35], np.float32).reshape(3, 1, 1, 1), (0, 1, 0), (69, 91, 62))
    head = np.minimum(skull - thick - scalp, np.maximum(lower, points[2] + 8))
    paint("fat", head)
    paint("muscle", np.maximum(head + 3.5, points[2] + 22 + 6 * blotch), np.clip(0.75 + 0.4 * blotch, 0, 1))
    paint("bone", np.maximum(skull - thick, head + 1))
    paint("marrow", np.maximum(skull - thick + 1.8, 1.8 - skull), 0.75)
    paired = mirrored(points)
    paint("air", ellipsoid(points, (0, 70, -36), (13, 14, 12)))
    paint("fat", np.maximum(ellipsoid(paired, (31, 60, -35), (17, 24, 15)), np.maximum(-skull, head)))
    paint("csf", np.maximum(ellipsoid(paired, (31, 70, -35), (12, 12, 12)), np.maximum(-skull, head + 1)))


def _paint_brain(paint: _Painter, inner: Volume, brain: Volume, depth: Volume, cortex_mm: float, halo: Volume) -> None:
    paint("grey", np.maximum(brain, -depth))
    paint("white", np.maximum(brain, cortex_mm - depth))
    paired = mirrored(inner)
    tilt = np.stack((paired[0] + 0.22 * (paired[1] - 20), paired[1], paired[2]))
    for centre, radii in (((26, 20, 3), (6.5, 17, 10)), ((11, -3, 8), (8.5, 14, 9)), ((15, 31, 10), (5, 10, 9))):
        paint("deep grey", ellipsoid(tilt if centre[0] > 20 else paired, centre, radii), 0.85)
    claustrum = np.maximum(np.abs(ellipsoid(tilt, (26, 20, 3), (6.5, 17, 10)) - 3.5) - 0.7, 30 - paired[0])
    paint("grey", claustrum, 0.5)
    patchy = np.maximum(np.maximum(halo, np.abs(inner[2] - 12) - 22), 2 - np.abs(inner[0]))
    paint("hyperintensity", np.maximum(patchy, cortex_mm - depth), 0.6)


def _paint_below(
    paint: _Painter, inner: Volume, cerebellum: Volume, stem: Volume, brain: Volume, noise: NoiseField
) -> None:
    folia = noise.at(inner * np.array([0.45, 1.0, 1.3], np.float32).reshape(3, 1, 1, 1))
    outside = np.maximum(cerebellum, -brain - 2)
    leaf = np.abs(folia) * 4.5
    paint("grey", outside)
    paint("csf", np.maximum(outside, np.maximum(leaf - 0.7, -cerebellum - 5)))
    paint("white", np.maximum(cerebellum + 6, 1.6 - leaf), 0.9)
    paint("white", cerebellum + 12, 0.9)
    paint("white", np.maximum(stem, -6 - brain), 0.85)
    paint("csf", ellipsoid(inner, (0, -28, -33), (6, 4, 8)))


def _paint_veins(paint: _Painter, points: Volume, skull: Volume, depth: Volume, brain: Volume, blotch: Volume) -> None:
    rim = np.hypot(points[0], skull + 3) - 3.2
    paint("vessel", np.maximum(rim, 10 - points[2] + 0.25 * points[1]), 0.85)
    paint("vessel", np.maximum(np.abs(depth + 0.6) - 0.9, brain), 0.35 * np.clip(blotch - 0.8, 0, 1))
