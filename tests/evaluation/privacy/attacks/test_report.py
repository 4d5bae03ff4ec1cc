"""All attacks on one cohort: a memoriser is found, independent cases are not; results, table and rows."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.attacks.report import (
    ROWS,
    TABLE,
    AttackResult,
    attack_all,
    attack_results,
    attack_table,
    outcome,
    subject_rows,
)
from understudy.evaluation.privacy.attacks.risk import measure
from understudy.evaluation.privacy.attacks.setup import AttackSetup, ScoreQuery, SubjectScores

MakeScene = Callable[..., AttackSetup]
RELEASED_ONLY = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out", "link_contrasts", "link_slices")


def by_name(found: list[AttackResult]) -> dict[str, AttackResult]:
    return {one.name: one for one in found}


@pytest.mark.parametrize("name", RELEASED_ONLY)
def test_a_memoriser_is_found(setup: MakeScene, name: str) -> None:
    (found,) = attack_all(setup(released="copies"), [name], 100)
    assert found.performance is not None
    assert found.performance.auc.value > (0.9 if name == "nearest_features" else 0.99)
    assert found.performance.auc.low > 0.5
    assert found.performance.risk is not None
    assert found.performance.risk.low > 0


def test_independent_cases_give_chance_within_the_interval(setup: MakeScene) -> None:
    inside, values = np.zeros(len(RELEASED_ONLY)), []
    for seed in range(20):
        found = attack_all(setup(members=14, others=12, cases=2, seed=seed), RELEASED_ONLY, 100)
        decision = [one.performance for one in found if one.performance]
        inside += [v.auc.low <= 0.5 <= v.auc.high for v in decision]
        values.append([v.auc.value for v in decision])
    assert (inside >= 17).all(), dict(zip(RELEASED_ONLY, inside, strict=True))  # 17 of 20: 99.7 % where 95 % cover
    sd = np.std(values, 0) / np.sqrt(20)
    assert (np.abs(np.mean(values, 0) - 0.5) < 3.5 * sd).all(), np.mean(values, 0)


def test_unequal_numbers_of_slices_do_not_point_to_members(setup: MakeScene) -> None:
    made = setup(members=30, others=30, cases=6)
    first = np.r_[[True], made.subjects[1:] != made.subjects[:-1]]
    few = AttackSetup(made.real, made.synthetic, made.members, made.non_members[first[~made.is_member]], 0)
    (found,) = attack_all(few, ["nearest_pixels"], 100)
    assert found.performance is not None
    assert found.performance.auc.low <= 0.5 <= found.performance.auc.high
    plain = [
        max(few_scores) for few_scores in np.split(ATTACKS["nearest_pixels"].run(made)[0].scores, 60)[:30]
    ]  # the highest of six beside the one of each non-member
    assert found.non_members is not None
    assert (np.array(plain)[:, None] > found.non_members.scores).mean() > 0.6


def test_score_query_of_a_generator_that_overfits(setup: MakeScene) -> None:
    loss = {
        "denoising_loss": ScoreQuery("run 1", lambda cohort, rows: 1.0 * (cohort.column("split")[rows] == "control"))
    }
    found = by_name(attack_all(setup(score_queries=loss), ["denoising_loss", "discriminator"], 100))
    performance = found["denoising_loss"].performance
    assert performance is not None
    assert performance.auc.value == 1
    assert "needs the generator" in found["discriminator"].why


def test_few_subjects_are_withheld(setup: MakeScene) -> None:
    found = attack_all(setup(members=6, others=4), list(ATTACKS), 100)
    assert all(one.performance is None and one.why.startswith("withheld: 6 members and 4") for one in found)
    none = setup(seed=1)
    none.non_members = none.non_members[:0]
    assert "no subjects in the splits" in attack_all(none, ["nearest_pixels"], 100)[0].why


def test_same_seed_same_verdicts(setup: MakeScene) -> None:
    made = setup()
    again = AttackSetup(made.real, made.synthetic, made.members, made.non_members, 0, memory_mib=1)
    one, other = (attack_all(s, RELEASED_ONLY, 50) for s in (made, again))
    assert [a.performance for a in one] == [a.performance for a in other]


def attacked(gain: float, non_members: int = 20) -> AttackResult:
    draw = np.random.default_rng(0)
    sides = [
        SubjectScores(np.array([f"{kind}{i}" for i in range(n)]), draw.normal(mean, 1, n), "the mean of cases")
        for kind, n, mean in (("m", 40, gain), ("n", non_members, 0))
    ]
    performance = measure(sides[0].scores, sides[1].scores, 0, 100)
    return AttackResult("singling_out", ATTACKS["singling_out"], "", performance, *sides)


def test_results_tell_auc_risk_and_the_bound() -> None:
    results = {r.name: r for r in attack_results("privacy.x.", [attacked(1)], 3)}
    assert list(results) == [f"privacy.x.attack.singling_out.{word}" for word in ("auc", "risk", "p")]
    auc, risk, p = results.values()
    assert p.value is not None and p.value < 0.05 and "corrected for 1 attacks of its family (Holm)" in p.note
    assert (auc.n, auc.seed, auc.better) == (60, 3, "lower")
    assert "40 members and 20 non-members" in auc.note
    assert "the upper end of this interval is the bound" in auc.note
    assert "not covered" in auc.note
    assert "a score that 10 % of non-members exceed" in risk.note
    many = {r.name: r for r in attack_results("privacy.", [attacked(1, 100)], 3)}
    assert many["privacy.attack.singling_out.tpr"].high is not None
    assert "the bound" not in many["privacy.attack.singling_out.auc"].note


def test_more_attacks_do_not_hide_one() -> None:
    one, more = attacked(0.5), attacked(0)
    named = [replace(more, name=name) for name in ("link_slices", *(f"attribute.class{i}" for i in range(14)))]
    alone, among = ({r.name: r for r in attack_results("", part, 0)} for part in ([one], [one, *named]))
    assert alone["attack.singling_out.p"] == among["attack.singling_out.p"]
    assert "corrected for 15 attacks of its family" in among["attack.link_slices.p"].note
    weights = {r.name: r for r in attack_results("", [replace(one, name="denoising_loss"), *named], 0)}
    assert weights["attack.denoising_loss.p"].value == alone["attack.singling_out.p"].value


def test_what_was_not_measured_says_why() -> None:
    one = AttackResult("attribute", ATTACKS["attribute"], "not measured: no class column")
    (result,) = attack_results("privacy.", [one], 0)
    assert (result.value, result.note) == (None, "not measured: no class column")
    (row,) = attack_table("synthetic", [one])
    told = dict(zip(TABLE, row, strict=True))
    assert (told["outcome"], told["auc"]) == ("not measured: no class column", None)
    assert subject_rows("c", [one]) == []


def test_outcome_never_says_safe() -> None:
    found, chance = attacked(2).performance, attacked(0).performance
    assert found is not None
    assert chance is not None
    assert outcome(found).startswith(
        f"Found: members are told from non-members better than by guessing (AUC at least {found.auc.low:.2f}"
    )
    assert f"AUC of up to {chance.auc.high:.2f} would not have been noticed" in outcome(chance)
    certain = replace(chance, risk=attacked(4).performance.risk)  # type: ignore[union-attr]
    assert "risk at least" in outcome(certain)


def test_table_and_internal_rows() -> None:
    one = attacked(1)
    (row,) = attack_table("synthetic", [one])
    told = dict(zip(TABLE, row, strict=True))
    assert told["attack"] == "singling out"
    assert told["question"].endswith("?")
    assert told["n_non_members"] == 20
    assert "m3" not in str(row)
    rows = [dict(zip(ROWS, row, strict=True)) for row in subject_rows("c", [one])]
    assert [r["member"] for r in rows] == [1] * 40 + [0] * 20
    assert rows[3]["subject"] == "m3"
    assert one.members is not None
    assert rows[3]["score"] == one.members.scores[3]


def test_control_tells_an_unequal_deal_from_what_a_cohort_knows(setup: MakeScene) -> None:
    made = setup(members=24, others=28, released="copies")
    some = AttackSetup(made.real, made.synthetic, made.members, made.non_members[: 16 * 3], 0)
    (found,) = attack_all(some, ["density_ratio"], 100)
    assert found.performance and found.control
    assert found.performance.auc.value > 0.99 and found.control.low < 0.5 < found.control.high
    results = {result.name: result for result in attack_results("privacy.", [found], 0)}
    control = results["privacy.attack.density_ratio.control"]
    assert control.value == found.control.value and "cannot know the members" in control.note
    told = dict(zip(TABLE, attack_table("synthetic", [found])[0], strict=True))
    assert told["control_auc"] == found.control.value
    (alone,) = attack_all(made, ["density_ratio"], 100)
    assert alone.control is None and "privacy.attack.density_ratio.control" not in {
        result.name for result in attack_results("privacy.", [alone], 0)
    }
