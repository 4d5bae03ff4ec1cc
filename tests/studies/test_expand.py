"""A study becomes stages: which there are, what each reads, and whose request has changed."""

from collections.abc import Callable
from typing import Any

import pytest

from understudy.core.errors import UsageError
from understudy.studies import expand as expansion
from understudy.studies.stage import Stage

Stages = Callable[[Any], list[Stage]]


def by_name(stages: list[Stage]) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


def test_a_stage_is_made_for_each_value_of_the_loops_that_it_mentions(stages_of: Stages, small: dict[str, Any]) -> None:
    made = by_name(stages_of(small))
    assert list(made)[:3] == ["cohort-fold1", "cohort-fold2", "run-fold1-seed0"]
    assert len(made) == 2 + 6 + 6 + 2
    cases = made["cases-fold2-seed1"]
    assert cases.folder == "cases/cases-fold2-seed1"
    assert cases.inputs == ("run-fold2-seed1",)
    assert cases.arguments == (
        "sample", "run/run-fold2-seed1", "--n", "4", "--seed", "1", "--out", "cases/cases-fold2-seed1")  # fmt: skip
    assert made["run-fold1-seed0"].arguments[-2:] == ("--set", "images_seen=100")
    assert made["run-fold1-seed0"].marker == "complete.json"


def test_joined_loops_give_all_outputs_at_once(stages_of: Stages, small: dict[str, Any]) -> None:
    utility = by_name(stages_of(small))["utility-fold2"]
    assert utility.loops == {"fold": "2"}
    assert utility.inputs == ("cohort-fold2", "cases-fold2-seed0", "cases-fold2-seed1", "cases-fold2-seed2")
    assert utility.arguments.count("--synthetic") == 3


def test_evaluations_share_a_cache_that_is_no_part_of_the_request(stages_of: Stages, small: dict[str, Any]) -> None:
    shared = by_name(stages_of(small))
    assert shared["utility-fold2"].arguments[-2:] == ("--cache", ".study/cache")
    assert not any("--cache" in stage.arguments for stage in shared.values() if stage.verb != "evaluate")
    small["stages"]["utility"]["cache"] = None
    alone = by_name(stages_of(small))
    assert "--cache" not in alone["utility-fold2"].arguments
    assert alone["utility-fold2"].digest == shared["utility-fold2"].digest
    small["stages"]["utility"]["cache"] = "mine"
    assert by_name(stages_of(small))["utility-fold2"].arguments.count("--cache") == 1


def test_some_values_only(stages_of: Stages, small: dict[str, Any]) -> None:
    small["stages"]["run"]["only"] = {"seed": [0], "fold": [2]}
    assert [stage.name for stage in stages_of(small)] == [
        "cohort-fold1", "cohort-fold2", "run-fold2-seed0", "cases-fold2-seed0", "utility-fold2"]  # fmt: skip


def test_a_constant_names_some_values(stages_of: Stages, small: dict[str, Any]) -> None:
    small["values"] = {"chosen": 2}
    small["stages"]["cases"]["only"] = {"seed": ["$chosen"]}
    assert [stage.name for stage in stages_of(small) if stage.template == "cases"] == [
        "cases-fold1-seed2", "cases-fold2-seed2"]  # fmt: skip
    small["values"] = {"chosen": 7}
    with pytest.raises(UsageError, match="the stage cases takes the value '7' of seed, which it has not"):
        stages_of(small)


def test_what_belongs_to_a_value(stages_of: Stages, small: dict[str, Any]) -> None:
    small["loops"] = {
        "kind": {"progan": {"preset": "short", "set": {"images_seen": 7}}, "spade": {"preset": None, "set": {}}}
    }
    small["stages"] = {
        "cohort": {"import": "phantom"},
        "run": {"train": ["$kind", "$cohort"], "preset": "$kind.preset", "set": "$kind.set"},
    }
    _, progan, spade = stages_of(small)
    assert progan.arguments == (
        "train", "progan", "cohort", "--preset", "short", "--out", "run/run-progan", "--set", "images_seen=7",
    )  # fmt: skip
    assert spade.arguments == ("train", "spade", "cohort", "--out", "run/run-spade")


def test_values_keep_their_types_and_may_name_a_stage(stages_of: Stages, small: dict[str, Any]) -> None:
    small["loops"] = {"on": [True, False], "kind": {"spade": {"other": None}, "cyclegan": {"other": "$cohort"}}}
    small["stages"] = {
        "cohort": {"import": "phantom"},
        "run": {"train": ["$kind", "$cohort"], "other": "$kind.other", "set": {"mirror": "$on"}},
    }
    made = by_name(stages_of(small))
    assert made["run-true-spade"].arguments[-2:] == ("--set", "mirror=true")
    assert made["run-false-cyclegan"].arguments[3:5] == ("--other", "cohort")


def test_constants_and_dollars(stages_of: Stages, small: dict[str, Any]) -> None:
    small |= {"values": {"n": 5, "many": [1, 2]}, "data": "here"}
    small["loops"] = {}
    small["stages"] = {
        "cohort": {"import": ["folder", "$data"], "images": "a-${n}", "labels": "$$n", "size": "$many"},
    }
    (cohort,) = stages_of(small)
    assert cohort.arguments[2].endswith("/here")
    assert cohort.arguments[3:9] == ("--images", "a-5", "--labels", "$n", "--size", "1,2")


