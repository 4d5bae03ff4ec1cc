"""SPADE: a generator whose normalisation layers are modulated, pixel by pixel, by a label map; 2D and 3D.

Source: Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019, arXiv 1903.07291, eq. 1
    (the layer), section 3 and appendix A (residual blocks, generator, image encoder); gamma is learned as 1 + gamma, as
    in the authors' code.
Differs: statistics are those of one case and channel (instance normalisation; published: of the batch over several
    GPUs), so that a case does not depend on its neighbours; at coarse levels a label map is averaged, not sampled, so
    that a small lesion does not vanish; one residual block a level; the encoder's first layer is not normalised, so
    that it can see how bright an image is; a thin axis is halved later (nets/spatial.py).
Checked: tests/nets/test_spade.py (eq. 1 by hand).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.nets.spatial import Conv, Stride, halved, halvings, instance_norm


class Spade(nn.Module):
    """gamma(m) (h - mu) / sigma + beta(m): eq. 1.

    Args:
        channels: C of the activations h.
        classes: K of the label map m.
        hidden: feature maps between the label map and gamma, beta; published: 128.
        dims: 2 or 3.
    """

    def __init__(self, channels: int, classes: int, hidden: int, dims: int) -> None:
        super().__init__()
        self.shared = Conv(classes, hidden, 3, dims=dims)
        self.gamma, self.beta = (Conv(hidden, channels, 3, dims=dims) for _ in "ab")

    def forward(self, h: Tensor, m: Tensor) -> Tensor:
        """Activations h (N, C, *S) and label map m (N, K, *S) -> (N, C, *S)."""
        seen = F.relu(self.shared(m))
        return instance_norm(h) * (1 + self.gamma(seen)) + self.beta(seen)


class SpadeBlock(nn.Module):
    """Residual block whose convolutions each follow a SPADE layer; the shortcut is learned where channels change."""

    def __init__(self, inputs: int, outputs: int, classes: int, hidden: int, dims: int, spectral: bool) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0, self.norm_1 = Spade(inputs, classes, hidden, dims), Spade(middle, classes, hidden, dims)
        self.conv_0 = Conv(inputs, middle, 3, dims=dims, spectral=spectral)
        self.conv_1 = Conv(middle, outputs, 3, dims=dims, spectral=spectral)
        self.norm_s = Spade(inputs, classes, hidden, dims) if inputs != outputs else None
        if self.norm_s:
            self.conv_s = Conv(inputs, outputs, 1, dims=dims, bias=False, spectral=spectral)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        """(N, inputs, *S) and label map (N, K, *S) -> (N, outputs, *S)."""
        y = self.conv_0(F.leaky_relu(self.norm_0(x, m), 0.2))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, m), 0.2))
        return y + (self.conv_s(self.norm_s(x, m)) if self.norm_s else x)


class SpadeGenerator(nn.Module):
    """From a latent, level by level to a case, every level told the label map.

    Args:
        z_dim: width of the latent.
        classes: K.
        outputs: C, image channels.
        size: sides S of a case.
        strides: how each level is halved, finest first.
        channels: feature maps of the finest level, doubled at each coarser one.
        channels_max: most feature maps.
        hidden: see :class:`Spade`.
        kernel: of the last convolution; published: 3.
        spectral: spectral normalisation of the convolutions outside SPADE layers.
    """

    def __init__(
        self,
        z_dim: int,
        classes: int,
        outputs: int,
        size: Sequence[int],
        strides: Sequence[Stride],
        *,
        channels: int,
        channels_max: int,
        hidden: int,
        kernel: int = 3,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        dims, levels = len(size), len(strides)
        widths = [min(channels * 2**i, channels_max) for i in range(levels + 1)]
        self.strides, self.start = list(strides), (widths[-1], *halved(size, strides))
        self.sizes = [halved(size, strides[:i]) for i in range(levels + 1)]
        self.enter = nn.Linear(z_dim, math.prod(self.start))
        self.blocks = nn.ModuleList(
            SpadeBlock(widths[min(i + 1, levels)], widths[i], classes, hidden, dims, spectral)
            for i in range(levels, -1, -1)
        )
        self.leave = Conv(widths[0], outputs, kernel, dims=dims, exact=True)

    def forward(self, z: Tensor, m: Tensor) -> Tensor:
        """Paint.

        Args:
            z: latents (N, z_dim).
            m: label maps (N, K, *S), one channel a class, 0 or 1.

        Returns:
            Images, float32 (N, C, *S) in [-1, 1].
        """
        x = self.enter(z).unflatten(1, self.start)
        for level, block in zip(range(len(self.strides), -1, -1), self.blocks, strict=True):
            if level < len(self.strides):
                x = F.interpolate(x, scale_factor=[float(step) for step in self.strides[level]], mode="nearest")
            x = block(x, F.interpolate(m, self.sizes[level], mode="area") if level else m)
        return torch.as_tensor(self.leave(F.leaky_relu(x, 0.2))).tanh()


class ImageEncoder(nn.Module):
    """Read from an image the mean and the log-variance of the latent that paints it (section 3, "multi-modal").

    Args:
        inputs: C, image channels.
        size: sides S of a case.
        z_dim: width of the latent.
        channels: feature maps of the first layer, doubled at each further one.
        channels_max: most feature maps.
    """

    def __init__(self, inputs: int, size: Sequence[int], z_dim: int, *, channels: int, channels_max: int) -> None:
        super().__init__()
        strides, into = halvings(size, 6, 4), inputs
        self.layers = nn.ModuleList()
        for i, stride in enumerate(strides):
            out = min(channels * 2**i, channels_max)
            self.layers.append(Conv(into, out, 3, dims=len(size), stride=stride, bias=i == 0))
            into = out
        self.leave = nn.Linear(into * math.prod(halved(size, strides)), 2 * z_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, *S) -> mean (N, z_dim) and log-variance (N, z_dim), float32."""
        for i, layer in enumerate(self.layers):
            x = F.leaky_relu(instance_norm(layer(x)) if i else layer(x), 0.2)
        with torch.autocast(x.device.type, enabled=False):
            mean, log_variance = self.leave(x.float().flatten(1)).chunk(2, dim=1)
        return mean, log_variance
