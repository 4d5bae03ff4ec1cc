"""Classical augmentation of a batch in torch, without a loop over its cases: flips, rotation, scale, intensity.

**Source**: the transforms of Isensee et al., nnU-Net (2021, doi 10.1038/s41592-020-01008-z), reduced to those that cost
little. **Differs**: each case gets every transform, with smaller ranges; volumes rotate in their (H, W) plane only.
**Checked**: tests/tasks/test_augmentation.py (labels follow images; ranges of zero = identity).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.affine import affine_grid, plane_rotation


@dataclass(frozen=True)
class Ranges:
    """How far each transform goes."""

    flip: float = 0.5  # probability to flip each spatial axis
    rotation_degrees: float = 20.0  # either way at most
    scale: float = 0.2  # largest relative change of size either way
    gain: float = 0.2  # largest relative change of a channel's contrast either way (of z-scores)
    shift: float = 0.2  # largest change of a channel's mean either way, in standard deviations
    noise: float = 0.1  # largest standard deviation of added noise, in standard deviations


def augment(images: Tensor, labels: Tensor, generator: torch.Generator, ranges: Ranges) -> tuple[Tensor, Tensor]:
    """Transform each case at random: z-scores (N, C, *S) float and integer label maps (N, *S).

    All random numbers come from ``generator``, on the processor. Returns both, label maps as int64, resampled alike
    (images linearly, labels to the nearest).
    """
    grid = _grid(images, generator, ranges)
    maps = F.grid_sample(labels[:, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    return _intensity(_resampled(images, grid), generator, ranges), maps[:, 0].long()


def augment_images(images: Tensor, generator: torch.Generator, ranges: Ranges) -> Tensor:
    """Transform each image (N, C, *S) at random, as :func:`augment` does for cases with a label map."""
    return _intensity(_resampled(images, _grid(images, generator, ranges)), generator, ranges)


def _grid(images: Tensor, generator: torch.Generator, ranges: Ranges) -> Tensor:
    """Return where each voxel is read, (N, *S, dims), by random matrices (N, dims, dims + 1) of ``affine_grid``."""
    n, size = len(images), images.shape[2:]
    flips = 1 - 2 * (torch.rand(n, len(size), generator=generator) < ranges.flip).float()
    angle = (torch.rand(n, generator=generator) * 2 - 1) * ranges.rotation_degrees * torch.pi / 180
    scale = 1 + (torch.rand(n, 1, generator=generator) * 2 - 1) * ranges.scale
    return affine_grid(F.pad(plane_rotation(angle, size) * (flips * scale)[:, None], (0, 1)).to(images.device), size)


def _resampled(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _intensity(images: Tensor, generator: torch.Generator, ranges: Ranges) -> Tensor:
    n, channels = images.shape[:2]
    shape = (n, channels, *[1] * (images.ndim - 2))
    gain, shift = (torch.rand(2, *shape, generator=generator) * 2 - 1).to(images.device)
    strength = torch.rand(n, *[1] * (images.ndim - 1), generator=generator).to(images.device) * ranges.noise
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return images * (1 + gain * ranges.gain) + shift * ranges.shift + strength * noise
