"""TRANSFORMATIONS of copies: one menu for the audit, which injects transformed copies, and for the encoder's training.

Each has the strength that the audit injects and a range around it from which the encoder learns; the transformations of
a family are left out of the training together. Lengths are shares of the side, intensities of the half range. The
audit also injects what no encoder learns: compounds of several transformations, and CHIMERAS of two patients. Volumes
have the same menu: they are rotated about an axis drawn at random, turned by quarters in the plane of the last two
axes, mirrored along each axis, and turned in any of their 48 ways.
**Source**: transformations that the highest Pearson r does not recognise; the strengths are of this project.
**Checked** in tests/evaluation/privacy/copies/test_transforms.py.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.registration import (
    affine_maps,
    apply_affine,
    averaged,
    blur,
    interpolated,
    random_warp,
)

ALONE = 0.25  # of images whose channels are learned in another order: one of them in the place of all
Draw = torch.Generator
Transform = Callable[[Tensor, Tensor, Draw], Tensor]  # images, others to blend with, randomness -> images


@dataclass(frozen=True)
class Transformation:
    """One transformation of a copy."""

    family: str  # what is left out of the encoder's training together
    inject: Transform  # images (N, C, *S) in [-1, 1], others of the same shape to blend with -> transformed images
    augment: Transform | None = None  # the same, at strengths drawn around those of ``inject``; the encoder learns it


def uniform(n: int, low: float, high: float, draw: Draw) -> Tensor:
    """Return (n,) numbers between two."""
    return low + (high - low) * torch.rand(n, generator=draw)


def _either(n: int, size: float, draw: Draw) -> Tensor:
    """Return (n,) times plus or minus ``size``."""
    return size * (1 - 2 * torch.randint(0, 2, (n,), generator=draw)).float()


def _affine(x: Tensor, degrees: Tensor, zoom: Tensor, shift: Tensor, draw: Draw) -> Tensor:
    """Rotate volumes about an axis drawn at random."""
    if x.ndim == 5:
        degrees = degrees[:, None] * F.normalize(torch.randn((len(x), 3), generator=draw), dim=1)
    return apply_affine(x, affine_maps(degrees, zoom, shift))


def by_case(values: Tensor, x: Tensor) -> Tensor:
    """Return one number a case (N,) in the shape that multiplies images (N, C, *S)."""
    return values.view(-1, *[1] * (x.ndim - 1))


def _rotated(degrees: float) -> Transform:
    def inject(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
        n = len(x)
        return _affine(x, _either(n, degrees, draw), torch.ones(n), torch.zeros(n, x.ndim - 2), draw)

    return inject


def _shifted(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    shift = torch.stack([_either(n, 3 / 64, draw) for _ in x.shape[2:]], 1)
    return _affine(x, torch.zeros(n), torch.ones(n), shift, draw)


def _zoomed(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    return _affine(x, torch.zeros(n), 1 + _either(n, 0.1, draw), torch.zeros(n, x.ndim - 2), draw)


def _any_affine(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    n = len(x)
    shift = torch.stack([uniform(n, -0.08, 0.08, draw) for _ in x.shape[2:]], 1)
    return _affine(x, uniform(n, -35, 35, draw), 1 + uniform(n, -0.15, 0.15, draw), shift, draw)


def turned(x: Tensor, quarters: int, flip: bool) -> Tensor:
    """Return images turned by so many quarters counter-clockwise, then mirrored or not; volumes in their last axes."""
    rotated = torch.rot90(x, quarters, (-2, -1))
    return rotated.flip(-1) if flip else rotated


@dataclass(frozen=True)
class Turn:
    """One way to lay an image or a volume: its axes in another order, then some mirrored."""

    axes: tuple[int, ...]  # which of the d axes comes first, second ...
    flips: tuple[int, ...]  # of the new axes, those that are mirrored

    def __call__(self, x: Tensor) -> Tensor:
        """Return images (..., *S) in this way."""
        first = x.ndim - len(self.axes)
        laid = x.permute(*range(first), *(first + axis for axis in self.axes))
        return laid.flip([first + axis for axis in self.flips]) if self.flips else laid


@lru_cache(maxsize=4)
def turns(dims: int) -> tuple[Turn, ...]:
    """Return the eight ways to lay an image, or the 48 to lay a volume; the first leaves it as it is."""
    flips = [chosen for n in range(dims + 1) for chosen in itertools.combinations(range(dims), n)]
    return tuple(Turn(axes, chosen) for axes in itertools.permutations(range(dims)) for chosen in flips)


def turned_each(x: Tensor, which: Tensor) -> Tensor:
    """Return images (N, C, *S) of equal sides, each turned in the way (N,) of :func:`turns` that is named."""
    shown = torch.empty_like(x)
    for way in which.unique().tolist():
        shown[which == way] = turns(x.ndim - 2)[way](x[which == way])
    return shown


def _front_to_back(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return x.flip(-3)


def _turned_any(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    ways = len(turns(x.ndim - 2))
    return turned_each(x, torch.randint(1, ways, (len(x),), generator=draw))


def _turned(quarters: int, flip: bool) -> Transform:
    return lambda x, _, __: turned(x, quarters, flip)


def gamma(x: Tensor, exponent: Tensor) -> Tensor:
    """Return images whose intensities, from 0 to 1, are raised to an exponent (N,)."""
    return ((x + 1) / 2).clamp(0, 1) ** by_case(exponent, x) * 2 - 1


def _gamma_injected(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return gamma(x, torch.exp(_either(len(x), 0.405, draw)))  # 1.5 or 1 / 1.5


def _gamma_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return gamma(x, torch.exp(uniform(len(x), -0.9, 0.9, draw)))


def _negative(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return -x


def inverted(x: Tensor, channels: Tensor) -> Tensor:
    """Return images whose channels (N, C) of a mask are negatives."""
    return torch.where(channels.view(*x.shape[:2], *[1] * (x.ndim - 2)), -x, x)


def _one_channel(x: Tensor, draw: Draw) -> Tensor:
    """Return a mask (N, C) of one channel of each image, drawn at random."""
    return torch.randint(x.shape[1], (len(x), 1), generator=draw) == torch.arange(x.shape[1])


def _one_inverted(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return inverted(x, _one_channel(x, draw))


def _any_inverted(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return inverted(x, _one_channel(x, draw) | (torch.rand(x.shape[:2], generator=draw) < 1 / 4))


def _channels(x: Tensor, _: Tensor, draw: Draw, alone: float = 0) -> Tensor:
    """Put the channels of each image into another order at random; of a share of them one in the place of all."""
    n, c = x.shape[:2]
    order = torch.rand((n, c), generator=draw).argsort(1)
    still = (order == torch.arange(c)).all(1)
    order[still] = order[still].roll(1, 1)
    if alone:
        order = torch.where(torch.rand((n, 1), generator=draw) < alone, order[:, :1], order)
    return torch.gather(x, 1, order.view(n, c, *[1] * (x.ndim - 2)).expand_as(x))


def _channels_learned(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
    """Studies that lack contrasts and hold one of them several times are alike in that, and in no anatomy."""
    return _channels(x, others, draw, ALONE)


def _warped(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return random_warp(x, 3 / 64, 6 / 64, draw)


def _warped_strong(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return random_warp(x, 4.5 / 64, 8 / 64, draw)


def _warp_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    strength = float(uniform(1, 1 / 64, 5.5 / 64, draw))
    return random_warp(x, strength, int(torch.randint(4, 11, (1,), generator=draw)) / 64, draw)


def _blended(x: Tensor, others: Tensor, _: Draw) -> Tensor:
    return 0.7 * x + 0.3 * others


def _blend_learned(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
    share = by_case(uniform(len(x), 0.55, 0.85, draw), x)
    return share * x + (1 - share) * others


def _noisy(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return x + 0.1 * torch.randn(x.shape, generator=draw)


def _noise_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return x + by_case(uniform(len(x), 0.02, 0.25, draw), x) * torch.randn(x.shape, generator=draw)


def _blurred(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return blur(x, 2 / 64)


def _blur_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return blur(x, int(torch.randint(3, 11, (1,), generator=draw)) / 256)


def coarser(x: Tensor, factor: int) -> Tensor:
    """Return images at a fraction of their resolution, interpolated back to their size."""
    return interpolated(averaged(x, x.shape[-1] // factor), x.shape[2:])


def _quarter(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return coarser(x, 4)


def _coarser_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    return coarser(x, int(torch.randint(2, 6, (1,), generator=draw)))


def ghosts(x: Tensor, shift: float, strength: float, axis: int) -> Tensor:
    """Return images of somebody who moved: every second line of k-space is of the image elsewhere, and weaker.

    It moved by ``shift``, a share of the side, along an axis, and is shown with this strength, at most 1.
    """
    n = x.shape[axis]
    frequencies = torch.fft.fftfreq(n).view(-1, *[1] * (-axis - 1))
    lines = torch.fft.fft(x, dim=axis)
    moved = strength * lines * torch.exp(-2j * torch.pi * frequencies * shift * n)
    odd = (torch.arange(n) % 2 == 1).view(-1, *[1] * (-axis - 1))
    return torch.fft.ifft(torch.where(odd, moved, lines), dim=axis).real


def _ghosts(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return ghosts(x, 4 / 64, 0.7, -2)


def _ghosts_learned(x: Tensor, _: Tensor, draw: Draw) -> Tensor:
    shift, strength = (float(uniform(1, *ends, draw)) for ends in ((1 / 64, 8 / 64), (0.4, 1.0)))
    return ghosts(x, shift, strength, -1 - int(torch.randint(x.ndim - 2, (1,), generator=draw)))


def _exact(x: Tensor, _: Tensor, __: Draw) -> Tensor:
    return x


TRANSFORMATIONS: dict[str, Transformation] = {
    "exact": Transformation("none", _exact),
    "noise": Transformation("degraded", _noisy, _noise_learned),
    "blurred": Transformation("degraded", _blurred, _blur_learned),
    "quarter_resolution": Transformation("degraded", _quarter, _coarser_learned),
    "ghosts": Transformation("degraded", _ghosts, _ghosts_learned),
    "mirrored": Transformation("turned", _turned(0, True)),
    "upside_down": Transformation("turned", _turned(2, True)),
    "turned_90": Transformation("turned", _turned(1, False)),
    "turned_180": Transformation("turned", _turned(2, False)),
    "turned_270": Transformation("turned", _turned(3, False)),
    "transposed": Transformation("turned", _turned(3, True)),
    "transposed_other": Transformation("turned", _turned(1, True)),
    "shifted": Transformation("moved", _shifted, _any_affine),
    "rotated_5": Transformation("moved", _rotated(5), _any_affine),
    "rotated_15": Transformation("moved", _rotated(15), _any_affine),
    "rotated_30": Transformation("moved", _rotated(30), _any_affine),
    "zoomed": Transformation("moved", _zoomed, _any_affine),
    "gamma": Transformation("intensity", _gamma_injected, _gamma_learned),
    "negative": Transformation("intensity", _negative),
    "channels_swapped": Transformation("intensity", _channels, _channels_learned),
    "channel_inverted": Transformation("intensity", _one_inverted, _any_inverted),
    "warped": Transformation("warped", _warped, _warp_learned),
    "warped_strong": Transformation("warped", _warped_strong, _warp_learned),
    "blended": Transformation("blended", _blended, _blend_learned),
}
OF_VOLUMES = {
    "front_to_back": Transformation("turned", _front_to_back),
    "turned_any": Transformation("turned", _turned_any),
}
OF_SEVERAL = ("channels_swapped", "channel_inverted")  # channels
FAMILIES = tuple(dict.fromkeys(d.family for d in TRANSFORMATIONS.values() if d.augment))  # that an encoder learns


def available(channels: int, dims: int = 2) -> dict[str, Transformation]:
    """Return the transformations that images, or volumes, of so many channels can have."""
    menu = TRANSFORMATIONS if dims == 2 else TRANSFORMATIONS | OF_VOLUMES
    return {name: d for name, d in menu.items() if channels > 1 or name not in OF_SEVERAL}


def compound(transformations: Mapping[str, Transformation], length: int) -> Transform:
    """Return what applies so many transformations of different families to each image, drawn and in any order."""
    families = sorted({one.family for one in transformations.values()} - {"none"})
    members = [[one for one in transformations.values() if one.family == family] for family in families]

    def inject(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
        n, shown = len(x), x.clone()
        order = torch.rand((n, len(families)), generator=draw).argsort(1)[:, :length]
        for step in order.T:
            which = torch.rand(n, generator=draw)
            for family, ways in enumerate(members):
                for i, way in enumerate(ways):
                    rows = (step == family) & ((which * len(ways)).long() == i)
                    if rows.any():
                        shown[rows] = way.inject(shown[rows], others[rows], draw)
        return shown

    return inject


def _halves(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
    """Join the left or the right half of one patient and the rest of another."""
    left = by_case(torch.rand(len(x), generator=draw) < 0.5, x)
    inside = torch.arange(x.shape[-1]) < x.shape[-1] // 2
    return torch.where(inside == left, x, others)


def _contrasts(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
    """Join one channel of one patient and the other channels of another."""
    mine = _one_channel(x, draw)
    return torch.where(mine.view(*mine.shape, *[1] * (x.ndim - 2)), x, others)


CHIMERAS: dict[str, Transform] = {"halves": _halves, "contrasts": _contrasts}


def harder(channels: int, dims: int = 2) -> dict[str, Transform]:
    """Return what is injected beside single transformations: compounds of two and three, chimeras of two patients."""
    singles = available(channels, dims)
    chimeras = {f"chimera_{name}": way for name, way in CHIMERAS.items() if channels > 1 or name != "contrasts"}
    return {"compound_2": compound(singles, 2), "compound_3": compound(singles, 3)} | chimeras
