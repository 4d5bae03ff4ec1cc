"""Sizes: bring a picture, its label map, spacing and affine to one size; every step is exact and stated.

Images are resampled axis by axis: area average where an axis shrinks (every source pixel counts by the share of it that
a target pixel covers, so nothing aliases), linear interpolation where it grows; pixel edges coincide. Label maps take
the class that covers most of a target pixel, by the same weights; where classes tie, the one at its nearest source
pixel, so that ties make no class smaller or larger on average.
**Checked** in tests/data/test_preprocess.py (block means; total mass; ties; a point stays in place through the affine).
"""

import functools

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.listing import Reading, size_text

TIE = 1e-4  # weight of the nearest pixel in a vote: below the differences that decide one, above float32 rounding


def surround(image: np.ndarray, value: float | None) -> np.ndarray:
    """Return what is added around an image (C, *S), a value a channel (C,): the one given, or 0, or the lowest below 0.

    Zero is the ground of MR and x-ray pictures; where values go below 0, as in CT, their lowest is (air).
    """
    low = image.reshape(len(image), -1).min(1)
    return np.where(low < 0, low, 0) if value is None else np.full(len(image), value)


def fitted(
    reading: Reading, size: tuple[int, ...] | None, fit: str, where: str, fill: np.ndarray | None = None
) -> Reading:
    """Bring one case to a size (None: as it is) by ``resize``, ``crop`` or ``pad``; spacing and affine follow.

    ``fill`` (C,) is what is added around an image (default 0); around a label map it is class 0.

    Raises:
        UnderstudyError: ``pad`` was asked for and a side is longer than the size.
    """
    image, labels, spacing, found = reading.image, reading.labels, reading.spacing_mm, reading.size
    if size is None or found == size:
        return reading
    if fit == "resize":
        image = None if image is None else resized_image(image, size)
        labels = None if labels is None else resized_labels(labels, size)
        scale = np.array(found) / np.array(size)
        spacing = None if spacing is None else tuple((np.array(spacing) * scale).tolist())
        return Reading(image, labels, spacing, _reindexed(reading.affine, scale, (scale - 1) / 2), reading.slice_index)
    if fit == "pad" and any(f > s for f, s in zip(found, size, strict=True)):
        raise UnderstudyError(
            f"{where} is {size_text(found)} and cannot be padded to {size_text(size)}: give a larger --size, or "
            "--fit crop or resize"
        )
    starts = tuple((f - s) // 2 for f, s in zip(found, size, strict=True))
    image = None if image is None else _window(image, starts, size, fill)
    labels = None if labels is None else _window(labels, starts, size)
    affine = _reindexed(reading.affine, np.ones(len(size)), np.array(starts, float))
    return Reading(image, labels, spacing, affine, reading.slice_index)


def resized_image(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resample an image (C, *S) to (C, *size), in its data type; whole numbers are rounded to the nearest."""
    array = _resampled(image.astype(np.float32), size)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return array.astype(image.dtype)


def resized_labels(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resample a label map (*S) of classes 0..K-1 to uint8 (*size): what covers most; ties by the nearest pixel."""
    classes = np.flatnonzero(np.bincount(labels.reshape(-1)))
    nearest = labels[np.ix_(*(_nearest(n, m) for n, m in zip(labels.shape, size, strict=True)))]
    best, votes = nearest.astype(np.uint8), np.full(size, -1.0, np.float32)
    for k in classes:
        share = _resampled((labels == k).astype(np.float32)[None], size)[0] + TIE * (nearest == k)
        best[share > votes] = k
        votes = np.maximum(votes, share)
    return best


@functools.lru_cache(maxsize=64)
def resampling_taps(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how one axis is resampled: area average where it shrinks, linear interpolation where it grows.

    These are source positions int64 (T, n_out) and weights float32 (T, n_out); target i is the sum over t of weight
    times source, and its weights sum to 1.
    """
    scale = n_in / n_out
    target = np.arange(n_out)
    at = target * scale if n_out <= n_in else np.clip((target + 0.5) * scale - 0.5, 0, n_in - 1)
    source = np.floor(at).astype(np.int64) + np.arange(int(np.ceil(scale)) + 1)[:, None]
    if n_out <= n_in:
        weights = np.minimum((target + 1) * scale, source + 1) - np.maximum(at, source)
    else:
        weights = 1 - np.abs(at - source)
    weights = np.where((weights > 1e-9) & (source < n_in), weights, 0)
    used = weights.any(1)
    weights, source = weights[used] / weights.sum(0), np.minimum(source[used], n_in - 1)
    return source, weights.astype(np.float32)


def _resampled(array: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resample all axes but the first; sums run in one order, with no matrix product: bytes depend on no threads."""
    for axis, n_out in enumerate(size, start=1):
        if array.shape[axis] == n_out:
            continue
        source, weights = resampling_taps(array.shape[axis], n_out)
        along = [1] * array.ndim
        along[axis] = n_out
        total = array.take(source[0], axis) * weights[0].reshape(along)
        for positions, weight in zip(source[1:], weights[1:], strict=True):
            total += array.take(positions, axis) * weight.reshape(along)
        array = total
    return array


def _nearest(n_in: int, n_out: int) -> np.ndarray:
    return np.minimum(((np.arange(n_out) + 0.5) * n_in / n_out).astype(int), n_in - 1)


def _window(
    array: np.ndarray, starts: tuple[int, ...], size: tuple[int, ...], fill: np.ndarray | None = None
) -> np.ndarray:
    """The window [start, start + size) of the last axes; outside the array 0, or ``fill`` (C,) by the first axis."""
    lead = array.ndim - len(size)
    axes = list(zip((0,) * lead + starts, array.shape[:lead] + size, array.shape, strict=True))
    outside = [(max(-start, 0), max(start + n_out - n_in, 0)) for start, n_out, n_in in axes]
    inside = tuple(slice(max(start, 0), max(start, 0) + n_out) for start, n_out, _ in axes)
    if fill is None or not fill.any():
        return np.pad(array, outside)[inside]
    filled = [np.pad(one, outside[1:], constant_values=value) for one, value in zip(array, fill, strict=True)]
    return np.stack(filled)[inside]


def _reindexed(affine: np.ndarray | None, scale: np.ndarray, shift: np.ndarray) -> np.ndarray | None:
    """The affine after new index i stands for old index scale * i + shift, over the last len(scale) of (d, h, w)."""
    if affine is None:
        return None
    change = np.eye(4)
    first = 3 - len(scale)
    change[np.arange(first, 3), np.arange(first, 3)] = scale
    change[first:3, 3] = shift
    return affine @ change
