"""Distances against NumPy, and channels of images."""

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.nearest import unit_vectors
from understudy.evaluation.privacy.attacks.setup import ChannelVectors, log_distance


def test_distance_is_the_chord() -> None:
    u, v = np.array([3, 4]) / 5, np.array([4, 3]) / 5
    assert log_distance(np.array([u @ v])) == pytest.approx(np.log(np.linalg.norm(u - v)))
    assert np.isfinite(log_distance(np.array([1.0])))


def test_channels(setup: object) -> None:
    made = setup()  # type: ignore[operator]
    cohort: Cohort = made.real
    assert cohort.images is not None
    block = ChannelVectors(cohort, np.array([2, 5]), np.array([1])).block(0, 2)
    expected = unit_vectors(cohort.images[[2, 5]][:, 1].reshape(2, -1))
    assert block == pytest.approx(expected, abs=1e-6)
