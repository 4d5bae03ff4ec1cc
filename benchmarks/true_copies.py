"""What is a copy, fixed apart from the copy detector: exhaustive over shift, flip, gain and offset.

    python benchmarks/true_copies.py REAL

prints how far real images of REAL that no generator saw lie from its training images, and how far training images lie
from those of other subjects and of their own: what the bound is chosen by, before any synthetic image is looked at.

The distance of an image x from a training image y: the middle of x (without ``shift`` pixels at each border) is laid
over every window of that size of y and its three mirrorings; each channel of the window gets the gain (not negative)
and the offset that fit best; what remains is an RMSE over pixels and channels, as a share of the standard deviation of
x within its channels. 0 is a copy, 1 shares nothing. A *true copy* is nearer than BOUND to some training image.
Nothing of it is in ``understudy``: the detector is judged by it.

BOUND is 0.25: a training image explains more than 94 % of the variance of the copy. On lgg_tcga at 32 pixels (48
training subjects) none of 454 images of 32 unseen subjects is nearer than 0.295 to any of 665 training images, and none
of these nearer than 0.336 to one of another subject; the median distance of neighbouring slices is 0.31.
**Differs** from a search by eye: rotated, zoomed or warped copies, and copies of a part, are none here.
**Checked** in tests/benchmarks/test_true_copies.py (against a loop over pixels, and injected copies).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.core.cohort import Cohort

SHIFT = 3
BOUND = 0.25
FLIPS = ((), (-1,), (-2,), (-2, -1))  # axes mirrored: none, left-right, up-down, both
BLOCK = 500


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of n images, and what has to be done to it.

    Attributes:
        rmse: (n,) what remains, as a share of the spread of the image; infinite where the image is flat.
        index: (n,) which training image.
        flip: (n,) which of FLIPS.
        shift: (n, 2) where the window begins, in pixels down and right of the middle.
        margin: pixels without which the middle of an image is laid over the window: the largest shift.
    """

    rmse: np.ndarray
    index: np.ndarray
    flip: np.ndarray
    shift: np.ndarray
    margin: int


def nearest(images: np.ndarray, training: np.ndarray, shift: int = SHIFT, unlike: np.ndarray | None = None) -> Nearest:
    """Find the nearest training image of each image.

    Args:
        images: (n, C, H, W).
        training: (m, C, H, W).
        shift: pixels down and right, and up and left, that are tried.
        unlike: (n, m) mask of pairs that do not count; default: all count.
    """
    parts = [
        _nearest(
            torch.from_numpy(images[i : i + BLOCK]).double(),
            torch.from_numpy(training).double(),
            shift,
            None if unlike is None else torch.from_numpy(unlike[i : i + BLOCK]),
        )
        for i in range(0, len(images), BLOCK)
    ]
    explained, index, flip, row, column = (np.concatenate([part[k] for part in parts]) for k in range(5))
    rmse = np.where(explained < 0, np.inf, np.sqrt(np.clip(1 - explained, 0, None)))
    return Nearest(rmse, index, flip, np.stack([row, column], 1) - shift, shift)


def _nearest(x: Tensor, y: Tensor, shift: int, unlike: Tensor | None) -> list[np.ndarray]:
    """Return for each x the highest share of its variance that a window explains, and that window."""
    height, width = (side - 2 * shift for side in x.shape[2:])
    middle, weight = _standard(x[:, :, shift : shift + height, shift : shift + width])
    flat = weight.sum(1) == 0
    weight = (weight / weight.sum(1, keepdim=True).clamp(min=1e-30)).float()
    best = torch.full((len(x),), -1.0)
    which = torch.zeros(len(x), 4, dtype=torch.long)
    for f, axes in enumerate(FLIPS):
        mirrored = y.flip(axes) if axes else y
        for row in range(2 * shift + 1):
            for column in range(2 * shift + 1):
                window, _ = _standard(mirrored[:, :, row : row + height, column : column + width])
                explained = _explained(middle, weight, window)
                if unlike is not None:
                    explained.masked_fill_(unlike, -1.0)
                value, index = explained.max(1)
                better = value > best
                best[better] = value[better]
                found = torch.stack([index, *(torch.full_like(index, k) for k in (f, row, column))], 1)
                which[better] = found[better]
    best[flat] = -1.0
    return [best.double().numpy(), *which.numpy().T]


