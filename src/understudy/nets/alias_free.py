"""Low-pass filters, and a leaky ReLU that acts on the continuous signal between the samples.

**Source**: Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, sections 2 and 3 and
appendix C (filters, symmetric placement of samples); Kaiser, "Nonrecursive digital filter design using the I0-sinh
window function", 1974 (window).
**Differs**: the leaky ReLU with its filters is one operation that keeps no tensor of the temporary, higher sampling
rate: the backward pass filters its input again, phase by phase (nets/polyphase.py). It can be differentiated once: path
length regularisation, which would do it twice, is no part of StyleGAN3.
**Checked**: tests/nets/test_alias_free.py against scipy.signal to 1e-6 (filters), against loops and numpy.convolve to
1e-5 and finite differences in float64 (the operation).

Precision is that of the input: sums of one filter pass in float32 or better, results rounded after each pass.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from scipy.signal import kaiser_atten, kaiser_beta
from torch import Tensor
from torch.autograd.function import once_differentiable

from understudy.nets.layers import SLOPE, per_channel
from understudy.nets.polyphase import gather, spread

CACHED = 2**22  # values at the temporary rate, of which a quarter exists at a time


def low_pass(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor | None:
    """Design a low-pass filter: a sinc, or in two dimensions a jinc, under a Kaiser window.

    Frequencies are in cycles per image side: ``cutoff`` is damped to one half, ``width`` is the transition band around
    it; ``rate`` counts samples per image side. Returns (T,) float32 with sum 1, or (T, T), T even, for a radial filter,
    which is symmetric and cannot be split into rows and columns. One tap changes nothing: None.
    """
    if taps == 1:
        return None
    x = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    beta = kaiser_beta(kaiser_atten(taps, width / (rate / 2)))
    window = torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)
    if radial:
        r = torch.hypot(x[:, None], x[None, :])
        kernel = torch.special.bessel_j1(2 * math.pi * cutoff * r) / r * torch.outer(window, window)
    else:
        kernel = torch.sinc(2 * cutoff * x) * window
    return (kernel / kernel.sum()).float()


# ---------------------------------------------------------------------- the non-linearity
class Rates(NamedTuple):
    """How a filtered non-linearity changes the sampling rate."""

    up: int  # factor to the temporary rate
    down: int  # factor from there to the rate of the result
    padding: int  # zeros before the first row and column at the temporary rate; negative crops
    middle: int  # rows and columns at the temporary rate
    size: int  # rows and columns of the result

    def offset(self, kernel: Tensor) -> int:
        """Where the first sample contributes first at the temporary rate."""
        return self.padding - len(kernel) + 1


def placement(source: int, size: int, up: int, down: int, up_taps: int, down_taps: int) -> Rates:
    """Place the samples so that all stages share one centre (appendix C.3): ``size`` rows and columns of ``source``.

    ``up`` is the factor to the temporary rate, after ``up_taps``, ``down`` the one from there, after ``down_taps``.
    """
    middle = (size - 1) * down + down_taps
    total = middle + up_taps - 1 - source * up
    return Rates(up, down, (total + up) // 2, middle, size)


def filtered_leaky_relu(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    rates: Rates,
    clamp: float | None = None,
) -> Tensor:
    """Scale and bias, raise the sampling rate, leaky ReLU, low-pass, lower the rate (section 2.1, non-linearity).

    Maps x (N, C, H, H), with a factor (N, C) and a bias (C,), to (N, C, size, size) in the precision of x. The filter
    on the way up is (T,), the one on the way down (T,) or (T, T); None for none. ``clamp`` limits the magnitude at the
    temporary rate.
    """
    one = x.new_ones(1)
    up = one if up_filter is None else up_filter * rates.up  # makes up for the zeros between samples
    down = one if down_filter is None else down_filter.flip(list(range(down_filter.ndim)))
    return torch.as_tensor(_FilteredLeakyReLU.apply(x, scale, bias, up, down, rates, clamp))


class _FilteredLeakyReLU(torch.autograd.Function):
    """A few cases at a time, and of those one phase at a time."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, up: Tensor, down: Tensor, rates: Rates, clamp: float | None
    ) -> Tensor:
        """See `filtered_leaky_relu`; the filters hold their gain, the second one is mirrored."""
        ctx.save_for_backward(x, scale, bias, up, down)
        ctx.options = rates, clamp
        size = (rates.size, rates.size)
        y = torch.empty(*x.shape[:2], *size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for part in _cases(x, rates):
            phases = _raise(x[part], scale[part], bias, up, rates)
            activated = (_clamp(F.leaky_relu_(phase, SLOPE), clamp) for phase in phases)
            y[part] = gather(activated, down, rates.down, 0, size, rates.down)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Transpose of each stage; the slopes come from filtering x once more."""
        x, scale, bias, up, down = ctx.saved_tensors
        rates, clamp = ctx.options
        dx, dscale, dbias = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
        for part in _cases(x, rates):
            phases = zip(
                spread(gradient[part], down, rates.down, 0, rates.middle, rates.down),
                _raise(x[part], scale[part], bias, up, rates),
                strict=True,
            )
            back = (_activation_backward(outer, inner, clamp) for outer, inner in phases)
            du = gather(back, up, rates.up, rates.offset(up), (x.shape[2], x.shape[3]), rates.down)
            dbias[part] = du.sum(dim=(2, 3))
            dscale[part] = (du * x[part]).sum(dim=(2, 3))
            dx[part] = du.mul_(per_channel(scale[part], x))
        return dx, dscale, dbias.sum(dim=0), None, None, None, None


def _cases(x: Tensor, rates: Rates) -> list[slice]:
    """Which cases to take at once: all on a GPU, elsewhere as many as stay in a cache."""
    n = len(x) if x.is_cuda else max(CACHED // (x.shape[1] * rates.middle**2), 1)
    return [slice(i, i + n) for i in range(0, len(x), n)]


def _raise(x: Tensor, scale: Tensor, bias: Tensor, up: Tensor, rates: Rates) -> Iterator[Tensor]:
    """Scale, bias, and bring to the temporary sampling rate."""
    x = torch.addcmul(per_channel(bias, x), x, per_channel(scale, x))
    return spread(x, up, rates.up, rates.offset(up), rates.middle, rates.down)


def _clamp(x: Tensor, clamp: float | None) -> Tensor:
    return x if clamp is None else x.clamp_(-clamp, clamp)


def _activation_backward(gradient: Tensor, x: Tensor, clamp: float | None) -> Tensor:
    """Derivative of leaky ReLU and clamp at x, times a gradient."""
    gradient = torch.ops.aten.leaky_relu_backward(gradient, x, SLOPE, False)
    return gradient if clamp is None else gradient.mul_((x <= clamp) & (x * SLOPE >= -clamp))
