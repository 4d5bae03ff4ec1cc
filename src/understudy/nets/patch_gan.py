"""PatchGAN: a discriminator of every patch of a case, at one or several scales; 2D and 3D.

**Source**: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004,
section 3.2.2 and appendix 6.1.2 (C64-C128-C256-C512: patches of 70 pixels); Wang et al., "High-Resolution Image
Synthesis and Semantic Manipulation with Conditional GANs", 2018, arXiv 1711.11585, section 3.2 (several scales).
**Differs**: instance normalisation without learned scale; a small case takes fewer strided layers than asked for, so
that 4 pixels remain to the last two convolutions; a thin axis is halved later (nets/spatial.py).
**Checked**: tests/nets/test_patch_gan.py (the field of view of one logit, by gradients).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.nets.spatial import Conv, halved, halvings, instance_norm, kernel_of

POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}
POOLED = 3  # pixels that are averaged along each axis from one scale to the next
WIDEST = 8  # most feature maps, in multiples of those of the first layer


class PatchDiscriminator(nn.Module):
    """Strided convolutions, then two of stride 1: a logit for each of the overlapping patches.

    Args:
        inputs: channels of a case, with what it was made from.
        size: sides S of a case.
        channels: feature maps of the first layer, doubled at each further one, up to eightfold.
        layers: strided layers at most; 3 see patches of 70 pixels, 2 of 34, 1 of 16.
        spectral: spectral normalisation of the weights.
    """

    def __init__(
        self, inputs: int, size: Sequence[int], *, channels: int = 64, layers: int = 3, spectral: bool = False
    ) -> None:
        super().__init__()
        strides, dims = halvings(size, layers, 4), len(size)
        self.layers, into = nn.ModuleList(), inputs
        kernels = [kernel_of(stride) for stride in strides]
        side = halved(size, strides)
        for _ in range(2):
            kernels.append(tuple(4 if s >= 4 else 3 for s in side))
            side = tuple(s - 1 if s >= 4 else s for s in side)
        for i, kernel in enumerate(kernels):
            last = i == len(kernels) - 1
            out = 1 if last else channels * min(2**i, WIDEST)
            stride = strides[i] if i < len(strides) else None
            biased = last or i == 0
            self.layers.append(
                Conv(into, out, kernel, dims=dims, stride=stride, bias=biased, exact=last, spectral=spectral)
            )
            into = out

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map cases (N, inputs, *S) to the activations of every layer, the logits (N, 1, *P) float32 last."""
        found: list[Tensor] = []
        for i, layer in enumerate(self.layers[:-1]):
            x = layer(x)
            x = F.leaky_relu(instance_norm(x) if i else x, 0.2)
            found.append(x)
        return [*found, self.layers[-1](x)]


class PatchGAN(nn.Module):
    """Patch discriminators of the case as it is, half as large, a quarter as large ...: :class:`PatchDiscriminator`.

    There are ``scales`` of them, fewer for a case that is too small to be halved.
    """

    def __init__(
        self, inputs: int, size: Sequence[int], *, scales: int = 1, channels: int, layers: int, spectral: bool = False
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList()
        for _ in range(scales):
            self.scales.append(PatchDiscriminator(inputs, size, channels=channels, layers=layers, spectral=spectral))
            if min(size) < POOLED:
                break
            size = tuple((side + 1) // 2 for side in size)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """Map cases (N, inputs, *S) to the activations of every layer at every scale, the logits float32 last."""
        found = []
        for i, scale in enumerate(self.scales):
            x = torch.as_tensor(POOL[x.ndim - 2](x, POOLED, 2, 1, count_include_pad=False)) if i else x
            found.append(scale(x))
        return found
