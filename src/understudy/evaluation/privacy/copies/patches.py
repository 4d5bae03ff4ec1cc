"""Local patches: has a part of a training case been copied into another image?

Patches of a quarter of the side, at every eighth pixel, as centred vectors of length one. Each is compared with the
patches of all training cases at the same place and four pixels aside; the patch that lies nearest to one subject and to
no other speaks for its case. A part that was moved further, or mirrored, is not seen.
**Checked** in tests/evaluation/privacy/copies/test_patches.py (a pasted part is found).
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.cases import Cases
from understudy.evaluation.privacy.copies.near import Near, joined, nearest_two

HALF, PATCH, STEP, ASIDE = 32, 8, 4, 2  # in pixels of the halved images
BLOCK = 1024  # queries at once
FLAT = 0.05  # standard deviation, of the half range, below which a patch shows nothing


def patch_rows(images: Tensor, row: int, column: int) -> Tensor:
    """Return the patches at one place of halved images (N, C, 32, 32): (N, C * 64), each channel about its mean.

    Rows are of length one, or all zero where a patch is flat.
    """
    cut = images[:, :, row : row + PATCH, column : column + PATCH].flatten(2)
    rows = (cut - cut.mean(2, keepdim=True)).flatten(1)
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > FLAT * rows.shape[1] ** 0.5, rows / length.clamp_min(1e-9), torch.zeros_like(rows))


def similar_patches(queries: Cases, targets: Cases) -> Near:
    """Return for each query the training case with the most telling patch; a query's own subject is left out."""
    small = F.adaptive_avg_pool2d(targets.images, HALF)
    parts = [_block(queries[start : start + BLOCK], small, targets) for start in range(0, len(queries), BLOCK)]
    return joined(parts)


def _block(queries: Cases, small: Tensor, targets: Cases) -> Near:
    """Compare a block of queries with the halved images of the targets, place by place."""
    images, places = F.adaptive_avg_pool2d(queries.images, HALF), range(0, HALF - PATCH + 1, STEP)
    best: Near | None = None
    for row, column in itertools.product(places, places):
        rows = patch_rows(images, row, column)
        near = nearest_two(_likeness(rows, small, row, column), targets.subjects, queries.subjects)
        better = near.score > best.score if best else np.ones(len(queries), bool)
        best = near.where(better, best) if best else near
    assert best is not None
    return best


def _likeness(rows: Tensor, small: Tensor, row: int, column: int) -> Tensor:
    """Return the highest r (N, M) of patches (N, d) to those of the targets at a place and around it."""
    highest = torch.full((len(rows), len(small)), -1.0)
    for down, right in itertools.product((-ASIDE, 0, ASIDE), repeat=2):
        y, x = row + down, column + right
        if 0 <= y <= HALF - PATCH and 0 <= x <= HALF - PATCH:
            torch.maximum(highest, rows @ patch_rows(small, y, x).T, out=highest)
    return highest
