"""Layers that the StyleGAN family shares: equalised learning rate, modulated convolution, minibatch statistics.

**Source**: Karras et al., "Progressive Growing of GANs", 2018, arXiv 1710.10196, section 4.1 (equalised learning rate),
section 3 (minibatch standard deviation); Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020,
arXiv 1912.04958, equations 1 and 3 (weight demodulation).
**Differs**: eq. 1 scales the weights of every sample, which needs one convolution per sample. Here the activations are
scaled before and after one convolution shared by the batch: the same sums, taken in another order. Constant gains are
folded into weights and biases, because a leaky ReLU commutes with a positive factor.
**Checked**: tests/nets/test_layers.py against per-sample demodulated weights, to 1e-5 in float32.

Precision: nothing here reads or needs autocast; a layer works in the precision of the activations that it is given.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from understudy.core.errors import UsageError
from understudy.nets.filters import downsample_convolve, fir_kernel

SLOPE = 0.2
SQRT_HALF = math.sqrt(0.5)
SQRT_TWO = math.sqrt(2.0)


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Number of feature maps at a resolution: channel_base / resolution, at most channel_max."""
    return min(channel_base // resolution, channel_max)


def convolution_dtype(x: Tensor) -> torch.dtype:
    """Say in which precision the surrounding autocast wants convolutions to be done; without autocast, that of x."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def normalise_second_moment(x: Tensor) -> Tensor:
    """Scale every row of (N, F) to mean square 1 (the pixel norm of ProGAN, eq. in section 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def activate(x: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU in place (slope 0.2), then an optional clamp to [-clamp, clamp]; gains belong in the layer before."""
    x = F.leaky_relu_(x, SLOPE)
    return x if clamp is None else x.clamp(-clamp, clamp)


class EqualisedLinear(nn.Module):
    """Linear layer whose weights are stored with unit variance and scaled when used (equalised learning rate).

    ``activation`` is a leaky ReLU with gain sqrt(2) after it; ``lr_multiplier`` below 1 slows its learning down; the
    bias begins with ``bias_init``, as stored (used value: times ``lr_multiplier``).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.activation = activation
        gain = SQRT_TWO if activation else 1.0
        self.weight_gain = gain * lr_multiplier / math.sqrt(in_features)
        self.bias_gain = gain * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """(N, F_in) -> (N, F_out), in the precision of x."""
        y = F.linear(x * self.weight_gain, self.weight.to(x.dtype), self.bias.to(x.dtype) * self.bias_gain)
        return activate(y) if self.activation else y


class EqualisedConv2d(nn.Module):
    """Convolution with equalised learning rate, of odd kernel size, as large as its input or half as large (``down``).

    ``activation`` is a leaky ReLU with gain sqrt(2) after it; halving low-passes with [1, 3, 3, 1]; ``clamp`` limits
    the result's magnitude, None for none; ``gain`` is a further factor on the result (and on the clamp).
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        activation: bool = True,
        bias: bool = True,
        down: bool = False,
        clamp: float | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", fir_kernel())
        self.activation = activation
        self.down = down
        self.bias_gain = gain * (SQRT_TWO if activation else 1.0)
        self.weight_gain = self.bias_gain / math.sqrt(in_channels * kernel_size**2)
        self.clamp = None if clamp is None else clamp * gain

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H, W), or (N, O, H / 2, W / 2) when it halves; in the precision of x."""
        weight = (self.weight * self.weight_gain).to(x.dtype)
        bias = None if self.bias is None else (self.bias * self.bias_gain).to(x.dtype)
        if self.down:
            y = downsample_convolve(x, weight, self.resample_filter, bias)
        else:
            y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        if self.activation:
            return activate(y, self.clamp)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """Factor that gives every modulated output channel unit variance for unit-variance input (StyleGAN2, eq. 3).

    Of a weight (O, I, k, k) and styles (N, I) it is (N, O): 1 / sqrt(sum over I, k, k of (s_i w_oikk)^2 + 1e-8).
    """
    power = weight.square().sum(dim=(2, 3))
    return (styles.square() @ power.t() + 1e-8).rsqrt()


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """View (N, C) or (C,) as factors of the channels of x, in the precision of x."""
    return values.to(x.dtype)[..., None, None]


def modulated_conv2d(
    x: Tensor, weight: Tensor, styles: Tensor, convolve: Callable[[Tensor, Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve with weights scaled per sample (eq. 1), up to the factor that demodulates the result (eq. 3).

    The factor is returned instead of applied, so that the caller can join it with noise and bias in one pass. Inputs
    are x (N, I, H, W), the weight (O, I, k, k) in stored precision and the scale s (N, I) of every input channel;
    ``convolve`` maps (x, weight) to the result, None for stride 1 with zero padding. Returns the convolution of s x
    with the weight, (N, O, H', W'), and the demodulation factors (N, O); their product is the convolution of x with the
    modulated and demodulated weights.
    """
    scaled = x * per_channel(styles, x)
    kernel = weight.to(x.dtype)
    y = F.conv2d(scaled, kernel, padding=weight.shape[-1] // 2) if convolve is None else convolve(scaled, kernel)
    return y, demodulation(weight, styles)


class _Project(torch.autograd.Function):
    """Per-sample 1x1 convolution of low-precision features, forward in float32, gradients in theirs."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor) -> Tensor:
        """Pixels (N, P, I) low precision, weight (N, O, I) float32 -> (N, O, P) float32."""
        ctx.save_for_backward(pixels, weight)
        return torch.bmm(weight, pixels.to(weight.dtype).transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Both derivatives, sums in float32 inside the products."""
        pixels, weight = ctx.saved_tensors
        low = gradient.to(pixels.dtype)
        return torch.bmm(low.transpose(1, 2), weight.to(pixels.dtype)), torch.bmm(low, pixels).to(weight.dtype)


def project(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve every sample with a 1x1 weight of its own, in the precision of the weight.

    Maps x (N, I, H, W), of the weight's precision or a lower one (differentiable twice only in the former case), with
    weights (N, O, I) to (N, O, H, W).
    """
    n, i, h, w = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(n, h * w, i)
    if x.dtype == weight.dtype:
        y = torch.bmm(weight, pixels.transpose(1, 2))
    else:
        y = torch.as_tensor(_Project.apply(pixels, weight))
    return y.view(n, -1, h, w)


class MinibatchStd(nn.Module):
    """Append the standard deviation within small groups of a batch as one more channel (ProGAN, section 3).

    A batch of fewer than ``group`` samples is one group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 1, H, W); UsageError: N is larger than the group and no multiple of it."""
        n, c, h, w = x.shape
        group = min(self.group, n)
        if n % group:
            raise UsageError(
                f"The batch size must be a multiple of the minibatch-std group {group}, got {n}; change either."
            )
        y = x.reshape(group, n // group, c, h, w)
        spread = ((y - y.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        return torch.cat([x, spread.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)
