"""Label maps by hand: shifted, flipped and speckled ones are found, in two and in three dimensions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies import label_maps
from understudy.evaluation.privacy.copies.label_maps import (
    overlap,
    shifted,
    similar_maps,
    small_maps,
    without_small_components,
)


def square(top: int, left: int, side: int = 8, value: int = 1) -> Tensor:
    made = torch.zeros(32, 32, dtype=torch.int64)
    made[top : top + side, left : left + side] = value
    return made


EMPTY = torch.zeros(32, 32, dtype=torch.int64)
STRANGER = torch.tensor([-1])


def test_overlap_by_hand() -> None:
    queries = torch.stack([square(0, 0), square(0, 0, 8, 2), EMPTY])
    targets = torch.stack([square(0, 6), square(0, 0, 16), EMPTY])
    # shifted by three pixels, the first is three aside; another class is no overlap
    expected = [[2 * 8 * 5 / 128, 2 * 64 / 320, 0], [0, 0, 0], [0, 0, 0]]
    assert overlap(queries, targets).tolist() == [pytest.approx(row) for row in expected]


def test_all_classes_count_together_and_move_together() -> None:
    both, apart = square(0, 0) + square(16, 16, 4, 2), square(2, 2) + square(14, 14, 4, 2)
    assert float(overlap(both[None], square(0, 0)[None])) == pytest.approx(2 * 64 / (80 + 64))
    assert float(overlap(both[None], both[None])) == 1
    assert float(overlap(both[None], apart[None])) == pytest.approx(2 * 64 / 160)


def test_what_leaves_the_image_does_not_come_in_again() -> None:
    assert torch.equal(shifted(square(30, 0, 2)[None], (3, 0)), EMPTY[None])
    assert torch.equal(shifted(square(0, 28, 4)[None], (0, -2)), square(0, 26, 4)[None])
    assert torch.equal(shifted(square(5, 28, 4)[None], (-1, 2))[0, 4:8, 30:], torch.ones(4, 2, dtype=torch.int64))


def test_flipped_maps_are_found_and_the_own_subject_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bent = square(3, 2) + square(11, 2, 4)  # like itself in no flip
    targets = torch.stack([bent, bent, square(20, 10), square(14, 17)])
    subjects, queries = torch.tensor([0, 1, 1, 2]), torch.stack([bent.flip(1), square(20, 12), bent.flip(0, 1)])
    monkeypatch.setattr(label_maps, "BLOCK", 1)
    near = similar_maps(queries, targets, subjects, torch.tensor([-1, 1, 0]))
    assert near.case.tolist() == [0, 3, 1]
    assert near.first == pytest.approx([1, 2 * 5 * 6 / 128, 1])
    assert near.second[0] == 1  # the same map of another subject


@pytest.mark.parametrize("flip", [(), (0, 2)])
def test_volumes_shifted_and_flipped_are_found(flip: tuple[int, ...]) -> None:
    blobs = torch.zeros(3, 20, 20, 20, dtype=torch.int64)
    for one, (depth, height, width) in zip(blobs, ((7, 4, 5), (4, 7, 5), (5, 5, 8)), strict=True):
        one[5 : 5 + depth, 6 : 6 + height, 7 : 7 + width] = 1
        one[5 + depth, 6:8, 7:9] = 2
    query = torch.roll(blobs[1], (1, -2, 2), (0, 1, 2)).flip(flip)
    near = similar_maps(query[None], blobs, torch.arange(3), STRANGER)
    assert near.case.tolist() == [1] and near.first == pytest.approx([1])
    assert near.second[0] < 0.8


def test_small_components_count_for_nothing() -> None:
    labels = (square(3, 2) + square(20, 20, 2) + square(27, 3, 1, 2)).numpy()
    labels[12:15, 12:15] = 1  # more than a tenth of the largest
    kept = without_small_components(labels)
    assert np.array_equal(np.argwhere(kept != labels), np.argwhere(square(20, 20, 2).numpy()))
    assert kept[27, 3] == 2  # the largest of its class
    assert np.array_equal(without_small_components(EMPTY.numpy()), EMPTY.numpy())


def test_maps_are_read_at_32_pixels(write: Callable[..., Path]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 8, 8)).astype(np.uint8)
    cohort = Cohort.open(write("maps", images))
    maps = small_maps(cohort, np.array([3, 1]))
    expected = [without_small_components((images[i, 0] > 128).astype(np.uint8)) for i in (3, 1)]
    assert np.array_equal(maps.numpy(), np.stack(expected).repeat(4, 1).repeat(4, 2))
