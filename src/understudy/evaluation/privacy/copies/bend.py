"""Bending: which training case, bent smoothly to fit, looks most like this one?

Candidates are those with the same levels in about the same places. Each is moved by the affine map that fits best near
no motion (``align.py``), and then bent by a smooth field of cosines that a Gaussian prior keeps small, at 32 pixels:
Gauss-Newton on the difference of the grey images.
**Source**: Ashburner, Friston, "Nonlinear spatial normalization using basis functions", Human Brain Mapping 7 (1999);
the mean of both images' slopes from Benhimane, Malis, IROS 2004; candidates by local histograms of Koenderink, van
Doorn, IJCV 31 (1999).
**Differs**: slopes stay as they were at the start, are those of the moved image, and forget that its contrast is
normalised; the prior is that of a white field smoothed by a Gaussian.
**Checked** in tests/evaluation/privacy/copies/test_bend.py (a known bend is undone; grey images never get less alike).
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.align import FINE, channels_r, ecc, grey, slopes
from understudy.evaluation.privacy.copies.geometry import sample, unit

BINS, WIDTH, PLACES, BLOCK = 12, 0.15, 8, 64  # of local histograms: levels, softness, places a side; images at once
SMOOTHNESS, STRENGTH = 5 / 64, 3 / 64  # of the fields that are expected, as in ``geometry.warp``
FAINTEST = 0.1  # cosines that are expected to be fainter, against the constant one, are left out
WEIGHT = 1e-3  # of the prior
ITERATIONS, LONGEST_STEP = 6, 0.1


def local_histograms(images: Tensor) -> Tensor:
    """Return rows (N, d) of length one: how often each level occurs in each place of images (N, C, H, W) in [-1, 1]."""
    levels = torch.linspace(-1, 1, BINS).view(1, 1, -1, 1, 1)
    soft = [torch.exp(-(((part[:, :, None] - levels) / WIDTH) ** 2)).flatten(1, 2) for part in images.split(BLOCK)]
    return torch.cat([unit(F.adaptive_avg_pool2d(part, PLACES).sqrt()) for part in soft])


def fit(queries: Tensor, targets: Tensor) -> Tensor:
    """Move and bend each target so that it fits its query; return r (P,) of the images then.

    Args:
        queries: (P, C, 64, 64).
        targets: (P, C, 64, 64).
    """
    query, target = grey(queries, FINE), grey(targets, FINE)
    grid = bend(query, target, ecc(query, target, torch.eye(2, 3).expand(len(queries), 2, 3)))
    small = F.adaptive_avg_pool2d(torch.stack([queries, targets]).flatten(0, 1), FINE)
    return channels_r(small[: len(queries)], sample(small[len(queries) :], grid))


def bend(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return the grids (P, H, W, 2) at which targets (P, 1, H, W) are read, so that they look like their queries.

    Args:
        query: (P, 1, H, W).
        target: (P, 1, H, W).
        start: (P, 2, 3) affine maps that the bending is added to.
    """
    n, _, height, width = query.shape
    cosines, expected = basis(height, width)
    still = F.affine_grid(start, [n, 1, height, width], align_corners=False)
    prior = (WEIGHT / expected).repeat(2)  # the inverse covariance of the 2m coefficients
    template, found = unit(query), torch.zeros(n, 2 * cosines.shape[1])

    def bent(coefficients: Tensor) -> tuple[Tensor, Tensor]:
        field = (coefficients.view(n, 2, -1) @ cosines.T).view(n, 2, height, width)
        grid = still + field.permute(0, 2, 3, 1)
        return grid, unit(sample(target, grid))

    grid, image = bent(found)
    along = slopes((template + image).view(query.shape) / 2)
    jacobian = torch.cat([one.flatten(1)[..., None] * cosines for one in along], 2)
    jacobian = jacobian - jacobian.mean(1, keepdim=True)
    factor = torch.linalg.cholesky(jacobian.mT @ jacobian + torch.diag(prior))
    best, lowest = grid, _misfit(template, image, found, prior)
    for _ in range(ITERATIONS):
        downhill = jacobian.mT @ (template - image)[..., None] - (prior * found)[..., None]
        found = found + torch.cholesky_solve(downhill, factor)[..., 0].clamp(-LONGEST_STEP, LONGEST_STEP)
        grid, image = bent(found)
        misfit = _misfit(template, image, found, prior)
        best = torch.where((misfit < lowest)[:, None, None, None], grid, best)
        lowest = torch.minimum(misfit, lowest)
    return best


def _misfit(template: Tensor, image: Tensor, coefficients: Tensor, prior: Tensor) -> Tensor:
    return (template - image).square().sum(1) + (prior * coefficients.square()).sum(1)


@lru_cache(maxsize=4)
def basis(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return smooth cosines (height * width, m), each of mean square one, and the variances (m,) that are expected.

    The variances are those of a white field smoothed by a Gaussian and scaled to STRENGTH, in image coordinates.
    """
    fades = [math.exp(-((math.pi * SMOOTHNESS * i) ** 2)) for i in range(64)]
    chosen = [(i, j, a * b) for i, a in enumerate(fades) for j, b in enumerate(fades) if a * b >= FAINTEST]
    y, x = ((torch.arange(n) + 0.5) / n * math.pi for n in (height, width))
    waves = [torch.outer(torch.cos(i * y), torch.cos(j * x)).flatten() for i, j, _ in chosen]
    cosines, variances = torch.stack(waves, 1), torch.tensor([one for _, _, one in chosen])
    return cosines / cosines.square().mean(0).sqrt(), variances / variances.sum() * (2 * STRENGTH) ** 2
