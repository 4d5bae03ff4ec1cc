"""The cases that matchers compare, small; local contrast; the ratio test: nearest against second subject.

Images are brought to 64 pixels a side, volumes to 32; ``*S`` are these sides.

**Local contrast**: background offset, marker, frame and intensity scale are alike on all images of a subject, or of a
site, and are no person. So matchers see each channel about its local mean and in shares of its local contrast: a level
that is the same over some pixels becomes 0, whatever it was. A frame of two pixels (of 64) is cut off. Crop, turn and
resolution are left to registration.

An image that resembles many subjects is no copy: it is near to all of them, and a copy is near to one. So the score
weighs the nearest case against half of the nearest case of a second subject:

    score = -log(1 - s1 + e) + log(1 - s2 + e) / 2        s1 similarity of the nearest, s2 of the second subject

**Source**: divisive normalisation as in Jarrett et al., "What is the best multi-stage architecture for object
recognition?", ICCV 2009, section 3.1. The ratio test of Lowe, IJCV 60 (2004), section 7.1.
**Differs**: contrast is normalised channel by channel and has a floor at a share of the image's own, so that plain
background does not become noise. The second is of another subject; it has half the weight, because a subject of a rare
kind has only one neighbour.
**Checked** in tests/evaluation/privacy/copies/test_cases.py (by hand; rows, blocks; offset, gain, frame, marker).
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies.registration import averaged, blur, interpolated, unit

SIDES = {2: 64, 3: 32}  # pixels, by dimensions
BLOCK = 256
NEAR, AROUND, FINELY = 4 / 64, 6 / 64, 1 / 64  # of the local mean, of the local contrast, of the result
CONTRAST_FLOOR = 0.15  # of the contrast that a tenth of the image exceeds
LEAST = 1e-3  # contrast of the half range that counts as none
MOST = 3.0  # times the local contrast; what lies further is clipped
FRAME = 1 / 32  # of the side, whose place the next pixels take: a frame
CONTRAST_BLOCK = 2**20  # pixels at once
SOFT = 0.01  # e: differences among similarities above 0.99 do not count


def fingerprint(*tensors: Tensor | None) -> str:
    """Return a hash of tensors: shapes, types and values."""
    digest = hashlib.sha256()
    for one in tensors:
        digest.update(f"{None if one is None else (tuple(one.shape), one.dtype)}".encode())
        if one is not None:
            digest.update(one.contiguous().numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class SmallCases:
    """N cases, small enough to be compared."""

    images: Tensor  # float32 (N, C, 64, 64) or (N, C, 32, 32, 32) in about [-1, 1]
    labels: Tensor | None  # uint8 (N, 64, 64) or (N, 32, 32, 32), or None where there are no label maps
    subjects: Tensor  # (N,) whole numbers; -1 for synthetic cases

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the cases."""
        return fingerprint(self.images, self.labels, self.subjects)

    @cached_property
    def in_contrast(self) -> "SmallCases":
        """The cases in local contrast; kept, so for what many networks and matchers read."""
        return in_contrast(self)

    @cached_property
    def unit_rows(self) -> Tensor:
        """The images as unit vectors (N, d)."""
        return unit(self.images)

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.images)

    def __getitem__(self, rows: "slice | np.ndarray | Tensor") -> "SmallCases":
        """Return some of the cases."""
        chosen = torch.from_numpy(rows) if isinstance(rows, np.ndarray) else rows
        labels = None if self.labels is None else self.labels[chosen]
        return SmallCases(self.images[chosen], labels, self.subjects[chosen])


def without_subject(images: Tensor, labels: Tensor | None = None) -> SmallCases:
    """Return cases without a subject, real ones too: then no training case is left out of the search."""
    return SmallCases(images, labels, torch.full((len(images),), -1))


def small_cases(cohort: Cohort, rows: np.ndarray, subjects: np.ndarray | None = None) -> SmallCases:
    """Read N rows of a cohort, averaged or interpolated to equal sides; subjects are -1 where left out."""
    assert cohort.images is not None
    sides = (SIDES[len(cohort.size)],) * len(cohort.size)
    images, labels = torch.empty(len(rows), cohort.images.shape[1], *sides), None
    if cohort.labels is not None:
        labels = torch.empty(len(rows), *sides, dtype=torch.uint8)
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        block = torch.from_numpy(cohort.encoding.encode_images(np.asarray(cohort.images[chosen])))
        images[start : start + BLOCK] = resized(block)
        if labels is not None and cohort.labels is not None:
            maps = torch.from_numpy(np.asarray(cohort.labels[chosen]))
            labels[start : start + BLOCK] = F.interpolate(maps[:, None].float(), sides)[:, 0].to(torch.uint8)
    whose = np.full(len(rows), -1) if subjects is None else subjects
    return SmallCases(images, labels, torch.from_numpy(whose.astype(np.int64)))


