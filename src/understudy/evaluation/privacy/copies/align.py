"""Registration: which training case, moved to fit, looks most like this one?

All similarity maps of a coarse bank (mirrored or not, turned, zoomed, shifted) are tried for all training cases on grey
images of 16 pixels: one matrix product a map. The best few are fitted by an affine map at 32 pixels, which maximises
Pearson's r (ECC), and judged by r of the images and of their detail, over the orders of the channels (of
four and more: the first six).
**Source**: Evangelidis, Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization",
IEEE TPAMI 30(10) 2008, the forward additive form, equations 10, 18 and 19.
**Differs**: a damped normal matrix, steps are bounded, and the best map on the way is kept.
**Checked** in tests/evaluation/privacy/copies/test_align.py (planted maps are found; r never falls).
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.geometry import affine, detail, move, unit

COARSE, FINE = 16, 32
ZOOMS, DEGREES, SHIFTS = (0.85, 0.92, 1.0, 1.08, 1.17), (-16.0, -8.0, 0.0, 8.0, 16.0), (-1 / 16, 0.0, 1 / 16)
ITERATIONS, DAMPING, LONGEST_STEP = 10, 1e-4, 0.15
BLOCK = 512  # queries that are multiplied at once
MOST_ORDERS = 6  # of channels that are tried: up to three channels


def maps() -> Tensor:
    """Return the coarse bank (M, 2, 3): all maps with at most one extreme part."""
    kept = [
        (degrees, zoom, dx, dy, flip)
        for degrees, zoom, dx, dy in itertools.product(DEGREES, ZOOMS, SHIFTS, SHIFTS)
        if (abs(degrees) > 8) + (abs(zoom - 1) > 0.1) + (dx != 0 and dy != 0) <= 1
        for flip in (False, True)
    ]
    one = [affine(torch.tensor([d]), torch.tensor([z]), torch.tensor([[dx, dy]]), f) for d, z, dx, dy, f in kept]
    return torch.cat(one)


def grey(images: Tensor, side: int) -> Tensor:
    """Return (N, 1, side, side): the mean of the channels, averaged down."""
    return F.adaptive_avg_pool2d(images.mean(1, keepdim=True), side)


def coarse(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest r (N, M) of each query (N, C, 64, 64) to each target over the maps of the bank, and the maps.

    Returns:
        r (N, M), and which map it was (N, M), an index into :func:`maps`.
    """
    rows, small = unit(grey(queries, COARSE)), grey(targets, FINE)
    highest = torch.full((len(queries), len(targets)), -2.0)
    which = torch.zeros(highest.shape, dtype=torch.int16)
    for i, one in enumerate(maps()):
        moved = unit(grey(move(small, one.expand(len(small), 2, 3)), COARSE)).T
        for part in torch.arange(len(rows)).split(BLOCK):
            r = rows[part[0] : part[-1] + 1] @ moved
            here, best = which[part[0] : part[-1] + 1], highest[part[0] : part[-1] + 1]
            here.masked_fill_(r > best, i)
            torch.maximum(best, r, out=best)
    return highest, which


@dataclass(frozen=True)
class Fitted:
    """Pairs (P,) after registration: r of the images, and r of their detail."""

    whole: Tensor
    detail: Tensor


def fit(queries: Tensor, targets: Tensor, start: Tensor) -> Fitted:
    """Move each target so that it fits its query.

    Args:
        queries: (P, C, 64, 64).
        targets: (P, C, 64, 64).
        start: (P, 2, 3) maps to begin with.
    """
    found = ecc(grey(queries, FINE), grey(targets, FINE), start)
    q, t = F.adaptive_avg_pool2d(queries, FINE), move(F.adaptive_avg_pool2d(targets, FINE), found)
    return Fitted(channels_r(q, t), channels_r(detail(q), detail(t)))


def ecc(query: Tensor, target: Tensor, start: Tensor) -> Tensor:
    """Return maps (P, 2, 3) that locally maximise r of the queries (P, 1, H, W) and the moved targets."""
    n, _, height, width = query.shape
    y, x = torch.meshgrid(_centres(height), _centres(width), indexing="ij")
    x, y, warp, template = x.flatten(), y.flatten(), start.clone(), unit(query)
    with_slopes = torch.cat([target, *slopes(target)], 1)
    best, highest = warp.clone(), torch.full((n,), -2.0)
    for _ in range(ITERATIONS):
        image, down_x, down_y = move(with_slopes, warp).flatten(2).unbind(1)
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
    return (gain[:, None] * solved[..., 1] - solved[..., 0]).clamp(-LONGEST_STEP, LONGEST_STEP)


def _centres(n: int) -> Tensor:
    return (2 * torch.arange(n) + 1) / n - 1


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes along x and y, in image coordinates."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    along_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * (images.shape[-1] / 4)
    along_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * (images.shape[-2] / 4)
    return along_x, along_y


def channels_r(query: Tensor, target: Tensor) -> Tensor:
    """Return the highest r (P,) of images (P, C, H, W) over the orders of the target's channels."""
    orders = itertools.islice(itertools.permutations(range(query.shape[1])), MOST_ORDERS)
    rows = unit(query)
    return torch.stack([(rows * unit(target[:, list(order)])).sum(1) for order in orders]).amax(0)
