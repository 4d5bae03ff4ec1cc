"""Affine and deformable registration of images in 2D: how much does a training case look like a query, once it fits?

Candidates are registered by an affine map that maximises Pearson's r (ECC), then deformed by smooth fields of cosines
that a Gaussian prior keeps small, from coarse to fine: Gauss-Newton on the difference of the grey images, at 32 pixels.
Then r of their detail counts, without grain and slow shading, over the orders of the channels (of four and more: the
first six).
Image coordinates run from -1 to 1 from edge to edge, as in ``torch.nn.functional.grid_sample`` with
``align_corners=False``; strengths, shifts and widths are shares of the side.
**Source**: Evangelidis, Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30(10) 2008, the forward additive form, equations 10, 18 and 19. Ashburner, Friston, "Nonlinear spatial
normalization using basis functions", Human Brain Mapping 7 (1999); the mean of both images' slopes from Benhimane,
Malis, IROS 2004.
**Differs**: ECC has a damped normal matrix and bounded steps, and keeps the best map on the way. The slopes of the
deformable steps stay as they were at the start of each level, are those of the registered image, and ignore that its
contrast is normalised; the prior is that of a white field smoothed by a Gaussian.
**Checked** in tests/evaluation/privacy/copies/test_registration.py (known maps and warps are found; r never falls).
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.affine import affine_grid

FINE = 32
ITERATIONS, DAMPING, MAX_STEP = 10, 1e-4, 0.15
MAX_ORDERS = 6  # of channels that are tried: up to three channels
SOFT = 0.04  # of the edge of the disc within which grey images are compared: corners turn out of sight
MIN_FADE = 0.1  # cosines that are expected to be fainter, against the constant one, are left out
PRIOR_WEIGHT = 1e-3
DETAIL = 1 / 32, 1 / 8  # detail is the band between these two blurs
FIELD_ITERATIONS, MAX_FIELD_STEP = 4, 0.1  # iterations a level


@dataclass(frozen=True)
class Level:
    """One level of deformable registration; lengths are shares of the side."""

    blur: float  # of the images
    smoothness: float  # of the fields that are expected, as in ``random_warp``
    strength: float


LEVELS = (Level(4 / 64, 8 / 64, 5 / 64), Level(2 / 64, 6 / 64, 3 / 64), Level(0, 5 / 64, 2 / 64))


def affine_maps(degrees: Tensor, zoom: Tensor, shift: Tensor, flip: bool = False) -> Tensor:
    """Return maps (N, 2, 3) from where a pixel is to where it is read: rotations by ``degrees`` (N,).

    A zoom (N,) above 1 makes what is shown larger; shifts (N, 2) are to the right and downwards, as shares of the side;
    a flip mirrors left and right.
    """
    angle = torch.deg2rad(degrees)
    cos, sin, side = torch.cos(angle) / zoom, torch.sin(angle) / zoom, -1.0 if flip else 1.0
    rows = torch.stack([cos * side, -sin * side, -2 * shift[:, 0], sin, cos, -2 * shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def apply_affine(images: Tensor, maps: Tensor) -> Tensor:
    """Return images (N, C, H, W) resampled by affine maps (N, 2, 3); the border is continued."""
    return sample(images, affine_grid(maps, images.shape[2:]))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return images (N, C, H, W) read at a grid (N, H, W, 2); the border is continued."""
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_warp(images: Tensor, strength: float, smoothness: float, generator: torch.Generator) -> Tensor:
    """Return images (N, C, H, W) warped by smooth random displacements.

    Strength is the root mean square displacement along each axis, smoothness the standard deviation of the Gaussian
    that smooths the displacements; both are shares of the side.
    """
    n, _, height, width = images.shape
    field = blur(torch.randn((n, 2, height, width), generator=generator), smoothness)
    field = field * (2 * strength / field.square().mean((1, 2, 3), keepdim=True).sqrt())
    still = affine_grid(torch.eye(2, 3).expand(n, 2, 3), (height, width))
    return sample(images, still + field.permute(0, 2, 3, 1))


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, H, W) smoothed by a Gaussian; sigma is a share of the side, the border is continued."""
    height, width = images.shape[-2:]
    return _gaussian(height, sigma) @ images @ _gaussian(width, sigma).T


@lru_cache(maxsize=64)
def _gaussian(n: int, sigma: float) -> Tensor:
    """Return the matrix (n, n) that smooths a line of n pixels."""
    reach = int(4 * sigma * n + 0.5)
    steps = torch.arange(-reach, reach + 1)
    weights = torch.exp(-((steps / (sigma * n)) ** 2) / 2)
    matrix = torch.zeros(n, n)
    for step, weight in zip(steps.tolist(), (weights / weights.sum()).tolist(), strict=True):
        matrix[torch.arange(n), (torch.arange(n) + step).clamp(0, n - 1)] += weight
    return matrix


def detail(images: Tensor) -> Tensor:
    """Return the band between two blurs (N, C, H, W): no grain and no slow shading."""
    return blur(images, DETAIL[0]) - blur(images, DETAIL[1])


def grey(images: Tensor, side: int) -> Tensor:
    """Return (N, 1, side, side): the mean of the channels within a disc, averaged down."""
    return F.adaptive_avg_pool2d(images.mean(1, keepdim=True) * disc(images.shape[-1]), side)


@lru_cache(maxsize=8)
def disc(side: int) -> Tensor:
    """Return weights (side, side): 1 inside, 0 in the corners."""
    at = _centres(side)
    return torch.sigmoid((0.93 - (at[:, None].square() + at.square()).sqrt()) / SOFT)


def unit(images: Tensor) -> Tensor:
    """Return each image as a centred row (N, d) of length one, or all zero where it is constant."""
    rows = images.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-5 * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-12), torch.zeros_like(rows))


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes along x and y, in image coordinates."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    along_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * (images.shape[-1] / 4)
    along_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * (images.shape[-2] / 4)
    return along_x, along_y


def ecc(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return maps (P, 2, 3) that locally maximise r of the queries (P, 1, H, W) and the registered targets."""
    n, _, height, width = query.shape
    y, x = torch.meshgrid(_centres(height), _centres(width), indexing="ij")
    x, y, warp, template = x.flatten(), y.flatten(), start.clone(), unit(query)
    with_slopes = torch.cat([target, *slopes(target)], 1)
    best, highest = warp.clone(), torch.full((n,), -2.0)
    for _ in range(ITERATIONS):
        image, down_x, down_y = apply_affine(with_slopes, warp).flatten(2).unbind(1)
        image = image - image.mean(1, keepdim=True)
        r = (template * image).sum(1) / image.norm(dim=1).clamp_min(1e-6)
        better = r > highest
        best[better], highest = warp[better], torch.maximum(r, highest)
        jacobian = torch.stack([down_x * x, down_x * y, down_x, down_y * x, down_y * y, down_y], 2)
        warp = warp + _step(jacobian - jacobian.mean(1, keepdim=True), template, image).view(n, 2, 3)
    return best


