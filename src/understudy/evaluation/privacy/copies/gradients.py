"""Histograms of oriented gradients: which training cases show the same edges in about the same places?

They propose candidates for deformable registration: a warp moves an edge by less than a cell, and turns it little. Each
query is compared with all training cases in the eight flips and quarter turns, and as their negatives.
**Source**: Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005: signed gradients, square
roots of the counts.
**Differs**: soft cells and soft directions; one normalisation of the whole image, since images have local contrast
already (contrast.py).
**Checked** in tests/evaluation/privacy/copies/test_gradients.py (turns, negatives and warps are found).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.registration import Alike, affine_maps, blur, slopes, unit

CELLS, DIRECTIONS, SHARPNESS = 12, 8, 3
BLOCK = 256
TURNS = [(quarter, flip) for quarter in range(4) for flip in (False, True)]


def turns() -> Tensor:
    """Return the eight flips and quarter turns as affine maps (8, 2, 3)."""
    still = torch.ones(1), torch.zeros(1, 2)
    return torch.cat([affine_maps(torch.tensor([90.0 * quarter]), *still, flip) for quarter, flip in TURNS])


def turned(images: Tensor, turn: int) -> Tensor:
    """Return square images (N, C, S, S) in one of the eight turns, in the order of :func:`turns`, to the pixel."""
    quarter, flip = TURNS[turn]
    return torch.rot90(images.flip(-1) if flip else images, quarter, (2, 3))


def histograms(images: Tensor) -> Tensor:
    """Return (N, DIRECTIONS, CELLS, CELLS): how much of each direction there is in each cell of images (N, C, S, S)."""
    return torch.cat([_histograms(part.mean(1, keepdim=True)) for part in images.split(BLOCK)])


def _histograms(grey: Tensor) -> Tensor:
    along_x, along_y = slopes(grey)
    size, angle = (along_x.square() + along_y.square()).sqrt(), torch.atan2(along_y, along_x)
    around = 2 * math.pi * torch.arange(DIRECTIONS).view(1, -1, 1, 1) / DIRECTIONS
    parts = torch.cos(angle - around).clamp_min(0) ** SHARPNESS * size
    return F.adaptive_avg_pool2d(blur(parts, 1 / (2 * CELLS)), CELLS).clamp_min(0).sqrt()


def alike(queries: Tensor, targets: Tensor) -> Alike:
    """Compare queries (N, C, S, S) with all turns of the targets (M, C, S, S) and of their negatives."""
    rows, found = unit(histograms(queries)), Alike.none(len(queries), len(targets))
    for turn in range(len(TURNS)):
        other = histograms(turned(targets, turn))
        for sign, negative in ((1, other), (-1, other.roll(DIRECTIONS // 2, 1))):
            found.improve(slice(None), rows @ unit(negative).T, turn, sign)
    return found
