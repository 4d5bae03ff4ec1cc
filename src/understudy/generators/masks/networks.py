"""The networks of the mask GAN: latents -> class probabilities, and a critic of one-hot maps, in 2D and 3D.

**Source**: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028, section 4 (no batch
normalisation in the critic, whose penalty is taken case by case); Platscher, Zopes and Federau, "Image Translation for
Medical Image Generation", 2022, arXiv 2010.02745, and the published code (a dense layer to 128 coarse maps, which are
doubled; a critic whose feature maps double from 8 while its sides halve).
**Differs**: softmax over the classes where one mask had tanh. Every side is halved on its own down to 4 to 7 voxels:
volumes need not be cubes. At full size both networks see patches of 2 voxels a side as channels, which spares the
dearest convolutions. Pixel norm (published: instance norm, which takes the amount of a feature away), 3x3 kernels after
doubling and at the end (7x7), 4x4 kernels with stride 2 in the critic (5x5), slope 0.2 (0.02), biases, a nonlinear
dense layer before the score, Kaiming initialisation (normal, 0.02). A condition is embedded, joined with z in the
generator and projected in the critic (Miyato and Koyama, 2018, arXiv 1802.05637).
**Checked**: tests/generators/masks/test_networks.py (shapes in 2D and 3D, probabilities, cases on their own, the
condition, gradients of volumes in bf16 against float32).

Shapes: N batch, Z latents, K classes of the label map, S spatial size.
The critic works in float32 throughout: the penalty differentiates it twice, and that is most of a step. The generator
takes the surrounding autocast; no feature map is shallower than 4 voxels, where 3x3x3 convolutions in bf16 are safe.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.nets.layers import SLOPE
from understudy.nets.unet import from_patches, pixel_norm, to_patches

COARSEST = 4  # voxels that a side keeps at least
PATCH = 2  # side of the patches at full size
HIDDEN = 128  # features of the critic's dense layer


def halvings(size: Sequence[int]) -> list[tuple[int, ...]]:
    """Return by how much each side shrinks from level to level, 2 or 1, the finest level first.

    Example:
        >>> halvings((8, 32)), halvings((24, 40))
        ([(2, 2), (1, 2), (1, 2)], [(2, 2), (2, 2), (1, 2)])
    """
    step = tuple(2 if side % 2 == 0 and side >= 2 * COARSEST else 1 for side in size)
    return [step, *halvings([side // f for side, f in zip(size, step, strict=True)])] if 2 in step else []


def coarse_size(size: Sequence[int]) -> list[int]:
    """Return the sides at the coarsest level."""
    return [side // math.prod(steps) for side, steps in zip(size, zip(*halvings(size), strict=True), strict=True)]


def feature_maps(levels: int, finest: int, max_maps: int) -> list[int]:
    """Return the number of feature maps of each level, the finest first: doubled each time, at most `max_maps`."""
    return [min(finest * 2**level, max_maps) for level in range(levels)]


def _convolution(inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
    """A convolution with kernels of 3 where the stride is 1 and of 4 where it is 2, halving exactly."""
    kernel = tuple(step + 2 for step in stride)
    convolution: Any = nn.Conv2d if len(stride) == 2 else nn.Conv3d
    made: nn.Module = convolution(inputs, outputs, kernel, tuple(stride), padding=1)
    nn.init.kaiming_normal_(made.get_parameter("weight"), a=SLOPE)
    nn.init.zeros_(made.get_parameter("bias"))
    return made


class MaskGenerator(nn.Module):
    """Latents -> probabilities of `outputs` classes K; `classes` are those of a condition, 0 for none.

    Sides S are even. There are `finest` feature maps at half the size, and at most `max_maps` at any level.
    """

    min_voxels: Tensor

    def __init__(self, z_dim: int, classes: int, outputs: int, size: Sequence[int], finest: int, max_maps: int) -> None:
        super().__init__()
        self.steps, self.coarse = halvings(size)[:0:-1], coarse_size(size)
        widths, still = feature_maps(len(self.steps) + 1, finest, max_maps)[::-1], (1,) * len(size)
        self.embed = nn.Linear(classes, z_dim) if classes else None
        self.conv_in = nn.Linear(z_dim * (2 if classes else 1), widths[0] * math.prod(self.coarse))
        self.convolutions = nn.ModuleList(
            _convolution(a, b, still) for a, b in zip([widths[0], *widths], widths, strict=False)
        )
        self.conv_out = _convolution(widths[-1], outputs * PATCH ** len(size), still)
        self.register_buffer("min_voxels", torch.zeros([], dtype=torch.int64))  # of a case worth drawing

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z (N, Z) and condition (N, classes) or None -> probabilities (N, K, *S), float32."""
        if self.embed is not None and condition is not None:
            z = torch.cat([z, self.embed(condition.to(z.dtype))], dim=1)
        x = self.conv_in(z).view(len(z), -1, *self.coarse)
        for step, convolution in zip([None, *self.steps], self.convolutions, strict=True):
            x = x if step is None else F.interpolate(x, scale_factor=tuple(map(float, step)), mode="nearest")
            x = pixel_norm(F.leaky_relu(convolution(x), SLOPE))
        with torch.autocast(x.device.type, enabled=False):
            return from_patches(self.conv_out(x.float()), PATCH).softmax(dim=1)


class Critic(nn.Module):
    """One-hot or soft label maps of `inputs` classes K -> a score each, without bounds; in float32.

    Sizes as for the generator, but `finest` feature maps are at a quarter of the size.
    """

    def __init__(self, classes: int, inputs: int, size: Sequence[int], finest: int, max_maps: int) -> None:
        super().__init__()
        steps = halvings(size)[1:]
        widths = [inputs * PATCH ** len(size), *feature_maps(len(steps), finest, max_maps)]
        self.convolutions = nn.ModuleList(
            _convolution(a, b, step) for a, b, step in zip(widths, widths[1:], steps, strict=False)
        )
        self.mix = nn.Linear(widths[-1] * math.prod(coarse_size(size)), HIDDEN)
        self.embed = nn.Linear(classes, HIDDEN, bias=False) if classes else None
        self.score = nn.Linear(HIDDEN, 1, bias=False)  # a constant would change no difference of scores

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Maps (N, K, *S) and condition (N, classes) or None -> scores (N, 1)."""
        with torch.autocast(x.device.type, enabled=False):
            x = to_patches(x, PATCH)
            for convolution in self.convolutions:
                x = F.leaky_relu(convolution(x), SLOPE)
            h = F.leaky_relu(self.mix(x.flatten(1)), SLOPE)
            score = self.score(h)
            if self.embed is None or condition is None:
                return torch.as_tensor(score)
            return score + (self.embed(condition.to(h.dtype)) * h).sum(dim=1, keepdim=True) / math.sqrt(HIDDEN)
