"""Cohorts that differ in seeds alone are draws of one generator, whose seed is in the interval."""

from dataclasses import replace
from typing import Any

import numpy as np

from understudy.evaluation.guard import LEAK
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.segmentation import MapOutcome, MapScores
from understudy.evaluation.utility.tested import all_tested


def outcome(overlap: int, repeats: int = 2) -> MapOutcome:
    """Six subjects; 10 voxels in either map, some in both: the same Dice of everybody."""
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (6, 1, 1))
    reading = MapScores.of(counts, np.ones((6, 1, 4)), np.zeros((6, 1), int))
    return MapOutcome({}, 1, "", [reading] * repeats)


def arm(name: str, run: str, request: str = "asked", kind: str = "synthetic", seed: str = "") -> Arm:
    real = kind == "real"
    told: Any = ("", "", "", [], 6, "") if real else (name, f".{name}", "g", [], 6, "", "real")
    return Arm(name, kind, *told, request="" if real else request, run=run, training_seed=seed or run)


def test_draws_of_one_generator_stand_together_and_their_seed_is_in_the_interval() -> None:
    arms = [arm("real", "", kind="real"), arm("g-1", "a"), arm("g-2", "b"), arm("h", "c", "something else")]
    outcomes = {a.name: {"real": outcome(n)} for a, n in zip(arms, (8, 4, 6, 6), strict=True)}
    *alone, both = all_tested(arms, outcomes)
    assert [one.arm.name for one in alone] == ["real", "g-1", "g-2", "h"]
    assert both.arm.name == "mean of g-1, g-2" and both.arm.label == "synthetic.mean-of-g-1-g-2"
    assert "2 trainings of one generator" in both.arm.note and both.outcome.networks == 4
    subjects = [f"s{i}" for i in range(6)]
    together, single = (one.pool(alone[0], None, 0, subjects, 0, 200).ratio("it", "real") for one in (both, alone[1]))
    assert together is not None and single is not None and together.low is not None and single.low is not None
    assert together.value == 0.625 and single.value == 0.5 and together.low < 0.5 < single.low + 1e-9
    assert any("generator seed" in word for word in single.missing) and not together.missing


def test_two_cohorts_of_one_training_are_no_two_draws() -> None:
    arms = [arm("real", "", kind="real"), arm("g-1", "a"), arm("g-2", "a")]
    assert len(all_tested(arms, {a.name: {"real": outcome(5)} for a in arms})) == 3


def test_notes_of_each_stay_beside_what_they_do_together() -> None:
    arms = [replace(arm(name, name), note=f"{LEAK}; {more}") for name, more in (("a", "as ever"), ("b", "more"))]
    both = all_tested(arms, {a.name: {"real": outcome(5)} for a in arms})[-1]
    assert both.arm.note.endswith(f"in the interval; {LEAK}; as ever; more")


def test_two_trainings_with_one_seed_are_no_two_draws() -> None:
    """They differ in settings, which their cohorts do not record; a third may be like either."""
    arms = [arm("real", "", kind="real"), *(arm(f"g-{run}", run, seed=seed) for run, seed in ("a0", "b0", "c1"))]
    assert len(all_tested(arms, {a.name: {"real": outcome(5)} for a in arms})) == 4


def test_a_choice_that_could_not_be_made_is_left_out() -> None:
    one = arm("g", "a")
    chosen = {"real": outcome(5), "synthetic": outcome(5, 0)}
    assert [tested.choice for tested in all_tested([one], {"g": chosen})] == ["real"]
