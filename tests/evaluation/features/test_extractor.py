"""What an extractor is built from, and what every entry of the menu answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.features import extractor
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import ExtractorInputs, image_blocks
from understudy.evaluation.features.random_filters import RandomFeatures


def test_an_extractor_is_built_from_the_real_cohort_and_nothing_is_kept_without_a_folder(real: Path) -> None:
    cohort = Cohort.open(real)
    source = ExtractorInputs(cohort, cohort.rows("train"), FeatureConfig())
    assert source.cohort is cohort and source.network is None and source.cache.folder is None
    with pytest.raises(AttributeError):
        source.rows = cohort.rows("test")  # type: ignore[misc]


def test_identity_follows_all_that_decides_the_features() -> None:
    made = [RandomFeatures(*shape).identity for shape in ((2, 2), (2, 2), (3, 2), (2, 3))]
    assert made[0] == made[1]
    assert len({str(identity) for identity in made}) == 3


def test_blocks_are_bounded_and_in_order(
    real: Path, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "VOXELS_PER_BLOCK", 32 * 32 * 7)
    cohort = Cohort.open(real)
    rows = cohort.rows("test")
    found = list(image_blocks(cohort, rows, cohort.encoding))
    assert [len(b) for b in found] == [7, 7, 1] and cohort.images is not None
    assert np.array_equal(np.concatenate(found), cohort.encoding.encode_images(cohort.images[rows]))
    with pytest.raises(UnderstudyError, match="maps has none"):
        next(image_blocks(Cohort.open(toy(tmp_path / "maps", "synthetic", 2, 0, channels=[])), rows, cohort.encoding))
