"""Cases as the views see them: images and label maps of 64 pixels, and whose they are.

**Checked** in tests/evaluation/privacy/copies/test_cases.py.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort

SIDE = 64
BLOCK = 256


@dataclass(frozen=True)
class Cases:
    """Some cases, small enough to be compared.

    Attributes:
        images: float32 (N, C, 64, 64) in about [-1, 1].
        labels: int64 (N, 64, 64), or None where there are no label maps.
        subjects: (N,) whole numbers; -1 for synthetic cases.
    """

    images: Tensor
    labels: Tensor | None
    subjects: Tensor

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.images)

    def __getitem__(self, rows: "slice | np.ndarray | Tensor") -> "Cases":
        """Return some of the cases."""
        chosen = torch.from_numpy(rows) if isinstance(rows, np.ndarray) else rows
        return Cases(self.images[chosen], None if self.labels is None else self.labels[chosen], self.subjects[chosen])


def nobodys(images: Tensor, labels: Tensor | None = None) -> Cases:
    """Return cases that are of no real subject, or are shown as if they were."""
    return Cases(images, labels, torch.full((len(images),), -1))


def small_cases(cohort: Cohort, rows: np.ndarray, subjects: np.ndarray | None = None) -> Cases:
    """Read rows of a cohort of 2D cases, averaged or interpolated to 64 x 64.

    Args:
        cohort: with images of two dimensions.
        rows: which.
        subjects: (N,) whole numbers; -1 where left out.
    """
    assert cohort.images is not None
    images, labels = torch.empty(len(rows), cohort.images.shape[1], SIDE, SIDE), None
    if cohort.labels is not None:
        labels = torch.empty(len(rows), SIDE, SIDE, dtype=torch.int64)
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        block = torch.from_numpy(cohort.encoding.encode_images(np.asarray(cohort.images[chosen])))
        images[start : start + BLOCK] = resized(block)
        if labels is not None and cohort.labels is not None:
            maps = torch.from_numpy(np.asarray(cohort.labels[chosen]).astype(np.int64))
            labels[start : start + BLOCK] = F.interpolate(maps[:, None].float(), (SIDE, SIDE)).long()[:, 0]
    whose = np.full(len(rows), -1) if subjects is None else subjects
    return Cases(images, labels, torch.from_numpy(whose.astype(np.int64)))


def resized(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) at 64 x 64: averaged down, or interpolated up."""
    if min(images.shape[-2:]) >= SIDE:
        return F.adaptive_avg_pool2d(images, SIDE)
    return F.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
