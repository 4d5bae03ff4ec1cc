"""Moving and smoothing images: affine maps, smooth random warps, Gaussian blur; lengths in shares of the side.

Image coordinates run from -1 to 1 from edge to edge, as in ``torch.nn.functional.grid_sample`` without aligned corners.
**Checked** in tests/evaluation/privacy/copies/test_geometry.py (identity, inverse maps, blur against scipy).
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def affine(degrees: Tensor, zoom: Tensor, shift: Tensor, flip: bool = False) -> Tensor:
    """Return maps (N, 2, 3) from where a pixel is to where it is read.

    Args:
        degrees: (N,) rotation.
        zoom: (N,) above 1 makes what is shown larger.
        shift: (N, 2) to the right and downwards, as shares of the side.
        flip: mirror left and right.
    """
    angle = torch.deg2rad(degrees)
    cos, sin, side = torch.cos(angle) / zoom, torch.sin(angle) / zoom, -1.0 if flip else 1.0
    rows = torch.stack([cos * side, -sin * side, -2 * shift[:, 0], sin, cos, -2 * shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def move(images: Tensor, maps: Tensor) -> Tensor:
    """Return images (N, C, H, W) moved by affine maps (N, 2, 3); the border is continued."""
    return sample(images, F.affine_grid(maps, list(images.shape), align_corners=False))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return images (N, C, H, W) read at a grid (N, H, W, 2); the border is continued."""
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def warp(images: Tensor, strength: float, smoothness: float, generator: torch.Generator) -> Tensor:
    """Return images (N, C, H, W) bent by smooth random displacements.

    Args:
        images: to bend.
        strength: root mean square displacement along each axis, as a share of the side.
        smoothness: standard deviation of the Gaussian that smooths the displacements, as a share of the side.
        generator: of the displacements.
    """
    n, _, height, width = images.shape
    field = blur(torch.randn((n, 2, height, width), generator=generator), smoothness)
    field = field * (2 * strength / field.square().mean((1, 2, 3), keepdim=True).sqrt())
    still = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), list(images.shape), align_corners=False)
    return sample(images, still + field.permute(0, 2, 3, 1))


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, H, W) smoothed by a Gaussian; sigma is a share of the side, the border is continued."""
    height, width = images.shape[-2:]
    return _gaussian(height, sigma) @ images @ _gaussian(width, sigma).T


@lru_cache(maxsize=64)
def _gaussian(n: int, sigma: float) -> Tensor:
    """Return the matrix (n, n) that smooths a line of n pixels."""
    reach = int(4 * sigma * n + 0.5)
    steps = torch.arange(-reach, reach + 1)
    weights = torch.exp(-((steps / (sigma * n)) ** 2) / 2)
    matrix = torch.zeros(n, n)
    for step, weight in zip(steps.tolist(), (weights / weights.sum()).tolist(), strict=True):
        matrix[torch.arange(n), (torch.arange(n) + step).clamp(0, n - 1)] += weight
    return matrix


def detail(images: Tensor) -> Tensor:
    """Return what lies between two blurs: no grain and no slow shading (N, C, H, W)."""
    return blur(images, 1 / 32) - blur(images, 1 / 8)


def unit(images: Tensor) -> Tensor:
    """Return each image as a centred row (N, d) of length one, or all zero where it is constant."""
    rows = images.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-5 * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-12), torch.zeros_like(rows))
