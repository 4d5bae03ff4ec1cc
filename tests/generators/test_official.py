"""The same weights and latents through the official code and through ours give the same images, in float32.

Weights and latents are made by a formula. Without the official code at hand, a few values of its images are compared,
which it computed once from these weights; with UNDERSTUDY_OFFICIAL=PATH, a checkout of NVlabs/stylegan3 (which holds
StyleGAN2 as well), its images are computed anew and compared whole. `python tests/generators/test_official.py PATH`
prints the values.
"""

import importlib.util
import os
import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from understudy.generators.gan import stylegan2, stylegan3
from understudy.nets.signals import Design

OFFICIAL = os.environ.get("UNDERSTUDY_OFFICIAL")
Z, W, CASES, PSI, VALUES = 12, 10, 3, 0.7, 30


@dataclass(frozen=True)
class Network:
    """A network to compare."""

    kind: str  # stylegan2, or the variant t or r of stylegan3
    resolution: int
    channels: int
    classes: int = 0
    widths: dict[str, Any] = field(default_factory=lambda: {"channel_base": 256, "channel_max": 16})

    @property
    def settings(self) -> dict[str, Any]:
        turning = {"conv_kernel": 1, "use_radial_filters": True} if self.kind == "r" else {}
        return {**turning, **self.widths}


NETWORKS = {
    "stylegan2, 16 px": Network("stylegan2", 16, 3),
    "stylegan2, 32 px, classes": Network("stylegan2", 32, 5, 3),
    "stylegan2, 64 px, odd widths": Network("stylegan2", 64, 1, widths={"channel_base": 500, "channel_max": 13}),
    "t, 16 px": Network("t", 16, 3),
    "t, 32 px, classes": Network("t", 32, 5, 3),
    "t, 64 px, odd widths": Network("t", 64, 1, widths={"channel_base": 700, "channel_max": 13, "num_layers": 9}),
    "t, 32 px, clamped": Network("t", 32, 2, widths={"channel_base": 256, "channel_max": 16, "conv_clamp": 4.0}),
    "r, 16 px": Network("r", 16, 3),
    "r, 32 px, classes": Network("r", 32, 5, 3),
    "r, 64 px, odd widths": Network("r", 64, 1, 1, widths={"channel_base": 700, "channel_max": 15, "num_layers": 8}),
}

