"""Several runs make one cohort evenly, case by case; classes as in the data or balanced."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.synthesis.runs import joint_trained_on
from understudy.synthesis.sample import sample_cohort


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, classes_cohort: Callable[..., Cohort], train: Callable[..., Path]
) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    cohort, other = classes_cohort(folder / "cohort", subjects=60), classes_cohort(folder / "other", high=499)
    for k in range(3):
        train(cohort, folder / f"run{k}", k)
        train(cohort, folder / f"conditional{k}", k, conditional=True)
    train(other, folder / "other-range")
    return folder


def images(path: Path) -> np.ndarray:
    cohort = Cohort.open(path)
    assert cohort.images is not None
    return np.asarray(cohort.images)


def test_runs_take_turns_and_each_case_says_whose_it_is(folder: Path, tmp_path: Path) -> None:
    runs = [folder / f"run{k}" for k in range(3)]
    mixed = sample_cohort(runs, 11, 7, tmp_path / "mixed")
    for k, run in enumerate(runs):
        alone = images(sample_cohort(run, 11, 7, tmp_path / f"alone{k}"))
        assert (images(mixed)[k::3] == alone[k::3]).all() and (
            images(mixed)[(k + 1) % 3 :: 3] != alone[(k + 1) % 3 :: 3]
        ).any()
    cohort = Cohort.open(mixed)
    assert cohort.column("generator").tolist() == [f"diffusion#{i % 3}" for i in range(11)]
    assert cohort.provenance["config"]["generator"] == "ensemble of 3 diffusion"
    assert cohort.provenance["config"]["training_seed"] == [0, 1, 2]
    assert len(set(cohort.provenance["config"]["trained_as"])) == 1  # seeds make no other settings
    inputs = cohort.provenance["inputs"]
    assert (
        len({inputs[f"diffusion#{k}"] for k in range(3)}) == 3 and inputs["cohort"] == Cohort.open(folder / "cohort").id
    )
    assert cohort.trained_on == json.loads((folder / "run0" / "run.json").read_text())["trained_on"]
    cohort.verify()


def test_a_case_does_not_depend_on_n(folder: Path, tmp_path: Path) -> None:
    runs = [folder / "run0", folder / "run1"]
    nine, four = (images(sample_cohort(runs, n, 0, tmp_path / f"{n}")) for n in (9, 4))
    assert (nine[:4] == four).all()


def test_one_run_has_no_column_of_its_own(folder: Path, tmp_path: Path) -> None:
    for name, runs in (("path", folder / "run0"), ("list", [folder / "run0"])):
        sample_cohort(runs, 2, 0, tmp_path / name)  # type: ignore[arg-type]
    assert "generator" not in Cohort.open(tmp_path / "path").columns
    for file in ("cohort.json", "cases.csv", "images.npy"):
        assert (tmp_path / "path" / file).read_bytes() == (tmp_path / "list" / file).read_bytes()


def test_runs_that_do_not_fit_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for other, says in (
        ("other-range", "the run .*other-range does not fit .*run0: its channels is .*499"),
        ("conditional0", r"conditional0 does not fit .*run0: its classes is \['ill', 'well'\], and \[\] was"),
        ("run0", "run0 was named before"),
        ("nowhere", "nowhere is not a training run"),
    ):
        with pytest.raises(UsageError, match=says):
            sample_cohort([folder / "run0", folder / other], 4, 0, tmp_path / "out")
    with pytest.raises(UsageError, match="at least one run"):
        sample_cohort([], 4, 0, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_trained_on_is_the_union() -> None:
    a, b, c = ({"cohort": name, "splits": ["train"], "subjects": [name]} for name in "abc")
    assert joint_trained_on([a, b], [b], [c, dict(a)]) == [a, b, c]


def test_a_conditional_run_knows_the_combinations_of_its_subjects(folder: Path) -> None:
    record = json.loads((folder / "conditional0" / "run.json").read_text())
    assert record["combinations"] == [{"classes": [0.0, 1.0], "cases": 18}, {"classes": [1.0, 0.0], "cases": 11}]
    assert "combinations" not in json.loads((folder / "run0" / "run.json").read_text())


@pytest.mark.parametrize("requested", ["data", "balanced"])
def test_classes_as_in_the_data_or_balanced(folder: Path, tmp_path: Path, requested: str) -> None:
    run = folder / "conditional0"
    many = Cohort.open(sample_cohort(run, 40, 0, tmp_path / "many", classes=requested))
    few = Cohort.open(sample_cohort(run, 7, 0, tmp_path / "few", classes=requested))
    assert many.classes == ("ill", "well") and (many.class_matrix()[:7] == few.class_matrix()).all()
    assert (images(many.path)[:7] == images(few.path)).all()
    kinds = Counter(map(tuple, many.class_matrix().tolist()))
    assert set(kinds) == {(0.0, 1.0), (1.0, 0.0)}  # never (1, 1), which one subject has
    assert kinds[0.0, 1.0] == 20 if requested == "balanced" else 18 <= kinds[0.0, 1.0] <= 32
    assert many.provenance["config"]["classes"] == requested
    ill = images(sample_cohort(run, 40, 0, tmp_path / "ill", classes={"ill": 1, "well": 0}))
    same = many.class_matrix()[:, 0] == 1
    assert np.abs(images(many.path)[same].astype(int) - ill[same]).max() <= 1  # each case had the condition it names


def test_an_ensemble_of_conditional_runs(folder: Path, tmp_path: Path) -> None:
    out = sample_cohort([folder / f"conditional{k}" for k in range(3)], 12, 0, tmp_path / "out", classes="balanced")
    with (out / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["ill"] for r in rows].count("1") == 6 and rows[4]["generator"] == "diffusion#1"


def test_runs_without_combinations_want_values(folder: Path, tmp_path: Path, train: Callable[..., Path]) -> None:
    run = train(Cohort.open(folder / "cohort"), tmp_path / "old", 0, conditional=True)
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k != "combinations"}))
    with pytest.raises(UsageError, match="old does not record which class combinations .*ill, well. with --classes"):
        sample_cohort(run, 2, 0, tmp_path / "out", classes="data")
    (run / "run.json").write_text(json.dumps(record | {"combinations": []}))
    with pytest.raises(UnderstudyError, match="no combination of the classes ill, well"):
        sample_cohort(run, 2, 0, tmp_path / "out", classes="balanced")
    with pytest.raises(UsageError, match="leave --classes out"):
        sample_cohort(folder / "run0", 2, 0, tmp_path / "out", classes="data")
