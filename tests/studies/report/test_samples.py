"""Grids of cases: one row a cohort and channel; flagged cohorts and real ones are not shown."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.studies.report.config import SampleGrid
from understudy.studies.report.finished import Finished
from understudy.studies.report.samples import sample_figures


def test_a_cohort_with_copies_is_not_shown(folds: Any) -> None:
    figures, told = sample_figures(folds.measures())
    assert [figure.name for figure in figures] == ["samples-painted-1"]
    assert told == ["joint-fold1-seed0 is not shown: 8 of 100 cases are flagged as possible copies of training images, "
                    "more than by chance."]  # fmt: skip
    other, nothing = sample_figures(folds.measures(samples=(SampleGrid(template="joint", where={"seed": "1"}),)))
    assert len(other) == 1 and nothing == []


def test_cohorts_stand_side_by_side(sizes: Any) -> None:
    figure = sample_figures(sizes.measures())[0][0]
    whole = Image.open(BytesIO(figure.png)).size
    one = sample_figures(sizes.measures(samples=(SampleGrid(template="cases", channels=("flair",)),)))[0][0]
    assert (
        whole[1] > 1.9 * Image.open(BytesIO(one.png)).size[1] and "subjects 5, subjects 10, subjects 20" in figure.alt
    )
    assert [name for name, _ in figure.legend] == ["core", "oedema"]
    assert sample_figures(sizes.measures(samples=(SampleGrid(template="cohort"),)))[0] == []  # real cases


def test_patients_anatomy_is_not_shown(folds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = folds.measures().finished.cohort
    monkeypatch.setattr(Finished, "cohort", lambda self, stage: semi(cohort(stage)))
    figures, told = sample_figures(folds.measures())
    assert figures == [] and "painted: not shown, since the label maps are patients', edited or not." in told


def semi(cohort: Any) -> Any:
    cohort.kind = "semi-synthetic"
    return cohort


def test_a_channel_that_is_none(folds: Any) -> None:
    with pytest.raises(UnderstudyError, match="the channel 'ct' of painted, which has t1, flair: correct it"):
        sample_figures(folds.measures(samples=(SampleGrid(template="painted", channels=("ct",)),)))
