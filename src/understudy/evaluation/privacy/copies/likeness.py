"""Of which training cases may a query be a copy? Three measures of likeness, which must agree.

    intensity   Pearson's r of small grey images, the highest over a bank of rotations, zooms and shifts
    edges       r of histograms of oriented gradients: how much of each direction there is in each place
    embedding   cosine in an encoder that has memorised the training cases; of images, volumes do without

Each is taken of all views of the query: its eight flips and quarter turns, of a volume 48, and their negatives. What a
measure finds is put in standard deviations about what it finds, for the same query, with other subjects; the three are
added view by view. Likenesses by chance seldom agree about the case and the view, those of a copy do.
**Source**: a query's scores set against those of its impostors (t-norm), Auckenthaler, Carey, Lloyd-Thomas, Digital
Signal Processing 10 (2000), section 3; the sum rule of Kittler et al., IEEE TPAMI 20(3) (1998); Dalal, Triggs, CVPR
2005, for the histograms.
**Differs**: Fisher's z of each measure first; the subject that is most alike is no impostor; a least deviation, so that
few subjects do not make it zero.
**Checked** in tests/evaluation/privacy/copies/test_likeness.py (by hand; copies among strangers in every view).
"""

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.evaluation.privacy.copies.encoder import embed
from understudy.evaluation.privacy.copies.registration import (
    affine_maps,
    averaged,
    blur,
    disc,
    grey,
    sample,
    slopes,
    unit,
)
from understudy.evaluation.privacy.copies.transforms import Turn, by_case, turned_each, turns
from understudy.nets.affine import affine_grid

COARSE, FINE = {2: 16, 3: 8}, {2: 32, 3: 16}  # pixels a side, by dimensions
ZOOMS, DEGREES, SHIFTS = (0.85, 0.92, 1.0, 1.08, 1.17), (-30.0, -15.0, 0.0, 15.0, 30.0), (-1 / 16, 0.0, 1 / 16)
CELLS, SHARPNESS = {2: 12, 3: 6}, 3
BLOCK = 2**20  # pixels whose gradients are held at once
MOST_ALIKE = 0.999  # r above which Fisher's z does not grow
MEASURES = 3  # two, without an encoder, count as much as three
LEAST_DEVIATION = 0.05  # of Fisher's z among subjects


@dataclass(frozen=True)
class Candidates:
    """The K training cases that N queries are most alike to, each of another subject, the most alike first."""

    case: Tensor  # int64 (N, K)
    view: Tensor  # int64 (N, K): in which view of the query
    likeness: Tensor  # (N, K) sum of three standard scores; -inf where there is none


@dataclass(frozen=True)
class Targets:
    """M training cases, as the measures see them."""

    images: Tensor  # (M, C, *S) in local contrast
    subjects: Tensor  # (M,)
    encoder: nn.Module | None  # None: two measures
    known: Tensor  # mask (M,) of the cases that the encoder has learned; without one, of all

    @cached_property
    def edges(self) -> Tensor:
        """Histograms of gradients as unit vectors (M, d)."""
        return unit(gradient_histograms(self.images))

    @cached_property
    def vectors(self) -> Tensor:
        """Embeddings (M, 128)."""
        assert self.encoder is not None
        return embed(self.encoder, self.images)


def views(dims: int) -> int:
    """Return how many views an image, or a volume, has: all its turns, and their negatives."""
    return 2 * len(turns(dims))


def viewed(images: Tensor, which: Tensor) -> Tensor:
    """Return images (N, C, *S), each in the view (N,) that is named; the first leaves it as it is."""
    ways = len(turns(images.ndim - 2))
    return turned_each(images, which % ways) * by_case(1.0 - 2.0 * (which >= ways), images)


@lru_cache(maxsize=2)
def affine_bank(dims: int) -> Tensor:
    """Return the bank (L, d, d + 1) of maps: of images all with at most one extreme part; of volumes, see below."""
    if dims == 3:
        return _bank_of_volumes()
    kept = [
        (degrees, zoom, dx, dy)
        for degrees, zoom, dx, dy in itertools.product(DEGREES, ZOOMS, SHIFTS, SHIFTS)
        if (abs(degrees) > 20) + (abs(zoom - 1) > 0.1) + (dx != 0 and dy != 0) <= 1
    ]
    degrees, zoom, dx, dy = torch.tensor(kept).unbind(1)
    return affine_maps(degrees, zoom, torch.stack([dx, dy], 1))


