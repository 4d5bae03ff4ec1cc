"""Shapes of label maps: the same in any place, size and turn; different people's differ."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from understudy.evaluation.privacy.copies.shapes import poses, windows


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The highest r of a in any pose with b as it lies."""
    turns = poses(a.ndim)
    as_it_lies = next(windows(b[None], turns[:1]))
    return max(float(seen[0] @ as_it_lies[0]) for seen in windows(a[None], turns))


def comma(side: int = 64) -> np.ndarray:
    """A disc with a tail: no symmetry."""
    y, x = np.mgrid[:side, :side].astype(float)
    body = (y - 30) ** 2 + (x - 30) ** 2 < 81
    tail = ((y - 36) ** 2 / 9 + (x - 40) ** 2 / 100 < 1) & (x > 30)
    return (body | tail).astype(np.uint8)


def club() -> np.ndarray:
    """A volume: a ball with a bar, and a second class within it."""
    z, y, x = np.mgrid[:32, :48, :32].astype(float)
    map_ = ((z - 14) ** 2 + (y - 20) ** 2 + (x - 15) ** 2 < 49).astype(np.uint8)
    map_[(abs(z - 16) < 3) & (abs(y - 28) < 9) & (abs(x - 17) < 2)] = 2
    return map_


def test_poses_are_distinct_turns_and_the_first_is_none() -> None:
    for dims, n in ((2, 72), (3, 8 * 13)):
        found = poses(dims)
        assert found.shape == (n, dims, dims) and torch.equal(found[0], torch.eye(dims))
        torch.testing.assert_close(found @ found.mT, torch.eye(dims).expand(n, dims, dims), atol=1e-6, rtol=0)
        assert len(torch.unique(found.round(decimals=4), dim=0)) == n


@pytest.mark.parametrize("turn", [0, 20, 90, 130, 180, 270])
def test_place_size_turn_mirror_and_number_of_the_class_count_for_nothing(turn: int) -> None:
    original = comma()
    assert likeness(original, original) == pytest.approx(1, abs=1e-5)
    turned = ndimage.rotate(original, turn, reshape=False, order=0)
    assert likeness(turned, original) > 0.98
    assert likeness(turned[:, ::-1], original) > 0.98
    assert likeness(np.roll(turned, (7, -9), (0, 1)) * 3, original) > 0.98
    assert likeness(1 - turned, original) > 0.98  # the background is the largest part, whatever its number
    assert likeness(ndimage.zoom(original, 1.4, order=0), original) > 0.97


def test_sides_of_different_lengths_and_other_sizes_of_the_image() -> None:
    wide = np.pad(comma(), ((3, 0), (10, 40)))
    assert likeness(wide, comma()) > 0.999
    volume = club()
    assert likeness(volume, volume) == pytest.approx(1, abs=1e-5)
    assert likeness(volume[::-1, :, ::-1], volume) > 0.999
    assert likeness(ndimage.rotate(volume, 10, (0, 2), reshape=False, order=0), volume) > 0.97
    assert likeness(np.where(volume > 0, 1, 0).astype(np.uint8), volume) > 0.999  # one class in the place of two


def test_other_shapes_are_less_alike_and_specks_are_nothing() -> None:
    y, x = np.mgrid[:64, :64].astype(float)
    bar, original = ((abs(y - 30) < 4) & (abs(x - 30) < 15)).astype(np.uint8), comma()
    assert likeness(bar, original) < 0.8
    speckled = original.copy()
    speckled[5, 5] = speckled[60, 9] = speckled[50, 60] = 1
    assert likeness(speckled, original) > 0.999


def test_what_shows_too_little_is_like_nothing() -> None:
    few = np.zeros((64, 64), np.uint8)
    few[10:13, 10:15] = 1  # 15 voxels
    for map_ in (few, np.zeros_like(few)):
        assert next(windows(map_[None], poses(2)[:1])).abs().max() == 0
    few[13, 10] = 1
    assert next(windows(few[None], poses(2)[:1])).norm() == pytest.approx(1)
