"""Consistency case by case, by hand, with each case of the rule for empty maps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.consistency.scores import CaseScores, Spread, case_scores, percentiles
from understudy.evaluation.utility.overlap import RULES
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


def test_one_case_a_subject_is_the_ordinary_mean_and_quantile() -> None:
    x = np.random.default_rng(0).random(101)
    spread = Spread.of(x, np.arange(101).astype(str))
    assert spread.subjects == 101 and spread.mean() == pytest.approx(x.mean())
    for q in (0.01, 0.05, 0.3, 0.5, 0.97):
        assert spread.quantile(q) == np.quantile(x, q, method="inverted_cdf")
        assert spread.below(spread.quantile(q)) <= q
    assert spread.below(0.3) == pytest.approx((x < 0.3).mean())


def test_a_subject_counts_once_and_what_is_missing_not_at_all() -> None:
    scores = np.array([0.9, 0.9, 0.9, 0.1, np.nan])
    spread = Spread.of(scores, np.array(["a", "a", "a", "b", "c"]))
    assert spread.subjects == 2 and spread.mean() == pytest.approx(0.5)
    assert (spread.quantile(0.05), spread.quantile(0.5), spread.quantile(0.51)) == (0.1, 0.1, 0.9)
    assert spread.below(0.1) == 0 and spread.below(0.5) == pytest.approx(0.5)
    assert Spread.of(np.array([np.nan]), np.array(["a"])).subjects == 0


def test_resamples_do_not_part_the_cases_of_a_subject() -> None:
    spread = Spread.of(np.repeat([0.0, 1.0], 20), np.repeat(["a", "b"], 20))
    means = [spread.mean(w) for w in spread.resamples(200, 0)]
    assert {round(m, 6) for m in means} == {0, 0.5, 1}
    assert means == [spread.mean(w) for w in spread.resamples(200, 0)]
    assert means != [spread.mean(w) for w in spread.resamples(200, 1)]


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    x = np.random.default_rng(0).random(200)
    spread = Spread.of(x, np.arange(200))
    found = percentiles(spread.mean(), [spread.mean(w) for w in spread.resamples(2000, 0)])
    error = x.std() / np.sqrt(200)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1) and found.low < x.mean() < found.high
