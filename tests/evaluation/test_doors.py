"""Every kind of ``evaluate`` has the same door: a leak, sides that are swapped, and too few subjects stop it.

A kind of the command line that is not listed here fails a test.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from understudy.api.evidence import INPUTS, PAIR
from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.consistency.stage import evaluate_consistency
from understudy.evaluation.fidelity.stage import evaluate_fidelity
from understudy.evaluation.privacy.stage import evaluate_privacy
from understudy.evaluation.utility.stage import TASKS, evaluate_utility

DOORS: dict[str, Callable[..., Path]] = {
    **{f"utility of {task}": partial(evaluate_utility, task=task) for task in TASKS},
    "fidelity": evaluate_fidelity,
    "privacy": evaluate_privacy,
    "consistency": evaluate_consistency,
}
WITHOUT_IMAGES = ("fidelity", "privacy")  # the kinds that take cohorts of label maps alone
every_kind = pytest.mark.parametrize("kind", DOORS)


class OpenDoorError(Exception):
    """Somebody was let in."""


@pytest.fixture(autouse=True)
def nothing_behind_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the door every kind asks first whether its results are there already; no test needs to go on."""

    def enter(*_: Any) -> None:
        raise OpenDoorError

    for door in DOORS.values():
        function = door.func if isinstance(door, partial) else door
        monkeypatch.setattr(f"{function.__module__}.finished", enter)


def refused(kind: str, real: Path, synthetic: list[Path], out: Path) -> str:
    """Return the sentence by which a kind refuses; it must leave nothing, not even a temporary folder."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(UnderstudyError) as caught:
        DOORS[kind](real, synthetic, out, 0)
    assert sorted(out.parent.iterdir()) == before
    return f"{type(caught.value).__name__}: {caught.value}"


def leaky(toy: Callable[..., Path], folder: Path, subjects: list[str], **changes: Any) -> Path:
    """Write a synthetic cohort whose generator saw these subjects, the last of them in a later training."""
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["real-0", *subjects[:-1]]}]
    seen.append({"cohort": "y", "splits": [], "subjects": subjects[-1:]})
    return toy(folder / "leaky", "synthetic", 3, 1, trained_on=seen, **changes)


def test_every_kind_has_its_door_here() -> None:
    assert {name.split()[0] for name in DOORS} == {kind for kind, inputs in INPUTS.items() if inputs.required == PAIR}


@every_kind
@pytest.mark.parametrize("split", ["test", "control"])
def test_a_leak_stops_it_and_names_the_cohort_and_no_patient(
    kind: str, split: str, real: Path, synthetic: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    patients = Cohort.open(real).subjects(split)[:2]
    said = refused(kind, real, [synthetic, leaky(toy, tmp_path, patients)], tmp_path / "out")
    assert f"the cohort leaky was made from 2 {split} subject(s) of real" in said and said.startswith("UnderstudyError")
    assert not any(patient in said for patient in Cohort.open(real).subjects())


@pytest.mark.parametrize("kind", WITHOUT_IMAGES)
def test_a_leak_of_label_maps_alone_stops_it_too(
    kind: str, real: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    maps = leaky(toy, tmp_path, Cohort.open(real).subjects("test")[:1], channels=[])
    assert "the cohort leaky was made from 1 test subject(s)" in refused(kind, real, [maps], tmp_path / "out")


@every_kind
def test_a_generator_that_saw_training_and_validation_subjects_only_is_let_in(
    kind: str, real: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    honest = leaky(toy, tmp_path, Cohort.open(real).subjects("validation"))
    with pytest.raises(OpenDoorError):
        DOORS[kind](real, [honest], tmp_path / "out", 0)


@every_kind
@pytest.mark.parametrize("channels", [None, []])
def test_sides_of_the_wrong_kind_are_refused(
    kind: str, channels: list[Any] | None, real: Path, synthetic: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    if channels is not None:
        real, synthetic = (
            toy(tmp_path / path.name, path.name, 30, seed, channels=channels)
            for seed, path in enumerate((real, synthetic))
        )
    for sides in ((synthetic, [real]), (synthetic, [synthetic]), (real, [real]), (real, [synthetic, real])):
        said = refused(kind, sides[0], sides[1], tmp_path / "out")
        assert said.startswith(UsageError.__name__) and "were the two sides swapped?" in said


@every_kind
def test_too_few_real_subjects_are_refused(
    kind: str, synthetic: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    small = toy(tmp_path / "small", "real", 8, 0, splits=("control", "test"))
    said = refused(kind, small, [synthetic], tmp_path / "out")
    assert "subject(s) in the train split of small, found 0" in said
