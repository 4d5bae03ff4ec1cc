"""Overlap of whole label maps, by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies import lesions
from understudy.evaluation.privacy.copies.lesions import overlap, similar_maps, small_maps


def square(top: int, left: int, side: int = 8, value: int = 1) -> Tensor:
    made = torch.zeros(32, 32, dtype=torch.int64)
    made[top : top + side, left : left + side] = value
    return made


def test_overlap_by_hand() -> None:
    queries = torch.stack([square(0, 0), square(0, 0, 8, 2), torch.zeros(32, 32, dtype=torch.int64)])
    targets = torch.stack([square(0, 4), square(0, 0, 16), torch.zeros(32, 32, dtype=torch.int64)])
    expected = [[2 * 32 / 128, 2 * 64 / 320, 0], [0, 0, 0], [0, 0, 0]]  # another class is no overlap
    assert overlap(queries, targets).tolist() == [pytest.approx(row) for row in expected]


def test_all_classes_count_together() -> None:
    both = square(0, 0) + square(16, 16, 4, 2)
    assert float(overlap(both[None], square(0, 0)[None])) == pytest.approx(2 * 64 / (80 + 64))
    assert float(overlap(both[None], both[None])) == 1


def test_mirrored_maps_are_found_and_the_own_subject_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = torch.stack([square(3, 2), square(3, 2), square(20, 10), square(16, 14)])
    subjects, queries = torch.tensor([0, 1, 1, 2]), torch.stack([square(3, 22), square(20, 12)])
    monkeypatch.setattr(lesions, "MAP_BLOCK", 1)
    near = similar_maps(queries, targets, subjects, torch.tensor([-1, 1]))
    assert near.case.tolist() == [0, 3]
    assert near.first == pytest.approx([1, 2 * 24 / 128])
    assert near.second == pytest.approx([1, 0])
    near = similar_maps(queries, targets, subjects, torch.tensor([-1, -1]))
    assert near.case.tolist() == [0, 2]
    assert near.first == pytest.approx([1, 1 - 2 / 8])


def test_maps_are_read_at_32_pixels(write: Callable[..., Path]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 8, 8)).astype(np.uint8)
    cohort = Cohort.open(write("maps", images))
    maps = small_maps(cohort, np.array([3, 1]))
    expected = (images[[3, 1], 0] > 128).repeat(4, 1).repeat(4, 2)
    assert np.array_equal(maps.numpy(), expected)