EXPECTED = {  # computed by the official code (NVlabs/stylegan3), float32, on a processor
    "stylegan2, 16 px": (
        -0.0121, -0.51741, -0.7481, 0.5782, 0.30916, -0.70276, -0.90939, 1.22678, -0.03661, -1.10382,
        -2.34162, -2.95588, -2.4434, -0.1462, -3.3066, -1.56678, 0.35686, 2.50427, -1.43624, 1.48636, -0.50649,
        -0.65008, -0.5028, -0.2998, -0.34705, 0.06339, -0.6823, 0.63094, 0.954, -0.39406,
    ),
    "stylegan2, 32 px, classes": (
        -0.11188, -0.06538, -0.30478, -0.41213, -0.77721, 0.32364, -0.80337, -0.34631, -0.23474, -0.03387,
        -1.14603, -0.40663, -1.66122, -0.63762, 0.67578, 0.97143, -0.02334, -0.03696, 0.07664, 0.23805, 0.09215,
        0.05365, -0.63572, -0.90536, 0.4495, -0.57402, -0.32637, -0.41322, -0.70203, -0.21466,
    ),
    "stylegan2, 64 px, odd widths": (
        0.06078, -0.41576, 0.05071, -0.38715, -0.0572, -0.5624, -0.2352, -0.33235, 0.29037, 0.35572,
        -0.37258, -0.73544, -0.30857, 0.50197, -0.34545, 1.84086, 0.31969, -0.28656, 0.94144, 1.64313, 0.11229,
        -0.15616, -0.44458, -0.98909, -0.07073, 0.13122, -0.26138, 0.55318, -0.26436, 0.1449,
    ),
    "t, 16 px": (
        1.66159, 2.03045, 1.76566, 0.97464, -2.30249, -2.93102, -2.77431, -0.53326, -0.71173, -0.7438,
        -0.28123, -0.04408, 0.05153, 0.3159, -0.06334, 0.27128, 0.45064, 0.14642, -0.28755, -0.21237, 1.4591,
        1.40694, 0.87472, -2.51985, -2.10413, -1.60666, -1.06113, -0.75971, -0.36787, -0.14241,
    ),
    "t, 32 px, classes": (
        0.37942, 0.42502, 0.96383, 1.03074, -1.57664, -1.41682, 1.00411, 0.97359, -0.55425, -0.4621,
        0.44185, 0.58937, 1.02351, 1.25411, -0.26579, -0.32024, 0.83564, 0.5518, -1.25906, -0.84499, 0.82048,
        1.13434, 3.67779, 7.32723, -4.05698, -6.89846, 2.37308, 2.71137, -4.00661, -2.31695,
    ),
    "t, 64 px, odd widths": (
        -1.41932, -0.52897, -0.35193, -0.48455, -0.24557, -0.60666, -0.25004, -0.39507, -0.47446, -0.72612,
        0.42384, 0.20009, -0.85418, 0.48058, 0.31145, 0.47221, 0.60411, 0.48227, 1.21583, 0.03299, -0.94362,
        -0.56862, -0.38987, -0.63558, -0.04707, -0.49231, -1.05785, -0.78252, -0.47295, -0.61964,
    ),
    "t, 32 px, clamped": (
        0.17194, 0.09795, 0.17411, 0.1582, 0.1639, 0.08057, 0.08349, 0.07129, 0.03114, 0.1001, 0.21845,
        0.0879, 0.26213, 0.33544, 0.20055, -0.16129, -0.14977, -0.2741, -0.27838, -0.17398, 0.04762, 0.06378,
        0.03197, -0.02744, 0.0727, 0.421, 0.49321, 0.54373, 0.5566, 0.63358,
    ),
    "r, 16 px": (
        -0.27326, -0.51781, -0.58601, -0.42151, 0.61025, 0.08917, 0.40543, -0.70937, -0.71173, -0.40486,
        -4.09469, -3.82119, -6.61611, 9.74878, 6.58379, 14.0563, 19.0386, -5.53523, -10.85051, -17.89343, 0.04009,
        -0.01783, -0.13918, 0.43713, 0.65373, 0.82057, -0.16672, -0.22093, -0.30423, -0.2314,
    ),
    "r, 32 px, classes": (
        0.07983, 0.00727, 0.10236, 0.11073, -0.43896, 0.06147, 0.24087, -0.2187, -0.24023, -0.44908,
        0.26519, 0.23414, 0.12384, 0.48515, -0.12513, 0.29751, 0.07373, -0.41925, -0.1593, -0.6314, 1.757, 0.7422,
        -2.16111, -0.28262, -1.15388, -0.05437, 0.57506, 0.06357, 0.23014, 0.28289,
    ),
    "r, 64 px, odd widths": (
        -0.00879, -0.01241, -0.013, 0.24458, 0.04317, 0.05143, 0.01064, -0.01482, -0.02991, -0.00026,
        0.0329, 0.07732, 0.03788, 0.37353, -0.03952, 0.41363, 0.08911, 0.07927, -0.05913, 0.05144, 0.05675,
        -0.00196, -0.05504, -0.14158, 0.02234, -0.08217, -0.11042, -0.02497, 0.00257, -0.0262,
    ),
}  # fmt: skip


# ---------------------------------------------------------------------- made-up weights
def noise(name: str, *shape: int) -> Tensor:
    """Numbers of mean 0 and variance 1 that depend on the name and nothing else."""
    n = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    uniform = (torch.sin(n * 12.9898 + zlib.crc32(name.encode()) % 1000) * 43758.5453).remainder(1.0)
    return ((uniform - 0.5) * 12**0.5).view(shape).float()


