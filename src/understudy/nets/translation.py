"""Networks that translate a case: the U-Net with skips of pix2pix, and the residual generator of CycleGAN; 2D and 3D.

**Source**: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 3.2 and appendix 6.1 (U-Net, dropout as the only noise); Zhu et al., "Unpaired Image-to-Image Translation using
Cycle-Consistent Adversarial Networks", 2017, arXiv 1703.10593, appendix 7.2 (residual generator).
**Differs**: instance instead of batch normalisation, in which a case would depend on its neighbours; it has no learned
scale; the U-Net is as deep as the case can be halved down to a side of 2 (published: to one pixel, where instance
normalisation has nothing to normalise); a thin axis is halved later (nets/spatial.py); the residual generator pads by
reflection at its two outer layers alone.
**Checked**: tests/nets/test_translation.py.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.nets.case_noise import CaseNoise
from understudy.nets.spatial import Conv, Stride, instance_norm, kernel_of

Drop = Callable[[Tensor, float], Tensor]  # activations and the share to be dropped -> activations


def no_dropout(x: Tensor, p: float) -> Tensor:
    """Drop nothing."""
    return x


def seeded_dropout(seeds: Sequence[int], device: torch.device) -> Drop:
    """Return a dropout in which case i depends on ``seeds[i]`` alone; good for one pass through a network."""
    noise = CaseNoise(seeds, device)

    def drop(x: Tensor, p: float) -> Tensor:
        return x * (noise.uniform(*x.shape[1:]) >= p) / (1 - p)

    return drop


class UNetGenerator(nn.Module):
    """Halve a case level by level, double it again, and join each level with what it was on the way down.

    ``strides`` say how each level is halved, finest first; at least two. ``channels`` are the feature maps after the
    first level, doubled at each further one up to ``channels_max``. The first ``dropout_layers`` on the way up drop the
    share ``dropout`` of their activations; ``squash``: end with tanh.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        strides: Sequence[Stride],
        *,
        channels: int,
        channels_max: int,
        dropout: float = 0.5,
        dropout_layers: int = 3,
        squash: bool = True,
    ) -> None:
        super().__init__()
        dims, last = len(strides[0]), len(strides) - 1
        widths = [min(channels * 2**i, channels_max) for i in range(len(strides))]
        self.dropout, self.dropout_layers, self.squash = dropout, dropout_layers, squash
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, (stride, into) in enumerate(zip(strides, [inputs, *widths], strict=False)):
            self.down.append(Conv(into, widths[i], kernel_of(stride), dims=dims, stride=stride, bias=i in (0, last)))
        for i in range(last, -1, -1):
            into, out = widths[i] * (1 if i == last else 2), widths[i - 1] if i else outputs
            self.up.append(
                Conv(into, out, kernel_of(strides[i]), dims=dims, stride=strides[i], up=True, bias=not i, exact=not i)
            )

    def forward(self, x: Tensor, drop: Drop = F.dropout) -> Tensor:
        """Translate (N, inputs, *S) to float32 (N, outputs, *S), in [-1, 1] where squashed.

        ``drop`` is the dropout, on in training, from torch's global generator, and in use (section 2.1 of the paper).
        """
        skips: list[Tensor] = []
        for i, layer in enumerate(self.down):
            x = layer(F.leaky_relu(x, 0.2) if i else x)
            x = instance_norm(x) if 0 < i < len(self.down) - 1 else x
            skips.append(x)
        x = skips.pop()
        for i, layer in enumerate(self.up[:-1]):
            x = instance_norm(layer(F.relu(x)))
            x = drop(x, self.dropout) if i < self.dropout_layers and self.dropout else x
            x = torch.cat([x, skips.pop().to(x.dtype)], dim=1)
        y = torch.as_tensor(self.up[-1](F.relu(x)))
        return y.tanh() if self.squash else y


class ResidualBlock(nn.Module):
    """Add to a case what two convolutions make of it."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.first, self.second = (Conv(channels, channels, 3, dims=dims, bias=False) for _ in "ab")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to the same shape."""
        y = F.relu(instance_norm(self.first(x)))
        return x + instance_norm(self.second(y))


class ResidualGenerator(nn.Module):
    """Halve a case some times, change it in residual blocks, and double it again; no skips.

    ``strides`` say how each level is halved, finest first (published: two); ``channels`` are the feature maps of the
    finest level, doubled at each further one. There are so many residual ``blocks`` at the coarsest level (published: 6
    up to 128 pixels, 9 from 256); ``kernel`` is that of the first and the last convolution (published: 7); ``squash``:
    end with tanh.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        strides: Sequence[Stride],
        *,
        channels: int,
        blocks: int = 6,
        kernel: int = 7,
        squash: bool = True,
    ) -> None:
        super().__init__()
        dims, widths = len(strides[0]), [channels * 2**i for i in range(len(strides) + 1)]
        steps = list(zip(widths, widths[1:], strides, strict=False))
        self.squash = squash
        self.conv_in = Conv(inputs, channels, kernel, dims=dims, reflect=True, bias=False)
        self.down = nn.ModuleList(Conv(a, b, 3, dims=dims, stride=s, bias=False) for a, b, s in steps)
        self.blocks = nn.ModuleList(ResidualBlock(widths[-1], dims) for _ in range(blocks))
        self.up = nn.ModuleList(Conv(b, a, 3, dims=dims, stride=s, up=True, bias=False) for a, b, s in reversed(steps))
        self.conv_out = Conv(channels, outputs, kernel, dims=dims, reflect=True, exact=True)

    def forward(self, x: Tensor) -> Tensor:
        """Translate (N, inputs, *S) to float32 (N, outputs, *S), in [-1, 1] where squashed."""
        x = F.relu(instance_norm(self.conv_in(x)))
        for layer in self.down:
            x = F.relu(instance_norm(layer(x)))
        for block in self.blocks:
            x = block(x)
        for layer in self.up:
            x = F.relu(instance_norm(layer(x)))
        y = torch.as_tensor(self.conv_out(x))
        return y.tanh() if self.squash else y
