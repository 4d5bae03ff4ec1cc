"""Layers for two and for three spatial dimensions: strides of uneven cases, convolutions, instance normalisation.

**Source**: Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016, arXiv
1607.08022, eq. 3 (instance normalisation); Miyato et al., "Spectral Normalization for Generative Adversarial Networks",
2018, arXiv 1802.05957 (through torch); Isensee et al., "nnU-Net", 2021, doi 10.1038/s41592-020-01008-z (a short axis is
halved later than a long one, so that a thin volume becomes even).
**Differs**: gradients of instance normalisation are written out, which spares copies: only first derivatives.
**Checked**: tests/nets/test_spatial.py (strides; normalisation and its gradient against torch; gradients of volumes in
bf16 against fp32).
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.parametrizations import spectral_norm

from understudy.core.errors import UsageError

Stride = tuple[int, ...]
CONVOLVE = {(2, False): F.conv2d, (3, False): F.conv3d, (2, True): F.conv_transpose2d, (3, True): F.conv_transpose3d}
SHALLOW = 4  # volumes of less depth are convolved in float32, see Conv


def halvings(size: Sequence[int], max_levels: int, min_side: int) -> list[Stride]:
    """Say how a case of sides S is halved, level by level, finest first: a stride of 1 or 2 an axis.

    An axis that is half as long as the longest, or shorter, waits. It ends after ``max_levels``, or where an axis whose
    turn it is has an odd side, or would become shorter than ``min_side``.
    """
    found: list[Stride] = []
    while len(found) < max_levels:
        stride = tuple(2 if 2 * side > max(size) else 1 for side in size)
        if any(step == 2 and (side % 2 or side // 2 < min_side) for side, step in zip(size, stride, strict=True)):
            break
        found.append(stride)
        size = halved(size, [stride])
    return found


def halved(size: Sequence[int], strides: Sequence[Stride]) -> tuple[int, ...]:
    """Return the sides of a case after these strides."""
    return tuple(side // math.prod(steps) for side, *steps in zip(size, *strides, strict=True))


def needed_halvings(name: str, size: Sequence[int], max_levels: int, min_side: int, min_levels: int) -> list[Stride]:
    """Return :func:`halvings`, of which a network needs ``min_levels``; UsageError: the case gives fewer."""
    strides = halvings(size, max_levels, min_side)
    if len(strides) < min_levels:
        raise UsageError(
            f"{name} needs sides that divide by {2**min_levels} and are at least {min_side * 2**min_levels}, found "
            f"{' x '.join(map(str, size))}: import with another --size"
        )
    return strides


def kernel_of(stride: Stride) -> tuple[int, ...]:
    """Kernel of a strided convolution: 4 where an axis is halved or doubled, as published, 3 where it is not."""
    return tuple(4 if step == 2 else 3 for step in stride)


class Conv(nn.Module):
    """A convolution or transposed convolution over two or three axes; sides stay, or are divided by the stride.

    In bf16 on a processor, gradients of 3x3x3 weights at depth 2 come back partly unwritten (oneDNN in torch 2.13), so
    volumes of little depth are convolved in float32. Weights begin with a standard deviation of 0.02, as published.

    ``kernel`` is its side, or one an axis; an even one with stride 1 shortens a side by one. ``up`` multiplies the
    sides by the stride, instead of dividing them. ``bias`` is without meaning before an instance normalisation.
    ``exact``: in float32, whatever the autocast (output layers); ``reflect``: pad by reflection, not by zeros;
    ``spectral``: keep the largest singular value of the weight at 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Sequence[int],
        *,
        dims: int,
        stride: Stride | None = None,
        up: bool = False,
        bias: bool = True,
        exact: bool = False,
        reflect: bool = False,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        sides = (kernel,) * dims if isinstance(kernel, int) else tuple(kernel)
        self.stride = stride or (1,) * dims
        first, second = (inputs, outputs) if up else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(first, second, *sides) * 0.02)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.padding = tuple((k - 1) // 2 for k in sides)
        self.further: tuple[Any, ...] = ()
        if up:  # output padding: an odd kernel doubles a side less one
            self.further = (tuple((k - step) % 2 for k, step in zip(sides, self.stride, strict=True)),)
        self.up, self.exact, self.reflect, self.spectral = up, exact, reflect, spectral
        if spectral:
            spectral_norm(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, *S) -> (N, O, *S / stride), or times stride."""
        kind = x.device.type
        after = x.shape[2] * self.stride[0] if self.up else x.shape[2] // self.stride[0]
        exact = self.exact or (x.ndim == 5 and kind == "cpu" and min(x.shape[2], after) < SHALLOW)
        with torch.autocast(kind, enabled=False) if self.spectral else nullcontext():
            weight = self.weight
        padding = self.padding
        with torch.autocast(kind, enabled=False) if exact else nullcontext():
            x = x.float() if exact else x
            if self.reflect:
                x = F.pad(x, [p for p in reversed(padding) for _ in "ab"], mode="reflect")
                padding = (0,) * len(padding)
            convolve: Any = CONVOLVE[x.ndim - 2, self.up]
            return torch.as_tensor(convolve(x, weight, self.bias, self.stride, padding, *self.further))


class _InstanceNorm(torch.autograd.Function):
    """Normalise every channel of every case, statistics in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        """(N, C, *S) -> the same shape and type."""
        axes = tuple(range(2, x.ndim))
        y = x.float()
        y = y - y.mean(axes, keepdim=True)
        r = (y.square().mean(axes, keepdim=True) + eps).rsqrt()
        y = (y * r).to(x.dtype)
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return r (g - mean g - y mean(g y)), exact up to eps."""
        saved, r = ctx.saved_tensors
        y, g = saved.float(), gradient.float()
        axes = tuple(range(2, y.ndim))
        dx = (g - g.mean(axes, keepdim=True) - y * (g * y).mean(axes, keepdim=True)) * r
        return dx.to(saved.dtype), None


def instance_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Give every channel of every case (N, C, *S) mean 0 and variance 1 (eq. 3), without learned parameters."""
    return torch.as_tensor(_InstanceNorm.apply(x, eps))
