"""Feed: the cases of a cohort's training split as batches; stateless, so that a resumed run sees what it would have
seen.

Case j of the endless stream is entry ``j mod n`` of a permutation that is derived from the seed and the epoch ``j //
n``. **Checked** in tests/training/test_training.py (every case once an epoch; batch boundaries do not matter).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        x: (N, C + L, *S) float32 in [-1, 1]: image channels, then label channels.
        condition: (N, K) float32 class columns, NaN where missing, or None.
        images_seen: images seen before this batch, over all processes.
    """

    x: Tensor
    condition: Tensor | None
    images_seen: int


class Feed:
    """Serve batches of a cohort's training split.

    Args:
        cohort: the cohort.
        seed: seed of the order and of mirroring.
        mirror: mirror half of the images left-right.
        conditional: give the class columns as condition.
    """

    def __init__(self, cohort: Cohort, seed: int, *, mirror: bool, conditional: bool = False) -> None:
        """Find the training rows."""
        self.cohort, self.seed, self.mirror = cohort, seed, mirror
        self.rows = cohort.rows("train")
        if len(self.rows) == 0:
            raise UnderstudyError(
                f"the cohort {cohort.path} has no case in its training split: import it with --split train=..."
            )
        self._classes = cohort.class_matrix(self.rows) if conditional else None

    def batch(self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice) -> Batch:
        """Return the images ``images_seen .. images_seen + batch_size`` of the stream (a process's part of them).

        Args:
            images_seen: position in the stream.
            batch_size: images over all processes.
            resolution: side of the images; smaller than the cohort's: averaged down.
            device: where to put them.
            part: which of the batch's images this process takes.
        """
        n = len(self.rows)
        positions = np.arange(images_seen, images_seen + batch_size)[part]
        chosen, flip = np.empty_like(positions), np.zeros(len(positions), bool)
        for epoch in np.unique(positions // n):
            here = positions // n == epoch
            chosen[here] = rng(self.seed, "epoch", int(epoch)).permutation(n)[positions[here] % n]
            if self.mirror:
                flip[here] = (rng(self.seed, "mirror", int(epoch)).random(n) < 0.5)[positions[here] % n]
        x = torch.from_numpy(self.cohort.encoded(self.rows[chosen])).to(device)
        if self.mirror:
            x = torch.where(torch.from_numpy(flip).to(device).reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
        if resolution != x.shape[-1]:
            x = F.interpolate(x, scale_factor=resolution / x.shape[-1], mode="area")
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        condition = None if self._classes is None else torch.from_numpy(self._classes[chosen]).to(device)
        return Batch(x, condition, images_seen)
