"""The menu of task networks: MONAI's, wrapped so that any spatial size goes in and the same size comes out.

**Source**: Ronneberger et al., U-Net (2015, arXiv 1505.04597); residual units as in Kerfoot et al., Left-Ventricle
Quantification Using Residual U-Net (2019), both as MONAI's ``UNet``.
**Differs**: instance normalisation with affine terms, so that a batch of synthetic images leaves no running statistics
that real images would have to fit.
**Checked** in tests/tasks/test_networks.py (odd sizes, 2D and 3D, same seed same weights).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from monai.networks.nets import UNet
from torch import Tensor, nn

from understudy.core.errors import UsageError


class Padded(nn.Module):
    """Pad the input at its far ends (edge values) to sides that the network can halve, and crop its output back.

    Args:
        network: maps (N, C, *S) to (N, K, *S) when every side divides by ``multiple``.
        multiple: what sides must divide by.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        """Store the network."""
        super().__init__()
        self.network, self.multiple = network, multiple

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to (N, K, *S)."""
        size = x.shape[2:]
        missing = [-side % self.multiple for side in size]
        if any(missing):
            x = F.pad(x, [v for m in reversed(missing) for v in (0, m)], mode="replicate")
        return self.network(x)[(slice(None), slice(None), *(slice(0, side) for side in size))]


def unet(dims: int, image_channels: int, classes: int, channels: Sequence[int]) -> nn.Module:
    """Return a U-Net with one residual unit of two convolutions a level.

    Args:
        dims: 2 or 3 spatial axes.
        image_channels: C.
        classes: K with the background.
        channels: width of each level, finest first; every level halves the sides.

    Returns:
        A module (N, C, *S) -> logits (N, K, *S).
    """
    if len(channels) < 2 or min(channels) < 1:
        raise UsageError(f"a U-Net needs the widths of at least two levels, found channels = {tuple(channels)}")
    network = UNet(
        dims,
        image_channels,
        classes,
        tuple(channels),
        (2,) * (len(channels) - 1),
        num_res_units=2,
        norm=("INSTANCE", {"affine": True}),
    )
    return Padded(network, 2 ** (len(channels) - 1))


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
