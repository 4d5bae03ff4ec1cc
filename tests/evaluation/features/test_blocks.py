"""Blocks of images: bounded, in order, whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.features import blocks
from understudy.evaluation.features.blocks import image_blocks


def test_blocks_are_bounded_and_in_order(
    real: Path, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "VOXELS_PER_BLOCK", 32 * 32 * 7)
    cohort = Cohort.open(real)
    rows = cohort.rows("test")
    found = list(image_blocks(cohort, rows, cohort.encoding))
    assert [len(b) for b in found] == [7, 7, 1] and cohort.images is not None
    assert np.array_equal(np.concatenate(found), cohort.encoding.encode_images(cohort.images[rows]))
    with pytest.raises(UnderstudyError, match="maps has none"):
        next(image_blocks(Cohort.open(toy(tmp_path / "maps", "synthetic", 2, 0, channels=[])), rows, cohort.encoding))