def _standard(windows: Tensor) -> tuple[Tensor, Tensor]:
    """Return windows (n, C, h, w) as (C, n, h w) without mean and of norm 1, a flat one as 0; and sums of squares."""
    flat = windows.flatten(2)
    centred = flat - flat.mean(2, keepdim=True)
    squares = (centred**2).sum(2)
    unit = centred / squares.sqrt().clamp(min=1e-9)[..., None]
    return unit.float().transpose(0, 1).contiguous(), squares


def _explained(middle: Tensor, weight: Tensor, window: Tensor) -> Tensor:
    """Return (n, m) the share of the variance of each middle that each window explains by gain and offset a channel.

    With its best gain, a channel of correlation r leaves a share 1 - r^2 of the variance; where r is negative the best
    gain that is allowed is 0, and it leaves all.
    """
    total = torch.zeros(middle.shape[1], window.shape[1])
    for c in range(len(middle)):
        r = (middle[c] @ window[c].T).clamp_(min=0)
        total += weight[:, c, None] * r.square_()
    return total


def laid_over(x: np.ndarray, y: np.ndarray, found: Nearest, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of image i and the window of its nearest training image, with gains and offsets.

    Args:
        x: (C, H, W) the image.
        y: (C, H, W) its nearest training image.
        found: where the nearest was found.
        i: which image of ``found``.
    """
    margin, (row, column) = found.margin, found.shift[i] + found.margin
    height, width = (side - 2 * margin for side in x.shape[1:])
    middle = x[:, margin : margin + height, margin : margin + width].astype(float)
    window = np.flip(y, FLIPS[found.flip[i]])[:, row : row + height, column : column + width].astype(float)
    means = middle.mean((1, 2), keepdims=True)
    target, centred = middle - means, window - window.mean((1, 2), keepdims=True)
    gain = (target * centred).sum((1, 2), keepdims=True) / (centred**2).sum((1, 2), keepdims=True).clip(1e-12)
    return middle, means + np.maximum(gain, 0) * centred


def images_of(cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return images float32 (n, C, H, W) in [-1, 1]."""
    return cohort.encoding.encode_images(np.asarray(cohort.images[rows]))


def reference(cohort: Cohort) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return distances of real images to training images, and their subjects, by what is compared with what."""
    subjects, train = cohort.column("subject_id"), cohort.rows("train")
    training = images_of(cohort, train)
    found = {}
    for split in ("validation", "control", "test"):
        rows = cohort.rows(split)
        found[f"{split} to training"] = nearest(images_of(cohort, rows), training).rmse, subjects[rows]
    same = subjects[train][:, None] == subjects[train][None]
    found["training to other subjects"] = nearest(training, training, unlike=same).rmse, subjects[train]
    own = ~same | np.eye(len(train), dtype=bool)
    found["training to its own subject"] = nearest(training, training, unlike=own).rmse, subjects[train]
    return found


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path)
    given = parser.parse_args()
    print("| compared | images | subjects | lowest | 1 % | 10 % | median | below the bound | subjects with any |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (rmse, subjects) in reference(Cohort.open(given.real)).items():
        below = rmse < BOUND
        values = [f"{v:.3f}" for v in np.quantile(rmse, (0, 0.01, 0.1, 0.5))]
        counts = [f"{below.sum()} ({below.mean():.1%})", len(np.unique(subjects[below]))]
        print("|", " | ".join(map(str, (name, len(rmse), len(np.unique(subjects)), *values, *counts))), "|")


if __name__ == "__main__":
    main()
