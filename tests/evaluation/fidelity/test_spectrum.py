"""Radial spectra: a sinusoid peaks at its frequency, white noise is flat, blur takes the fine end away."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.evaluation.fidelity.spectrum import distance, frequencies, spectra


def noise(n: int, size: tuple[int, ...], sd: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sd, (n, 2, *size)).astype(np.float32)


def between(real: np.ndarray, synthetic: np.ndarray) -> float:
    sides = (spectra(side).reshape(len(side), -1) for side in (real, synthetic))
    value = distance(**dict(zip(("real", "synthetic"), sides, strict=True))).value
    assert value is not None
    return value


@pytest.mark.parametrize("size", [(64, 64), (33, 48), (8, 32, 32)])
@pytest.mark.parametrize("axis", [-1, -2])
def test_a_sinusoid_peaks_at_its_frequency(size: tuple[int, ...], axis: int) -> None:
    k = size[axis] // 4
    along = np.cos(2 * np.pi * k * np.arange(size[axis]) / size[axis])
    image = np.broadcast_to(0.5 * np.moveaxis(np.expand_dims(along, tuple(range(1, len(size)))), 0, axis), size)
    found = spectra(image[None, None].astype(np.float32))[0, 0]
    assert found.shape == frequencies(size).shape == (max(size) // 2,)
    peak = round(k / size[axis] * max(size)) - 1
    assert found.argmax() == peak and frequencies(size)[peak] == pytest.approx(k / size[axis], abs=0.5 / max(size))
    assert np.delete(found, peak).max() < found[peak] - 60


def test_power_of_a_sinusoid_is_conserved() -> None:
    """All power of a cosine of amplitude a lies in its ring: rings x voxels in them / N = a^2 / 2."""
    size, rows = (32, 32), np.cos(2 * np.pi * 5 * np.arange(32) / 32)
    found = 10 ** (spectra(np.broadcast_to(0.8 * rows, (1, 1, *size)).astype(np.float32)) / 10)
    radius = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) * 32)
    in_ring = np.array([(radius == k).sum() for k in range(1, 17)])
    assert (found[0, 0] * in_ring).sum() / 32**2 == pytest.approx(0.8**2 / 2, rel=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (16, 24, 24)])
def test_white_noise_is_flat_at_its_variance(size: tuple[int, ...]) -> None:
    found = 10 ** (spectra(noise(400, size)) / 10)
    assert found.mean((0, 1)) == pytest.approx(np.full(max(size) // 2, 0.01), rel=0.15)


def test_a_constant_has_no_power_and_level_does_not_matter() -> None:
    flat = np.full((2, 1, 32, 32), 0.3, np.float32)
    assert spectra(flat).max() == pytest.approx(-100, abs=1)
    assert between(noise(5, (32, 32)), noise(5, (32, 32)) + 0.4) < 1e-3


def test_gain_is_counted_in_decibels() -> None:
    assert between(noise(9, (32, 32)), 2 * noise(9, (32, 32))) == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_the_more_blur_or_noise_the_farther() -> None:
    still = gaussian_filter(noise(30, (32, 32), 1), (0, 0, 1, 1))
    blurred = [between(still, gaussian_filter(still, (0, 0, s, s))) for s in (0.3, 0.6, 1.0)]
    noisy = [between(still, still + noise(30, (32, 32), 1)[::-1] * s) for s in (0.01, 0.05, 0.2)]
    assert 0 < blurred[0] < blurred[1] < blurred[2] and 0 < noisy[0] < noisy[1] < noisy[2]
