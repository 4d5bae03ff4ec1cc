"""Intensity distance: how far the intensities of one set must be moved to become those of the other.

The 1-D Wasserstein distance of the intensities of all voxels of all cases of a channel, in units of the channel: a
shift of every voxel by d has the distance d. A case is described by its histogram; the metric takes the matrix of their
cumulative sums, because the distance is that of the mean ones: W1 = integral of |F_r - F_s| (Ramdas et al.,
2017, doi 10.3390/e19020047, proposition 1).
**Differs**: exact up to the width of a bin, within which nothing is distinguished.
**Checked** in tests/evaluation/fidelity/test_intensity.py (shift by d, scipy on the same bins, constant images).
"""

from collections.abc import Sequence

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.result import Result
from understudy.evaluation.metric import DISTANCE, Metric, Quantity, check_features


def shares(images: np.ndarray, bins: int) -> np.ndarray:
    """Return the share of voxels in each bin of [-1, 1], float32 (n, C, bins), of images (n, C, *S)."""
    n, channels = images.shape[:2]
    places = ((images + 1) / 2 * bins).astype(np.intp).clip(0, bins - 1).reshape(n * channels, -1)
    places += np.arange(n * channels)[:, None] * bins
    counts = np.bincount(places.ravel(), minlength=n * channels * bins)
    return (counts / places.shape[1]).astype(np.float32).reshape(n, channels, bins)


def cumulative(shares: np.ndarray, channel: Channel) -> np.ndarray:
    """Return what the metric compares: cumulated shares (n, bins) times the width of a bin, in units of the channel."""
    return np.cumsum(shares, axis=1, dtype=np.float64) * ((channel.high - channel.low) / shares.shape[1])


def densities(shares: np.ndarray, channels: Sequence[Channel]) -> np.ndarray:
    """Return the density of intensities of all cases, (C, bins), per unit of each channel, from shares (n, C, bins)."""
    width = np.array([c.high - c.low for c in channels])[:, None] / shares.shape[2]
    return shares.mean(0, dtype=np.float64) / width


def wasserstein(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the Wasserstein distance of two sets of :func:`cumulative`, in units of the channel, >= 0, lower is
    better.
    """
    check_features(real, synthetic)
    value = float(np.abs(real.mean(0, dtype=np.float64) - synthetic.mean(0, dtype=np.float64)).sum())
    return Result("intensity", value, better="lower", n=min(len(real), len(synthetic)), seed=seed)


METRIC = Metric(
    wasserstein, (Quantity("intensity", "intensities, Wasserstein distance", "lower", DISTANCE),), needs="intensities"
)
