"""Affine and deformable registration of images in 2D: which training case looks most like a query, once it fits?

**Affine**: a coarse bank of similarity maps (mirrored or not, rotated, zoomed, translated) is tried on all training
cases, on grey images of 16 pixels: one matrix product a map. The best few are refined at 32 pixels by an affine map
that maximises Pearson's r (ECC); then r of the images and of their detail counts, over the orders of the channels (of
four and more: the first six).
**Deformable**: candidates have the same levels in about the same places. Each is registered affinely from the identity,
then deformed by a smooth field of cosines that a Gaussian prior keeps small: Gauss-Newton on the difference of the grey
images, at 32 pixels.
Image coordinates run from -1 to 1 from edge to edge, as in ``torch.nn.functional.grid_sample`` with
``align_corners=False``; strengths, shifts and widths are shares of the side.
**Source**: Evangelidis, Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30(10) 2008, the forward additive form, equations 10, 18 and 19. Ashburner, Friston, "Nonlinear spatial
normalization using basis functions", Human Brain Mapping 7 (1999); the mean of both images' slopes from Benhimane,
Malis, IROS 2004; candidates by local histograms of Koenderink, van Doorn, IJCV 31 (1999).
**Differs**: ECC has a damped normal matrix and bounded steps, and keeps the best map on the way. The slopes of the
deformable step stay as they were at its start, are those of the registered image, and ignore that its contrast is
normalised; the prior is that of a white field smoothed by a Gaussian.
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

COARSE, FINE = 16, 32
ZOOMS, DEGREES, SHIFTS = (0.85, 0.92, 1.0, 1.08, 1.17), (-16.0, -8.0, 0.0, 8.0, 16.0), (-1 / 16, 0.0, 1 / 16)
ITERATIONS, DAMPING, MAX_STEP = 10, 1e-4, 0.15
BLOCK = 512  # queries that are multiplied at once
MAX_ORDERS = 6  # of channels that are tried: up to three channels
BINS, WIDTH, PLACES = 12, 0.15, 8  # of local histograms: levels, their softness, places a side
HISTOGRAM_BLOCK = 64  # images at once
SMOOTHNESS, STRENGTH = 5 / 64, 3 / 64  # of the fields that are expected, as in ``random_warp``
MIN_FADE = 0.1  # cosines that are expected to be fainter, against the constant one, are left out
PRIOR_WEIGHT = 1e-3
FIELD_ITERATIONS, MAX_FIELD_STEP = 6, 0.1


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
    return blur(images, 1 / 32) - blur(images, 1 / 8)


def grey(images: Tensor, side: int) -> Tensor:
    """Return (N, 1, side, side): the mean of the channels, averaged down."""
    return F.adaptive_avg_pool2d(images.mean(1, keepdim=True), side)


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


def affine_bank() -> Tensor:
    """Return the coarse bank (M, 2, 3): all maps with at most one extreme part."""
    kept = [
        (degrees, zoom, dx, dy, flip)
        for degrees, zoom, dx, dy in itertools.product(DEGREES, ZOOMS, SHIFTS, SHIFTS)
        if (abs(degrees) > 8) + (abs(zoom - 1) > 0.1) + (dx != 0 and dy != 0) <= 1
        for flip in (False, True)
    ]
    one = [affine_maps(torch.tensor([d]), torch.tensor([z]), torch.tensor([[dx, dy]]), f) for d, z, dx, dy, f in kept]
    return torch.cat(one)


def coarse(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest r (N, M) of each query (N, C, 64, 64) to each target over the maps of the bank, and its map.

    Maps (N, M) are indices into :func:`affine_bank`.
    """
    rows, small = unit(grey(queries, COARSE)), grey(targets, FINE)
    highest = torch.full((len(queries), len(targets)), -2.0)
    which = torch.zeros(highest.shape, dtype=torch.int16)
    for i, one in enumerate(affine_bank()):
        grid = affine_grid(one[None], small.shape[2:]).expand(len(small), -1, -1, -1)
        resampled = unit(grey(sample(small, grid), COARSE)).T
        for part in torch.arange(len(rows)).split(BLOCK):
            r = rows[part[0] : part[-1] + 1] @ resampled
            here, best = which[part[0] : part[-1] + 1], highest[part[0] : part[-1] + 1]
            here.masked_fill_(r > best, i)
            torch.maximum(best, r, out=best)
    return highest, which


@dataclass(frozen=True)
class RegistrationScores:
    """Pairs (P,) after affine registration: r of the images (``whole``), and r of their detail."""

    whole: Tensor
    detail: Tensor


def fit_affine(queries: Tensor, targets: Tensor, start: Tensor) -> RegistrationScores:
    """Register each target to its query (P, C, 64, 64) by an affine map, from ``start`` (P, 2, 3) on; return r then."""
    found = ecc(grey(queries, FINE), grey(targets, FINE), start)
    q, t = F.adaptive_avg_pool2d(queries, FINE), apply_affine(F.adaptive_avg_pool2d(targets, FINE), found)
    return RegistrationScores(channels_r(q, t), channels_r(detail(q), detail(t)))


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


def local_histograms(images: Tensor) -> Tensor:
    """Return rows (N, d) of length one: how often each level occurs in each place of images (N, C, H, W) in [-1, 1]."""
    levels = torch.linspace(-1, 1, BINS).view(1, 1, -1, 1, 1)
    parts = images.split(HISTOGRAM_BLOCK)
    soft = [torch.exp(-(((part[:, :, None] - levels) / WIDTH) ** 2)).flatten(1, 2) for part in parts]
    return torch.cat([unit(F.adaptive_avg_pool2d(part, PLACES).sqrt()) for part in soft])


def fit_deformed(queries: Tensor, targets: Tensor) -> Tensor:
    """Register each target to its query (P, C, 64, 64) by a deformable map; return r (P,) of the images then."""
    query, target = grey(queries, FINE), grey(targets, FINE)
    grid = deform(query, target, ecc(query, target, torch.eye(2, 3).expand(len(queries), 2, 3)))
    small = F.adaptive_avg_pool2d(torch.stack([queries, targets]).flatten(0, 1), FINE)
    return channels_r(small[: len(queries)], sample(small[len(queries) :], grid))


def deform(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return the grids (P, H, W, 2) at which targets (P, 1, H, W) are read, so that they look like their queries.

    Displacements are added to the affine maps ``start`` (P, 2, 3).
    """
    n, _, height, width = query.shape
    cosines, expected = basis(height, width)
    still = affine_grid(start, (height, width))
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


@lru_cache(maxsize=4)
def basis(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return smooth cosines (height * width, m), each of mean square one, and the variances (m,) that are expected.

    The variances are those of a white field smoothed by a Gaussian and scaled to STRENGTH, in image coordinates.
    """
    fades = [math.exp(-((math.pi * SMOOTHNESS * i) ** 2)) for i in range(64)]
    chosen = [(i, j, a * b) for i, a in enumerate(fades) for j, b in enumerate(fades) if a * b >= MIN_FADE]
    y, x = ((torch.arange(n) + 0.5) / n * math.pi for n in (height, width))
    waves = [torch.outer(torch.cos(i * y), torch.cos(j * x)).flatten() for i, j, _ in chosen]
    cosines, variances = torch.stack(waves, 1), torch.tensor([one for _, _, one in chosen])
    return cosines / cosines.square().mean(0).sqrt(), variances / variances.sum() * (2 * STRENGTH) ** 2
