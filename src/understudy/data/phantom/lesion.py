"""The tumour of the phantom: a necrotic core, an enhancing rim and oedema that runs along the white matter.

The core is a deformed ellipsoid, the rim has a thickness of its own everywhere, and the oedema is what lies within
reach of the core, deeper than the cortex: it follows the white matter into the gyri, hence its fingers, and stops at
cortex, ventricles and fissures.

**Source**: sub-regions as in B. Menze et al., The Multimodal Brain Tumor Image Segmentation Benchmark, IEEE
Transactions on Medical Imaging 34(10), 2015; order of the labels as in M. U. Akbar et al., Brain tumor segmentation
using synthetic MR images, Scientific Data 11, 2024 (necrosis, oedema, enhancing).
**Differs**: one lesion a subject, none below the tentorium.
**Checked** in tests/data/phantom/test_lesion.py (enhancing around necrosis, oedema in the brain, one piece).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from understudy.core.seed import rng
from understudy.data.phantom.anatomy import Head, Push, brain_envelope, ventricle_axis
from understudy.data.phantom.geometry import Volume, axes_mm, occupancy, smooth_noise

NECROSIS, OEDEMA, ENHANCING = 1, 2, 3


@dataclass(frozen=True)
class PhantomLesion:
    """Sizes in mm of one subject's tumour, in template space."""

    centre: np.ndarray
    radius_mm: float
    stretch: np.ndarray
    rim_mm: float
    reach_mm: float
    conspicuity: float

    @property
    def push(self) -> Push:
        """The mass effect on what lies around."""
        return Push(self.centre, 1.15 * self.radius_mm, 0.65)


def draw_lesion(seed: int, subject: int) -> PhantomLesion:
    """Draw place and size of a subject's tumour: above the tentorium, inside one hemisphere."""
    generator = rng(seed, "phantom", subject, "lesion")
    radius = float(generator.uniform(12, 26))
    for _ in range(200):
        centre = generator.uniform((14, -58, -8), (50, 58, 52)) * (generator.choice((-1, 1)), 1, 1)
        point = centre.astype(np.float32).reshape(3, 1)
        inside, aside = -brain_envelope(point)[0], ventricle_axis(point)[0]
        if inside > 9 + 0.5 * radius and aside > 8 + 0.4 * radius:
            break
    stretch = np.exp(generator.normal(0, 0.17, 3))
    rim = float(generator.uniform(4.0, 7.0) * (0.7 + radius / 50))
    reach = float(generator.gamma(5, 3.2) + 5)
    return PhantomLesion(centre, radius, stretch, rim, reach, float(generator.uniform(0.55, 1.0)))


def grow_lesion(lesion: PhantomLesion, head: Head, seed: int, subject: int) -> tuple[Volume, Volume]:
    """Grow the tumour in a head that has the lesion's mass effect.

    Returns:
        Shares float32 (3, D, H, W) in [0, 1] of necrosis, oedema and enhancing tumour (what is left is healthy), and
        the label map uint8 (D, H, W).
    """
    generator = rng(seed, "phantom", subject, "growth")
    axes = axes_mm(head.brain.shape)
    voxel_mm = float(abs(axes[2][1] - axes[2][0]))
    offset = (head.points - lesion.centre.astype(np.float32).reshape(3, 1, 1, 1)) / lesion.stretch.reshape(3, 1, 1, 1)
    distance = np.sqrt((offset**2).sum(0)).astype(np.float32)
    rough = 0.20 * smooth_noise(generator, axes, 17) + 0.08 * smooth_noise(generator, axes, 8)
    core = distance - lesion.radius_mm * (1 + rough)
    walls = np.maximum(head.brain + 1.5, 1.0 - head.cavity)
    core = _in_one_piece(np.maximum(core, np.maximum(walls, 1.5 - np.abs(head.points[0]))), voxel_mm)
    rim = np.maximum(lesion.rim_mm * (1 + 0.45 * smooth_noise(generator, axes, 11)), 3.4)
    necrosis = core + rim
    tide = distance - lesion.radius_mm - lesion.reach_mm * (1 + 0.45 * smooth_noise(generator, axes, 20))
    tide = tide + 2.5 * smooth_noise(generator, axes, 8)
    white = np.maximum(head.cortex_mm + 0.3 - head.depth, np.maximum(head.brain + 2, 0.5 - head.cavity))
    oedema = np.maximum(tide, white)
    kept = _joined(oedema < 0, core < 0)
    labels = np.zeros(core.shape, np.uint8)
    labels[kept] = OEDEMA
    labels[core < 0] = ENHANCING
    labels[necrosis < 0] = NECROSIS
    fade = np.clip(0.35 - tide / max(lesion.reach_mm, 6.0) * 1.1, 0.35, 1)
    fade = fade * (1 + 0.15 * smooth_noise(generator, axes, 7))
    wet = occupancy(oedema, voxel_mm) * ndimage.binary_dilation(kept) * np.clip(fade * lesion.conspicuity, 0, 1)
    solid, dead = occupancy(core, voxel_mm), occupancy(necrosis, voxel_mm)
    return np.stack((dead, wet * (1 - solid), solid - dead)).astype(np.float32), labels


def _in_one_piece(core: Volume, voxel_mm: float) -> Volume:
    """Drop all but the largest part of a region, given and returned as a distance."""
    parts, count = ndimage.label(core < 0)
    if count < 2:
        return core
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return np.where((parts > 0) & (parts != largest), np.float32(voxel_mm), core)


def _joined(region: Volume, core: Volume) -> Volume:
    """Keep the parts of a region that touch the core."""
    parts, _ = ndimage.label(region | core)
    return np.asarray(region & np.isin(parts, np.unique(parts[core & (parts > 0)])))
