"""The images of a cohort as vectors: against numpy.corrcoef of the flattened images, and a refusal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.nearest import nearest, unit_vectors
from understudy.evaluation.privacy.pearson import ImageVectors


def test_all_channels_together_equal_corrcoef(real: Path) -> None:
    cohort = Cohort.open(real)
    assert cohort.images is not None
    query, target = np.array([40, 3, 3]), np.arange(8, 32)
    found = nearest(ImageVectors(cohort, query), ImageVectors(cohort, target))
    full = np.corrcoef(np.asarray(cohort.images).reshape(len(cohort), -1))[query][:, target]
    assert np.array_equal(found.index, full.argmax(1))
    assert np.abs(found.r - full.max(1)).max() < 1e-6


def test_blocks_are_the_chosen_rows_centred_and_of_length_one(real: Path) -> None:
    vectors = ImageVectors(Cohort.open(real), np.array([5, 2, 9]))
    block = vectors.block(0, 3)
    assert (len(vectors), vectors.dimension, block.dtype) == (3, 128, np.float32)
    assert np.abs(block.mean(1)).max() < 1e-7
    assert np.allclose((block**2).sum(1), 1)
    assert np.array_equal(vectors.block(1, 2), block[1:2])


def test_some_channels_are_vectors_of_their_own(real: Path) -> None:
    cohort = Cohort.open(real)
    assert cohort.images is not None
    vectors = ImageVectors(cohort, np.array([2, 5]), np.array([1]))
    expected = unit_vectors(cohort.images[[2, 5]][:, 1].reshape(2, -1))
    assert vectors.dimension == 64
    assert vectors.block(0, 2) == pytest.approx(expected, abs=1e-6)


def test_label_maps_alone_are_refused(write: Callable[..., Path]) -> None:
    bare = Cohort.open(write("bare", np.zeros((2, 2, 8, 8), np.uint8), label_maps_only=True))
    with pytest.raises(UnderstudyError, match="label maps only"):
        ImageVectors(bare, bare.rows())
