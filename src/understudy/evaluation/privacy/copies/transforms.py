"""DISGUISES: how a copy may hide. One menu for the audit, which plants them, and for the encoder, which learns them.

Each has the strength at which the audit plants it and a range around it from which the encoder learns; families are
left out of the learning together. Strengths are shares of the side and of the half range of intensities.
**Source**: the disguises that the highest Pearson r misses; strengths are of this project.
**Checked** in tests/evaluation/privacy/copies/test_transforms.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.evaluation.privacy.copies.registration import affine, blur, move, warp

Draw = torch.Generator
Way = Callable[[Tensor, Tensor, Draw], Tensor]  # images, others to blend with, randomness -> disguised images


@dataclass(frozen=True)
class Disguise:
    """One way to hide a copy.

    Attributes:
        family: what is left out of the learning together.
        plant: images (N, C, H, W) in [-1, 1], others of the same shape to blend with -> the disguised images.
        learn: the same, at strengths drawn around those of ``plant``.
        often: how often it is learned, against the others; what is harder, more often.
    """

    family: str
    plant: Way
    learn: Way
    often: int = 1


def uniform(n: int, low: float, high: float, draw: Draw) -> Tensor:
    """Return (n,) numbers between two."""
    return low + (high - low) * torch.rand(n, generator=draw)


def _either(n: int, size: float, draw: Draw) -> Tensor:
    """Return (n,) times plus or minus ``size``."""
    return size * (1 - 2 * torch.randint(0, 2, (n,), generator=draw)).float()


def _moved(x: Tensor, degrees: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    return move(x, affine(degrees, zoom, shift))


def _rotated(degrees: float) -> Way:
    def plant(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
        n = len(x)
        return _moved(x, _either(n, degrees, draw), torch.ones(n), torch.zeros(n, 2))

    return plant


def _shifted(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    shift = torch.stack([_either(n, 3 / 64, draw), _either(n, 3 / 64, draw)], 1)
    return _moved(x, torch.zeros(n), torch.ones(n), shift)


def _zoomed(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    return _moved(x, torch.zeros(n), 1 + _either(n, 0.1, draw), torch.zeros(n, 2))


def _any_affine(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    shift = torch.stack([uniform(n, -0.08, 0.08, draw), uniform(n, -0.08, 0.08, draw)], 1)
    return _moved(x, uniform(n, -20, 20, draw), 1 + uniform(n, -0.15, 0.15, draw), shift)


def _mirrored(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return x.flip(-1)


def _gamma(x: Tensor, exponent: Tensor) -> Tensor:
    return ((x + 1) / 2).clamp(0, 1) ** exponent.view(-1, 1, 1, 1) * 2 - 1


def _gamma_planted(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return _gamma(x, torch.exp(_either(len(x), 0.405, draw)))  # 1.5 or 1 / 1.5


def _gamma_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return _gamma(x, torch.exp(uniform(len(x), -0.9, 0.9, draw)))


def _channels(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    """Put the channels into another order, none of them known beforehand."""
    n, c = x.shape[:2]
    order = torch.rand((n, c), generator=draw).argsort(1)
    still = (order == torch.arange(c)).all(1)
    order[still] = order[still].roll(1, 1)
    return torch.gather(x, 1, order.view(n, c, 1, 1).expand_as(x))


def _warped(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return warp(x, 3 / 64, 6 / 64, draw)


def _warp_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return warp(x, float(uniform(1, 1 / 64, 4 / 64, draw)), int(torch.randint(4, 9, (1,), generator=draw)) / 64, draw)


def _blended(x: Tensor, others: Tensor, _: Draw) -> Tensor:
    return 0.7 * x + 0.3 * others


def _blend_learned(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
    share = uniform(len(x), 0.55, 0.85, draw).view(-1, 1, 1, 1)
    return share * x + (1 - share) * others


def _noisy(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=draw)


def _noise_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return x + uniform(len(x), 0.02, 0.25, draw).view(-1, 1, 1, 1) * torch.randn(x.shape, generator=draw)


def _blurred(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return blur(x, 2 / 64)


def _blur_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return blur(x, int(torch.randint(3, 11, (1,), generator=draw)) / 256)


def _exact(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return x


DISGUISES: dict[str, Disguise] = {
    "exact": Disguise("none", _exact, _exact),
    "noise": Disguise("degraded", _noisy, _noise_learned),
    "blurred": Disguise("degraded", _blurred, _blur_learned),
    "mirrored": Disguise("mirrored", _mirrored, _mirrored),
    "shifted": Disguise("moved", _shifted, _any_affine),
    "rotated_5": Disguise("moved", _rotated(5), _any_affine),
    "rotated_15": Disguise("moved", _rotated(15), _any_affine),
    "zoomed": Disguise("moved", _zoomed, _any_affine),
    "gamma": Disguise("intensity", _gamma_planted, _gamma_learned),
    "channels_swapped": Disguise("intensity", _channels, _channels),
    "warped": Disguise("warped", _warped, _warp_learned, often=4),
    "blended": Disguise("blended", _blended, _blend_learned),
}
FAMILIES = tuple(dict.fromkeys(d.family for d in DISGUISES.values() if d.family != "none"))


def available(channels: int) -> dict[str, Disguise]:
    """Return the disguises that images of so many channels can wear."""
    return {name: d for name, d in DISGUISES.items() if channels > 1 or name != "channels_swapped"}
