"""What ProGAN and the first StyleGAN share: resolutions that fade in, equalised layers, the discriminator.

**Source**: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv
1710.10196, section 2 and figure 2 (fading), section 4.1 (equalised learning rate), appendix A, table 2 (layers); Karras
et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv 1812.04948, appendix C
(low-pass filter before halving); Miyato and Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637, eq.
3 (condition).
**Differs**: reads any number of image and label channels; ProGAN has an auxiliary classifier for the condition, which
knows one class a case, and here the condition is projected; under autocast everything from 8x8 pixels up runs in the
low precision, the 4x4 head in float32.
**Checked**: tests/nets/test_growing.py (fading, resizing against definitions, scale, condition).

How far a network has grown is one number, its level: log2 of the resolution, with a fraction while a resolution is
faded in. Level 3 is 8x8 pixels; level 3.25 is 16x16 with one quarter of the new and three quarters of the old branch.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.nets.filters import blur, fir_kernel
from understudy.nets.layers import (
    SQRT_TWO,
    EqualisedLinear,
    MinibatchStd,
    activate,
    channels_at,
    convolution_dtype,
    normalise_second_moment,
    project,
)

LOW_PRECISION_FROM = 8
SMOOTHING = (1.0, 2.0, 1.0)


def stage(level: float) -> tuple[int, float]:
    """Split a level into the resolution and the weight alpha in (0, 1] of its new branch.

    Example:
        >>> stage(3.25), stage(4)
        ((16, 0.25), (16, 1.0))
    """
    above = math.ceil(level)
    return 2**above, 1.0 - (above - level)


def double(x: Tensor) -> Tensor:
    """Repeat every pixel: (N, C, H, W) -> (N, C, 2 H, 2 W)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halve(x: Tensor) -> Tensor:
    """Average 2 x 2 pixels: (N, C, H, W) -> (N, C, H / 2, W / 2)."""
    return F.avg_pool2d(x, 2)


def boxed(weight: Tensor) -> Tensor:
    """Convolve a kernel with a box of 2 x 2 ones, so that resizing and convolution become one: (..., k, k) -> k + 1."""
    w = F.pad(weight, (1, 1, 1, 1))
    w = w[..., 1:, :] + w[..., :-1, :]
    return w[..., 1:] + w[..., :-1]


class GrowingConv2d(nn.Module):
    """Convolution with equalised learning rate, as large as its input, twice (``resize`` 2) or half as large (0.5).

    Doubling repeats pixels before the convolution and halving averages them after it, both in one strided convolution
    with a kernel one larger: the same sums with less than half of the products. The weights of a doubling convolution
    are stored rotated by 180 degrees. Kernels are odd, 3 when resizing; weights have He's gain sqrt(2), for a leaky
    ReLU.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, resize: float = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.resize = resize
        self.weight_gain = SQRT_TWO / math.sqrt(in_channels * kernel_size**2) * (0.25 if resize < 1 else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H', W'), in the precision of x."""
        weight = self.weight * self.weight_gain
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self.resize == 1:
            return F.conv2d(x, weight.to(x.dtype), bias, padding=weight.shape[-1] // 2)
        weight = boxed(weight).to(x.dtype)
        if self.resize < 1:
            return F.conv2d(x, weight, bias, stride=2, padding=1)
        return F.conv_transpose2d(x, weight.transpose(0, 1), bias, stride=2, padding=1)


class Dense(EqualisedLinear):
    """Linear layer with equalised learning rate and a gain on its weights alone."""

    def __init__(self, in_features: int, out_features: int, gain: float = SQRT_TWO) -> None:
        super().__init__(in_features, out_features)
        self.weight_gain = gain / math.sqrt(in_features)


class ToChannels(nn.Module):
    """Features -> image and label channels, linear, in the precision of the weights."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.weight_gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, C, H, W)."""
        return project(x, (self.weight * self.weight_gain).expand(len(x), -1, -1)) + self.bias.view(-1, 1, 1)


class GrowingDiscriminatorBlock(nn.Module):
    """Two convolutions, the second to half the resolution."""

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int, smooth: bool) -> None:
        super().__init__()
        self.conv0 = GrowingConv2d(in_channels, in_channels)
        self.conv1 = GrowingConv2d(in_channels, out_channels, resize=0.5)
        self.register_buffer("kernel", fir_kernel(SMOOTHING) if smooth else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, H / 2, W / 2)."""
        x = activate(self.conv0(x))
        return activate(self.conv1(x if self.kernel is None else blur(x, self.kernel, padding=1)))


class GrowingDiscriminatorHead(nn.Module):
    """4x4 features -> one logit a case; a condition adds the features' product with its embedding."""

    def __init__(self, width: int, classes: int, group: int) -> None:
        super().__init__()
        self.mbstd = MinibatchStd(group)
        self.conv = GrowingConv2d(width + 1, width)
        self.fc = Dense(width * 16, width)
        self.out = EqualisedLinear(width, 1)
        self.embed = EqualisedLinear(classes, width) if classes else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """x (N, width, 4, 4), condition (N, classes) or None -> (N, 1)."""
        x = activate(self.fc(activate(self.conv(self.mbstd(x))).flatten(1)))
        y = self.out(x)
        if self.embed is not None and condition is not None:
            embedded = normalise_second_moment(self.embed(condition.to(x.dtype)))
            y = y + (x * embedded).sum(dim=1, keepdim=True) / math.sqrt(x.shape[1])
        return y


class GrowingDiscriminator(nn.Module):
    """Image and label channels at the resolution of a level -> realness logit.

    ``resolution`` is the last one, a power of two >= 8, and ``first`` the one that growing starts from; each has
    ``channel_base`` / resolution feature maps, at most ``channel_max``. ``classes`` is the width of the condition, 0
    for none; ``group`` counts the cases of a minibatch-deviation group; ``smooth``: low-pass with [1, 2, 1] before
    halving (StyleGAN).
    """

    def __init__(
        self,
        classes: int,
        resolution: int,
        channels: int,
        channel_base: int = 16384,
        channel_max: int = 512,
        first: int = 4,
        group: int = 4,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        r = resolution
        while r >= 4:
            width = channels_at(r, channel_base, channel_max)
            if r >= first:
                self.add_module(f"read{r}", GrowingConv2d(channels, width, 1))
            if r > 4:
                out = channels_at(r // 2, channel_base, channel_max)
                self.add_module(f"b{r}", GrowingDiscriminatorBlock(width, out, smooth))
            else:
                self.b4 = GrowingDiscriminatorHead(width, classes, group)
            r //= 2

    def _read(self, image: Tensor, resolution: int, low: torch.dtype) -> Tensor:
        x = image.to(low if resolution >= LOW_PRECISION_FROM else image.dtype)
        read = self.get_submodule(f"read{resolution}")
        return activate(read(x.contiguous(memory_format=torch.channels_last)))

    def forward(self, image: Tensor, condition: Tensor | None, level: float) -> Tensor:
        """Image (N, C, R', R') at a level's resolution R', condition (N, classes) or None -> logits (N, 1), precision
        kept.
        """
        low = convolution_dtype(image)
        resolution, alpha = stage(level)
        with torch.autocast(image.device.type, enabled=False):
            x = self._read(image, resolution, low)
            while resolution > 4:
                x = self.get_submodule(f"b{resolution}")(x)
                resolution //= 2
                if alpha < 1:
                    old = self._read(halve(image), resolution, low)
                    x, alpha = torch.lerp(old, x.to(old.dtype), alpha), 1.0
            return torch.as_tensor(self.b4(x.to(image.dtype), condition))
