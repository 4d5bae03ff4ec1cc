"""From scores of cases to scores of subjects, by hand and against numpy."""

from itertools import combinations

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.attacks.setup import expected_highest, join_by_subject, log_distance


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
def test_expected_highest_counts_all_draws(k: int) -> None:
    scores = np.array([0.3, -1.0, 2.5, 2.5, 0.1])
    draws = [max(draw) for draw in combinations(scores, min(k, 5))]
    assert expected_highest(scores, k) == pytest.approx(np.mean(draws), abs=1e-12)


def test_mean_and_missing_cases() -> None:
    joined = join_by_subject(np.array([1.0, 3.0, np.nan, 5.0]), np.array(["b", "b", "b", "a"]), "mean")
    assert joined.subjects.tolist() == ["a", "b"]
    assert joined.scores.tolist() == [5, 2]


def test_highest_of_k_does_not_favour_subjects_with_many_slices() -> None:
    draw = np.random.default_rng(0)
    subjects = np.repeat(np.arange(800), np.r_[np.full(400, 4), np.full(400, 20)]).astype(str)
    scores = draw.normal(size=len(subjects))
    joined = join_by_subject(scores, subjects, "highest")
    many = joined.subjects.astype(int) >= 400
    assert "4 cases" in joined.note
    assert joined.scores[many].mean() == pytest.approx(joined.scores[~many].mean(), abs=0.1)
    plain = np.array([scores[subjects == name].max() for name in joined.subjects])
    assert plain[many].mean() - plain[~many].mean() > 0.7  # what is corrected


def test_a_subject_with_fewer_gives_its_highest() -> None:
    subjects = np.r_[["few"], np.repeat([f"s{i}" for i in range(19)], 3)]
    joined = join_by_subject(np.r_[7.0, np.zeros(57)], subjects, "highest")
    assert "3 cases" in joined.note
    assert joined.scores[joined.subjects == "few"] == [7]


def test_refusals() -> None:
    with pytest.raises(UnderstudyError, match="found 0 scores"):
        join_by_subject(np.array([np.nan]), np.array(["a"]), "mean")
    with pytest.raises(UnderstudyError, match="median"):
        join_by_subject(np.array([1.0]), np.array(["a"]), "median")


def test_distance_is_the_chord() -> None:
    u, v = np.array([3, 4]) / 5, np.array([4, 3]) / 5
    assert log_distance(np.array([u @ v])) == pytest.approx(np.log(np.linalg.norm(u - v)))
    assert np.isfinite(log_distance(np.array([1.0])))
