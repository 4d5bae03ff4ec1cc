"""Random features: the same everywhere, case by case; they move when images are blurred or made noisy."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.evaluation.features.random_filters import RandomFeatures

WEIGHT, BIAS = [-0.6618507, -0.3994248, -0.4486141], 0.7031103


@pytest.mark.parametrize("size", [(32, 32), (17, 30), (8, 16, 16)])
def test_shape_and_independence_of_neighbours(size: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (5, 3, *size)).astype(np.float32)
    found = RandomFeatures(3, len(size))(images)
    assert found.shape == (5, 128) and found.dtype == np.float32 and np.isfinite(found).all()
    again = RandomFeatures(3, len(size))(images[[3, 1]])
    assert again == pytest.approx(found[[3, 1]], abs=1e-5)


def test_weights_are_a_yardstick() -> None:
    """The first filter and bias, written down once: another machine or a later version must give the same."""
    weight, bias = RandomFeatures(1, 2).filters[0]
    assert weight[0, 0, 0].tolist() == pytest.approx(WEIGHT, abs=1e-6) and bias[0].item() == pytest.approx(
        BIAS, abs=1e-6
    )


@pytest.mark.parametrize("change", ["blur", "noise"])
def test_corruption_moves_features_further_and_further(change: str) -> None:
    rng = np.random.default_rng(0)
    images = gaussian_filter(rng.normal(0, 1, (40, 1, 32, 32)), (0, 0, 1.5, 1.5)).astype(np.float32)
    extract = RandomFeatures(1, 2)
    still = extract(images).mean(0)
    moved = []
    for strength in (0.4, 0.7, 1.0, 2.0):
        other = (
            gaussian_filter(images, (0, 0, strength, strength))
            if change == "blur"
            else images + rng.normal(0, 0.2 * strength, images.shape)
        )
        moved.append(np.linalg.norm(extract(other.astype(np.float32)).mean(0) - still))
    assert moved == sorted(moved) and moved[-1] > 3 * moved[0] > 0
