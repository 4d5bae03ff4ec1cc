"""Low-pass FIR filters for changing resolution: [1, 3, 3, 1] by depthwise convolution.

**Source**: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv
1812.04948 (filtered up- and down-sampling, after Zhang, "Making Convolutional Networks Shift-Invariant Again", arXiv
1904.11486); Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958 (the order
filter/convolution).
**Differs**: derivatives are written by hand: the transpose of a filter is a filter, and on processors the library's
backward pass of a depthwise convolution takes four times longer (with a stride forty times) than a forward one. For the
same reason, halving filters every pixel and then drops three of four. Precision is that of the input.
**Checked**: tests/nets/test_filters.py against the definition written as loops, to 1e-6.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(taps: Sequence[float] = TAPS) -> Tensor:
    """Return the outer product (T, T) float32 of T >= 1 taps (their sum is not 0) with themselves, normalised to sum 1.

    Example:
        >>> fir_kernel((1, 1)).tolist()
        [[0.25, 0.25], [0.25, 0.25]]
    """
    row = torch.tensor(taps, dtype=torch.float32)
    row = row / row.sum()
    return torch.outer(row, row)


class _Blur(torch.autograd.Function):
    """Pad, convolve every channel with a kernel, keep every `step`-th pixel; linear, `_Spread` is its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, padding: int, step: int) -> Tensor:
        """Filter x; the kernel is in the precision of x."""
        ctx.save_for_backward(kernel)
        ctx.options = padding, step, x.shape[2:]
        y = _depthwise(x, kernel.flip(0, 1), padding)
        return y if step == 1 else y[:, :, ::step, ::step].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        padding, step, size = ctx.options
        return _Spread.apply(gradient, *ctx.saved_tensors, padding, step, size), None, None, None


class _Spread(torch.autograd.Function):
    """Transpose of `_Blur`: put zeros between the pixels, convolve, crop to a size."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, kernel: Tensor, padding: int, step: int, size: torch.Size) -> Tensor:
        """Spread y; the kernel is in the precision of y."""
        ctx.save_for_backward(kernel)
        ctx.options = padding, step
        taps = kernel.shape[0]
        if step > 1:
            shape = *y.shape[:2], *(side + 2 * padding - taps + 1 for side in size)
            wide = torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last).zero_()
            wide[:, :, ::step, ::step] = y
            y = wide
        return _depthwise(y, kernel, taps - 1 - padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Blur.apply(gradient, *ctx.saved_tensors, *ctx.options), None, None, None, None


def _depthwise(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Correlate every channel of x with a (T, T) kernel."""
    return F.conv2d(x, kernel.expand(x.shape[1], 1, *kernel.shape), padding=padding, groups=x.shape[1])


def blur(x: Tensor, kernel: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """Convolve every channel of (N, C, H, W) with one kernel (T, T), between ``padding`` >= 0 zeros on each side.

    Returns (N, C, H + 2 padding - T + 1, likewise W) times ``gain``, in the precision of x.
    """
    return _Blur.apply(x, (kernel * gain).to(x.dtype), padding, 1)


def downsample(x: Tensor, kernel: Tensor) -> Tensor:
    """Low-pass (kernel of even side) and halve the resolution: (N, C, H, W), H and W even -> (N, C, H / 2, W / 2)."""
    return _Blur.apply(x, kernel.to(x.dtype), kernel.shape[0] // 2 - 1, 2)


def upsample(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the resolution and low-pass (kernel of even side): (N, C, H, W) -> (N, C, 2 H, 2 W).

    A constant image keeps its value away from the border.
    """
    size = torch.Size([2 * x.shape[2], 2 * x.shape[3]])
    return _Spread.apply(x, (kernel.flip(0, 1) * 4).to(x.dtype), kernel.shape[0] // 2 - 1, 2, size)


def upsample_convolve(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """Upsample by 2, then convolve with a 3x3 weight: the order of `upsample` and a padded convolution, done cheaply.

    The two are linear and commute, so the convolution comes first, at low resolution, as a transposed convolution with
    stride 2 (9 products for each input pixel where the plain order needs 36); the (4, 4) kernel smooths its
    (2 H + 1)-sized result. Maps (N, I, H, W) to (N, O, 2 H, 2 W); the weight (O, I, 3, 3), in the precision of x, is
    rotated by 180 degrees relative to `torch.nn.functional.conv2d`.
    """
    return blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), kernel, padding=1, gain=4.0)


def downsample_convolve(x: Tensor, weight: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Low-pass with a (4, 4) kernel, then convolve with stride 2: (N, I, H, W), H and W even -> (N, O, H / 2, W / 2).

    The weight is (O, I, 3, 3) or (O, I, 1, 1), the bias (O,); both in the precision of x.
    """
    if weight.shape[-1] == 1:
        return F.conv2d(downsample(x, kernel), weight, bias)
    return F.conv2d(blur(x, kernel, padding=2), weight, bias, stride=2)
