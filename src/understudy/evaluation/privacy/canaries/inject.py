"""Injects copies: transformed training cases, a lesion in another brain, a part in another image, changed label maps.

Sources are training cases; hosts, and what is blended in, are cases of unseen subjects. Beside the menu's a steward may
add transformations, as recipes of known steps that no encoder learns; a file, say transformations.yaml, lists them::

    - name: tilted_and_dark
      steps: [{rotate: 25}, {gamma: 2.0}]
    - name: crumpled
      steps: [{warp: {strength: 0.06, smoothness: 0.1}}, {noise: 0.1}]

Lengths are shares of the side, intensities of the half range, angles degrees. Volumes are rotated, shifted, turned and
flipped in the plane of their last two axes.
**Checked** in tests/evaluation/privacy/canaries/test_inject.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from scipy import ndimage
from torch import Tensor

from understudy.core.documents import mistakes
from understudy.core.errors import UsageError
from understudy.core.regular_file import read_regular
from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.copies.cases import SmallCases, without_subject
from understudy.evaluation.privacy.copies.lesions import LESION_SIZES
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, random_warp
from understudy.evaluation.privacy.copies.transforms import Draw, Transformation, coarser, gamma, turned

TRIES = 60  # places and hosts that are tried for a lesion
REACH = 12 / 64  # of the side, by which it may be shifted
WITHIN = 0.95  # share of it that must lie on tissue
TISSUE = 0.1  # of the half range above the darkest grey
PART = 24 / 64  # side of a pasted part
DETAIL = 3 / 64  # width of the blur that detail is seen against
SOFT = 1 / 64  # width of a seam
MOST_BYTES = 2**16
Share = Annotated[float, Field(ge=-0.5, le=0.5)]


@dataclass(frozen=True)
class InjectedCopies:
    """Injected copies and their sources."""

    cases: SmallCases  # what the detector is given
    source: np.ndarray  # (N,) the training case that each copies


def inject_transformed(
    name: str, transformation: Transformation, training: SmallCases, others: SmallCases, n: int, seed: int
) -> InjectedCopies:
    """Transform n training cases, blending in others; no label maps, because a transformation may move them."""
    source, host = (
        draw_sources(name, np.arange(len(training)), n, seed),
        rng(seed, "audit", name, "hosts").integers(0, len(others), n),
    )
    draw = torch.Generator().manual_seed(derive(seed, "audit", name, "disguise"))
    images = transformation.inject(training.images[source], others.images[host], draw)
    return InjectedCopies(without_subject(images), source)


def draw_sources(name: str, among: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw n training cases among some, each once before any is drawn twice."""
    rounds = [rng(seed, "audit", name, i).permutation(among) for i in range(-(-n // len(among)))]
    return np.concatenate(rounds)[:n]


def inject_parts(training: SmallCases, hosts: SmallCases, n: int, seed: int) -> InjectedCopies:
    """Paste a square part of n training cases, chosen where there is detail, into the same place of other images."""
    source, choose = draw_sources("part", np.arange(len(training)), n, seed), rng(seed, "audit", "part", "places")
    images = hosts.images[choose.integers(0, len(hosts), n)].clone()
    sides = tuple(images.shape[2:])
    part = round(PART * sides[0])
    half = part // 2
    for i, row in enumerate(source):
        grey = training.images[row].mean(0).numpy()
        blurred = ndimage.gaussian_filter(grey, DETAIL * sides[0])
        detail = ndimage.uniform_filter((grey - blurred) ** 2, part)
        inner = detail[(slice(half, sides[0] - half),) * len(sides)]
        rich = np.flatnonzero(inner >= np.quantile(inner, 0.75))
        corner = np.unravel_index(choose.choice(rich), inner.shape)
        mask = np.zeros(sides, bool)
        mask[tuple(slice(start, start + part) for start in corner)] = True
        images[i] = _pasted(images[i], training.images[row], mask)
    return InjectedCopies(without_subject(images), source)


def inject_lesions(training: SmallCases, hosts: SmallCases, n: int, seed: int) -> InjectedCopies | None:
    """Paste lesions of n training cases into other images and maps, on tissue and beside lesions that are there.

    None where no training case has a lesion, or no host room for one.
    """
    if training.labels is None or hosts.labels is None:
        return None
    dims = training.images.ndim - 2
    sizes, (fewest, most) = (training.labels > 0).flatten(1).sum(1).numpy(), LESION_SIZES[dims]
    among = np.flatnonzero((sizes >= fewest) & (sizes <= most))
    if not len(among):
        return None
    images, labels, source, choose = [], [], [], rng(seed, "audit", "lesion", "places")
    for row in draw_sources("lesion", among, n, seed):
        found = _place(training, hosts, int(row), choose)
        if found is None:
            continue
        host, shift = found
        axes = tuple(range(-dims, 0))
        mask = np.roll((training.labels[row] > 0).numpy(), shift, axes)
        images.append(_pasted(hosts.images[host], torch.roll(training.images[row], shift, axes), mask))
        shifted = torch.roll(training.labels[row], shift, axes)
        labels.append(torch.where(torch.from_numpy(mask), shifted, hosts.labels[host]))
        source.append(row)
    if not source:
        return None
    return InjectedCopies(without_subject(torch.stack(images), torch.stack(labels)), np.array(source))


def _place(
    training: SmallCases, hosts: SmallCases, row: int, choose: np.random.Generator
) -> tuple[int, tuple[int, ...]] | None:
    """Find a host and a shift at which a lesion lies on tissue and touches no other; None where there is none."""
    assert training.labels is not None and hosts.labels is not None
    mask = (training.labels[row] > 0).numpy()
    inner, reach = np.argwhere(mask), round(REACH * len(mask))
    for _ in range(TRIES):
        host, shift = int(choose.integers(len(hosts))), choose.integers(-reach, reach + 1, mask.ndim)
        shifted = inner + shift
        if shifted.min() < 0 or shifted.max() >= len(mask):
            continue
        grey, taken = hosts.images[host].mean(0), hosts.labels[host].numpy() > 0
        tissue = (grey > grey.min() + TISSUE).numpy()
        at = tuple(shifted.T)
        if tissue[at].mean() >= WITHIN and not ndimage.binary_dilation(taken, iterations=2)[at].any():
            return host, tuple(shift.tolist())
    return None


def _pasted(host: Tensor, source: Tensor, mask: np.ndarray) -> Tensor:
    """Return the host (C, *S) with the source within a mask, over a soft seam around it."""
    grown = torch.from_numpy(ndimage.binary_dilation(mask)).float()
    soft = torch.maximum(blur(grown[None, None], SOFT)[0, 0], torch.from_numpy(mask).float())
    return host * (1 - soft) + source * soft


MapChange = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # of one label map (*S)


def map_changes() -> Mapping[str, MapChange]:
    """Return how a copied label map may be changed, by name; lengths in shares of the side, the middle staying."""
    return {
        "as_it_is": lambda map_, draw: map_,
        "mirrored": lambda map_, draw: map_[..., ::-1],
        "upside_down": lambda map_, draw: map_[..., ::-1, :],
        "shifted": lambda map_, draw: _shifted(map_, 0.05, draw),
        "shifted_far": lambda map_, draw: _shifted(map_, 0.2, draw),
        "specks": _specks,
        "mirrored_shifted_specks": lambda map_, draw: _specks(_shifted(map_[..., ::-1], 0.05, draw), draw),
        "grown": _grown,
        "shrunk": lambda map_, draw: np.where(ndimage.binary_erosion(map_ > 0), map_, 0),
        "rotated_5": lambda map_, draw: _rotated(map_, 5, draw),
        "rotated_15": lambda map_, draw: _rotated(map_, 15, draw),
        "magnified": lambda map_, draw: _magnified(map_, 1.1),
        "warped": lambda map_, draw: _warped(map_, 1.5 / 64, draw),
        "warped_strongly": lambda map_, draw: _warped(map_, 3 / 64, draw),
        "mirrored_rotated_warped": lambda map_, draw: _warped(_rotated(map_[..., ::-1], 5, draw), 1.5 / 64, draw),
    }


def _shifted(map_: np.ndarray, share: float, draw: np.random.Generator) -> np.ndarray:
    """Shift a label map in the plane of its last two axes, to either side along each."""
    signs = draw.choice([-1, 1], 2)
    by = [0] * (map_.ndim - 2) + [round(share * map_.shape[i - 2] * signs[i]) for i in range(2)]
    return np.asarray(ndimage.shift(map_, by, order=0))


def _rotated(map_: np.ndarray, degrees: float, draw: np.random.Generator) -> np.ndarray:
    """Rotate a label map in the plane of its last two axes, to either side."""
    return np.asarray(ndimage.rotate(map_, degrees * draw.choice([-1, 1]), (-2, -1), reshape=False, order=0))


def _read(map_: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return a label map read at other voxels (d, *S), the nearest counting; beyond the border is background."""
    return np.asarray(ndimage.map_coordinates(map_, where, order=0, mode="constant"))


def _places(map_: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*(np.arange(side, dtype=float) for side in map_.shape), indexing="ij"))


def _magnified(map_: np.ndarray, by: float) -> np.ndarray:
    centre = (np.array(map_.shape) - 1).reshape(-1, *[1] * map_.ndim) / 2
    return _read(map_, centre + (_places(map_) - centre) / by)


def _warped(map_: np.ndarray, strength: float, draw: np.random.Generator) -> np.ndarray:
    """Warp a label map smoothly; the strength is the root mean square displacement."""
    side = map_.shape[-1]
    field = np.stack([ndimage.gaussian_filter(draw.normal(size=map_.shape), side / 8) for _ in map_.shape])
    return _read(map_, _places(map_) + field * (strength * side / np.sqrt((field**2).mean())))


def _specks(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Add single voxels of a class that is there, one in two hundred of all."""
    changed = map_.copy()
    at = draw.choice(map_.size, map_.size // 200, replace=False)
    changed.flat[at] = draw.choice(np.unique(map_[map_ > 0]), len(at))
    return changed


def _grown(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Grow each class by a voxel into the background."""
    near = ndimage.maximum_filter(map_, footprint=ndimage.generate_binary_structure(map_.ndim, 1))
    return np.where(map_ > 0, map_, near)


class Warp(BaseModel):
    """A smooth random warp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(gt=0, le=0.2, description="root mean square displacement along each axis")
    smoothness: float = Field(0.1, ge=0.02, le=0.5, description="standard deviation of the Gaussian that smooths it")


class Step(BaseModel):
    """One step: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotate: float | None = Field(None, ge=-180, le=180, description="degrees")
    zoom: float | None = Field(None, ge=0.5, le=2, description="above 1 larger")
    shift: tuple[Share, Share] | None = Field(None, description="to the right, and downwards")
    turn: Literal[90, 180, 270] | None = Field(None, description="degrees, counter-clockwise")
    flip: Literal["horizontal", "vertical"] | None = Field(None, description="left and right, or top and bottom")
    gamma: float | None = Field(None, ge=0.1, le=10, description="exponent")
    negative: Literal[True] | None = Field(None, description="dark for bright")
    noise: float | None = Field(None, gt=0, le=1, description="standard deviation")
    blur: float | None = Field(None, ge=1 / 128, le=0.2, description="standard deviation of a Gaussian")
    coarser: int | None = Field(None, ge=2, le=16, description="by how often the resolution is divided")
    warp: Warp | None = Field(None, description="smooth and random")
    blend: float | None = Field(None, gt=0, lt=1, description="share of another patient's image")

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(f"a step is exactly one of {', '.join(type(self).model_fields)}")
        return self

    def __call__(self, x: Tensor, others: Tensor, draw: Draw) -> Tensor:
        """Return images (N, C, *S) after this step; others are blended in."""
        geometric = _moved(self, x)
        if geometric is not None:
            return geometric
        if self.gamma is not None:
            return gamma(x, torch.full((len(x),), self.gamma))
        if self.negative is not None:
            return -x
        if self.noise is not None:
            return x + self.noise * torch.randn(x.shape, generator=draw)
        if self.blur is not None:
            return blur(x, self.blur)
        if self.coarser is not None:
            return coarser(x, self.coarser)
        if self.warp is not None:
            return random_warp(x, self.warp.strength, self.warp.smoothness, draw)
        assert self.blend is not None
        return (1 - self.blend) * x + self.blend * others


def _moved(step: Step, x: Tensor) -> Tensor | None:
    """Return images after a step that moves them; None for other steps."""
    if step.flip is not None:
        return x.flip(-1 if step.flip == "horizontal" else -2)
    if step.turn is not None:
        return turned(x, step.turn // 90, False)
    if step.rotate is None and step.zoom is None and step.shift is None:
        return None
    n, dims = len(x), x.ndim - 2
    shift = torch.tensor([*(step.shift or (0.0, 0.0)), 0.0][:dims]).expand(n, dims)
    degrees = torch.tensor([0.0, 0.0, step.rotate or 0.0]).expand(n, 3)
    zoom = torch.full((n,), step.zoom or 1.0)
    return apply_affine(x, affine_maps(degrees[:, 2] if dims == 2 else degrees, zoom, shift))


class Recipe(BaseModel):
    """A named transformation: steps, one after another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="of its result: privacy.audit.recall.own_NAME")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=8)

    def transformation(self) -> Transformation:
        """Return what the audit injects."""

        def inject(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
            for step in self.steps:
                x = step(x, others, draw)
            return x

        return Transformation("own", inject)


Recipes = Annotated[tuple[Recipe, ...], Field(max_length=50)]


def read_recipes(file: Path) -> tuple[Recipe, ...]:
    """Read a file of recipes.

    Raises:
        UsageError: the file cannot be read, is no list of recipes in YAML, or names one twice.
    """
    content = read_regular(file, "a file of transformations", MOST_BYTES)
    try:
        found = TypeAdapter(Recipes).validate_python(yaml.safe_load(content.decode()))
    except (ValidationError, ValueError, yaml.YAMLError, RecursionError) as error:
        wanted = "is no list of transformations, each with name and steps"
        raise UsageError(f"{file} {wanted} ({mistakes(error)}): see `understudy evaluate privacy --help`") from error
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{file} names the transformation {name!r} twice: give each a name of its own")
    return found
