"""Of which training cases may a query be a copy? Three measures of likeness, which must agree.

    intensity   Pearson's r of grey images of 16 pixels, the highest over a bank of rotations, zooms and shifts
    edges       r of histograms of oriented gradients: how much of each direction there is in each place
    embedding   cosine in an encoder that has memorised the training cases

Each is taken of sixteen views of the query: its eight flips and quarter turns, and their negatives. What a measure
finds is put in standard deviations about what it finds, for the same query, with other subjects; the three are added
view by view. Likenesses by chance seldom agree about the case and the view, those of a copy do.
**Source**: a query's scores set against those of its impostors (t-norm), Auckenthaler, Carey, Lloyd-Thomas, Digital
Signal Processing 10 (2000), section 3; the sum rule of Kittler et al., IEEE TPAMI 20(3) (1998); Dalal, Triggs, CVPR
2005, for the histograms.
**Differs**: Fisher's z of each measure first; the subject that is most alike is no impostor; a least deviation, so that
few subjects do not make it zero.
**Checked** in tests/evaluation/privacy/copies/test_likeness.py (by hand; copies among strangers in every view).
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.evaluation.privacy.copies.encoder import embed
from understudy.evaluation.privacy.copies.registration import affine_maps, blur, disc, grey, sample, slopes, unit
from understudy.evaluation.privacy.copies.transforms import turned
from understudy.nets.affine import affine_grid

COARSE, FINE = 16, 32
ZOOMS, DEGREES, SHIFTS = (0.85, 0.92, 1.0, 1.08, 1.17), (-30.0, -15.0, 0.0, 15.0, 30.0), (-1 / 16, 0.0, 1 / 16)
CELLS, DIRECTIONS, SHARPNESS = 12, 8, 3
BLOCK = 256  # images whose gradients are held at once
TURNS = [(quarter, flip) for quarter in range(4) for flip in (False, True)]
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

    images: Tensor  # (M, C, 64, 64) in local contrast
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


def views(images: Tensor) -> Tensor:
    """Return sixteen views (16, N, C, S, S) of images: the eight flips and quarter turns, and their negatives."""
    eight = torch.stack([turned(images, quarters, flip) for quarters, flip in TURNS])
    return torch.cat([eight, -eight])


@lru_cache(maxsize=1)
def affine_bank() -> Tensor:
    """Return the bank (L, 2, 3): all maps with at most one extreme part."""
    kept = [
        (degrees, zoom, dx, dy)
        for degrees, zoom, dx, dy in itertools.product(DEGREES, ZOOMS, SHIFTS, SHIFTS)
        if (abs(degrees) > 20) + (abs(zoom - 1) > 0.1) + (dx != 0 and dy != 0) <= 1
    ]
    degrees, zoom, dx, dy = torch.tensor(kept).unbind(1)
    return affine_maps(degrees, zoom, torch.stack([dx, dy], 1))


def resampled(small: Tensor, one: Tensor) -> Tensor:
    """Return grey images (N, 1, 32, 32) moved by a map (2, 3) of the bank, as unit vectors (N, 256)."""
    grid = affine_grid(one[None], (FINE, FINE)).expand(len(small), FINE, FINE, 2)
    moved = sample(small, grid) * disc(FINE)
    return unit(F.adaptive_avg_pool2d(moved, COARSE))


def intensity(seen: Tensor, images: Tensor) -> Tensor:
    """Return r (16, N, M) of views (16, N, C, 64, 64) and images (M, C, 64, 64), the highest over the bank."""
    rows, small = unit(grey(seen[: len(TURNS)].flatten(0, 1), COARSE)), grey(images, FINE)
    highest = torch.full((2, len(rows), len(images)), -1.0)  # of the images, and of their negatives
    for one in affine_bank():
        r = rows @ resampled(small, one).T
        torch.maximum(highest[0], r, out=highest[0])
        torch.maximum(highest[1], -r, out=highest[1])
    return highest.view(len(seen), seen.shape[1], -1)


def best_start(seen: Tensor, images: Tensor) -> Tensor:
    """Return the map (P, 2, 3) of the bank by which each image (P, C, 64, 64) is most like its view."""
    rows, small = unit(grey(seen, COARSE)), grey(images, FINE)
    r = torch.stack([(rows * resampled(small, one)).sum(1) for one in affine_bank()])
    return affine_bank()[r.argmax(0)]


def gradient_histograms(images: Tensor) -> Tensor:
    """Return (N, DIRECTIONS, CELLS, CELLS): how much of each direction there is in each cell of images (N, C, S, S)."""
    return torch.cat([_histograms_of_grey(part.mean(1, keepdim=True)) for part in images.split(BLOCK)])


def _histograms_of_grey(grey: Tensor) -> Tensor:
    along_x, along_y = slopes(grey)
    size, angle = (along_x.square() + along_y.square()).sqrt(), torch.atan2(along_y, along_x)
    around = 2 * math.pi * torch.arange(DIRECTIONS).view(1, -1, 1, 1) / DIRECTIONS
    parts = torch.cos(angle - around).clamp_min(0) ** SHARPNESS * size
    return F.adaptive_avg_pool2d(blur(parts, 1 / (2 * CELLS)), CELLS).clamp_min(0).sqrt()


def _with_targets(seen: Tensor, targets: Targets) -> list[Tensor]:
    """Return what each measure finds, (16, N, M)."""
    n, eight = seen.shape[1], len(TURNS)
    edges = gradient_histograms(seen[:eight].flatten(0, 1))
    both = torch.cat([edges, edges.roll(DIRECTIONS // 2, 1)])  # a negative's gradients point the other way
    found = [intensity(seen, targets.images), (unit(both) @ targets.edges.T).view(len(seen), n, -1)]
    if targets.encoder is not None:
        embedded = embed(targets.encoder, seen.flatten(0, 1)) @ targets.vectors.T
        found.append(embedded.view(len(seen), n, -1))
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


def candidates(seen: Tensor, own: Tensor, targets: Targets, most: int) -> Candidates:
    """Return the training cases that queries, in local contrast and their views (16, N, C, 64, 64), are most like."""
    allowed = targets.known if targets.encoder is not None else torch.ones_like(targets.known)
    highest, view = combined(_with_targets(seen, targets), targets.subjects, own, allowed)
    cases, likeness = [], []
    for _ in range(min(most, len(torch.unique(targets.subjects[allowed])))):
        value, case = highest.max(1)
        cases.append(case)
        likeness.append(value)
        highest = highest.masked_fill(targets.subjects == targets.subjects[case][:, None], -torch.inf)
    case = torch.stack(cases, 1)
    return Candidates(case, torch.gather(view, 1, case), torch.stack(likeness, 1))