def fill(network: nn.Module) -> None:
    """Give every parameter, and every buffer but the filters, a value that counts."""
    state = network.state_dict()
    for name, old in state.items():
        new = noise(name, *old.shape)
        if "mapping.fc" in name:
            new = new * (100 if name.endswith("weight") else 20)  # layers that learn 100 times slower
        elif name.endswith("magnitude_ema"):
            new = 0.6 + 0.1 * new.abs()
        elif name.endswith("transform"):
            new = torch.eye(3) + 0.05 * new * torch.tensor([[1.0], [1.0], [0.0]])
        elif name.endswith(("bias", "noise_strength", "w_avg")):
            new = old + 0.1 * new
        elif name.endswith("filter"):
            new = old
        state[name] = new
    network.load_state_dict(state)


def inputs(network: Network) -> tuple[Tensor, Tensor | None]:
    condition = noise("condition", CASES, network.classes).abs() if network.classes else None
    return noise("z", CASES, Z), condition


# ---------------------------------------------------------------------- both sides
def ours(network: Network) -> nn.Module:
    if network.kind == "stylegan2":
        return stylegan2.StyleGAN2Network(
            Z, network.classes, W, network.resolution, network.channels, 8, clamp=256.0, **network.settings
        )
    return stylegan3.StyleGAN3Network(
        Z, network.classes, W, network.resolution, network.channels, 2, Design(**network.settings)
    )


def stand_in(name: str, **content: object) -> None:
    """Register an empty module under a name that is not installed."""
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module


def official(network: Network, path: str) -> nn.Module:
    if path not in sys.path:
        sys.path.insert(0, path)
        stand_in("requests")  # imported for downloads and for building CUDA kernels, neither of which happens here
        stand_in("pkg_resources", parse_version=lambda text: tuple(int(part) for part in text.split(".")[:2]))
    kind = "networks_stylegan2" if network.kind == "stylegan2" else "networks_stylegan3"
    constructor: Callable[..., nn.Module] = importlib.import_module(f"training.{kind}").Generator
    return constructor(Z, network.classes, W, network.resolution, network.channels, **network.settings)


@torch.no_grad()
def official_images(network: Network, path: str) -> Tensor:
    net = official(network, path).eval()
    fill(net)
    z, condition = inputs(network)
    constant = {"noise_mode": "const"} if network.kind == "stylegan2" else {}
    c = torch.zeros(CASES, 0) if condition is None else condition
    return torch.as_tensor(net(z, c, truncation_psi=PSI, **constant))


def some(images: Tensor) -> Tensor:
    """Values spread over the images."""
    return images.flatten()[torch.arange(VALUES) * (images.numel() - 1) // (VALUES - 1)]


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_images_are_those_of_the_official_code(name: str) -> None:
    network = NETWORKS[name]
    net = ours(network)
    fill(net)
    assert all((p != 0).all() for p in net.parameters())
    found = net(*inputs(network), PSI)
    if OFFICIAL is None:
        found, expected = some(found), torch.tensor(EXPECTED[name])
    else:
        expected = official_images(network, OFFICIAL)
        torch.testing.assert_close(some(expected), torch.tensor(EXPECTED[name]), rtol=0, atol=1e-4)
    assert found.std() > 0.05
    assert (found - expected).abs().max().item() <= 1e-4


@pytest.mark.skipif(OFFICIAL is None, reason="needs the official code: name a checkout with UNDERSTUDY_OFFICIAL=PATH")
@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_those_of_the_official_code(name: str) -> None:
    assert OFFICIAL is not None
    theirs, mine = (net.state_dict() for net in (official(NETWORKS[name], OFFICIAL), ours(NETWORKS[name])))
    assert {key: value.shape for key, value in theirs.items()} == {key: value.shape for key, value in mine.items()}
    for key, value in theirs.items():
        if key.endswith("filter"):
            torch.testing.assert_close(mine[key], value, rtol=0, atol=1e-6)


if __name__ == "__main__":
    for name, network in NETWORKS.items():
        values = some(official_images(network, sys.argv[1]))
        spread = official_images(network, sys.argv[1]).std(dim=(2, 3)).mean().item()
        sys.stdout.write(f"{name} {[round(value, 5) for value in values.tolist()]} spread {spread:.2f}\n")
