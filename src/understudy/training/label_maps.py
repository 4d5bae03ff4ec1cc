"""Label maps as tensors: between the label channels that a cohort encodes, integers, and one channel a class.

The codes are those of core/labels.py, which the generators from noise see. A translator sees label maps one-hot.
**Checked** in tests/training/test_label_maps.py against core/labels.py.
"""

import torch
import torch.nn.functional as F
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
