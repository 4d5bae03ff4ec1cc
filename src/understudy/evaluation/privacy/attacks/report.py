"""All attacks on one synthetic cohort: results with intervals, a table in plain words, and INTERNAL rows by subject.

**Checked** in tests/evaluation/privacy/attacks/test_report.py (a memoriser, independent cases; withheld and skipped
attacks).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.core.statistics import Interval
from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.attacks.risk import MIN_FOR_TPR, RATE, AttackPerformance, measure
from understudy.evaluation.privacy.attacks.setup import (
    Attack,
    AttackScores,
    AttackSetup,
    SubjectScores,
    join_by_subject,
)


@dataclass(frozen=True)
class AttackResult:
    """The result of one attack, or of one part of it.

    Attributes:
        name: of the attack, with the part: ``attribute.pneumonia``.
        attack: its entry in the menu.
        why: why nothing was measured, or "".
        performance: how well it does.
        members: scores of member subjects.
        non_members: scores of non-member subjects.
        success: scores of success of all subjects, where the attack has a success of its own.
    """

    name: str
    attack: Attack
    why: str = ""
    performance: AttackPerformance | None = None
    members: SubjectScores | None = None
    non_members: SubjectScores | None = None
    success: SubjectScores | None = None


def attack_all(setup: AttackSetup, names: Sequence[str], draws: int) -> list[AttackResult]:
    """Run attacks, one after the other.

    Args:
        setup: the cohorts, and who is a member.
        names: of the menu.
        draws: resamples of subjects for each interval.
    """
    found = []
    for name in names:
        attack = ATTACKS[name]
        why = _few(setup.subjects, setup.is_member) or attack.lacks(setup)
        if why:
            found.append(AttackResult(name, attack, why if why.startswith("withheld") else f"not measured: {why}"))
        else:
            found += [_result_of(name, attack, scored, setup, draws) for scored in attack.run(setup)]
    return found


def _few(subjects: np.ndarray, is_member: np.ndarray) -> str:
    """Say that too few subjects stand behind a number, or ""."""
    members, others = (len(np.unique(subjects[side])) for side in (is_member, ~is_member))
    if not others:
        return "the real cohort has no subjects in the splits of non-members to compare with"
    if min(members, others) >= MIN_SUBJECTS:
        return ""
    return (
        f"withheld: {members} members and {others} non-members stand behind it, and a public number needs "
        f"{MIN_SUBJECTS} of each"
    )


def _result_of(name: str, attack: Attack, scored: AttackScores, setup: AttackSetup, draws: int) -> AttackResult:
    name = f"{name}.{scored.part}" if scored.part else name
    counted = ~np.isnan(scored.scores)
    if why := _few(setup.subjects[counted], setup.is_member[counted]):
        return AttackResult(name, attack, why if why.startswith("withheld") else f"not measured: {why}")
    joined = join_by_subject(scored.scores, setup.subjects, attack.aggregate)
    member = np.isin(joined.subjects, np.unique(setup.subjects[setup.is_member]))
    ours, theirs = (
        SubjectScores(joined.subjects[side], joined.scores[side], joined.note) for side in (member, ~member)
    )
    won = None if scored.success is None else join_by_subject(scored.success, setup.subjects, "mean")
    rates = (won.scores[member], won.scores[~member]) if won else None
    seed = derive(setup.seed, "attack", name)
    return AttackResult(name, attack, "", measure(ours.scores, theirs.scores, seed, draws, rates), ours, theirs, won)


TABLE = (
    *("cohort", "attack", "question", "attacker_holds", "outcome", "auc", "auc_low", "auc_high"),
    *("risk", "risk_low", "risk_high", "tpr", "tpr_low", "tpr_high"),
    *("success_members", "success_non_members", "n_members", "n_non_members", "note"),
)
ROWS = ("synthetic_cohort", "attack", "subject", "member", "score", "success")
NOT_COVERED = (
    "not covered: attackers with other knowledge, shadow generators trained for the attack, copies that are mirrored, "
    "shifted or warped (see copies), label maps, and patients unlike the control group"
)


def attack_results(prefix: str, attacked: Sequence[AttackResult], seed: int) -> list[Result]:
    """Return the public results: AUC, residual risk, and TPR at 1 % FPR where it can be said.

    Args:
        prefix: ``privacy.`` or ``privacy.NAME.``.
        attacked: the result of each attack.
        seed: of the evaluation.
    """
    return [result for one in attacked for result in _results(f"{prefix}attack.{one.name}", one, seed)]


def _results(name: str, one: AttackResult, seed: int) -> list[Result]:
    if one.performance is None or one.members is None:
        return [Result(f"{name}.auc", None, better="lower", seed=seed, note=one.why)]
    v, n = one.performance, one.performance.members + one.performance.non_members
    about = f"{v.members} members and {v.non_members} non-members; {one.members.note}"
    bound = (
        ""
        if v.tpr
        else f"; TPR at 1 % FPR needs {MIN_FOR_TPR} non-members: the upper end of this interval is the bound"
    )
    results = [
        _result(f"{name}.auc", v.auc, n, seed, f"0.5: guessing; {about}{bound}; {NOT_COVERED}"),
        _result(f"{name}.risk", v.risk, n, seed, _risk_note(one, v)),
    ]
    if v.tpr:
        results.append(_result(f"{name}.tpr", v.tpr, n, seed, f"members found at 1 % false accusations; {about}"))
    return results


def _result(name: str, found: Interval | None, n: int, seed: int, note: str) -> Result:
    if found is None:
        return Result(name, None, better="lower", n=n, seed=seed, note=note)
    return Result(name, found.value, found.low, found.high, "", "lower", n, seed, note)


def _risk_note(one: AttackResult, v: AttackPerformance) -> str:
    if v.risk is None:
        return "not measured: the attack succeeds on every non-member, so it tells nothing about members"
    what = "own success" if one.success is not None else f"a score that {100 * RATE:.0f} % of non-members exceed"
    return (
        f"(attack - control) / (1 - control), success: {what}; {100 * v.attack:.0f} % of {v.members} members, "
        f"{100 * v.control:.0f} % of {v.non_members} non-members"
    )


def attack_table(cohort: str, attacked: Sequence[AttackResult]) -> list[list[Any]]:
    """Return rows of tables/privacy_attacks.csv, one an attack, columns as in ``TABLE``."""
    return [_row(cohort, one) for one in attacked]


def _row(cohort: str, one: AttackResult) -> list[Any]:
    told = [cohort, one.name.replace("_", " ").replace(".", ": "), one.attack.question, one.attack.holds]
    if one.performance is None:
        return [*told, one.why, *[None] * (len(TABLE) - len(told) - 2), ""]
    v = one.performance
    numbers = [number for found in (v.auc, v.risk, v.tpr) for number in _numbers(found)]
    note = one.members.note if one.members else ""
    return [*told, outcome(v), *numbers, v.attack, v.control, v.members, v.non_members, note]


def _numbers(found: Interval | None) -> list[float | None]:
    return [None, None, None] if found is None else [found.value, found.low, found.high]


def outcome(v: AttackPerformance) -> str:
    """Say in a sentence what an attack achieved."""
    if v.auc.low > 0.5:
        return f"Found: members are told from non-members better than by guessing (AUC at least {v.auc.low:.2f})."
    if v.risk is not None and v.risk.low > 0:
        return f"Found: it succeeds on members more than on non-members (risk at least {v.risk.low:.2f})."
    return f"Not found; with so many subjects an AUC of up to {v.auc.high:.2f} would not have been noticed."


def subject_rows(cohort: str, attacked: Sequence[AttackResult]) -> list[list[Any]]:
    """Return rows of internal/attacks.csv, one a subject and attack, columns as in ``ROWS``."""
    rows = []
    for one in attacked:
        won = {} if one.success is None else dict(zip(one.success.subjects, one.success.scores, strict=True))
        for member, side in ((1, one.members), (0, one.non_members)):
            if side is not None:
                pairs = zip(side.subjects, side.scores, strict=True)
                rows += [[cohort, one.name, name, member, float(s), won.get(name)] for name, s in pairs]
    return rows
