"""The truth of the memoriser study: as a loop over pixels finds it; copies with every transformation it knows."""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def truth(script: Callable[[str], ModuleType]) -> Any:
    return script("true_copies")


def pictures(seed: int, n: int, channels: int = 2, side: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels, side, side)).astype(np.float32)


def by_loop(truth: Any, x: np.ndarray, y: np.ndarray, shift: int) -> tuple[float, int, tuple[int, int]]:
    """Distance of one image from another, each channel fitted by least squares with a gain that is not negative."""
    side, found = x.shape[-1] - 2 * shift, []
    middle = x[:, shift : shift + side, shift : shift + side].astype(float).reshape(len(x), -1)
    spread = middle.std(1)
    for f, axes in enumerate(truth.FLIPS):
        for i, j in itertools.product(range(2 * shift + 1), repeat=2):
            window = np.flip(y, axes)[:, i : i + side, j : j + side].astype(float).reshape(len(x), -1)
            left = []
            for target, other in zip(middle, window, strict=True):
                design = np.stack([other, np.ones_like(other)], 1)
                (gain, offset), *_ = np.linalg.lstsq(design, target, rcond=None)
                fitted = gain * other + offset if gain > 0 else np.full_like(target, target.mean())
                left.append(((target - fitted) ** 2).mean())
            found.append((np.sqrt(np.mean(left) / np.mean(spread**2)), f, (i - shift, j - shift)))
    return min(found)


def test_it_finds_what_a_loop_finds(truth: Any) -> None:
    images, training = pictures(0, 5), pictures(1, 7)
    images[0] += 3 * np.roll(training[4], 1, -1)
    found = truth.nearest(images, training, 2)
    for i, x in enumerate(images):
        each = [by_loop(truth, x, y, 2) for y in training]
        k = min(range(len(each)), key=lambda m: each[m][0])
        assert found.rmse[i] == pytest.approx(each[k][0], abs=1e-5)
        assert (found.index[i], found.flip[i], tuple(found.shift[i])) == (k, *each[k][1:])


def test_what_is_laid_over_leaves_what_was_found(truth: Any) -> None:
    images, training = pictures(9, 6), pictures(10, 5)
    found = truth.nearest(images, training, 2)
    for i, x in enumerate(images):
        middle, fitted = truth.laid_over(x, training[found.index[i]], found, i)
        left = np.sqrt(((middle - fitted) ** 2).mean() / middle.var((1, 2)).mean())
        assert left == pytest.approx(found.rmse[i], abs=1e-5)


def test_transformations_that_it_knows_leave_nothing(truth: Any) -> None:
    training = pictures(2, 6)
    copies = np.stack(
        [
            training[3],
            training[1][:, :, ::-1] * 0.4 + 0.3,
            np.roll(training[5], (2, -1), (1, 2)) * np.array([1.5, 0.2], np.float32)[:, None, None],
            np.roll(training[0][:, ::-1, ::-1], 1, 1) - 0.7,
        ]
    )
    found = truth.nearest(copies, training, 2)
    assert found.rmse == pytest.approx(0, abs=2e-3)
    assert found.index.tolist() == [3, 1, 5, 0]
    assert found.flip.tolist() == [0, 1, 0, 3]
    assert found.shift.tolist() == [[0, 0], [0, 0], [-2, 1], [-1, 0]]


def test_noise_over_a_copy_leaves_the_share_of_the_noise(truth: Any) -> None:
    training, noise = pictures(3, 3, side=40), pictures(4, 3, side=40)
    found = truth.nearest(training + 0.25 * noise, training, 1)
    assert found.rmse == pytest.approx(0.25 / np.sqrt(1 + 0.25**2), abs=0.01)


def test_a_negative_is_no_copy_and_a_flat_image_is_none_of_anything(truth: Any) -> None:
    training = pictures(5, 3)
    found = truth.nearest(np.concatenate([-training[:1], np.ones_like(training[:1])]), training, 1)
    assert found.rmse[0] > 0.5
    assert found.rmse[1] == np.inf


def test_pairs_that_do_not_count_are_passed_over(truth: Any) -> None:
    training = pictures(6, 5)
    found = truth.nearest(training, training, 1, np.eye(5, dtype=bool))
    assert (found.index != np.arange(5)).all()
    assert (found.rmse > 0.5).all()


def test_blocks_change_nothing(truth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images, training = pictures(7, 7), pictures(8, 4)
    whole = truth.nearest(images, training, 1, images[:, :1, 0, 0] > np.zeros((1, 4)))
    monkeypatch.setattr(truth, "BLOCK", 3)
    blocks = truth.nearest(images, training, 1, images[:, :1, 0, 0] > np.zeros((1, 4)))
    np.testing.assert_allclose(whole.rmse, blocks.rmse, atol=1e-6)
    assert whole.index.tolist() == blocks.index.tolist()
