"""Procedural multi-contrast brain with a tumour: a data set that needs no patient and no download.

A subject is a 3D head (T1, T1c, T2, FLAIR and a label map), the same at every size, from which axial slices are cut.
Meant for demos and tests; it looks like MR and has the rank of its contrasts, and is no model of any disease.

**Source**: own construction; noise as in H. Gudbjartsson and S. Patz, The Rician distribution of noisy MRI data,
Magnetic Resonance in Medicine 34, 1995 (magnitude of a complex signal with Gaussian noise in both parts).
**Differs**: contrasts come from a table and not from Bloch equations; no slice cross-talk, no motion.
**Checked** in tests/data/phantom/test_phantom.py (determinism, subjects, slices, contrasts, topology, shapes).
"""

import numpy as np
from scipy import ndimage

from understudy.core.errors import UsageError
from understudy.core.seed import rng
from understudy.data.phantom.anatomy import TISSUES, healthy_head
from understudy.data.phantom.geometry import Volume, axes_mm, smooth_noise, voxel_size
from understudy.data.phantom.lesion import draw_lesion, grow_lesion

MODALITY = "MR"
CHANNELS = ("T1", "T1c", "T2", "FLAIR")
CLASS_NAMES = ("background", "necrosis", "oedema", "enhancing")
SLICES = 24  # axial ones of the volume from which a 2D cohort is cut; more where a subject gives more than half of them

_SIGNAL = {  # T1, T1c, T2, FLAIR
    "air": (0.00, 0.00, 0.00, 0.00),
    "muscle": (0.34, 0.42, 0.20, 0.26),
    "fat": (0.82, 0.82, 0.60, 0.58),
    "bone": (0.06, 0.06, 0.04, 0.05),
    "marrow": (0.45, 0.46, 0.28, 0.30),
    "csf": (0.13, 0.14, 0.92, 0.09),
    "grey": (0.44, 0.47, 0.52, 0.50),
    "white": (0.63, 0.64, 0.36, 0.39),
    "deep grey": (0.50, 0.52, 0.45, 0.47),
    "vessel": (0.28, 0.88, 0.15, 0.18),
    "hyperintensity": (0.48, 0.49, 0.66, 0.72),
    "necrosis": (0.24, 0.25, 0.80, 0.42),
    "oedema": (0.39, 0.40, 0.76, 0.84),
    "enhancing": (0.42, 0.86, 0.58, 0.66),
}
_LESION_SPREAD = {"necrosis": 0.09, "oedema": 0.05, "enhancing": 0.09}


