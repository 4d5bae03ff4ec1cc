"""Jitter: small random affine changes of training cases, image and label channels alike, in 2D and 3D.

**Source**: Platscher et al., "Image Translation for Medical Image Generation -- Ischemic Stroke Lesions", 2021, arXiv
2010.02745 (rotation by up to 5 degrees, zoom and stretch 5 %, shift 2 %, shear 3 %).
**Differs**: all drawn uniformly and joined in one map, so that a case is resampled once; mirroring is done in
batches.py. Half of the cases stay as they are: resampling smooths (of white noise it leaves less than half the power in
2D, a third in 3D), and a translator that saw smooth images only would render smooth ones.
**Checked**: tests/training/test_jitter.py.

Everything is drawn from torch's global generator, which the training loop seeds at each step.
"""

import math

import torch
from torch import Tensor

from understudy.nets.affine import affine_grid, resampled

DEGREES, ZOOM, STRETCH, SHEAR, SHIFT = 5.0, 0.05, 0.05, 0.03, 0.02
CHANGED_SHARE = 0.5  # share of the cases that are changed


def jittered(x: Tensor, image_channels: int, strength: float) -> Tensor:
    """Change half of the cases (N, C + L, *S) in [-1, 1] a little, as :func:`resampled` does.

    ``strength`` is a factor on all ranges: 1 as published, 0 for nothing.
    """
    if not strength:
        return x
    grid = affine_grid(random_maps(len(x), x.shape[2:], strength).to(x), x.shape[2:])
    changed = torch.rand(len(x), *[1] * (x.ndim - 1)).to(x) < CHANGED_SHARE
    return torch.where(changed, resampled(x, grid, image_channels), x)


def random_maps(n: int, size: torch.Size, strength: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw n affine maps (n, d, d + 1) of coordinates that run from -1 to 1 along each axis, the last axis first."""
    d = len(size)

    def uniform(limit: float, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator) * 2 - 1) * limit * strength

    rotation = torch.triu(uniform(math.radians(DEGREES), d, d), 1)
    rotation = torch.matrix_exp(rotation - rotation.transpose(1, 2))
    change = torch.diag_embed(1 + uniform(ZOOM, 1) + uniform(STRETCH, d))
    change = change + uniform(SHEAR, d, d) * (1 - torch.eye(d))
    sides = torch.tensor(size[::-1], dtype=torch.float32)
    linear = rotation @ change * sides / sides[:, None]  # from pixels to sides of length 2
    return torch.cat([linear, uniform(2 * SHIFT, d, 1)], dim=2)
