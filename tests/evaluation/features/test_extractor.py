"""What an extractor is built from, and what every entry of the menu answers."""

from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import Source
from understudy.evaluation.features.random_filters import RandomFeatures


def test_intensities_are_read_as_in_the_real_cohort_and_nothing_is_kept_without_a_folder(real: Path) -> None:
    cohort = Cohort.open(real)
    source = Source(cohort, cohort.rows("train"), FeatureConfig())
    assert source.encoding == cohort.encoding
    assert source.network is None
    with pytest.raises(AttributeError):
        source.rows = cohort.rows("test")  # type: ignore[misc]


def test_identity_follows_all_that_decides_the_features() -> None:
    made = [RandomFeatures(*shape).identity for shape in ((2, 2), (2, 2), (3, 2), (2, 3))]
    assert made[0] == made[1]
    assert len({str(identity) for identity in made}) == 3
