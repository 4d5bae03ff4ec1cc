"""The menus of task networks, MONAI's: segmenters, wrapped so that any spatial size goes in and the same size comes
out, and classifiers.

**Source** of ``unet``: Ronneberger et al., U-Net (2015, arXiv 1505.04597), in the form of Isensee et al., nnU-Net
(2021, doi 10.1038/s41592-020-01008-z): two convolutions a level, instance normalisation, leaky ReLU; MONAI's
``DynUNet``.
**Differs**: no deep supervision, and narrow, since hundreds of updates at 64 pixels must do. Instance normalisation
keeps no running statistics of synthetic images that real images would have to fit.
**Source** of ``nnunet``: the same with deep supervision (Isensee et al. 2021, methods): in training, logits at every
level but the two coarsest. Wider; for comparisons with what nnU-Net would give. **Differs**: strides of 2 on every
axis, no plan from the data, no ensemble.
**Source** of ``swin``: Hatamizadeh et al., Swin UNETR (2022, arXiv 2201.01266), MONAI's ``SwinUNETR``: the encoder of
Liu et al., Swin Transformer (2021, arXiv 2103.14030), with residual convolutions on the way up. **Differs** from Akbar
et al. (2024), who took UPerNet on Swin-B: this one is smaller, and starts from random weights, not from ImageNet's.
**Source** of ``segresnet``: Myronenko, 3D MRI brain tumor segmentation using autoencoder regularization (2018, arXiv
1810.11654): residual blocks (1, 2, 2, 4 a level), group normalisation, skips that are added, linear upsampling; MONAI's
``SegResNet``. **Differs**: without the autoencoder branch, and narrow. It shares no block with ``unet``.
**Source** of ``pix2pix``: see translator.py; it learns against an adversary (adversary.py).
**Source** of the classifier: Huang et al., Densely Connected Convolutional Networks (2017, arXiv 1608.06993):
``densenet`` is DenseNet-121 (table 1), as in CheXNet (Rajpurkar et al., 2017, arXiv 1711.05225), from random weights.
**Differs**: ``densenet-small`` (0.36 million parameters instead of 7) is for small images on a processor: six times as
fast at 64 pixels.
**Checked**: tests/tasks/test_networks.py (odd sizes, 2D and 3D, same seed same weights, volumes in bf16).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
import torch.nn.functional as F
from monai.networks.blocks.dynunet_block import UnetBasicBlock
from monai.networks.nets import DenseNet, DynUNet, SegResNet, SwinUNETR
from torch import Tensor, nn

from understudy.core.errors import UsageError
from understudy.nets.instance_norm import NormLeakyReLU2d
from understudy.nets.spatial import SHALLOW
from understudy.tasks.translator import Translator
from understudy.training.parallel import seeded

Network = TypeVar("Network", bound=nn.Module)


class Padded(nn.Module):
    """Pad the input at its far ends (edge values) to sides that the network can halve, and crop its output back.

    The network maps (N, C, *S) to (N, K, *S) where every side divides by ``multiple``; one side at least holds it
    twice, so that instance normalisation finds more than one value at the coarsest level.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to (N, K, *S), or with deep supervision in training to (N, heads, K, *S), finest first."""
        size = x.shape[2:]
        missing = [-side % self.multiple for side in size]
        if max(size) <= self.multiple:
            missing[-1] += self.multiple
        if any(missing):
            x = F.pad(x, [v for m in reversed(missing) for v in (0, m)], mode="replicate")
        return self.network(x)[(..., *(slice(0, side) for side in size))]


def unet(
    dims: int, image_channels: int, classes: int, channels: Sequence[int], deep_supervision: bool = False
) -> nn.Module:
    """Return a U-Net with two convolutions a level; every level after the first halves the sides.

    With ``deep_supervision``, in training, there are logits at every level but the two coarsest, each at full size; it
    takes four levels.
    """
    levels, min_levels = len(channels), 4 if deep_supervision else 3
    if levels < min_levels or min(channels) < 1:
        raise UsageError(
            f"this U-Net needs the widths of at least {min_levels} levels, found channels = {tuple(channels)}"
        )
    halving = [2] * (levels - 1)
    network = DynUNet(
        *(dims, image_channels, classes, [3] * levels, [1, *halving], halving),
        filters=list(channels),
        deep_supervision=deep_supervision,
        deep_supr_num=max(1, levels - 3),
    )
    if dims == 2:
        _join_norms(network)
    return Padded(network, 2 ** (levels - 1))


def _join_norms(network: nn.Module) -> None:
    """Let each normalisation of a U-Net of images do the leaky ReLU after it; weights keep their names."""
    for block in list(network.modules()):
        if isinstance(block, UnetBasicBlock):
            for norm in (block.norm1, block.norm2):
                norm.__class__, norm.slope = NormLeakyReLU2d, block.lrelu.negative_slope
            block.lrelu = nn.Identity()


def segresnet(dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> nn.Module:
    """Return a SegResNet; every level doubles the width and halves the sides."""
    levels, width = len(channels), channels[0] if channels else 0
    if levels < 3 or width < 1 or list(channels) != [width * 2**i for i in range(levels)]:
        raise UsageError(
            f"a SegResNet needs the widths of at least three levels, each twice the one before, e.g. channels = [16, "
            f"32, 64, 128]; found {list(channels)}"
        )
    network = SegResNet(
        dims,
        init_filters=width,
        in_channels=image_channels,
        out_channels=classes,
        norm=("GROUP", {"num_groups": math.gcd(8, width)}),
        blocks_down=(1, *[2] * (levels - 2), 4),
        blocks_up=(1,) * (levels - 1),
    )
    return Padded(network, 2 ** (levels - 1))


def swin(dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> nn.Module:
    """Return a Swin UNETR; sides are padded to multiples of 32.

    ``channels`` is one width, that of the finest level, a multiple of 12; each of the four levels below doubles it.
    """
    if len(channels) != 1 or channels[0] < 12 or channels[0] % 12:
        raise UsageError(
            f"a Swin UNETR needs one width, a multiple of 12, e.g. channels = [24]; found {list(channels)}"
        )
    return Padded(SwinUNETR(image_channels, classes, feature_size=channels[0], spatial_dims=dims), 32)


def pix2pix(dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> nn.Module:
    """Return the U-Net of pix2pix (translator.py), which halves the sides at every level."""
    return Padded(Translator(dims, image_channels, classes, channels), 2 ** len(channels))


# (dims, C, K with the background, widths of the levels, finest first) -> a module (N, C, *S) to logits (N, K, *S)
NETWORKS: dict[str, Callable[[int, int, int, Sequence[int]], nn.Module]] = {
    "unet": unet,
    "nnunet": partial(unet, deep_supervision=True),
    "segresnet": segresnet,
    "swin": swin,
    "pix2pix": pix2pix,
}
ADVERSARIAL = {"pix2pix"}  # those that learn against an adversary
WIDTHS: dict[str, tuple[int, ...]] = {
    "unet": (16, 16, 32, 64, 128),
    "nnunet": (32, 64, 128, 256, 256),
    "segresnet": (16, 32, 64, 128),
    "swin": (24,),
    "pix2pix": (32, 64, 128, 256, 256),
}


class ShallowConv3d(nn.Conv3d):
    """A convolution of volumes that runs in fp32 on a processor where they are less than four voxels deep.

    In bf16 at depth 2, oneDNN leaves parts of the gradient of a 3x3x3 weight unwritten (torch 2.13, CPU).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, D, H, W) as ``nn.Conv3d`` does."""
        if x.device.type != "cpu" or x.shape[2] >= SHALLOW:
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class DenseClassifier(nn.Module):
    """A DenseNet in two parts: features (N, F), pooled over space, and a linear layer to one logit a class.

    ``width`` are the feature maps of the first convolution, ``growth`` those that each layer adds, ``layers`` the
    layers of each dense block.
    """

    def __init__(
        self, dims: int, image_channels: int, classes: int, width: int, growth: int, layers: Sequence[int]
    ) -> None:
        super().__init__()
        self.network = DenseNet(dims, image_channels, classes, width, growth, layers)
        self.smallest = 2 ** (len(layers) + 1)

    def features(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to (N, F)."""
        if min(x.shape[2:]) < self.smallest:
            raise UsageError(
                f"this classifier needs images of at least {self.smallest} pixels a side, found "
                f"{' x '.join(map(str, x.shape[2:]))}: import with a larger --size, or --set network=densenet-small"
            )
        return self.network.class_layers[:-1](self.network.features(x))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to logits (N, K)."""
        return self.network.class_layers[-1](self.features(x))


CLASSIFIERS: dict[str, Callable[[int, int, int], DenseClassifier]] = {
    "densenet": partial(DenseClassifier, width=64, growth=32, layers=(6, 12, 24, 16)),
    "densenet-small": partial(DenseClassifier, width=32, growth=16, layers=(4, 8, 8)),
}


def build_network(
    name: str, dims: int, image_channels: int, classes: int, channels: Sequence[int], seed: int
) -> nn.Module:
    """Build a segmenter of the menu with weights that depend on the seed only."""
    return built(lambda: NETWORKS[name](dims, image_channels, classes, channels), seed)


def build_classifier(name: str, dims: int, image_channels: int, classes: int, seed: int) -> DenseClassifier:
    """Build a classifier of the menu with weights that depend on the seed only."""
    return built(lambda: CLASSIFIERS[name](dims, image_channels, classes), seed)


def built(build: Callable[[], Network], seed: int) -> Network:
    """Build with weights of a seed, the global generator left as it was; convolutions of volumes made right in bf16."""
    with seeded(seed):
        network = build()
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = ShallowConv3d
    return network