def test_a_changed_setting_changes_what_depends_on_it_and_nothing_else(
    stages_of: Stages, small: dict[str, Any]
) -> None:
    before = by_name(stages_of(small))
    small["stages"]["cases"]["n"] = 5
    after = by_name(stages_of(small))
    changed = {stage.template for name, stage in after.items() if stage.digest != before[name].digest}
    assert changed == {"cases", "utility"}
    small["needs"] = {"threads": 2, "minutes": 5}
    assert {name: stage.digest for name, stage in by_name(stages_of(small)).items()} == {
        name: stage.digest for name, stage in after.items()
    }


def test_an_input_that_stands_inside_of_a_word_counts(stages_of: Stages, small: dict[str, Any]) -> None:
    small["loops"] = {}
    small["stages"] = {
        "cohort": {"import": "phantom"},
        "run": {"train": ["diffusion", "$cohort"], "start": "${cohort}/x"},
        "more": {"import": ["folder", "${cohort}/images"], "images": "."},
    }
    before = by_name(stages_of(small))
    small["stages"]["cohort"]["subjects"] = 9
    after = by_name(stages_of(small))
    assert {name for name in after if after[name].digest == before[name].digest} == set()
    assert before["more"].arguments == after["more"].arguments


def test_constants_and_what_belongs_to_a_value_may_name_others(stages_of: Stages, small: dict[str, Any]) -> None:
    small |= {"values": {"n": 5, "place": "$data/scans", "one": [3]}, "data": "here"}
    small["loops"] = {"seed": [7], "kind": {"spade": {"set": {"images_seen": "$n", "channels": "$one"}}}}
    small["stages"] = {
        "cohort": {"import": ["folder", "$place"], "images": "."},
        "run": {"train": ["$kind", "$cohort"], "set": "$kind.set"},
    }
    cohort, run = stages_of(small)
    assert cohort.arguments[2].endswith("/here/scans")
    assert run.arguments[-4:] == ("--set", "images_seen=5", "--set", "channels=[3]")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"values": {"a": "$b", "b": "$a"}}, r"\$a is asked for by a constant"),
        ({"values": {"a": "$cohort"}}, r"\$cohort is asked for by a constant or a loop's value, and not by the stage"),
        ({"values": {"a": "$data/x"}}, "reads .data, and the study names none"),
    ],
)
def test_constants_that_name_what_is_not_there(
    stages_of: Stages, small: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    small |= change
    small["stages"]["extra"] = {"train": ["diffusion", "$a"]}
    with pytest.raises(UsageError, match=says):
        stages_of(small)


def test_a_stage_that_would_never_be_made(stages_of: Stages, small: dict[str, Any]) -> None:
    small["stages"]["run"]["only"] = {"seed": [0]}
    small["stages"]["cases"]["only"] = {"seed": [1]}
    with pytest.raises(UsageError, match="the stage cases is never made"):
        stages_of(small)


def test_too_many_stages_are_refused_before_they_are_made(
    stages_of: Stages, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "MOST_STAGES", 3)
    small["loops"] |= {f"more{i}": list(range(100)) for i in range(5)}
    small["stages"]["run"]["set"] = {"images_seen": "".join(f"$more{i}" for i in range(5))}
    with pytest.raises(UsageError, match="over 3 stages"):
        stages_of(small)


def test_needs_of_a_stage_add_to_those_of_the_study(stages_of: Stages, small: dict[str, Any]) -> None:
    small["needs"] = {"threads": 2, "memory_gb": 9}
    small["stages"]["run"]["needs"] = {"memory_gb": 1}
    needs = by_name(stages_of(small))["run-fold1-seed0"].needs
    assert (needs.threads, needs.memory_gb) == (2, 1)


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ({"train": ["diffusion", "$nothing"]}, r"refers to \$nothing, and there is none"),
        ({"train": ["diffusion", "$data"]}, "reads .data, and the study names none"),
        ({"train": ["diffusion", "$extra"]}, "in a circle"),
        ({"train": ["diffusion", "$cohort"], "seed": "$fold.x"}, "fold has no 'x'"),
        ({"train": ["diffusion", "$cohort"], "joins": ["seed"]}, "joins the loop seed, on which none"),
        ({"train": ["diffusion", "$cohort"], "seed": "$seed", "joins": ["seed"]}, "joins the loop seed and asks for"),
        ({"train": ["diffusion", "$cohort"], "seeds": 1}, "no option 'seeds': did you mean seed"),
        ({"train": ["diffusion", "$cohort"], "seed": "many"}, "stage extra-fold1: `train`: .*'--seed'"),
        ({"train": ["diffusion"]}, "stage extra: `train`: .*COHORT"),
        ({"train": ["diffusion", "$cohort"], "set": [1]}, "set is a mapping"),
        ({"train": ["diffusion", "$cohort.json"]}, r"cohort is a folder: write \$\{cohort\} before a dot"),
        ({"train": ["diffusion", "$cohort"], "only": {"seed": [0]}}, "some values of the loop seed, on which it does"),
        ({"train": ["diffusion", "$cohort"], "other": "a$cases"}, "stands inside of a word and is not one plain value"),
    ],
)
def test_what_cannot_be(stages_of: Stages, small: dict[str, Any], stage: dict[str, Any], says: str) -> None:
    small["stages"]["extra"] = stage
    if "one plain value" in says:
        stage["joins"] = ["seed"]
    with pytest.raises(UsageError, match=says):
        stages_of(small)
