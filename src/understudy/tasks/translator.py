"""The segmenter ``pix2pix``: a U-Net with skips that segments an image, learning against an adversary.

**Source**: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks (2017, arXiv 1611.07004),
appendix 6.1, the network of nets/translation.py; from images to label maps: Shin et al., Medical Image Synthesis for
Data Augmentation and Anonymization using Generative Adversarial Networks (2018, arXiv 1807.10225). The adversary:
adversary.py. **Differs**: five levels and narrower; every axis is halved at every level; dropout, their only noise, is
on in training alone, for a segmentation should not be random.
**Checked**: tests/tasks/test_networks.py and test_adversary.py.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from understudy.core.errors import UsageError
from understudy.nets.translation import UNetGenerator, no_dropout


class Translator(nn.Module):
    """The U-Net of pix2pix as a segmenter; its dropout is drawn from a generator of its own.

    ``channels`` are the widths of the levels, finest first, doubled at each level up to the last one's; every level
    halves the sides, the first one too. Torch's global generator gives the weights and seeds the dropout.
    """

    def __init__(self, dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        width, top = (channels[0], channels[-1]) if channels else (0, 0)
        if len(channels) < 2 or width < 1 or list(channels) != [min(width * 2**i, top) for i in range(len(channels))]:
            raise UsageError(
                "the U-Net of pix2pix needs the widths of at least two levels, each twice the one before up to the "
                f"widest, e.g. channels = [32, 64, 128, 256, 256]; found {list(channels)}"
            )
        strides = [(2,) * dims] * len(channels)
        self.network = UNetGenerator(image_channels, classes, strides, channels=width, channels_max=top, squash=False)
        self.noise = torch.Generator().manual_seed(int(torch.randint(2**31, ())))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to logits (N, K, *S) float32."""
        return torch.as_tensor(self.network(x, self._drop if self.training else no_dropout))

    def _drop(self, x: Tensor, p: float) -> Tensor:
        return x * (torch.rand(x.shape, generator=self.noise) >= p).to(x) / (1 - p)
