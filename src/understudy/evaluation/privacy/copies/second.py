"""SECOND: matchers of a second judgement, whose scores share nothing with those of the first (matchers.py).

Whoever screens by one judgement removes what it sees, so that it cannot say what is left; the other can::

    orientations  cosine of histograms of oriented gradients in 8 x 8 places (volumes 4 x 4 x 4), over quarter turns,
                  mirrors, rotations and shifts: contrast, gamma, negative, noise; nothing of grey values enters
    spectrum      r of the logarithm of the Fourier magnitude about its mean over training cases, over the same turns:
                  shifted by any length, blended, degraded
    ranks         r of the ranks of 16 x 16 pixels (8 x 8 x 8), over the same: warped, blurred, shaded

Nothing is learned, registered or cut out.
**Source**: Dalal and Triggs, Histograms of oriented gradients (CVPR 2005); Reddy and Chatterji, FFT-based registration
(IEEE TIP 5, 1996) for the magnitude; Spearman's r.
**Differs**: orientations without a sign; places are not normalised by their neighbours.
**Checked** in tests/evaluation/privacy/copies/test_second.py.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, nearest_two
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, averaged, blur, slopes, unit
from understudy.evaluation.privacy.copies.transforms import turns

ANGLES, SHIFT = (-20.0, -10.0, 10.0, 20.0), 4 / 64
BINS, SHARPNESS = 8, {2: 8, 3: 4}  # orientations in 2D; in 3D there are 13, further apart
PLACES, COARSE, LOW = {2: 8, 3: 4}, {2: 16, 3: 8}, {2: 14, 3: 7}  # a side, by dimensions
SMOOTH = 1 / 64  # before gradients


def variants(images: Tensor, shifted: bool) -> Iterator[Tensor]:
    """Yield images (N, C, *S) turned, mirrored, rotated, and ``shifted`` by a sixteenth of the side."""
    n, dims = len(images), images.ndim - 2
    yield from (turn(images) for turn in turns(dims))
    none, axes = torch.zeros(n, dims), torch.eye(dims)
    rotated = [torch.full((n,), angle) for angle in ANGLES]
    if dims == 3:
        rotated = [angle[:, None] * axis for angle in rotated for axis in axes]
    moved = [affine_maps(one, torch.ones(n), none) for one in rotated]
    if shifted:
        still = torch.zeros(n) if dims == 2 else none
        moved += [affine_maps(still, torch.ones(n), none + by * axis) for axis in axes for by in (SHIFT, -SHIFT)]
    for maps, mirrored in itertools.product(moved, (images, images.flip(-1))):
        yield apply_affine(mirrored, maps)


@lru_cache(maxsize=2)
def axes_of(dims: int) -> Tensor:
    """Return the orientations of gradients that are told apart, as unit vectors (B, d), of x, y (and z)."""
    if dims == 2:
        angles = torch.arange(BINS) * torch.pi / BINS
        return torch.stack([angles.cos(), angles.sin()], 1)
    every = torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=dims)))
    return F.normalize(every[len(every) // 2 + 1 :])  # the other half points the other way


def orientations(images: Tensor) -> Tensor:
    """Return rows (N, d) of length one: how strong each orientation of gradients is in each place."""
    dims = images.ndim - 2
    along = torch.cat(slopes(blur(images.mean(1, keepdim=True), SMOOTH)), 1)
    strength = along.square().sum(1, keepdim=True).sqrt()
    towards = axes_of(dims) @ along.flatten(2) / strength.flatten(2).clamp_min(1e-12)
    votes = strength * (towards.abs() ** SHARPNESS[dims]).view(len(images), -1, *images.shape[2:])
    places = averaged(votes, PLACES[dims]).flatten(1).clamp_min(0).sqrt()
    return F.normalize(places - places.mean(1, keepdim=True))


def spectrum(images: Tensor) -> Tensor:
    """Return rows (N, d): the logarithm of the Fourier magnitude at low frequencies, not yet about a mean."""
    grey = images.mean(1)
    axes = tuple(range(1, grey.ndim))
    grey = grey - grey.mean(axes, keepdim=True)
    for axis in axes:
        window = torch.hann_window(grey.shape[axis], periodic=False)
        grey = grey * window.view(-1, *[1] * (grey.ndim - 1 - axis))
    low = LOW[len(axes)]
    magnitude = torch.fft.fftshift(torch.fft.rfftn(grey, dim=axes).abs(), dim=axes[:-1])
    for axis in axes[:-1]:
        magnitude = magnitude.narrow(axis, magnitude.shape[axis] // 2 - low, 2 * low + 1)
    rows = torch.log(magnitude[..., : low + 1] + 1e-3).flatten(1)
    return rows - rows.mean(1, keepdim=True)


def ranks(images: Tensor) -> Tensor:
    """Return rows (N, d) of length one: the ranks of coarse pixels."""
    coarse = averaged(images.mean(1, keepdim=True), COARSE[images.ndim - 2]).flatten(1)
    ordered = coarse.sort(1).values
    below, upto = (torch.searchsorted(ordered, coarse, right=right) for right in (False, True))
    return unit((below + upto).float()[:, None])  # equal pixels have equal ranks


Features = Callable[[Tensor], Tensor]
SECOND: dict[str, tuple[Features, bool]] = {  # features, and whether shifts are tried
    "orientations": (orientations, True),
    "spectrum": (spectrum, False),
    "ranks": (ranks, True),
}


def match_second(queries: SmallCases, targets: SmallCases, name: str) -> NearestTwo:
    """Return by one matcher the nearest training case of each query, a query's own subject, where known, left out."""
    features, shifted = SECOND[name]
    ours, plain = features(queries.images), features(targets.images)
    centre = plain.mean(0) if features is spectrum else torch.zeros(plain.shape[1])
    rows, best = F.normalize(ours - centre), torch.full((len(queries), len(targets)), -1.0)
    for images in variants(targets.images, shifted):
        torch.maximum(best, rows @ F.normalize(features(images) - centre).T, out=best)
    return nearest_two(best.clamp(-1, 1), targets.subjects, queries.subjects)
