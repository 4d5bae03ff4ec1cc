"""What people read of attacks: results, the table in words, rows that stay inside."""

from dataclasses import replace

import numpy as np

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.attacks.report import (
    ROWS,
    TABLE,
    AttackResult,
    attack_results,
    attack_table,
    outcome,
    subject_rows,
)
from understudy.evaluation.privacy.attacks.risk import measure
from understudy.evaluation.privacy.attacks.setup import SubjectScores


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
    assert list(results) == ["privacy.x.attack.singling_out.auc", "privacy.x.attack.singling_out.risk"]
    auc, risk = results.values()
    assert (auc.n, auc.seed, auc.better) == (60, 3, "lower")
    assert "40 members and 20 non-members" in auc.note
    assert "the upper end of this interval is the bound" in auc.note
    assert "not covered" in auc.note
    assert "a score that 10 % of non-members exceed" in risk.note
    many = {r.name: r for r in attack_results("privacy.", [attacked(1, 100)], 3)}
    assert many["privacy.attack.singling_out.tpr"].high is not None
    assert "the bound" not in many["privacy.attack.singling_out.auc"].note


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
