"""Cases: one of a subject, balanced by class, from splits that no generator saw; too few are told."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.reader.choice import choose, class_words


@pytest.fixture
def opened(cohorts: dict[str, Path]) -> list[Cohort]:
    return [Cohort.open(cohorts[name]) for name in ("real", "gan", "edm")]


def test_balanced_one_of_a_subject(opened: list[Cohort]) -> None:
    chosen = choose(opened, 10, 3, ("test", "control"), seed=1)
    assert [len(one) for one in chosen] == [13] * 3
    assert [Counter(c.stratum for c in one[:10]) for one in chosen] == [{"none": 5, "ill": 5}] * 3
    real = [opened[0].column("subject_id")[c.row] for c in chosen[0]]
    assert len(set(real)) == 13
    assert {opened[0].column("split")[c.row] for c in chosen[0]} <= {"test", "control"}
    assert choose(opened, 10, 3, ("test", "control"), seed=1) == chosen
    assert choose(opened, 10, 3, ("test", "control"), seed=2) != chosen


def test_one_case_of_each_subject(opened: list[Cohort], monkeypatch: pytest.MonkeyPatch) -> None:
    real = opened[0]
    subjects = [f"p{i // 4}" for i in range(len(real))]
    monkeypatch.setitem(real._table, "subject_id", subjects)
    chosen = choose([real, opened[1]], 8, 0, ("test", "control", "train"), seed=0)
    found = [subjects[c.row] for c in chosen[0]]
    assert len(found) == len(set(found)) == 8


def test_a_patient_whose_map_is_carried_is_not_shown_twice(
    opened: list[Cohort], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = opened[1]
    monkeypatch.setitem(other._table, "subject_id", [f"secret{i}" for i in range(len(other))])  # also real subjects
    chosen = choose([opened[0], other], 4, 0, ("train",), seed=0)
    train = set(opened[0].column("subject_id")[opened[0].rows("train")])
    assert not train & {other.column("subject_id")[c.row] for c in chosen[1]}


def test_too_few_are_told(opened: list[Cohort]) -> None:
    with pytest.raises(UnderstudyError, match=r"there are 39 .*lower --n"):
        choose(opened, 41, 0, ("test", "control"), seed=0)
    with pytest.raises(UsageError, match="found 'tests'"):
        choose(opened, 4, 0, ("tests",), seed=0)


def test_classes_in_words() -> None:
    assert class_words(["class=normal", "class=virus"], np.array([0.0, 1.0])) == "virus"
    assert class_words(["ill", "age"], np.array([1, 7.5])) == "ill + age=7.5"
    assert class_words(["ill", "age"], np.array([0, np.nan])) == "age=nan"
    assert class_words(["ill"], np.zeros(1)) == "none"
