"""Local patches: has a part of a training case been copied into another image?

Patches of a quarter of the side, as centred vectors of length one. Of a query those of the most detail are compared
with the patches of all training cases, at every fourth pixel; the patch that lies nearest to one subject and to no
other speaks for the case.
**Checked** in tests/evaluation/privacy/copies/test_patches.py (a pasted patch is found).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.evaluation.privacy.copies.geometry import detail
from understudy.evaluation.privacy.copies.near import Near, nearest_two

HALF, PATCH, STEP = 32, 8, 2  # images are halved first: patches of 16 pixels, every 4 pixels
SHOWN = 8  # patches of a query that are compared
BLOCK = 40  # queries at once
FLAT = 0.02  # standard deviation below which a patch shows nothing


def patches(images: Tensor) -> Tensor:
    """Return (N, P, C * 64) patches of images (N, C, 64, 64): centred channel by channel, of length one or all zero."""
    cut = F.unfold(F.adaptive_avg_pool2d(images, HALF), PATCH, stride=STEP).transpose(1, 2)
    rows = cut.unflatten(2, (images.shape[1], -1))
    rows = (rows - rows.mean(3, keepdim=True)).flatten(2)
    length = rows.norm(dim=2, keepdim=True)
    return torch.where(length > FLAT * rows.shape[2] ** 0.5, rows / length.clamp_min(1e-9), torch.zeros_like(rows))


def richest(images: Tensor) -> Tensor:
    """Return which SHOWN patches (N, SHOWN) of each image have the most detail."""
    energy = F.adaptive_avg_pool2d(detail(images).square().mean(1, keepdim=True), HALF)
    return F.avg_pool2d(energy, PATCH, STEP).flatten(1).topk(SHOWN, 1).indices


def similar_patches(queries: Tensor, targets: Tensor, subjects: Tensor, own: Tensor) -> list[Near]:
    """Compare the patches of queries (N, C, 64, 64) with those of all targets; blocks of the N."""
    searched = patches(targets)
    m, places, _ = searched.shape
    rows, found = searched.flatten(0, 1).T.contiguous(), []
    for start in range(0, len(queries), BLOCK):
        part = queries[start : start + BLOCK]
        at = richest(part)
        shown = torch.gather(patches(part), 1, at[..., None].expand(-1, -1, rows.shape[0]))
        similarity = (shown.flatten(0, 1) @ rows).view(-1, m, places).amax(2)
        near = nearest_two(similarity, subjects, own[start : start + BLOCK].repeat_interleave(SHOWN))
        best = torch.from_numpy(near.score).view(-1, SHOWN).argmax(1).numpy() + SHOWN * torch.arange(len(part)).numpy()
        found.append(Near(near.case[best], near.first[best], near.second[best]))
    return found