def _step(jacobian: Tensor, template: Tensor, image: Tensor) -> Tensor:
    """Return the change (P, 6) of the maps, equation 18 with the lambda of equation 19."""
    normal = jacobian.transpose(1, 2) @ jacobian
    normal = normal + DAMPING * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + 1e-8 * torch.eye(6)
    on_image, on_template = (jacobian.transpose(1, 2) @ row[..., None] for row in (image, template))
    solved = torch.linalg.solve(normal, torch.cat([on_image, on_template], 2))
    above = image.square().sum(1) - (on_image[..., 0] * solved[..., 0]).sum(1)
    below = (template * image).sum(1) - (on_template[..., 0] * solved[..., 0]).sum(1)
    gain = torch.where(below > 0, above / below.clamp_min(1e-9), torch.zeros_like(above))
    return (gain[:, None] * solved[..., 1] - solved[..., 0]).clamp(-MAX_STEP, MAX_STEP)


def _centres(n: int) -> Tensor:
    return (2 * torch.arange(n) + 1) / n - 1


def channels_r(query: Tensor, target: Tensor) -> Tensor:
    """Return the highest r (P,) of images (P, C, H, W) over the orders of the target's channels."""
    orders = itertools.islice(itertools.permutations(range(query.shape[1])), MAX_ORDERS)
    rows = unit(query)
    return torch.stack([(rows * unit(target[:, list(order)])).sum(1) for order in orders]).amax(0)


