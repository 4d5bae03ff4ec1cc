"""Label maps as tensors: between the label channels that a cohort encodes, integers, and one channel a class.

The codes are those of core/labels.py, which the generators from noise see. A translator sees label maps one-hot. Drawn
maps can be cleared of stray voxels.
**Checked**: tests/nets/test_label_maps.py against core/labels.py.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.core.labels import LEVELS, LabelScheme


def decoded(channels: Tensor, scheme: LabelScheme) -> Tensor:
    """Read label maps (N, *S) int64, values 0..K-1, from label channels (N, L, *S) in about [-1, 1]."""
    if len(scheme) > len(LEVELS):
        return channels.argmax(dim=1)
    levels = torch.tensor(LEVELS[len(scheme)], device=channels.device) / 127.5 - 1
    return torch.bucketize(channels[:, 0].contiguous(), (levels[1:] + levels[:-1]) / 2)


def encoded(labels: Tensor, scheme: LabelScheme) -> Tensor:
    """Write label maps (N, *S), values 0..K-1, as label channels (N, L, *S) float32 in [-1, 1]."""
    if len(scheme) > len(LEVELS):
        return one_hot(labels, scheme) * 2 - 1
    return (torch.tensor(LEVELS[len(scheme)], device=labels.device) / 127.5 - 1)[labels.long()].unsqueeze(1)


def one_hot(labels: Tensor, scheme: LabelScheme) -> Tensor:
    """Write label maps (N, *S), values 0..K-1, as one channel a class: (N, K, *S) float32, 0 or 1."""
    return F.one_hot(labels.long(), len(scheme)).movedim(-1, 1).float()


def without_small_components(labels: Tensor, least: int) -> Tensor:
    """Give connected parts (by faces) of fewer than ``least`` voxels, holes too, the class of the nearest other voxel.

    Of label maps (N, *S); with ``least`` below 2 nothing changes, and a map of nothing but small parts stays as it is.
    """
    if least < 2:
        return labels
    maps = labels.cpu().numpy().copy()
    for case in maps:
        small = np.zeros(case.shape, bool)
        for k in np.unique(case):
            parts, _ = ndimage.label(case == k)
            small |= (case == k) & (np.bincount(parts.ravel()) < least)[parts]
        if small.any() and not small.all():
            nearest = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
            case[...] = case[tuple(nearest)]
    return torch.from_numpy(maps).to(labels.device)
