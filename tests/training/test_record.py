"""What a training needs of its cohorts, and what run.json says of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.training.record import fitting, training_record
from understudy.training.settings import GeneratorConfig

Classes = Callable[..., Cohort]


def learner(**changes: Any) -> Any:
    settings = {"name": "toy", "config": GeneratorConfig(), "LABELS_ONLY": False, "TAKES_OTHER": False, "given": None}
    return SimpleNamespace(**(settings | changes))


def test_all_of_a_cohort_or_its_label_maps_alone(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    assert fitting(learner(), cohort, None) is cohort
    assert fitting(learner(LABELS_ONLY=True), cohort, None).images is None
    assert fitting(learner(TAKES_OTHER=True, given="labels"), cohort, cohort).labels is not None


def test_what_is_missing_is_said(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort, bare = classes_cohort(tmp_path / "c"), classes_cohort(tmp_path / "bare", labels=False)
    small = classes_cohort(tmp_path / "small", size=4)
    for method, first, other, says in (
        (learner(), cohort, cohort, "leave out --other"),
        (learner(TAKES_OTHER=True), cohort, None, "name the second with --other"),
        (learner(TAKES_OTHER=True), cohort, small, "of one size"),
        (learner(given="labels"), bare, None, "images and label maps"),
    ):
        with pytest.raises(UsageError, match=says):
            fitting(method, first, other)
    bare.classes = ()
    with pytest.raises(UsageError, match="import with --classes"):
        fitting(learner(config=GeneratorConfig(conditional=True)), bare, None)


def test_the_record_names_whom_it_learns_from_and_follows_the_request(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    record = training_record(learner(), cohort, None, None, 3, "auto")
    assert record["trained_on"] == [cohort.seen("train")]
    assert (record["generator"], record["seed"], record["provenance"]["command"]) == ("toy", 3, "train toy")
    assert "differential_privacy" not in record
    assert "dp" not in record["config"]
    assert record == training_record(learner(), cohort, None, None, 3, "auto")
    assert record != training_record(learner(), cohort, None, None, 4, "auto")
    promised = training_record(learner(given="labels"), cohort, None, None, 3, None, {"epsilon": 8})
    assert (promised["differential_privacy"], promised["given"]) == ({"epsilon": 8}, "labels")
