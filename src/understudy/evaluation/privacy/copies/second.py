"""SECOND: matchers of a second judgement, whose scores share nothing with those of the first (matchers.py).

Whoever screens by one judgement removes what it sees, so that it cannot say what is left; the other can::

    orientations  cosine of histograms of oriented gradients in 8 x 8 places, over quarter turns, mirrors, rotations
                  and shifts: contrast, gamma, negative, noise; nothing of grey values enters
    spectrum      r of the logarithm of the Fourier magnitude about its mean over training cases, over the same turns:
                  shifted by any length, blended, degraded
    ranks         r of the ranks of 16 x 16 pixels, over the same: warped, blurred, shaded

Nothing is learned, registered or cut out.
**Source**: Dalal and Triggs, Histograms of oriented gradients (CVPR 2005); Reddy and Chatterji, FFT-based registration
(IEEE TIP 5, 1996) for the magnitude; Spearman's r.
**Differs**: orientations without a sign; places are not normalised by their neighbours.
**Checked** in tests/evaluation/privacy/copies/test_second.py.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, nearest_two
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, slopes, unit

ANGLES, SHIFTS, SHIFT = (-20.0, -10.0, 10.0, 20.0), ((0, 1), (0, -1), (1, 0), (-1, 0)), 4 / 64
BINS, PLACES, COARSE, LOW = 8, 8, 16, 14
SMOOTH = 1 / 64  # before gradients


def variants(images: Tensor, shifted: bool) -> Iterator[Tensor]:
    """Yield images (N, C, 64, 64) turned, mirrored, rotated, and ``shifted`` by four pixels."""
    ones, still = torch.ones(len(images)), torch.zeros(len(images), 2)
    for mirrored in (images, images.flip(-1)):
        yield from (torch.rot90(mirrored, turns, (-2, -1)) for turns in range(4))
        for degrees in ANGLES:
            yield apply_affine(mirrored, affine_maps(degrees * ones, ones, still))
        for shift in SHIFTS if shifted else ():
            yield apply_affine(mirrored, affine_maps(0 * ones, ones, still + SHIFT * torch.tensor(shift)))


def orientations(images: Tensor) -> Tensor:
    """Return rows (N, d) of length one: how strong each orientation of gradients is in each place."""
    x, y = slopes(blur(images.mean(1, keepdim=True), SMOOTH))
    strength, angle = (x**2 + y**2).sqrt(), torch.atan2(y, x)  # an orientation is an angle modulo half a turn
    steps = torch.arange(BINS) * torch.pi / BINS
    votes = strength * torch.cos(angle - steps.view(1, -1, 1, 1)).abs() ** 8
    places = F.adaptive_avg_pool2d(votes, PLACES).flatten(1).clamp_min(0).sqrt()
    return F.normalize(places - places.mean(1, keepdim=True))


def spectrum(images: Tensor) -> Tensor:
    """Return rows (N, d): the logarithm of the Fourier magnitude at low frequencies, not yet about a mean."""
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False)
    grey = images.mean(1)
    grey = (grey - grey.mean((1, 2), keepdim=True)) * window[:, None] * window
    magnitude = torch.fft.fftshift(torch.fft.rfft2(grey).abs(), dim=1)
    middle = side // 2
    rows = torch.log(magnitude[:, middle - LOW : middle + LOW + 1, : LOW + 1] + 1e-3).flatten(1)
    return rows - rows.mean(1, keepdim=True)


def ranks(images: Tensor) -> Tensor:
    """Return rows (N, 256) of length one: the ranks of coarse pixels."""
    coarse = F.adaptive_avg_pool2d(images.mean(1, keepdim=True), COARSE).flatten(1)
    ordered = coarse.sort(1).values
    below, upto = (torch.searchsorted(ordered, coarse, right=right) for right in (False, True))
    return unit((below + upto).float()[:, None])  # equal pixels have equal ranks


Features = Callable[[Tensor], Tensor]
SECOND: dict[str, tuple[Features, bool]] = {  # features, and whether shifts are tried
    "orientations": (orientations, True),
    "spectrum": (spectrum, False),
    "ranks": (ranks, True),
}


def match_second(queries: SmallCases, targets: SmallCases, names: tuple[str, ...]) -> dict[str, NearestTwo]:
    """Return by each matcher the nearest training case of each query, a query's own subject, where known, left out."""
    return {name: _match(queries, targets, *SECOND[name]) for name in names}


def _match(queries: SmallCases, targets: SmallCases, features: Features, shifted: bool) -> NearestTwo:
    ours, plain = features(queries.images), features(targets.images)
    centre = plain.mean(0) if features is spectrum else torch.zeros(plain.shape[1])
    rows, best = F.normalize(ours - centre), torch.full((len(queries), len(targets)), -1.0)
    for images in variants(targets.images, shifted):
        torch.maximum(best, rows @ F.normalize(features(images) - centre).T, out=best)
    return nearest_two(best.clamp(-1, 1), targets.subjects, queries.subjects)
