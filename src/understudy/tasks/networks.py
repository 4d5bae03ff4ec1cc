"""The menu of task networks: MONAI's, wrapped so that any spatial size goes in and the same size comes out.

**Source**: Ronneberger et al., U-Net (2015, arXiv 1505.04597), in the form of Isensee et al., nnU-Net (2021, doi
10.1038/s41592-020-01008-z): two convolutions a level, instance normalisation, leaky ReLU; MONAI's ``DynUNet``.
**Differs**: no deep supervision, and narrow, since hundreds of updates at 64 pixels must do. Instance normalisation
keeps no running statistics of synthetic images that real images would have to fit.
**Checked** in tests/tasks/test_networks.py (odd sizes, 2D and 3D, same seed same weights).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from monai.networks.nets import DynUNet
from torch import Tensor, nn

from understudy.core.errors import UsageError


class Padded(nn.Module):
    """Pad the input at its far ends (edge values) to sides that the network can halve, and crop its output back.

    Args:
        network: maps (N, C, *S) to (N, K, *S) when every side divides by ``multiple``.
        multiple: what sides must divide by; one side at least holds it twice, so that instance normalisation finds more
            than one value at the coarsest level.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        """Store the network."""
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to (N, K, *S)."""
        size = x.shape[2:]
        missing = [-side % self.multiple for side in size]
        if max(size) <= self.multiple:
            missing[-1] += self.multiple
        if any(missing):
            x = F.pad(x, [v for m in reversed(missing) for v in (0, m)], mode="replicate")
        return self.network(x)[(slice(None), slice(None), *(slice(0, side) for side in size))]


def unet(dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> nn.Module:
    """Return a U-Net with two convolutions a level.

    Args:
        dims: 2 or 3 spatial axes.
        image_channels: C.
        classes: K with the background.
        channels: width of each level, finest first; every level after the first halves the sides.

    Returns:
        A module (N, C, *S) -> logits (N, K, *S).
    """
    levels = len(channels)
    if levels < 3 or min(channels) < 1:
        raise UsageError(f"a U-Net needs the widths of at least three levels, found channels = {tuple(channels)}")
    halving = [2] * (levels - 1)
    network = DynUNet(dims, image_channels, classes, [3] * levels, [1, *halving], halving, filters=list(channels))
    return Padded(network, 2 ** (levels - 1))


NETWORKS: dict[str, Callable[[int, int, int, Sequence[int]], nn.Module]] = {"unet": unet}


def build_network(
    name: str, dims: int, image_channels: int, classes: int, channels: Sequence[int], seed: int
) -> nn.Module:
    """Build a network of the menu with weights that depend on the seed only; the global generator is left as it was.

    Raises:
        UsageError: the menu has no such network.
    """
    if name not in NETWORKS:
        raise UsageError(f"a task network is one of {', '.join(NETWORKS)}; found {name!r}")
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return NETWORKS[name](dims, image_channels, classes, channels)
