"""Radial power spectrum: how much of an image is coarse and how much is fine.

The power |F|^2 / N of an image's Fourier coefficients, averaged over rings of equal frequency (2D) or shells (3D), in
decibels: 10 log10. White noise of variance v has v at every frequency; a blurred image falls off too early; the grid
that upsampling leaves stands as a peak. The distance of two sets is the root mean square difference of their mean log
spectra over channels and frequencies: 1 dB is a quarter more or less power.
**Source**: Durall et al., Watch your Up-Convolution (CVPR 2020, arXiv 2003.01826), section 3.1 (azimuthal integration).
**Differs**: mean instead of sum over a ring; every image in decibels before the mean over images, so that one bright
image does not outweigh the others; also for volumes; the mean level (frequency 0), which the intensity distance has,
and the corners beyond 0.5 cycles per voxel are left out. No window: what edges add, they add in both sets.
**Checked** in tests/evaluation/fidelity/test_spectrum.py (a sinusoid's peak, white noise, a constant, blur).
"""

from functools import lru_cache

import numpy as np
from scipy import fft, sparse

from understudy.core.result import Result
from understudy.evaluation.metric import DISTANCE, Metric, Quantity, check_features

FLOOR = 1e-10  # of power in [-1, 1]: about what rounding to 16 bits leaves; -100 dB


def frequencies(size: tuple[int, ...]) -> np.ndarray:
    """Return the frequencies of the R rings in cycles per voxel, R = half of the longest side."""
    longest = max(size)
    return np.arange(1, longest // 2 + 1) / longest


def spectra(images: np.ndarray) -> np.ndarray:
    """Return the radial power spectra of images (n, C, *S) in [-1, 1], float32 (n, C, R) in dB."""
    size = images.shape[2:]
    coefficients = fft.rfftn(images, axes=tuple(range(2, images.ndim)))
    power = (coefficients.real**2 + coefficients.imag**2).reshape(-1, coefficients[0, 0].size) / np.prod(size)
    mean = (_rings(size) @ power.T).T
    return (10 * np.log10(mean + FLOOR)).astype(np.float32).reshape(*images.shape[:2], -1)


@lru_cache(maxsize=4)
def _rings(size: tuple[int, ...]) -> sparse.csr_array:
    """Return weights (R, P) of the P coefficients that ``rfftn`` gives; each ring sums to 1.

    The half that is not computed mirrors the other, so all columns but the first, and the last of an even side, stand
    for two coefficients.
    """
    axes = [*(fft.fftfreq(side) for side in size[:-1]), fft.rfftfreq(size[-1])]
    squared = np.sum(np.meshgrid(*(axis**2 for axis in axes), indexing="ij"), axis=0)
    ring = np.rint(np.sqrt(squared) * max(size)).astype(int).ravel()
    twice = np.full(len(axes[-1]), 2.0)
    twice[0] = 1
    twice[-1] = 2 if size[-1] % 2 else 1
    weight = np.broadcast_to(twice, squared.shape).ravel()
    rings = max(size) // 2
    kept = np.flatnonzero((ring >= 1) & (ring <= rings))
    total = np.bincount(ring[kept], weight[kept], rings + 1)
    values = weight[kept] / total[ring[kept]]
    return sparse.csr_array((values.astype(np.float32), (ring[kept] - 1, kept)), shape=(rings, ring.size))


def distance(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the distance of the mean log spectra (n, C R), (m, C R) of two sets, in dB, >= 0, lower is better."""
    check_features(real, synthetic)
    difference = real.mean(0, dtype=np.float64) - synthetic.mean(0, dtype=np.float64)
    value = float(np.sqrt((difference**2).mean()))
    return Result("spectrum", value, unit="dB", better="lower", n=min(len(real), len(synthetic)), seed=seed)


METRIC = Metric(
    distance, (Quantity("spectrum", "radial power spectrum, distance", "lower", DISTANCE, unit="dB"),), needs="spectra"
)
