"""The plan: copies are refused more often the more there are, few subjects are told, the same seed says the same."""

import pytest

from understudy.core.errors import UsageError
from understudy.release.plan import ALL, SHARES, PlannedCohorts, plan, told, verdict
from understudy.release.policy import read_policy

POLICY = read_policy().policy


def test_more_copies_are_refused_more_often_and_a_perfect_generator_passes() -> None:
    planned = {one.limit: one for one in plan(POLICY, PlannedCohorts(60, 140, 300, 2), 0, 6)}
    assert set(planned) == {limit.name for limit in POLICY.limits} | {ALL}
    swap = planned["swap test"].holds
    assert swap[0.0] > 0.5 > swap[0.2] and list(swap) == list(SHARES)
    assert planned["subjects behind the threshold"].holds[0.0] == 1
    assert planned[ALL].holds[0.2] == 0
    for name in ("label maps", "label maps, attack found"):
        assert planned[name].holds[0.0] > 0.8 > planned[name].holds[0.2]


def test_without_label_maps_the_other_limits_hold_as_often() -> None:
    planned = [
        {one.limit: one for one in plan(POLICY, PlannedCohorts(60, 140, 100, 1, label_maps=maps), 0, 3)}
        for maps in (True, False)
    ]
    for name, one in planned[1].items():
        if name.startswith("label maps"):
            assert not one.holds
        elif name not in (
            ALL,
            "further attacks, residual risk",
            "further attacks, AUC",
        ):  # these hold the attack on maps
            assert one == planned[0][name]


def test_too_few_subjects_are_named() -> None:
    planned = plan(POLICY, PlannedCohorts(30, 10, 100, 1), 0, 3)
    assert planned == plan(POLICY, PlannedCohorts(30, 10, 100, 1), 0, 3)
    assert next(one for one in planned if one.limit == "subjects behind the threshold").holds[0.0] == 0
    said = verdict(planned)
    assert "passes in 0% of studies only" in said and "subjects that the generator learned from" in said
    assert told(planned)[-1] == (ALL, "0%", "100%", "100%", "100%")


def test_wrong_numbers_are_refused() -> None:
    for wrong in ((4, 50), (50, 4), (50, 50, 0), (50, 50, 10, 0)):
        with pytest.raises(UsageError, match="a plan needs 5 subjects"):
            PlannedCohorts(*wrong)
    with pytest.raises(UsageError, match="recall is a share"):
        PlannedCohorts(50, 50, 10, 1, 1.0)