def _bank_of_volumes() -> Tensor:
    """Return maps (L, 3, 4): a rotation about, or a shift along, any of 26 directions, or a zoom; or two small ones.

    Small ones are the least of their kind, about and along the axes.
    """
    every = torch.tensor([one for one in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(one)])
    axes, zooms = every[every.abs().sum(1) == 1], torch.tensor(ZOOMS)
    turned = torch.cat([degrees * every / every.norm(dim=1, keepdim=True) for degrees in DEGREES if degrees > 0])
    alone = F.pad(turned, (0, 4)), F.pad(zooms[zooms != 1, None] - 1, (3, 3)), F.pad(SHIFTS[-1] * every, (4, 0))
    small = F.pad(DEGREES[-2] * axes, (0, 4)), F.pad(zooms[[1, 3], None] - 1, (3, 3)), F.pad(SHIFTS[-1] * axes, (4, 0))
    both = [(a[:, None] + b).flatten(0, 1) for a, b in itertools.combinations(small, 2)]
    rows = torch.cat([torch.zeros(1, 7), *alone, *both])  # rotation (3), zoom less 1, shift (3)
    return affine_maps(rows[:, :3], 1 + rows[:, 3], rows[:, 4:])


def resampled(small: Tensor, one: Tensor) -> Tensor:
    """Return grey images (N, 1, *S) moved by a map (d, d + 1) of the bank, as unit vectors (N, COARSE^d)."""
    sides, dims = small.shape[2:], small.ndim - 2
    grid = affine_grid(one[None], sides).expand(len(small), *sides, dims)
    moved = sample(small, grid) * disc(sides[0], dims)
    return unit(averaged(moved, COARSE[dims]))


def intensity(queries: Tensor, images: Tensor) -> Tensor:
    """Return r (views, N, M) of queries (N, C, *S) in each view and images (M, C, *S), the highest over the bank."""
    dims = images.ndim - 2
    coarse, small = grey(queries, COARSE[dims]), grey(images, FINE[dims])
    rows = torch.cat([unit(turn(coarse)) for turn in turns(dims)])
    highest = torch.full((2, len(rows), len(images)), -1.0)  # of the images, and of their negatives
    for one in affine_bank(dims):
        r = rows @ resampled(small, one).T
        torch.maximum(highest[0], r, out=highest[0])
        torch.maximum(highest[1], -r, out=highest[1])
    return highest.view(views(dims), len(queries), -1)


def best_start(seen: Tensor, images: Tensor, case: Tensor) -> Tensor:
    """Return the map (P, d, d + 1) of the bank by which one case (P,) of images (M, C, *S) each is most like a view."""
    dims, (cases, which) = images.ndim - 2, case.unique(return_inverse=True)
    rows, small = unit(grey(seen, COARSE[dims])), grey(images[cases], FINE[dims])
    r = torch.stack([(rows * resampled(small, one)[which]).sum(1) for one in affine_bank(dims)])
    return affine_bank(dims)[r.argmax(0)]


@lru_cache(maxsize=2)
def directions(dims: int) -> tuple[tuple[int, ...], ...]:
    """Return the 8 directions of gradients of images, or the 14 of volumes, along the axes from the first on."""
    every = itertools.product((-1, 0, 1), repeat=dims)
    return tuple(one for one in every if sum(map(abs, one)) in (1, dims))


