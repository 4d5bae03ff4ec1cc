"""Adaptive discriminator augmentation: what the discriminator sees is augmented just often enough that it cannot
overfit.

Source: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv 2006.06676: section
    3.1 (heuristic r_t, controller), appendix B (pipeline: probabilities, ranges, order, orthogonal sym6 low-pass
    filter).
Differs: any number of channels; geometry moves image and label channels alike, intensity changes image channels
    only, the same change for all of them (colour operations have no meaning here); cases whose transform is the
    identity skip the resampling, which would return them unchanged; p has an upper limit, as section 2.2 finds leaks
    above about 0.8.
Checked: tests/training/test_ada.py.

Everything is drawn from torch's global generator, which the training loop seeds at each step.
"""

import math
from dataclasses import dataclass
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


@dataclass
class Controller:
    """The probability p of each augmentation, raised while the discriminator is too sure of training images.

    Attributes:
        target: wanted mean sign of the discriminator's logits on training images, r_t in the paper.
        images_per_unit: images over which p may rise by 1.
        interval: steps between adjustments.
        limit: largest p.
        p: the probability now, in [0, limit].
        signs, steps: sum of the mean signs, and number of steps, since the last adjustment.
    """

    target: float = 0.6
    images_per_unit: float = 500_000
    interval: int = 4
    limit: float = 0.8
    p: float = 0.0
    signs: float = 0.0
    steps: int = 0

    def observe(self, sign: float, batch_size: int) -> None:
        """Take note of one step; every `interval` steps move p one notch towards the target.

        Args:
            sign: mean sign of the discriminator's logits on training images, in [-1, 1].
            batch_size: images in the step, over all processes.
        """
        self.signs, self.steps = self.signs + sign, self.steps + 1
        if self.steps < self.interval:
            return
        r = self.signs / self.steps
        notch = batch_size * self.interval / self.images_per_unit
        self.p = min(max(self.p + math.copysign(notch, r - self.target) * (r != self.target), 0.0), self.limit)
        self.signs, self.steps = 0.0, 0


def augment(x: Tensor, p: float, image_channels: int) -> Tensor:
    """Augment every case on its own; differentiable twice in x.

    Args:
        x: (N, C + L, H, W) float32 in about [-1, 1], image channels first.
        p: probability of each operation, 0 leaves x as it is.
        image_channels: C; the label channels behind them keep their values and only move.

    Returns:
        (N, C + L, H, W).
    """
    if p <= 0:
        return x
    with torch.autocast(x.device.type, enabled=False):
        return _augment(x, p, image_channels)


def _augment(x: Tensor, p: float, image_channels: int) -> Tensor:
    inverse = random_geometry(x.shape[0], (x.shape[2], x.shape[3]), p, x.device)
    gain, offset = random_intensity(x.shape[0], p, x.device)
    moved = (inverse != torch.eye(3, device=x.device)).flatten(1).any(dim=1).nonzero().squeeze(1)
    if len(moved):
        x = x.index_copy(0, moved, warp(x[moved], inverse[moved]).to(x.dtype))
    images = x[:, :image_channels] * gain.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1)
    return torch.cat([images, x[:, image_channels:]], dim=1)


def _sometimes(value: Tensor, p: float, neutral: float) -> Tensor:
    """Keep each case's value with probability p, else the neutral one."""
    return torch.where(torch.rand(value.shape[0], device=value.device) < p, value, torch.full_like(value, neutral))


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    """(N,), (N,) -> (N, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _translation(x: Tensor, y: Tensor) -> Tensor:
    """(N,), (N,) in pixels -> (N, 3, 3)."""
    m = torch.eye(3, device=x.device).repeat(len(x), 1, 1)
    m[:, 0, 2], m[:, 1, 2] = x, y
    return m


def _rotation(angle: Tensor) -> Tensor:
    """(N,) in radians -> (N, 3, 3); exactly the identity for angle 0."""
    m = torch.eye(3, device=angle.device).repeat(len(angle), 1, 1)
    m[:, 0, 0] = m[:, 1, 1] = angle.cos()
    m[:, 1, 0] = angle.sin()
    m[:, 0, 1] = -m[:, 1, 0]
    return m


def random_geometry(n: int, size: tuple[int, int], p: float, device: torch.device) -> Tensor:
    """Draw transforms: flip, quarter turns, whole shift, scaling, rotation, stretching, shift (appendix B).

    Args:
        n: number of cases.
        size: (H, W) in pixels.
        p: probability of each operation.
        device: of the result.

    Returns:
        (n, 3, 3): output to input position in pixels, x before y, the image's middle at 0.
    """
    h, w = size

    def uniform() -> Tensor:
        return torch.rand(n, device=device) * 2 - 1

    def shift(x: Tensor, y: Tensor) -> Tensor:
        on = _sometimes(torch.ones(n, device=device), p, 0.0)
        return _translation(x * on, y * on)

    turn_p = 1 - math.sqrt(1 - min(p, 1.0))  # once before and once after stretching: either with probability p
    m = _scaling(_sometimes(uniform().sign(), p, 1.0), torch.ones(n, device=device))
    m = m @ _quarter_turns(_sometimes(torch.randint(4, (n,), device=device), p, 0))
    m = m @ shift((uniform() * 0.125 * w).round(), (uniform() * 0.125 * h).round())
    s = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.2), p, 1.0)
    m = m @ _scaling(s, s)
    m = m @ _rotation(_sometimes(uniform() * math.pi, turn_p, 0.0))
    s = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.2), p, 1.0)
    m = m @ _scaling(s, 1 / s)
    m = m @ _rotation(_sometimes(uniform() * math.pi, turn_p, 0.0))
    return m @ shift(torch.randn(n, device=device) * 0.125 * w, torch.randn(n, device=device) * 0.125 * h)


def _quarter_turns(turns: Tensor) -> Tensor:
    """(N,) integers -> (N, 3, 3) exact rotations by that many quarter turns."""
    return _rotation(turns * (math.pi / 2)).round()


def random_intensity(n: int, p: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Draw brightness (offset, standard deviation 0.2) and contrast (gain, 2 to a normal power of deviation 0.5).

    Returns:
        gain and offset, (n,) each: new intensity = gain * (intensity + brightness).
    """
    brightness = _sometimes(torch.randn(n, device=device) * 0.2, p, 0.0)
    contrast = _sometimes(torch.exp2(torch.randn(n, device=device) * 0.5), p, 1.0)
    return contrast, contrast * brightness


