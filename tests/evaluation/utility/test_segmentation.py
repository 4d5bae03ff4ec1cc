"""The task segmentation: subjects, and all classes as one beside their mean."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.segmentation import MapOutcome, MapScores, Segmentation

CONFIG = UtilityConfig(repeats=2, updates=7)


def test_all_classes_as_one_stand_apart_from_their_mean(tmp_path: Path, toy: Callable[..., Path]) -> None:
    scheme = LabelScheme(("background", "core", "edema"), (0, 1, 2))
    cohort = Cohort.open(toy(tmp_path / "c", "real", 12, 0, scheme=scheme))
    task = Segmentation(cohort, [], CONFIG)
    assert task.names == ("core", "edema", "whole lesion")
    counts = np.tile(np.array([[90, 0, 0], [0, 4, 4], [2, 4, 4]]), (5, 1, 1))
    made = MapOutcome({}, 2, "", [MapScores.of(counts, np.zeros((5, 3, 4)), np.ones((5, 3), int))])
    expected = [4 * 2 / 16, 4 * 2 / 18, 16 * 2 / 34]
    assert [made.measured(k).values()[0] for k in range(3)] == pytest.approx(expected)
    assert made.measured(None).values()[0] == pytest.approx(np.mean(expected[:2]))
    assert made.cells(None) == [0, 0, 0, 10] and made.cells(2) == [0, 0, 0, 5]
    other = LabelScheme(("background", "core", "Whole Lesion"), (0, 1, 2))
    with pytest.raises(UsageError, match="called 'whole lesion', and a class is too"):
        Segmentation(Cohort.open(toy(tmp_path / "d", "real", 12, 0, scheme=other)), [], CONFIG)