def phantom_subject(
    seed: int, subject: int, shape: tuple[int, int, int], lesion: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Make one subject, counted from 0; without ``lesion`` the same head without its tumour.

    Of a shape (D, H, W), each 8 to 512 (else UsageError), D runs upwards, H from front to back, W from the subject's
    right to left. The field of view is 155 x 240 x 240 mm whatever the shape.

    Returns:
        Volumes float32 (4, D, H, W) in [0, 1], channels T1, T1c, T2, FLAIR, and the label map uint8 (D, H, W):
        0 background, 1 necrosis, 2 oedema, 3 enhancing.

    Example:
        >>> volumes, labels = phantom_subject(0, 7, (16, 32, 32))
        >>> volumes.shape, labels.dtype.name
        ((4, 16, 32, 32), 'uint8')
    """
    if len(shape) != 3 or not all(8 <= side <= 512 for side in shape):
        raise UsageError(f"The phantom needs three sides from 8 to 512 pixels, found {tuple(shape)}; choose others.")
    depth, height, width = factors = tuple(max(1, round(step / 5)) for step in voxel_size(shape))
    shares, labels = _tissues(seed, subject, (shape[0] * depth, shape[1] * height, shape[2] * width), lesion)
    return _scan(_pooled(shares, factors), seed, subject, shape), _majority(labels, factors)


def _tissues(seed: int, subject: int, shape: tuple[int, int, int], lesion: bool) -> tuple[Volume, Volume]:
    """Shares (T + 3, D, H, W) of all tissues and the label map."""
    if not lesion:
        shares = healthy_head(seed, subject, shape).shares
        return np.concatenate((shares, np.zeros((3, *shape), np.float32))), np.zeros(shape, np.uint8)
    tumour = draw_lesion(seed, subject)
    head = healthy_head(seed, subject, shape, tumour.push)
    sick, labels = grow_lesion(tumour, head, seed, subject)
    return np.concatenate((head.shares * (1 - sick.sum(0)), sick)), labels


def _blocks(volume: Volume, factors: tuple[int, ...]) -> Volume:
    """(..., D, H, W) -> (..., D/d, d, H/h, h, W/w, w)."""
    sides = [part for side, factor in zip(volume.shape[-3:], factors, strict=True) for part in (side // factor, factor)]
    return volume.reshape(*volume.shape[:-3], *sides)


def _pooled(volume: Volume, factors: tuple[int, ...]) -> Volume:
    return volume if factors == (1, 1, 1) else _blocks(volume, factors).mean((-5, -3, -1), dtype=np.float32)


def _majority(labels: Volume, factors: tuple[int, ...]) -> Volume:
    if factors == (1, 1, 1):
        return labels
    votes = [_blocks(labels == k, factors).sum((-5, -3, -1)) for k in range(len(CLASS_NAMES))]
    return np.argmax(votes, axis=0).astype(np.uint8)


def _scan(shares: Volume, seed: int, subject: int, shape: tuple[int, int, int]) -> Volume:
    """Turn shares of tissues into volumes (4, D, H, W): signal, texture, bias field, blur, gain, noise."""
    generator = rng(seed, "phantom", subject, "scanner")
    axes = axes_mm(shape)
    signal = np.array([_SIGNAL[name] for name in (*TISSUES, *CLASS_NAMES[1:])])
    spread = np.array([_LESION_SPREAD.get(name, 0.02) for name in (*TISSUES, *CLASS_NAMES[1:])])
    signal = signal * (1 + spread[:, None] * generator.standard_normal(signal.shape))
    volumes = np.einsum("tc,tdhw->cdhw", signal.astype(np.float32), shares)
    shared_bias = smooth_noise(generator, axes, 95)
    blur = generator.uniform(0.25, 0.55)
    for volume in volumes:
        bias = np.exp(0.07 * shared_bias + 0.05 * smooth_noise(generator, axes, 80))
        volume *= bias * (1 + 0.025 * smooth_noise(generator, axes, 9))
        volume[:] = ndimage.gaussian_filter(volume, (0, blur, blur), truncate=3)
        volume[:] = np.clip(volume, 0, None) ** generator.uniform(0.9, 1.12) * generator.uniform(0.78, 1.08)
    level = generator.uniform(0.012, 0.028)
    real, imaginary = generator.standard_normal((2, *volumes.shape), dtype=np.float32) * np.float32(level)
    return np.clip(np.hypot(volumes + real, imaginary), 0, 1, dtype=np.float32)


def phantom_slices(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose axial slices of a label map (D, H, W), all through the brain: numbers int64 (count,), ascending.

    Four of five have tumour, where there are as many; UsageError where the brain has fewer than ``count`` slices.
    """
    heights = axes_mm(labels.shape)[0]
    brain = np.nonzero((heights > -32) & (heights < 68))[0]
    if not 1 <= count <= len(brain):
        raise UsageError(
            f"A phantom of {labels.shape[0]} slices has {len(brain)} through the brain, and {count} were asked; "
            "ask for 1 to that many."
        )
    order = rng(seed, "slices").permutation(brain)
    sick = (labels[order] > 0).any((1, 2))
    with_tumour, without = order[sick], order[~sick]
    wanted = max(min(round(0.8 * count), len(with_tumour)), count - len(without))
    return np.sort(np.concatenate((with_tumour[:wanted], without[: count - wanted])))