def warp(x: Tensor, inverse: Tensor) -> Tensor:
    """Resample images through transforms: mirror the border, double, sample bilinearly, low-pass, halve.

    Args:
        x: (N, C, H, W).
        inverse: (N, 3, 3) from `random_geometry`.

    Returns:
        (N, C, H, W).
    """
    n, c, h, w = x.shape
    x0, x1, y0, y1 = _margins(inverse, h, w)
    x = F.pad(x.contiguous(), (x0, x1, y0, y1), mode="reflect")
    m = _translation(*_constant(n, (x0 - x1) / 2, (y0 - y1) / 2, x.device)) @ inverse
    x = _double(_double(x, 3), 2)
    # In the doubled image positions count twice, and the filter's weight lies half a pixel before its middle.
    m[:, :2, 2] *= 2
    to = _translation(*_constant(n, 0.5, 0.5, x.device))
    m = _translation(*_constant(n, -0.5, -0.5, x.device)) @ m @ to
    height, width = (h + 2 * PAD) * 2, (w + 2 * PAD) * 2
    m = _scaling(*_constant(n, 2 / x.shape[3], 2 / x.shape[2], x.device)) @ m
    m = m @ _scaling(*_constant(n, width / 2, height / 2, x.device))
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


def _taps(x: Tensor) -> Tensor:
    taps = torch.tensor(SYM6, dtype=x.dtype, device=x.device)
    return taps / taps.sum()


def _double(x: Tensor, dim: int) -> Tensor:
    """Insert a zero after each pixel of one dimension (2 or 3) and low-pass, without computing with the zeros."""
    n, c, h, w = x.shape
    taps = 2 * _taps(x)
    # Output 2i + a gathers input i + 2 - j with tap 2j + 1 - a, j = 0 .. 5: two convolutions with six taps each.
    phases = torch.stack([taps[1::2], taps[0::2]]).flip(1)
    kernel = phases.view(2, 1, 1, -1) if dim == 3 else phases.view(2, 1, -1, 1)
    half = len(SYM6) // 4
    y = F.pad(x.reshape(n * c, 1, h, w), (half, half, 0, 0) if dim == 3 else (0, 0, half, half))
    y = F.conv2d(y, kernel)
    even, odd = (y[:, 0].narrow(dim - 1, 0, x.shape[dim]), y[:, 1].narrow(dim - 1, 1, x.shape[dim]))
    return torch.stack([even, odd], dim=dim).reshape(n, c, h * (2 if dim == 2 else 1), w * (2 if dim == 3 else 1))


def _halve(x: Tensor, dim: int) -> Tensor:
    """Low-pass with the mirrored filter, keep every second pixel of one dimension, drop what the border spoils."""
    n, c, h, w = x.shape
    kernel = _taps(x).view(1, 1, 1, -1) if dim == 3 else _taps(x).view(1, 1, -1, 1)
    y = x.narrow(dim, 1, x.shape[dim] - 2).reshape(n * c, 1, *(h, w - 2) if dim == 3 else (h - 2, w))
    y = F.conv2d(y, kernel, stride=(1, 2) if dim == 3 else (2, 1))
    return y.view(n, c, *y.shape[2:])


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
