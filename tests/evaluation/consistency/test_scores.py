"""Consistency case by case, by hand, with each case of the rule for empty maps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.consistency.scores import CaseScores, case_scores
from understudy.tasks.overlap import RULES
from understudy.tasks.segmentation import CohortCases


class Bright:
    """Reads what is bright in the first channel as class 1."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        return (images[:, 0] > 105 / 127.5 - 1).astype(np.uint8)


def scores(path: Path, reader: Any, **options: Any) -> CaseScores:
    cohort = Cohort.open(path)
    return case_scores(reader, CohortCases(cohort, cohort.rows(), cohort.encoding), 2, **options)


def test_an_image_that_shows_its_label_map_agrees(synthetic: Path) -> None:
    found = scores(synthetic, Bright())
    assert found.dice.shape == (90, 1) and found.dice.min() > 0.99 and found.accuracy.min() > 0.99


@pytest.mark.parametrize("depth", [0, 3])
def test_blocks_do_not_matter(toy: Callable[..., Path], tmp_path: Path, depth: int) -> None:
    path = toy(tmp_path / "c", "synthetic", 4, 0, depth=depth, shift=30)
    one, other = (scores(path, Bright(), block=block) for block in (1, 2**20))
    assert all(np.array_equal(getattr(one, a), getattr(other, a)) for a in ("dice", "rule", "accuracy"))
    assert np.ptp(one.accuracy) > 0


def test_each_case_of_the_rule_by_hand() -> None:
    cohort = type("C", (), {"size": (2, 2)})()
    labels = np.array([[[1, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]], np.uint8)
    seen = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]], np.uint8)

    class Cases:
        def __init__(self) -> None:
            self.cohort = cohort

        def __len__(self) -> int:
            return 4

        def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return seen[chosen, None].astype(np.float32), labels[chosen]

    class Reader:
        def predict(self, images: np.ndarray) -> np.ndarray:
            return images[:, 0].astype(np.uint8)

    found = case_scores(Reader(), Cases(), 2)  # type: ignore[arg-type]
    assert np.allclose(found.dice[:, 0], [2 / 3, 0, 0, np.nan], equal_nan=True)
    assert [RULES[code] for code in found.rule[:, 0]] == ["", "missed", "false positive", "both empty"]
    assert found.accuracy.tolist() == [0.75, 0.75, 0.75, 1]
    assert found.ruled(0) == found.ruled(None) == [1, 1, 1]


def test_the_mean_is_over_the_classes_that_count() -> None:
    dice = np.array([[0.5, np.nan], [0.2, 0.4], [np.nan, np.nan]])
    found = CaseScores(dice, np.zeros((3, 2), int), np.ones(3))
    assert np.allclose(found.of(None), [0.5, 0.3, np.nan], equal_nan=True)
    assert np.array_equal(found.of(1), dice[:, 1], equal_nan=True)
