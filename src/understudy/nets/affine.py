"""Affine maps of images and volumes, and a resampling that keeps the frequencies of images, differentiable twice.

**Source**: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv 2006.06676,
appendix B: orthogonal low-pass filter sym6, sampling at twice the resolution.
**Differs**: derivatives are written by hand; every part is linear in the image, so that each is another's transpose.
**Checked**: tests/nets/test_affine.py (definitions; the identity returns the image; derivatives of derivatives).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Daubechies' least asymmetric wavelet of order 6 (Ten Lectures on Wavelets, 1992, table 6.3): low-pass coefficients.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
PAD = len(SYM6) // 4  # pixels of the image that the filter reaches beyond a sample


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """(N,), (N,) -> (N, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def translation(x: Tensor, y: Tensor) -> Tensor:
    """(N,), (N,) in pixels -> (N, 3, 3)."""
    m = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    m[:, 0, 2], m[:, 1, 2] = x, y
    return m


def rotation(angle: Tensor) -> Tensor:
    """(N,) in radians -> (N, 3, 3); exactly the identity for angle 0."""
    m = torch.eye(3, device=angle.device).repeat(len(angle), 1, 1)
    m[:, 0, 0] = m[:, 1, 1] = angle.cos()
    m[:, 1, 0] = angle.sin()
    m[:, 0, 1] = -m[:, 1, 0]
    return m


def affine_grid(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Return where each voxel of cases is read: maps (N, d, d + 1) of coordinates in [-1, 1] -> (N, *size, d).

    Coordinates run from -1 to 1 along each side, from edge to edge, the last axis first, as ``F.grid_sample`` takes
    them.
    """
    return F.affine_grid(maps, [len(maps), 1, *size], align_corners=False)


def plane_rotation(angle: Tensor, size: Sequence[int]) -> Tensor:
    """Return rotations (N, d, d) of the last two axes by angles (N,) in radians, in coordinates of :func:`affine_grid`.

    Sides of different lengths make them shears in these coordinates, so that they are rotations of the image.
    """
    m = torch.eye(len(size)).to(angle).repeat(len(angle), 1, 1)
    aspect = size[-2] / size[-1]
    m[:, 0, 0] = m[:, 1, 1] = angle.cos()
    m[:, 0, 1], m[:, 1, 0] = -angle.sin() * aspect, angle.sin() / aspect
    return m


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """Resample images (N, C, H, W) through transforms: mirror the border, double, sample bilinearly, low-pass, halve.

    ``inverse`` (N, 3, 3) maps output to input positions in pixels, x before y, the middle of the image at 0.
    """
    n, c, h, w = x.shape
    x0, x1, y0, y1 = _margins(inverse, h, w)
    x = F.pad(x.contiguous(), (x0, x1, y0, y1), mode="reflect")
    m = translation(*_constant(n, (x0 - x1) / 2, (y0 - y1) / 2, x.device)) @ inverse
    x = _double(_double(x, 3), 2)
    # In the doubled image positions count twice, and the filter's weight lies half a pixel before its middle.
    m[:, :2, 2] *= 2
    to = translation(*_constant(n, 0.5, 0.5, x.device))
    m = translation(*_constant(n, -0.5, -0.5, x.device)) @ m @ to
    height, width = (h + 2 * PAD) * 2, (w + 2 * PAD) * 2
    m = scaling(*_constant(n, 2 / x.shape[3], 2 / x.shape[2], x.device)) @ m
    m = m @ scaling(*_constant(n, width / 2, height / 2, x.device))
    grid = F.affine_grid(m[:, :2], [n, c, height, width], align_corners=False)
    return _halve(_halve(_Sample.apply(x, grid), 3), 2)


def _constant(n: int, x: float, y: float, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.full((n,), x, device=device), torch.full((n,), y, device=device)


def _margins(inverse: Tensor, h: int, w: int) -> tuple[int, int, int, int]:
    """Pixels (left, right, top, bottom) that the transforms read outside, at most what mirroring can give."""
    cx, cy = (w - 1) / 2, (h - 1) / 2
    corners = torch.tensor([[-cx, -cy, 1], [cx, -cy, 1], [cx, cy, 1], [-cx, cy, 1]], device=inverse.device)
    x, y = (inverse @ corners.t())[:, :2].unbind(1)
    limits = [(-x, cx, w), (x, cx, w), (-y, cy, h), (y, cy, h)]
    left, right, top, bottom = (
        min(max(math.ceil(float(v.max()) + 2 * PAD - centre), 0), side - 1) for v, centre, side in limits
    )
    return left, right, top, bottom


def _double(x: Tensor, dim: int) -> Tensor:
    """Insert a zero after each pixel of one dimension (2 or 3) and low-pass."""
    return 2 * _Widen.apply(x, dim, len(SYM6) // 2 - 1, 2 * x.shape[dim])


def _halve(x: Tensor, dim: int) -> Tensor:
    """Low-pass with the mirrored filter, keep every second pixel of one dimension, drop what the border spoils."""
    return torch.as_tensor(_Narrow.apply(x, dim, -1))


def _convolve(x: Tensor, phases: Tensor, dim: int, before: int, after: int, stride: int) -> Tensor:
    """Pad (or crop) one dimension of (N, C, H, W), correlate with P filters (P, taps): (N C, P, H', W')."""
    n, c, h, w = x.shape
    x = F.pad(x.reshape(n * c, 1, h, w), (before, after, 0, 0) if dim == 3 else (0, 0, before, after))
    kernel = phases[:, None, None, :] if dim == 3 else phases[:, None, :, None]
    return F.conv2d(x, kernel, stride=(1, stride) if dim == 3 else (stride, 1))


def _taps(x: Tensor) -> Tensor:
    taps = torch.tensor(SYM6, dtype=x.dtype, device=x.device)
    return taps / taps.sum()


class _Narrow(torch.autograd.Function):
    """Pixel i of one dimension is the sum over k of tap k times pixel 2 i + k - pad (pad odd; outside: 0)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, pad: int) -> Tensor:
        ctx.options = dim, pad, x.shape[dim]
        y = _convolve(x, _taps(x)[None], dim, pad, pad, stride=2)
        return y.view(*x.shape[:2], *y.shape[2:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Widen.apply(gradient, *ctx.options), None, None


class _Widen(torch.autograd.Function):
    """Transpose of `_Narrow`, to a given even length: even and odd pixels by half of the taps each."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, dim: int, pad: int, length: int) -> Tensor:
        ctx.options = dim, pad
        phases = _taps(y).view(-1, 2).flip(1).t().flip(1)
        reach, half = phases.shape[1], length // 2
        before = reach - (pad + 1) // 2
        x = _convolve(y, phases, dim, before, half + reach - y.shape[dim] - before, stride=1)
        even, odd = x[:, 0].narrow(dim - 1, 0, half), x[:, 1].narrow(dim - 1, 1, half)
        shape = list(y.shape)
        shape[dim] = length
        return torch.stack([even, odd], dim=dim).view(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Narrow.apply(gradient, *ctx.options), None, None, None


class _Sample(torch.autograd.Function):
    """Bilinear sampling: linear in x, with its transpose as derivative, so that R1 can differentiate twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _SampleTransposed.apply(gradient, grid, ctx.shape), None


class _SampleTransposed(torch.autograd.Function):
    """The transpose of `_Sample`: spread every sampled value over the four pixels that it came from."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        blank = y.new_zeros(shape)
        return torch.ops.aten.grid_sampler_2d_backward(y, blank, grid, 0, 0, False, [True, False])[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None


def resampled(x: Tensor, grid: Tensor, image_channels: int) -> Tensor:
    """Read cases (N, C + L, *S) in [-1, 1] at other places; what comes from outside is the lowest value, -1.

    ``grid`` (N, *S, d) holds the places as ``F.grid_sample`` takes them. The first ``image_channels`` are interpolated
    linearly, label channels take the nearest value.
    """

    def read(part: Tensor, mode: str) -> Tensor:
        return F.grid_sample(part + 1, grid, mode=mode, align_corners=False) - 1 if part.shape[1] else part

    return torch.cat([read(x[:, :image_channels], "bilinear"), read(x[:, image_channels:], "nearest")], dim=1)
