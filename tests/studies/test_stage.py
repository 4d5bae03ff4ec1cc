"""Stages: every verb that a study may use is one of the command line."""

import math
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from understudy.cli.main import VERBS
from understudy.core.errors import UsageError
from understudy.studies.stage import MARKERS, Needs, Stage, chosen, depths


def test_every_verb_that_makes_a_folder_may_be_a_stage() -> None:
    assert set(VERBS) - set(MARKERS) == {"demo", "check", "settings", "key", "verify", "study"}
    assert set(MARKERS) <= set(VERBS)


def test_needs_are_counted_from_something_up() -> None:
    for wrong in (
        {"threads": 0},
        {"memory_gb": 0},
        {"gpus": -1},
        {"minutes": 0},
        {"minutes": math.inf},
        {"threads": 10**9},
        {"hours": 1},
    ):
        with pytest.raises(ValidationError):
            Needs(**wrong)


def test_depth_is_the_longest_way() -> None:
    reads = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ()}
    stages = [Stage(name, name, {}, name, "train", (), read, Needs(), "0" * 64) for name, read in reads.items()]
    assert depths(stages) == {"a": 0, "b": 1, "c": 2, "d": 0}


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ([], "cohort1 cohort2 run1-0 run1-1 run2-0 run2-1 utility1 utility2 all"),
        (["fold=1"], "cohort1 run1-0 run1-1 utility1"),  # and no stage of all folds
        (["fold=2", "seed=0"], "cohort2 run2-0"),
        (["seed=0", "seed=1", "fold=1"], "cohort1 run1-0 run1-1"),
        (["utility", "fold=2"], "cohort2 run2-0 run2-1 utility2"),
        (["run1-1", "utility2"], "cohort1 cohort2 run1-1 run2-0 run2-1 utility2"),
        (["all"], "cohort1 cohort2 run1-0 run1-1 run2-0 run2-1 utility1 utility2 all"),
    ],
)
def test_some_stages_with_what_they_read(only: Sequence[str], names: str) -> None:
    assert [stage.name for stage in chosen(folds(), only)] == names.split()


@pytest.mark.parametrize("only", [["fold=3"], ["seed"], ["fold"], ["=1"], ["utilities"], ["utility", "seed=0"], [""]])
def test_no_stage_is_that(only: Sequence[str]) -> None:
    with pytest.raises(UsageError, match="only"):
        chosen(folds(), only)


def folds() -> list[Stage]:
    def stage(name: str, template: str, loops: dict[str, str], *inputs: str) -> Stage:
        return Stage(name, template, loops, name, "train", (), inputs, Needs(), "0" * 64)

    found = [stage(f"cohort{k}", "cohort", {"fold": k}) for k in "12"]
    runs = [(k, s) for k in "12" for s in "01"]
    found += [stage(f"run{k}-{s}", "run", {"fold": k, "seed": s}, f"cohort{k}") for k, s in runs]
    found += [stage(f"utility{k}", "utility", {"fold": k}, f"cohort{k}", f"run{k}-0", f"run{k}-1") for k in "12"]
    return [*found, stage("all", "all", {}, "utility1", "utility2")]
