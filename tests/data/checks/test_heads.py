"""Heads: volumes with skull and scalp are told; without them, without air or as single slices they are not."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.data.checks.heads import heads, skull

Remade = Callable[..., Cohort]


def head(size: int, stripped: bool) -> np.ndarray:
    down, right = np.mgrid[:size, :size] / size - 0.5
    radius = np.sqrt((down / 0.42) ** 2 + (right / 0.36) ** 2)
    tissue = np.select([radius < 0.8, radius < 0.9, radius < 1], [0.5 + 0.05 * np.sin(20 * down), 0.1, 0.9], 0)
    return np.asarray(np.where(radius < 0.8, tissue, 0) if stripped else tissue, np.float32)


@pytest.mark.parametrize("size", [48, 96])
def test_skull(size: int) -> None:
    assert skull(head(size, stripped=False))
    assert not skull(head(size, stripped=True))
    assert not skull(np.ones((size, size)))
    assert not skull(head(size, stripped=False)[size // 4 : -size // 4, size // 4 : -size // 4])  # no air around


def test_the_slices_of_the_phantom_have_one(phantom: Cohort) -> None:
    assert phantom.images is not None
    assert np.mean([skull(phantom.images[row, 0]) for row in range(80)]) > 0.9


@pytest.mark.parametrize(("stripped", "modality", "count"), [(False, "MR", 1), (True, "MR", 0), (False, "CT", 0)])
def test_volumes(remade: Remade, phantom: Cohort, stripped: bool, modality: str, count: int) -> None:
    one = np.repeat(head(32, stripped)[None], 8, 0)
    random = np.random.default_rng(0)
    images = np.stack([np.stack([one + 0.01 * random.random(one.shape)] * 4) for _ in range(6)]).astype(np.float32)
    rows = [{"case_id": f"c{i}", "subject_id": f"s{i}"} for i in range(6)]
    cohort = remade(images, np.zeros((6, 8, 32, 32), np.uint8), rows, modality=modality)
    found = [notice.sentence for notice in heads(cohort, list(range(6)))]
    assert len(found) == count
    assert all(sentence.startswith("6 of 6 cases looked at seem to be heads") for sentence in found)


def test_few_slices_of_a_subject_show_no_face(phantom: Cohort) -> None:
    assert list(heads(phantom, list(range(80)))) == []
