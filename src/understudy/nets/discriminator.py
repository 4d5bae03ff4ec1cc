"""The residual discriminator of StyleGAN2, which StyleGAN3 uses as well.

**Source**: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958, section 4.1,
figure 7c; Miyato and Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637 (condition). Parameter names
and shapes are those of the published weights, so that those load as they are.
**Differs**: reads any number of image and label channels; under autocast everything from 8x8 pixels up runs in the low
precision, the 4x4 head in float32.
**Checked**: tests/nets/test_discriminator.py (shapes, names, initial scale, condition, minibatch groups).
"""

import math

import torch
from torch import Tensor, nn

from understudy.nets.filters import fir_kernel
from understudy.nets.layers import (
    SQRT_HALF,
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchStd,
    channels_at,
    convolution_dtype,
)
from understudy.nets.mapping import Mapping


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the resolution; the first one also reads the image."""

    def __init__(self, in_channels: int, out_channels: int, channels: int, clamp: float | None) -> None:
        super().__init__()
        self.register_buffer("resample_filter", fir_kernel())
        self.fromrgb = EqualisedConv2d(channels, in_channels, 1, clamp=clamp) if channels else None
        self.conv0 = EqualisedConv2d(in_channels, in_channels, 3, clamp=clamp)
        self.conv1 = EqualisedConv2d(in_channels, out_channels, 3, down=True, clamp=clamp, gain=SQRT_HALF)
        self.skip = EqualisedConv2d(
            in_channels, out_channels, 1, activation=False, bias=False, down=True, gain=SQRT_HALF
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W), or the image (N, C, H, W) in the first block -> (N, O, H / 2, W / 2)."""
        x = x if self.fromrgb is None else self.fromrgb(x)
        return self.skip(x).add_(self.conv1(self.conv0(x)))


class DiscriminatorHead(nn.Module):
    """4x4 features -> one logit per case, or with a condition the projection onto its embedding."""

    def __init__(self, width: int, condition_dim: int, group: int, clamp: float | None) -> None:
        super().__init__()
        self.mbstd = MinibatchStd(group)
        self.conv = EqualisedConv2d(width + 1, width, 3, clamp=clamp)
        self.fc = EqualisedLinear(width * 16, width, activation=True)
        self.out = EqualisedLinear(width, condition_dim or 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """x (N, width, 4, 4) float32, condition (N, condition_dim) or None -> (N, 1)."""
        y = self.out(self.fc(self.conv(self.mbstd(x)).flatten(1)))
        return y if condition is None else (y * condition).sum(dim=1, keepdim=True) / math.sqrt(condition.shape[1])


class Discriminator(nn.Module):
    """Image and label channels -> realness logit; sizes as `StyleGAN2Synthesis`, `group` for the batch deviation."""

    def __init__(
        self,
        classes: int,
        resolution: int,
        channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        group: int = 4,
        clamp: float | None = None,
        mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(int(math.log2(resolution)), 2, -1)]
        for r in self.resolutions:
            width, out = (channels_at(s, channel_base, channel_max) for s in (r, r // 2))
            self.add_module(f"b{r}", DiscriminatorBlock(width, out, channels if r == resolution else 0, clamp))
        width = channels_at(4, channel_base, channel_max)
        self.mapping = Mapping(0, classes, width, mapping_layers, track_average=False) if classes else None
        self.b4 = DiscriminatorHead(width, width if classes else 0, group, clamp)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Image (N, C, R, R), condition (N, classes) or None -> logits (N, 1), float32; > 0 means real."""
        x = image.to(convolution_dtype(image)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, enabled=False):
            for r in self.resolutions:
                x = self.get_submodule(f"b{r}")(x)
            embedded = self.mapping(None, condition) if self.mapping else None
            return self.b4(x.to(image.dtype), embedded)
