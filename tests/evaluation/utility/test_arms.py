"""What networks are trained on: names, shares, nested draws, and no case of a held-out subject anywhere."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.evaluation.utility.arms import Arm, _request, drawn_subjects, held_out, kind_and_cohort, make_arms
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.segmentation import Segmentation
from understudy.tasks.fitting import FineTuned, Mixed, TaskCases
from understudy.tasks.segmentation import CohortCases

EVERYTHING = {"arms": ("synthetic", "both", "finetuned"), "shares": (0.75, 0.25), "real_subjects": (3, 8)}


def arms(real: Path, *synthetic: Path, seed: int = 0, **changes: Any) -> dict[str, Arm]:
    config, cohort, others = UtilityConfig(**changes), Cohort.open(real), [Cohort.open(path) for path in synthetic]
    found = make_arms(Segmentation(cohort, others, config), cohort, others, config, seed)
    assert len({arm.name for arm in found}) == len({arm.label for arm in found}) == len(found)
    assert all(kind_and_cohort(arm.name) == (arm.kind, arm.cohort) for arm in found)  # read back
    return {arm.name: arm for arm in found}


def parts(cases: TaskCases) -> list[CohortCases]:
    """The sets of cases behind an arm."""
    if isinstance(cases, Mixed):
        return [*parts(cases.first), *parts(cases.second)]
    if isinstance(cases, FineTuned):
        return [*parts(cases.before), *parts(cases.after)]
    assert isinstance(cases, CohortCases)
    return [cases]


def learned(arm: Arm, kind: str = "real") -> set[str]:
    """The subjects of one kind that an arm is trained on."""
    return {
        subject
        for part in parts(arm.cases)
        if part.cohort.kind == kind
        for subject in part.cohort.column("subject_id")[part.rows].tolist()
    }


def test_names_and_what_is_compared_with_what(real: Path, synthetic: Path) -> None:
    found = arms(real, synthetic, **EVERYTHING)
    told = [(s.name, s.label, s.against, s.share) for s in found.values()]
    assert told[:6] == [
        ("real", "real", "", 0),
        ("stylegan-2", "synthetic", "real", 1),
        ("75%real+25%stylegan-2", "both-25", "real", 0.25),
        ("real+stylegan-2", "both", "real", 0.5),
        ("25%real+75%stylegan-2", "both-75", "real", 0.75),
        ("stylegan-2 then real", "finetuned", "real", None),
    ]
    assert told[6:11] == [
        ("real@3", "real@3", "", 0),
        ("75%real@3+25%stylegan-2", "both-25@3", "real@3", 0.25),
        ("real@3+stylegan-2", "both@3", "real@3", 0.5),
        ("25%real@3+75%stylegan-2", "both-75@3", "real@3", 0.75),
        ("stylegan-2 then real@3", "finetuned@3", "real@3", None),
    ]
    assert [name for name, *_ in told[11:]] == [name.replace("@3", "@8") for name, *_ in told[6:11]]
    compared = [s.comparison for s in list(found.values())[1:] if s.against]
    assert compared[:5] == ["difference", "gain-25", "gain", "gain-75", "gain-finetuned"]
    assert compared[5:9] == ["gain-25@3", "gain@3", "gain-75@3", "gain-finetuned@3"]


def test_several_cohorts_keep_their_names(real: Path, synthetic: Path) -> None:
    found = arms(real, synthetic, synthetic, arms=("both",), shares=(0.5,))
    assert [(s.name, s.label, s.comparison) for s in found.values()][1:] == [
        (f"real+stylegan-2-{i}", f"both.stylegan-2-{i}", f"gain.stylegan-2-{i}") for i in (1, 2)
    ]  # both is the share 0.5, made once


def test_no_held_out_subject_is_ever_learned_and_few_are_few(real: Path, synthetic: Path) -> None:
    cohort = Cohort.open(real)
    train = set(cohort.subjects("train"))
    for name, arm in arms(real, synthetic, **EVERYTHING).items():
        few = next((n for n in (3, 8) if f"@{n}" in name), len(train))
        expected = 0 if name == "stylegan-2" else few
        assert learned(arm) <= train and len(learned(arm)) == expected, name
        assert arm.subjects == expected + len(learned(arm, "synthetic"))
        drawn = [part for part in parts(arm.cases) if part.cohort.kind == "real"]
        assert all((cohort.column("split")[part.rows] == "train").all() for part in drawn)
        assert sum(len(part) for part in drawn) == 3 * expected  # all the cases of each subject


def test_draws_are_nested_and_follow_the_seed(real: Path, synthetic: Path) -> None:
    cohort = Cohort.open(real)
    draws = [set(drawn_subjects(cohort, n, 0)) for n in range(1, 15)]
    assert all(a < b for a, b in zip(draws, draws[1:], strict=False))
    assert drawn_subjects(cohort, 5, 0) == drawn_subjects(cohort, 5, 0) != drawn_subjects(cohort, 5, 1)
    found = arms(real, synthetic, **EVERYTHING)
    for three, eight in (("real@3", "real@8"), ("stylegan-2 then real@3", "stylegan-2 then real@8")):
        assert learned(found[three]) == set(drawn_subjects(cohort, 3, 0)) < learned(found[eight])
    with pytest.raises(UnderstudyError, match="real_subjects = 15 draws .* there are 15: ask for fewer"):
        arms(real, synthetic, real_subjects=(15,))


def test_shares_are_what_batches_hold(real: Path, synthetic: Path) -> None:
    found = arms(real, synthetic, **EVERYTHING)
    for name, share in (("75%real+25%stylegan-2", 0.25), ("real@3+stylegan-2", 0.5), ("25%real@8+75%stylegan-2", 0.75)):
        cases = found[name].cases
        assert isinstance(cases, Mixed) and cases.share == share
        kinds = [part.cohort.kind for part in parts(cases)]
        assert kinds == ["real", "synthetic"]
    last = found["stylegan-2 then real@3"].cases
    assert isinstance(last, FineTuned) and [p.cohort.kind for p in parts(last)] == ["synthetic", "real"]


def test_notes_say_what_a_generator_knew(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    cohort = Cohort.open(real)
    for name, subjects in (("all", cohort.subjects("train")), ("same", drawn_subjects(cohort, 3, 0))):
        seen = [{"cohort": "x", "splits": ["train"], "subjects": subjects}]
        toy(tmp_path / name, "synthetic", 6, 1, trained_on=seen, generator=name)
    toy(tmp_path / "unknown", "synthetic", 6, 1, generator="unknown")
    seen = [{"cohort": "y", "splits": ["train"], "subjects": [cohort.subjects("train")[0], "one", "two"]}]
    toy(tmp_path / "more", "synthetic", 6, 1, trained_on=seen, generator="more")
    paths = [tmp_path / name for name in ("all", "same", "unknown", "more")]
    found = arms(real, *paths, arms=("both", "finetuned"), real_subjects=(3,))
    few = "3 of 15 real training subjects (20 %), one draw of them"
    assert found["real@3"].note == few and found["real"].note == found["real+all"].note == ""
    knew = "the generator of the synthetic cases saw 12 real training subjects beside these: no claim about"
    assert few in found["real@3+all"].note and knew in found["real@3+all"].note
    assert knew in found["all then real@3"].note
    assert found["real@3+same"].note == few
    assert "a leak cannot be ruled out" in found["real@3+unknown"].note
    assert found["real+more"].note == "made from 2 subjects beside those of the real cohort"
    assert "the last 30 % of the updates on real cases" in found["all then real"].note


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shares": (0,)}, "above 0 and below 1.*0 is real, 1 is synthetic"),
        ({"shares": (1.0,)}, "above 0 and below 1"),
        ({"shares": (0.125,)}, "whole percents"),
        ({"shares": (float("nan"),)}, "whole percents"),
        ({"shares": (0.5, 0.5)}, "may stand once"),
        ({"real_subjects": (0,)}, "from 1 up"),
        ({"real_subjects": (5, 5)}, "may stand once"),
        ({"arms": ()}, "nothing to compare"),
        ({"arms": ("other",)}, "arms"),
        ({"finetune_share": 1}, "finetune_share"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        UtilityConfig(**settings)
    assert UtilityConfig(arms=(), shares=(0.29,)).shares == (0.29,)


def test_a_fifth_of_the_synthetic_subjects_is_held_out_to_choose_weights(
    real: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    made = toy(tmp_path / "made", "synthetic", 30, 1, generator="g")
    cohort = Cohort.open(made)
    learned_rows, held = held_out(cohort, cohort.rows(), 0)
    assert sorted([*learned_rows, *held]) == cohort.rows().tolist()
    subjects = cohort.column("subject_id")
    assert not set(subjects[held]) & set(subjects[learned_rows]) and len(set(subjects[held])) == 6
    again, other = held_out(cohort, cohort.rows(), 0)[1], held_out(cohort, cohort.rows(), 1)[1]
    assert held.tolist() == again.tolist() != other.tolist()
    for select in ("synthetic", "real", "last"):
        arm = arms(real, made, select=select)["g"]
        assert arm.choices[0] == select and set(arm.choices) == {"synthetic", "real", "last"}
        assert set(arm.judges) == {"synthetic", "real"} and learned(arm, "synthetic") == set(subjects[learned_rows])
    assert arms(real, made)["real"].choices == ("real",)
    with pytest.raises(UnderstudyError, match="has one: sample more cases"):
        held_out(cohort, cohort.rows()[subjects[cohort.rows()] == subjects[0]], 0)


def test_beside_a_screened_cohort_stand_as_many_cases_at_random(
    real: Path, toy: Callable[..., Path], tmp_path: Path
) -> None:
    full = toy(tmp_path / "full", "synthetic", 30, 1, generator="full")
    made = Provenance("screen", {"generator": "screened"}, 0, {"cohort": Cohort.open(full).id})
    screened = toy(tmp_path / "screened", "synthetic", 20, 1, provenance=made)
    found = arms(real, full, screened)
    beside = found["random of full"]
    assert beside.note.endswith("as many cases as screened has, drawn at random") and beside.against == "real"
    assert abs(len(beside.cases) - len(found["screened"].cases)) <= 3  # subjects are held out whole
    assert learned(beside, "synthetic") < set(Cohort.open(full).subjects())


def test_what_a_cohort_was_asked_for_and_made_of() -> None:
    """Draws of one generator differ in runs and seeds; other inputs and other settings are another generator."""

    def asked(seed: int = 0, settings: str = "s", **inputs: str) -> dict[str, str]:
        config = {"trained_as": [settings], "training_seed": [seed], "labels": {"seed": seed, "minimum": 1}}
        made = {"command": "sample", "config": config, "inputs": {"cohort": "c", "labels.run": f"m{seed}", **inputs}}
        cohort: Any = type("Six", (SimpleNamespace,), {"__len__": lambda _: 6})
        return _request(cohort(provenance=made, kind="synthetic"))

    first, second = asked(0, run="a"), asked(1, run="b")
    assert first["request"] == second["request"] and (first["run"], first["training_seed"]) == ("a", "[0]")
    others = [asked(1, "t", run="b"), asked(1, run="b", start="p"), asked(1, run="b", **{"labels.cohort": "d"})]
    assert all(other["request"] != first["request"] for other in others) and asked() == {}
