"""Products of unit vectors against NumPy, whatever the blocks."""

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.attacks import vectors
from understudy.evaluation.privacy.attacks.vectors import (
    ChannelVectors,
    MatrixVectors,
    log_distance,
    products,
)


@pytest.mark.parametrize("columns", [3, 1024])
def test_products_are_correlations(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "COLUMNS", columns)
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(7, 12)), draw.normal(size=(10, 12))
    r = np.full((7, 10), np.nan)
    for across, down, block in products(MatrixVectors(a), MatrixVectors(b), 1):
        r[across, down] = block
    assert r == pytest.approx(np.corrcoef(a, b)[:7, 7:], abs=1e-6)


def test_distance_is_the_chord() -> None:
    u, v = np.array([3, 4]) / 5, np.array([4, 3]) / 5
    assert log_distance(np.array([u @ v])) == pytest.approx(np.log(np.linalg.norm(u - v)))
    assert np.isfinite(log_distance(np.array([1.0])))


def test_channels(scene: object) -> None:
    made = scene()  # type: ignore[operator]
    cohort: Cohort = made.real
    assert cohort.images is not None
    block = ChannelVectors(cohort, np.array([2, 5]), np.array([1])).block(0, 2)
    expected = MatrixVectors(cohort.images[[2, 5]][:, 1].reshape(2, -1)).block(0, 2)
    assert block == pytest.approx(expected, abs=1e-6)
