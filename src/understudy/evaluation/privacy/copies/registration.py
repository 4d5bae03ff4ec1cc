"""Affine and deformable registration of images and volumes: how alike are a training case and a query, once it fits?

Candidates are registered by an affine map that maximises Pearson's r (ECC), then deformed by smooth fields of cosines
that a Gaussian prior keeps small, from coarse to fine: Gauss-Newton on the difference of the grey images, at 32 pixels
a side and then at 64, volumes at 16.
Then r of their detail counts, at the last size and without slow shading, over the orders of the channels (of four and
more: the first six). A stranger's image, deformed, fits coarsely as well as a copy does: fine detail tells them apart.
Image coordinates run from -1 to 1 from edge to edge, x, the last axis, first, as in
``torch.nn.functional.grid_sample`` with ``align_corners=False``; strengths, shifts and widths are shares of the side.
``*S`` are the d sides of images (d = 2) or volumes (d = 3); all is the same for both but for the number of axes.
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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.nets.affine import affine_grid

ITERATIONS, DAMPING, MAX_STEP = 10, 1e-4, 0.15
MAX_ORDERS = 6  # of channels that are tried: up to three channels
SOFT = 0.04  # of the edge of the disc within which grey images are compared: corners turn out of sight
MIN_FADE = 0.1  # cosines that are expected to be fainter, against the constant one, are left out
PRIOR_WEIGHT = 1e-3
ABOUT, SHOWS = 1 / 16, 0.25  # width around a pixel, and the local contrast there that counts as wholly shown
DETAIL = {2: (0.0, 1 / 32), 3: (1 / 32, 1 / 8)}  # detail is the band between these two blurs, 0 for none
FIELD_ITERATIONS, MAX_FIELD_STEP = 4, 0.1  # iterations a level


@dataclass(frozen=True)
class Level:
    """One level of deformable registration; lengths are shares of the side."""

    blur: float  # of the images
    smoothness: float  # of the fields that are expected, as in ``random_warp``
    strength: float


LEVELS: dict[int, dict[int, tuple[Level, ...]]] = {  # by dimensions and pixels a side
    2: {
        32: (Level(4 / 64, 8 / 64, 5 / 64), Level(2 / 64, 6 / 64, 3 / 64), Level(0, 5 / 64, 2 / 64)),
        64: (Level(0, 4 / 64, 1.5 / 64),),
    },
    3: {16: (Level(4 / 64, 8 / 64, 5 / 64), Level(2 / 64, 6 / 64, 3 / 64))},
}


def affine_maps(degrees: Tensor, zoom: Tensor, shift: Tensor, flip: bool = False) -> Tensor:
    """Return maps (N, d, d + 1) from where a pixel is to where it is read: rotations by ``degrees``.

    Of images (N,); of volumes vectors (N, 3) along the axis of rotation, as long as its angle. A zoom (N,) above 1
    makes what is shown larger; shifts (N, d) are along x, y (and z), as shares of the side; a flip mirrors left and
    right.
    """
    if degrees.ndim == 2:
        x, y, z = torch.deg2rad(degrees).unbind(1)
        none = torch.zeros_like(x)
        turns = torch.linalg.matrix_exp(torch.stack([none, -z, y, z, none, -x, -y, x, none], 1).view(-1, 3, 3))
        turns[:, :, 0] *= -1.0 if flip else 1.0
        return torch.cat([turns / zoom.view(-1, 1, 1), -2 * shift[..., None]], 2)
    angle = torch.deg2rad(degrees)
    cos, sin, side = torch.cos(angle) / zoom, torch.sin(angle) / zoom, -1.0 if flip else 1.0
    rows = torch.stack([cos * side, -sin * side, -2 * shift[:, 0], sin, cos, -2 * shift[:, 1]], 1)
    return rows.view(-1, 2, 3)


def apply_affine(images: Tensor, maps: Tensor) -> Tensor:
    """Return images (N, C, *S) resampled by affine maps (N, d, d + 1); the border is continued."""
    return sample(images, affine_grid(maps, images.shape[2:]))


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return images (N, C, *S) read at a grid (N, *S, d); the border is continued."""
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_warp(images: Tensor, strength: float, smoothness: float, generator: torch.Generator) -> Tensor:
    """Return images (N, C, *S) warped by smooth random displacements.

    Strength is the root mean square displacement along each axis, smoothness the standard deviation of the Gaussian
    that smooths the displacements; both are shares of the side.
    """
    n, dims = len(images), images.ndim - 2
    field = blur(torch.randn((n, dims, *images.shape[2:]), generator=generator), smoothness)
    field = field * (2 * strength / field.square().flatten(1).mean(1).sqrt()).view(-1, *[1] * (dims + 1))
    still = affine_grid(torch.eye(dims, dims + 1).expand(n, dims, dims + 1), images.shape[2:])
    return sample(images, still + field.movedim(1, -1))


