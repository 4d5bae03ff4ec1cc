"""What a training needs of its cohorts, and what run.json says of it."""

import warnings
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
    settings = {"name": "toy", "config": GeneratorConfig(), "LABELS_ONLY": False, "OTHER": None, "given": None}
    return SimpleNamespace(**(settings | changes))


def test_all_of_a_cohort_or_its_label_maps_alone(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    assert fitting(learner(), cohort, None) == (cohort, None)
    assert fitting(learner(OTHER="images"), cohort, None) == (cohort, None)
    assert fitting(learner(LABELS_ONLY=True), cohort, None)[0].images is None
    first, second = fitting(learner(OTHER="unpaired", given="labels"), cohort, cohort)
    assert first.images is None and first.labels is not None and second is cohort
    first, second = fitting(learner(OTHER="images"), cohort, cohort)
    assert first is cohort and second is not None and second.labels is None and second.images is not None


def test_what_is_missing_is_said(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort, bare = classes_cohort(tmp_path / "c"), classes_cohort(tmp_path / "bare", labels=False)
    small = classes_cohort(tmp_path / "small", size=4)
    for method, first, other, says in (
        (learner(), cohort, cohort, "leave out --other"),
        (learner(OTHER="unpaired"), cohort, None, "name the second with --other"),
        (learner(OTHER="unpaired"), cohort, small, "of one size"),
        (learner(OTHER="images"), cohort, small, "of one size"),
        (learner(OTHER="images"), bare, cohort, "bare has none: swap the two"),
        (learner(given="labels"), bare, None, "images and label maps"),
    ):
        with pytest.raises(UsageError, match=says):
            fitting(method, first, other)
    bare.classes = ()
    with pytest.raises(UsageError, match="import with --classes"):
        fitting(learner(config=GeneratorConfig(conditional=True)), bare, None)


def test_mirrored_sagittal_slices_are_warned_of(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    mirrored = learner(config=GeneratorConfig(mirror=True), OTHER="unpaired", given="labels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort.preprocessing["slices"] = "axial, rule all"
        fitting(mirrored, cohort, cohort)
        cohort.preprocessing["slices"] = "sagittal, rule all"
        fitting(learner(), cohort, None)
    with pytest.warns(UserWarning, match="mirror turns the sagittal slices of .* front to back") as told:
        fitting(mirrored, cohort, classes_cohort(tmp_path / "other"))
    assert len(told) == 1


def test_the_record_names_whom_it_learns_from_and_follows_the_request(classes_cohort: Classes, tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    record = training_record(learner(), cohort, None, None, 3, "auto")
    assert record["trained_on"] == [cohort.seen("train")]
    assert (record["generator"], record["seed"], record["provenance"]["command"]) == ("toy", 3, "train toy")
    assert "differential_privacy" not in record
    assert "dp" not in record["config"]
    assert record == training_record(learner(), cohort, None, None, 3, "auto")
    assert record != training_record(learner(), cohort, None, None, 4, "auto")
    both = training_record(learner(OTHER="images"), *fitting(learner(OTHER="images"), cohort, cohort), None, 3, None)
    assert both["trained_on"] == [cohort.seen("train")] * 2 and both["encoding"] == record["encoding"]
    assert both["provenance"]["inputs"] == {"cohort": cohort.id, "other": cohort.id}
    cohort.kind, cohort.trained_on = "synthetic", [{"cohort": "c", "splits": ["train"], "subjects": ["x"]}]
    assert training_record(learner(), cohort, None, None, 3, "auto")["trained_on"] == cohort.trained_on
    cohort.trained_on = []
    assert training_record(learner(), cohort, None, None, 3, "auto")["trained_on"][0]["subjects"] == []
    promised = training_record(learner(given="labels"), cohort, None, None, 3, None, {"epsilon": 8})
    assert (promised["differential_privacy"], promised["given"]) == ({"epsilon": 8}, "labels")