def fit(queries: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """Register targets to their queries (P, C, 64, 64), from affine maps ``start`` (P, 2, 3) on; return r (P,) then."""
    query, target = grey(queries, FINE), grey(targets, FINE)
    begin = blur(query, LEVELS[0].blur / 2), blur(target, LEVELS[0].blur / 2)
    grid = deform(query, target, ecc(*begin, start))
    small = F.adaptive_avg_pool2d(torch.stack([queries, targets]).flatten(0, 1), FINE)
    fitted = sample(small[len(queries) :], grid)
    return channels_r(detail(small[: len(queries)]) * disc(FINE), detail(fitted) * disc(FINE))


def deform(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return the grids (P, H, W, 2) at which targets (P, 1, H, W) are read, so that they look like their queries.

    Displacements are added to the affine maps ``start`` (P, 2, 3), level by level.
    """
    grid = affine_grid(start, query.shape[2:])
    for level in LEVELS:
        pair = (blur(query, level.blur), blur(target, level.blur)) if level.blur else (query, target)
        grid = _deform(*pair, grid, level)
    return grid


def _deform(query: Tensor, target: Tensor, still: Tensor, level: Level) -> Tensor:
    """Return the grids (P, H, W, 2) of one level, displaced from ``still``, those before."""
    n, _, height, width = query.shape
    cosines, expected = basis(height, width, level)
    prior = (PRIOR_WEIGHT / expected).repeat(2)  # the inverse covariance of the 2m coefficients
    template, found = unit(query), torch.zeros(n, 2 * cosines.shape[1])

    def deformed(coefficients: Tensor) -> tuple[Tensor, Tensor]:
        field = (coefficients.view(n, 2, -1) @ cosines.T).view(n, 2, height, width)
        grid = still + field.permute(0, 2, 3, 1)
        return grid, unit(sample(target, grid))

    grid, image = deformed(found)
    along = slopes((template + image).view(query.shape) / 2)
    jacobian = torch.cat([one.flatten(1)[..., None] * cosines for one in along], 2)
    jacobian = jacobian - jacobian.mean(1, keepdim=True)
    factor = torch.linalg.cholesky(jacobian.mT @ jacobian + torch.diag(prior))
    best, lowest = grid, _misfit(template, image, found, prior)
    for _ in range(FIELD_ITERATIONS):
        downhill = jacobian.mT @ (template - image)[..., None] - (prior * found)[..., None]
        found = found + torch.cholesky_solve(downhill, factor)[..., 0].clamp(-MAX_FIELD_STEP, MAX_FIELD_STEP)
        grid, image = deformed(found)
        misfit = _misfit(template, image, found, prior)
        best = torch.where((misfit < lowest)[:, None, None, None], grid, best)
        lowest = torch.minimum(misfit, lowest)
    return best


def _misfit(template: Tensor, image: Tensor, coefficients: Tensor, prior: Tensor) -> Tensor:
    return (template - image).square().sum(1) + (prior * coefficients.square()).sum(1)


@lru_cache(maxsize=8)
def basis(height: int, width: int, level: Level) -> tuple[Tensor, Tensor]:
    """Return smooth cosines (height * width, m), each of mean square one, and the variances (m,) that are expected.

    The variances are those of a white field smoothed by a Gaussian and scaled to the level's strength.
    """
    fades = [math.exp(-((math.pi * level.smoothness * i) ** 2)) for i in range(64)]
    chosen = [(i, j, a * b) for i, a in enumerate(fades) for j, b in enumerate(fades) if a * b >= MIN_FADE]
    y, x = ((torch.arange(n) + 0.5) / n * math.pi for n in (height, width))
    waves = [torch.outer(torch.cos(i * y), torch.cos(j * x)).flatten() for i, j, _ in chosen]
    cosines, variances = torch.stack(waves, 1), torch.tensor([one for _, _, one in chosen])
    return cosines / cosines.square().mean(0).sqrt(), variances / variances.sum() * (2 * level.strength) ** 2