def blur(images: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, *S) smoothed by a Gaussian; sigma is a share of the side, the border is continued."""
    *depth, height, width = images.shape[2:]
    smooth = _gaussian(height, sigma) @ images @ _gaussian(width, sigma).T
    return (_gaussian(depth[0], sigma) @ smooth.flatten(3)).view(images.shape) if depth else smooth


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
    """Return the band between two blurs (N, C, *S): no slow shading, and of volumes no grain."""
    finest, coarsest = DETAIL[images.ndim - 2]
    return (blur(images, finest) if finest else images) - blur(images, coarsest)


def grey(images: Tensor, side: int) -> Tensor:
    """Return (N, 1, side, side[, side]): the mean of the channels within a disc, averaged down."""
    return averaged(images.mean(1, keepdim=True) * disc(images.shape[-1], images.ndim - 2), side)


def averaged(images: Tensor, sides: int | Sequence[int]) -> Tensor:
    """Return images (N, C, *S) averaged down to so many pixels a side, or along each axis."""
    pool = F.adaptive_avg_pool2d if images.ndim == 4 else F.adaptive_avg_pool3d
    return pool(images, sides if isinstance(sides, int) else tuple(sides))  # type: ignore[arg-type]


def interpolated(images: Tensor, sides: Sequence[int]) -> Tensor:
    """Return images (N, C, *S) with these sides, linearly interpolated."""
    mode = "bilinear" if images.ndim == 4 else "trilinear"
    return F.interpolate(images, tuple(sides), mode=mode, align_corners=False)


@lru_cache(maxsize=8)
def disc(side: int, dims: int) -> Tensor:
    """Return weights (side, side[, side]): 1 inside, 0 in the corners."""
    squares = _centres(side).square()
    radius = sum((squares.view(-1, *[1] * axis) for axis in range(1, dims)), squares).sqrt()
    return torch.sigmoid((0.93 - radius) / SOFT)


def unit(images: Tensor) -> Tensor:
    """Return each image as a centred row (N, d) of length one, or all zero where it is constant."""
    rows = images.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-5 * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-12), torch.zeros_like(rows))


def slopes(images: Tensor) -> list[Tensor]:
    """Return the slopes of images (N, C, *S) along x, y (and z), in image coordinates."""
    found = []
    for axis in range(images.ndim - 1, 1, -1):
        n = images.shape[axis]
        ahead = torch.cat([images.narrow(axis, 1, n - 1), images.narrow(axis, n - 1, 1)], axis)
        behind = torch.cat([images.narrow(axis, 0, 1), images.narrow(axis, 0, n - 1)], axis)
        found.append((ahead - behind) * (n / 4))
    return found


def ecc(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return maps (P, d, d + 1) that locally maximise r of the queries (P, 1, *S) and the registered targets."""
    n, dims, warp, template = len(query), query.ndim - 2, start.clone(), unit(query)
    at = torch.meshgrid(*(_centres(side) for side in query.shape[2:]), indexing="ij")
    factors = [*(one.flatten() for one in reversed(at)), torch.ones(template.shape[1])]  # x, y (and z), 1
    with_slopes = torch.cat([target, *slopes(target)], 1)
    best, highest = warp.clone(), torch.full((n,), -2.0)
    for _ in range(ITERATIONS):
        image, *down = apply_affine(with_slopes, warp).flatten(2).unbind(1)
        image = image - image.mean(1, keepdim=True)
        r = (template * image).sum(1) / image.norm(dim=1).clamp_min(1e-6)
        better = r > highest
        best[better], highest = warp[better], torch.maximum(r, highest)
        jacobian = torch.stack([along * factor for along in down for factor in factors], 2)
        warp = warp + _step(jacobian - jacobian.mean(1, keepdim=True), template, image).view(n, dims, dims + 1)
    return best