def resized(images: Tensor) -> Tensor:
    """Return images (N, C, *S) at 64 x 64, volumes at 32 x 32 x 32: each axis averaged down, or interpolated up."""
    side, sizes = SIDES[images.ndim - 2], images.shape[2:]
    if max(sizes) > side:
        images = averaged(images, [min(size, side) for size in sizes])
    return images if min(sizes) >= side else interpolated(images, [side] * len(sizes))


def local_contrast(images: Tensor) -> Tensor:
    """Return images (N, C, *S) about their local mean, in shares of the local contrast: in [-1, 1], 0 where plain."""
    block = max(1, CONTRAST_BLOCK // math.prod(images.shape[2:]))
    return torch.cat([_contrast(part) for part in images.split(block)]) if len(images) else images


def in_contrast(cases: SmallCases) -> SmallCases:
    """Return cases in local contrast, as matchers see them."""
    return SmallCases(local_contrast(cases.images), cases.labels, cases.subjects)


def _contrast(images: Tensor) -> Tensor:
    dims, frame = images.ndim - 2, round(FRAME * images.shape[-1])
    inner = (slice(None), slice(None), *[slice(frame, -frame)] * dims)
    images = F.pad(images[inner], (frame,) * (2 * dims), mode="replicate")
    away = images - blur(images, NEAR)
    spread = blur(away.square(), AROUND).sqrt()
    tenth = torch.from_numpy(exceeded_by_a_tenth(spread.flatten(2).numpy()))
    floor = CONTRAST_FLOOR * tenth.view(*spread.shape[:2], *[1] * dims)
    shown = blur(away / (spread + floor + LEAST), FINELY)
    return (shown / MOST).clamp(-1, 1)


def exceeded_by_a_tenth(values: np.ndarray) -> np.ndarray:
    """Return the quantile 0.9 of the last axis, of two or more: numpy's, bit for bit, in an eighth of its time."""
    place = 0.9 * (values.shape[-1] - 1)
    first, share = int(place), place % 1
    parted = np.partition(values, first, axis=-1)
    low, high = parted[..., first], parted[..., first + 1 :].min(-1)
    between: np.ndarray = low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)
    return between


@dataclass(frozen=True)
class NearestTwo:
    """Of N cases: the nearest training case, its similarity, and a score that weighs it against a second subject's."""

    case: np.ndarray  # int64 (N,) into the training cases
    first: np.ndarray  # (N,) similarity, at most 1
    score: np.ndarray  # (N,): the higher, the nearer to one subject and to no other

    def __getitem__(self, rows: "slice | np.ndarray") -> "NearestTwo":
        """Return what is known of some of the cases."""
        return NearestTwo(self.case[rows], self.first[rows], self.score[rows])

    def where(self, mask: np.ndarray, other: "NearestTwo") -> "NearestTwo":
        """Return these cases where a mask (N,) holds, and the other's elsewhere."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("case", "first", "score"))
        return NearestTwo(*(np.where(mask, ours, theirs) for ours, theirs in pairs))


def ratio(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the score (N,) of similarities (N,) of the nearest case and of that of a second subject."""
    nearer, further = np.clip(first, -1, 1), np.clip(second, 0, 1)
    score: np.ndarray = np.log(1 - further + SOFT) / 2 - np.log(1 - nearer + SOFT)
    return score


def nearest_two(similarity: Tensor, subjects: Tensor, own: Tensor) -> NearestTwo:
    """Find the nearest case, and weigh it against that of another subject, by the similarity (N, M) to all M targets.

    Subjects (M,) are those of the targets; a case's ``own`` (N,) is left out, none where -1.
    """
    allowed = similarity.masked_fill(subjects == own[:, None], -1)
    first, case = allowed.max(1)
    second = allowed.masked_fill(subjects == subjects[case][:, None], -1).amax(1)
    nearest = first.double().numpy()
    return NearestTwo(case.numpy(), nearest, ratio(nearest, second.double().numpy()))


def joined(parts: list[NearestTwo]) -> NearestTwo:
    """Return blocks of cases one after another."""
    values = ((part.case, part.first, part.score) for part in parts)
    return NearestTwo(*(np.concatenate(column) for column in zip(*values, strict=True)))
