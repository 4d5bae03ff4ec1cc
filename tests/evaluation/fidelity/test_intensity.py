"""The intensity distance: a shift of d has the distance d; scipy on the same bins; constant images."""

import numpy as np
import pytest
from scipy import stats

from understudy.core.encoding import Channel
from understudy.evaluation.fidelity.intensity import cumulative, densities, shares, wasserstein

CT = Channel("CT", -1000, 1000, "HU")


def images(seed: int, n: int = 20, size: tuple[int, ...] = (16, 16)) -> np.ndarray:
    return np.random.default_rng(seed).normal(-0.2, 0.2, (n, 1, *size)).clip(-1, 1).astype(np.float32)


def distance(real: np.ndarray, synthetic: np.ndarray, bins: int = 100) -> float:
    sides = (cumulative(shares(side, bins)[:, 0], CT) for side in (real, synthetic))
    value = wasserstein(**dict(zip(("real", "synthetic"), sides, strict=True))).value
    assert value is not None
    return value


@pytest.mark.parametrize("size", [(16, 16), (4, 8, 8)])
def test_a_shift_of_d_has_the_distance_d(size: tuple[int, ...]) -> None:
    still = images(0, size=size)
    for bins_moved in (1, 7, 20):  # of 20 HU each
        assert distance(still, still + 0.02 * bins_moved) == pytest.approx(20 * bins_moved, rel=0.01)
    assert distance(still, still + 0.15) == pytest.approx(150, rel=0.02)  # also between bins, of a smooth distribution


def test_constant_images() -> None:
    low, high = (np.full((3, 1, 8, 8), value, np.float32) for value in (-0.99, 0.99))
    assert distance(low, low[:2]) == pytest.approx(0, abs=1e-9)
    assert distance(low, high) == pytest.approx(2000 - 20)


def test_it_is_that_of_scipy_on_the_same_bins() -> None:
    real, other = images(0), images(1, n=7) * 1.7 + 0.1
    places = [((side + 1) / 2 * 100).astype(int).clip(0, 99).ravel() * 20.0 for side in (real, other)]
    assert distance(real, other) == pytest.approx(stats.wasserstein_distance(*places), rel=1e-5)


def test_densities_sum_to_one_and_shares_are_of_each_channel() -> None:
    both = np.concatenate([images(0), images(1) + 0.5], 1)
    found = shares(both, 64)
    assert found.shape == (20, 2, 64) and found.sum(2) == pytest.approx(np.ones((20, 2)), abs=1e-6)
    assert found[:, 1] == pytest.approx(shares(both[:, 1:], 64)[:, 0])
    assert densities(found, [CT, Channel("b", 0, 1)]).sum(1) * [2000 / 64, 1 / 64] == pytest.approx([1, 1])