def _step(jacobian: Tensor, template: Tensor, image: Tensor) -> Tensor:
    """Return the change (P, d * (d + 1)) of the maps, equation 18 with the lambda of equation 19."""
    normal = jacobian.transpose(1, 2) @ jacobian
    normal = normal + DAMPING * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + 1e-8 * torch.eye(normal.shape[1])
    on_image, on_template = (jacobian.transpose(1, 2) @ row[..., None] for row in (image, template))
    solved = torch.linalg.solve(normal, torch.cat([on_image, on_template], 2))
    above = image.square().sum(1) - (on_image[..., 0] * solved[..., 0]).sum(1)
    below = (template * image).sum(1) - (on_template[..., 0] * solved[..., 0]).sum(1)
    gain = torch.where(below > 0, above / below.clamp_min(1e-9), torch.zeros_like(above))
    return (gain[:, None] * solved[..., 1] - solved[..., 0]).clamp(-MAX_STEP, MAX_STEP)


def _centres(n: int) -> Tensor:
    return (2 * torch.arange(n) + 1) / n - 1


def channels_r(query: Tensor, target: Tensor) -> Tensor:
    """Return the highest r (P,) of images (P, C, *S) over the orders of the target's channels."""
    orders = itertools.islice(itertools.permutations(range(query.shape[1])), MAX_ORDERS)
    rows = unit(query)
    return torch.stack([(rows * unit(target[:, list(order)])).sum(1) for order in orders]).amax(0)


