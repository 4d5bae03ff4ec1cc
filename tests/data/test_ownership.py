"""Whose a label map is: every rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.ownership import joint_source, kept_sampling, kind_of, labelled, owners, secret, usable_rows


@pytest.mark.parametrize(
    ("parts", "edited", "whose", "kind"),
    [
        (["sampled"], False, "sampled", "synthetic"),
        (["sampled"], True, "sampled", "synthetic"),
        (["sampled", "sampled"], True, "sampled", "synthetic"),
        (["patient"], False, "patient", "semi-synthetic"),
        (["patient"], True, "edited patient", "semi-synthetic"),
        (["sampled", "patient"], True, "edited patient", "semi-synthetic"),
        (["patient", "sampled"], True, "edited patient", "semi-synthetic"),
        (["edited patient", "sampled"], True, "edited patient", "semi-synthetic"),
        (["edited patient"], False, "edited patient", "semi-synthetic"),
        (["predicted", "sampled"], True, "predicted", "semi-synthetic"),
        (["predicted", "patient"], True, "edited patient", "semi-synthetic"),
    ],
)
def test_only_what_is_sampled_throughout_is_fully_synthetic(
    parts: list[str], edited: bool, whose: str, kind: str
) -> None:
    assert joint_source(parts, edited) == whose and kind_of(whose) == kind


def test_owners_are_named(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    rows = usable_rows(cohort, ["train"])
    assert rows.tolist() == cohort.rows("train").tolist()
    entry = {"cohort": cohort.id, "splits": ["train"], "subjects": ["secret00", "secret01"]}
    assert owners(cohort, rows[:2]) == [entry] and owners(cohort, rows[:0]) == []
    assert secret([cohort], tmp_path / "key", tmp_path / "out") == (tmp_path / "key").read_bytes()
    cohort.kind, cohort.trained_on = "synthetic", [{"cohort": "x"}]
    assert owners(cohort, rows) == [{"cohort": "x"}] and secret([cohort], tmp_path / "none", tmp_path / "out") is None
    assert not (tmp_path / "none").exists()


def test_what_is_missing(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no label maps"):
        labelled(classes_cohort(tmp_path / "c", labels=False))
    cohort = classes_cohort(tmp_path / "d")
    cohort.column = lambda name: __import__("numpy").array(["test"] * 24)  # type: ignore[method-assign]
    with pytest.raises(UnderstudyError, match="no case in the split train"):
        usable_rows(cohort, ["train"])


def test_screenings_stay_and_a_guarantee_only_where_nothing_else_was_used(
    classes_cohort: Callable[..., Cohort], tmp_path: Path
) -> None:
    one, other = classes_cohort(tmp_path / "c"), classes_cohort(tmp_path / "d", size=16)
    private = {"differential_privacy": {"epsilon": 1.0}, "away_from": {"threshold": 0.5}}
    one.sampling = private | {"screened": ["first"]}
    assert kept_sampling([one]) == kept_sampling([one, one]) == one.sampling
    assert kept_sampling([one], others_seen=True) == {"away_from": {"threshold": 0.5}, "screened": ["first"]}
    assert kept_sampling([one, other]) == kept_sampling([other, one]) == {"screened": ["first"]}
    other.sampling = dict(one.sampling)
    other.id = "0" * 16
    assert kept_sampling([one, other]) == {"away_from": {"threshold": 0.5}, "screened": ["first"]}
    other.sampling = {"screened": ["second"]}
    with pytest.raises(UsageError, match="c and d were each by itself.*name one that was not screened"):
        kept_sampling([one, other])