def gradient_histograms(images: Tensor) -> Tensor:
    """Return (N, directions, *cells): how much of each direction there is in each cell of images (N, C, *S)."""
    block = max(1, BLOCK // images[0, 0].numel())
    return torch.cat([_histograms_of_grey(part.mean(1, keepdim=True)) for part in images.split(block)])


def _histograms_of_grey(grey: Tensor) -> Tensor:
    dims = grey.ndim - 2
    along = torch.cat(slopes(grey)[::-1], 1)  # (N, d, *S)
    size = along.square().sum(1, keepdim=True).sqrt()
    towards = unit_directions(dims) @ along.flatten(2) / size.flatten(2).clamp_min(1e-9)
    parts = (towards.clamp_min(0) ** SHARPNESS).view(len(grey), -1, *grey.shape[2:]) * size
    return averaged(blur(parts, 1 / (2 * CELLS[2])), CELLS[dims]).clamp_min(0).sqrt()


@lru_cache(maxsize=2)
def unit_directions(dims: int) -> Tensor:
    """Return the directions as vectors (directions, d) of length one."""
    vectors = torch.tensor(directions(dims), dtype=torch.float32)
    return vectors / vectors.norm(dim=1, keepdim=True)


def turned_histograms(found: Tensor, turn: Turn, negative: bool) -> Tensor:
    """Return the histograms (N, directions, *cells) of turned images, or of their negatives, from those of images."""
    names = directions(found.ndim - 2)
    sign = [-1 if (axis in turn.flips) != negative else 1 for axis in range(len(turn.axes))]
    before = []  # which direction becomes each
    for one in names:
        old = [0] * len(one)
        for axis, value in enumerate(one):
            old[turn.axes[axis]] = sign[axis] * value
        before.append(names.index(tuple(old)))
    return turn(found[:, before])


def edges(queries: Tensor, targets: Targets) -> Tensor:
    """Return r (views, N, M) of the histograms of queries (N, C, *S) in each view and of the targets."""
    found, every = gradient_histograms(queries), itertools.product((False, True), turns(queries.ndim - 2))
    seen = (turned_histograms(found, turn, negative) for negative, turn in every)
    return torch.stack([unit(one) @ targets.edges.T for one in seen])


def _with_targets(queries: Tensor, targets: Targets) -> list[Tensor]:
    """Return what each measure finds, (views, N, M)."""
    found = [intensity(queries, targets.images), edges(queries, targets)]
    if targets.encoder is not None:
        each = (viewed(queries, torch.full((len(queries),), i)) for i in range(views(queries.ndim - 2)))
        found.append(torch.stack([embed(targets.encoder, one) @ targets.vectors.T for one in each]))
    return found


def by_chance(z: Tensor, subjects: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation (N, 1) of the likeness of queries to subjects, the query's own and the next left out.

    Of each subject (M,) its most alike case counts, by Fisher's z (N, M). Without subjects the mean is 0.
    """
    names, number = torch.unique(subjects, return_inverse=True)
    best = torch.full((len(z), len(names)), -torch.inf).scatter_reduce(1, number.expand(z.shape), z, "amax")
    best = best.masked_fill(names == own[:, None], -torch.inf).sort(1, descending=True).values[:, 1:]
    counted, some = best.isfinite(), best.isfinite().sum(1, keepdim=True).clamp_min(1)
    middle = best.masked_fill(~counted, 0).sum(1, keepdim=True) / some
    squares = (best - middle).masked_fill(~counted, 0).square().sum(1, keepdim=True) / some
    return middle, (squares + LEAST_DEVIATION**2).sqrt()


def combined(found: list[Tensor], subjects: Tensor, own: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum (N, M) of the measures' standard scores in the best view, -inf where not allowed, and the view.

    Each measure is (views, N, M); a query's ``own`` subject (N,), none where -1, and targets outside the mask
    ``allowed`` (M,) are left out.
    """
    total, share = torch.zeros(()), MEASURES / len(found)
    for one in found:
        z = torch.atanh(one.clamp(-MOST_ALIKE, MOST_ALIKE))
        middle, spread = by_chance(z.amax(0)[:, allowed], subjects[allowed], own)
        total = total + share * (z - middle) / spread
    highest, view = total.max(0)
    left_out = (subjects == own[:, None]) | ~allowed
    return highest.masked_fill(left_out, -torch.inf), view


def candidates(queries: Tensor, own: Tensor, targets: Targets, most: int) -> Candidates:
    """Return the training cases that queries (N, C, *S), in local contrast, are most like in any view."""
    allowed = targets.known if targets.encoder is not None else torch.ones_like(targets.known)
    highest, view = combined(_with_targets(queries, targets), targets.subjects, own, allowed)
    cases, likeness = [], []
    for _ in range(min(most, len(torch.unique(targets.subjects[allowed])))):
        value, case = highest.max(1)
        cases.append(case)
        likeness.append(value)
        highest = highest.masked_fill(targets.subjects == targets.subjects[case][:, None], -torch.inf)
    case = torch.stack(cases, 1)
    return Candidates(case, torch.gather(view, 1, case), torch.stack(likeness, 1))