def register(queries: Tensor, targets: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Register targets to their queries (P, C, *S), from affine maps ``start`` (P, d, d + 1) on; return both, small."""
    dims = queries.ndim - 2
    pairs = {side: (grey(queries, side), grey(targets, side)) for side in LEVELS[dims]}
    side, levels = next(iter(LEVELS[dims].items()))
    query, target = (blur(one, levels[0].blur / 2) for one in pairs[side])
    grid = affine_grid(ecc(query, target, start), query.shape[2:])
    for side, levels in LEVELS[dims].items():
        if grid.shape[1] != side:
            grid = interpolated(grid.movedim(-1, 1), (side,) * dims).movedim(1, -1)
        grid = deform(*pairs[side], grid, levels)
    return averaged(queries, side), sample(averaged(targets, side), grid)


def agreement(queries: Tensor, fitted: Tensor) -> Tensor:
    """Return r (P,) of the detail of queries (P, C, *S) and of what was registered to them, where that shows it."""
    inside = disc(queries.shape[-1], queries.ndim - 2) * showing(fitted)
    return channels_r(detail(queries) * inside, detail(fitted) * inside)


def showing(images: Tensor) -> Tensor:
    """Return weights (N, 1, *S): 0 where local contrast (N, C, *S) is plain, 1 where it shows something.

    What lies around a training case is no part of it: a small slice that was blended with a larger one is judged where
    it lies.
    """
    return (blur(images.abs().amax(1, keepdim=True), ABOUT) / SHOWS).clamp(0, 1)


def deform(query: Tensor, target: Tensor, grid: Tensor, levels: Sequence[Level]) -> Tensor:
    """Return the grids (P, *S, d) at which targets (P, 1, *S) are read, so that they look like their queries.

    Displacements are added to a ``grid``, level by level.
    """
    for level in levels:
        pair = (blur(query, level.blur), blur(target, level.blur)) if level.blur else (query, target)
        grid = _deform(*pair, grid, level)
    return grid


def _deform(query: Tensor, target: Tensor, still: Tensor, level: Level) -> Tensor:
    """Return the grids (P, *S, d) of one level, displaced from ``still``, those before."""
    n, sides = len(query), tuple(query.shape[2:])
    cosines, expected = basis(sides, level)
    prior = (PRIOR_WEIGHT / expected).repeat(len(sides))  # the inverse covariance of the d * m coefficients
    template, found = unit(query), torch.zeros(n, len(prior))

    def deformed(coefficients: Tensor) -> tuple[Tensor, Tensor]:
        field = (coefficients.view(n, len(sides), -1) @ cosines.T).view(n, len(sides), *sides)
        grid = still + field.movedim(1, -1)
        return grid, unit(sample(target, grid))

    grid, image = deformed(found)
    along = torch.cat(slopes((template + image).view(query.shape) / 2), 1).flatten(2)  # (P, d, pixels)
    factor = torch.linalg.cholesky(normal_matrix(along, sides, level) + torch.diag(prior))
    best, lowest = grid, _misfit(template, image, found, prior)
    for _ in range(FIELD_ITERATIONS):
        pull = ((template - image)[:, None] * along) @ cosines
        downhill = (pull.flatten(1) - prior * found)[..., None]
        found = found + torch.cholesky_solve(downhill, factor)[..., 0].clamp(-MAX_FIELD_STEP, MAX_FIELD_STEP)
        grid, image = deformed(found)
        misfit = _misfit(template, image, found, prior)
        best = torch.where((misfit < lowest).view(-1, *[1] * (grid.ndim - 1)), grid, best)
        lowest = torch.minimum(misfit, lowest)
    return best


def _misfit(template: Tensor, image: Tensor, coefficients: Tensor, prior: Tensor) -> Tensor:
    return (template - image).square().sum(1) + (prior * coefficients.square()).sum(1)


def normal_matrix(along: Tensor, sides: tuple[int, ...], level: Level) -> Tensor:
    """Return the inner products (P, d * m, d * m) of all cosines times all slopes (P, d, pixels), about their means.

    A product of two cosines is the mean of the cosines of their sums and differences.
    """
    n, dims, pixels = along.shape
    cosines, _ = basis(sides, level)
    more, at, scale = _products(sides, level)
    means, rows = (along @ cosines).flatten(1), []
    for one in along.unbind(1):
        found = (one[:, None] * along) @ more  # (P, d, frequencies)
        rows.append(sum(found[..., which] for which in at) * scale)  # (P, d, m, m)
    whole = torch.stack(rows, 1).transpose(2, 3).reshape(n, len(means[0]), -1)
    return whole - means[:, :, None] * means[:, None] / pixels


@lru_cache(maxsize=8)
def _products(sides: tuple[int, ...], level: Level) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return cosines up to twice the frequencies of the basis; which (m, m) add up to each product; their weight."""
    orders = torch.tensor([order for order, _ in _orders(len(sides), level)])  # (m, d)
    frequencies = range(2 * int(orders.max()) + 1)
    more = _waves(list(itertools.product(frequencies, repeat=len(sides))), sides)
    places = torch.tensor([len(frequencies) ** axis for axis in reversed(range(len(sides)))])
    signs = torch.tensor(list(itertools.product((1, -1), repeat=len(sides))))
    at = [((orders[:, None] + sign * orders).abs() * places).sum(2) for sign in signs]
    length = _waves(orders.tolist(), sides).square().mean(0).sqrt()
    return more, at, 1 / (len(at) * length[:, None] * length)


def _orders(dims: int, level: Level) -> list[tuple[tuple[int, ...], float]]:
    """Return the frequencies along each axis of the cosines of a level, and how faint each is expected to be."""
    fades = [math.exp(-((math.pi * level.smoothness * i) ** 2)) for i in range(64)]
    fades = [fade for fade in fades if fade >= MIN_FADE]
    orders = itertools.product(range(len(fades)), repeat=dims)
    return [(order, fade) for order in orders if (fade := math.prod(fades[i] for i in order)) >= MIN_FADE]


def _waves(orders: Sequence[Sequence[int]], sides: tuple[int, ...]) -> Tensor:
    """Return the cosines (product of the sides, m) of these frequencies along each axis."""
    along = [(torch.arange(n) + 0.5) / n * math.pi for n in sides]
    lines = ([torch.cos(i * x) for i, x in zip(order, along, strict=True)] for order in orders)
    return torch.stack([reduce(lambda whole, line: torch.outer(whole, line).flatten(), one) for one in lines], 1)


@lru_cache(maxsize=8)
def basis(sides: tuple[int, ...], level: Level) -> tuple[Tensor, Tensor]:
    """Return smooth cosines (product of the sides, m), each of mean square one, and the variances (m,) expected.

    The variances are those of a white field smoothed by a Gaussian and scaled to the level's strength.
    """
    orders = _orders(len(sides), level)
    cosines, variances = _waves([order for order, _ in orders], sides), torch.tensor([fade for _, fade in orders])
    return cosines / cosines.square().mean(0).sqrt(), variances / variances.sum() * (2 * level.strength) ** 2
