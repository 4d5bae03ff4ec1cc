"""The cases of a cohort's training split as batches; stateless, so that a resumed run sees what it would have seen.

Case j of the endless stream is entry ``j mod n`` of a permutation derived from the seed and the epoch ``j // n``.
**Checked**: tests/training/test_batches.py (each case once an epoch; batch boundaries; rotation by 0, 90, 180 degrees;
cases with label maps and images alone in one stream, at exact shares).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import derive, rng
from understudy.nets.affine import affine_grid, plane_rotation, resampled
from understudy.training.settings import GeneratorConfig


@dataclass(frozen=True)
class Batch:
    """One training batch."""

    x: Tensor  # (N, C + L, *S) float32 in [-1, 1]: image channels, then label channels, NaN where there is no label map
    condition: Tensor | None  # (N, K) float32 class columns, NaN where missing
    images_seen: int  # before this batch, over all processes
    other: Tensor | None = None  # as x, of a second cohort in an order of its own


def shuffled(condition: Tensor | None) -> Tensor | None:
    """Return the conditions of a batch in another order, for generated cases."""
    return None if condition is None else condition[torch.randperm(len(condition), device=condition.device)]


class BatchStream:
    """Serve batches of a cohort's training split, with its class columns as the condition where ``conditional``.

    Half of the images are mirrored along their last axis by ``mirror``; by ``rotate`` 9 of 10 are rotated by up to so
    many degrees, as Akbar et al. (2024) add 9 rotated copies of every slice (75 degrees there): bilinear for image
    channels, nearest neighbour for label channels; 2D only. ``other`` serves the second, unpaired cohort.

    Raises:
        UsageError: volumes are to be rotated.
        UnderstudyError: the training split is empty.
    """

    def __init__(
        self,
        cohort: Cohort,
        seed: int,
        *,
        mirror: bool,
        rotate: float = 0.0,
        conditional: bool = False,
        other: "BatchStream | None" = None,
    ) -> None:
        self.cohort, self.seed, self.mirror, self.rotate = cohort, seed, mirror, rotate
        self.other = other
        if rotate and len(cohort.size) != 2:
            raise UsageError(f"rotate is for 2D cases only, and {cohort.path} holds volumes: leave it 0")
        self.rows = cohort.rows("train")
        if len(self.rows) == 0:
            raise UnderstudyError(
                f"the cohort {cohort.path} has no case in its training split: import it with --split train=..."
            )
        self._classes = cohort.class_matrix(self.rows) if conditional else None

    @classmethod
    def of(cls, config: GeneratorConfig, cohort: Cohort, other: Cohort | None, seed: int) -> "BatchStream":
        """Return the stream that a generator's settings ask for; ``other`` is a second, unpaired cohort."""
        augmentation: dict[str, Any] = {"mirror": config.mirror, "rotate": config.rotate}
        second = cls(other, derive(seed, "other feed"), **augmentation) if other else None
        return cls(cohort, derive(seed, "feed"), conditional=config.conditional, other=second, **augmentation)

    def batch(self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice) -> Batch:
        """Return the images ``images_seen .. images_seen + batch_size`` of the stream, a process's ``part`` of them.

        ``batch_size`` counts over all processes; a ``resolution`` below the cohort's is averaged down to.
        """
        positions = np.arange(images_seen, images_seen + batch_size)[part]
        x, condition = self.cases(positions, resolution, device)
        other = self.other.cases(positions, resolution, device)[0] if self.other else None
        return Batch(x, condition, images_seen, other)

    def cases(self, positions: np.ndarray, resolution: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Return the cases at some positions (N,) of the stream, and their condition; see :class:`Batch`."""
        n = len(self.rows)
        chosen = np.empty_like(positions)
        flip = np.zeros(len(positions), bool) if self.mirror else None
        degrees = np.zeros(len(positions)) if self.rotate else None
        for epoch in np.unique(positions // n):
            here = positions // n == epoch
            chosen[here] = rng(self.seed, "epoch", int(epoch)).permutation(n)[positions[here] % n]
            if flip is not None:
                flip[here] = (rng(self.seed, "mirror", int(epoch)).random(n) < 0.5)[positions[here] % n]
            if degrees is not None:
                degrees[here] = angles(rng(self.seed, "rotate", int(epoch)), n, self.rotate)[positions[here] % n]
        x = torch.from_numpy(self.cohort.encoded(self.rows[chosen])).to(device)
        x = augmented(x, flip, degrees, self.cohort.encoding.image_channels)
        if resolution != x.shape[-1]:
            x = F.interpolate(x, scale_factor=resolution / x.shape[-1], mode="area")
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        condition = None if self._classes is None else torch.from_numpy(self._classes[chosen]).to(device)
        return x, condition


class PartlyLabelledStream:
    """Serve two cohorts in one stream: at a share of the positions cases with label maps, at the others images alone.

    The label channels and the condition of images alone are NaN. Of the first p positions floor(p share) are labelled,
    whatever the batches; each cohort is in an order of its own.
    """

    def __init__(self, labelled: BatchStream, images: BatchStream, share: float) -> None:
        self.labelled, self.images, self.share = labelled, images, share

    def batch(self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice) -> Batch:
        """Return a batch; see :meth:`BatchStream.batch`."""
        positions = np.arange(images_seen, images_seen + batch_size)[part]
        before = np.floor(positions * self.share).astype(np.int64)
        first = np.floor((positions + 1) * self.share) > before
        x, condition = self.labelled.cases(before[first], resolution, device)
        images, _ = self.images.cases((positions - before)[~first], resolution, device)
        where = torch.from_numpy(first).to(device)
        x = _spread(x, where)
        x[~where, : images.shape[1]] = images
        return Batch(x, None if condition is None else _spread(condition, where), images_seen)


def _spread(some: Tensor, where: Tensor) -> Tensor:
    """Return rows (n, ...) at the n places that `where` (N,) marks, and NaN at the others."""
    rows = some.new_full((len(where), *some.shape[1:]), torch.nan)
    rows[where] = some
    return rows


def angles(random: np.random.Generator, n: int, limit: float) -> np.ndarray:
    """Draw the angles in degrees of n cases: 0 for one in ten, else uniform in [-limit, limit]."""
    return np.where(random.random(n) < 0.9, random.uniform(-limit, limit, n), 0.0)


def augmented(x: Tensor, flip: np.ndarray | None, degrees: np.ndarray | None, image_channels: int) -> Tensor:
    """Mirror cases (N, C + L, *S) along their last axis where ``flip`` (N,) is true, and rotate by degrees (N,)."""
    if flip is not None:
        x = torch.where(torch.from_numpy(flip).to(x.device).reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
    return x if degrees is None or not len(x) else rotated(x, torch.from_numpy(degrees).to(x), image_channels)


def rotated(x: Tensor, degrees: Tensor, image_channels: int) -> Tensor:
    """Rotate every case (N, C + L, H, W) by an angle (N,) of its own around its middle; see :func:`resampled`."""
    maps = F.pad(plane_rotation(degrees.deg2rad(), x.shape[2:]), (0, 1))
    return resampled(x, affine_grid(maps, x.shape[2:]), image_channels)
