"""All attacks on one synthetic cohort: results with intervals, a table in plain words, and INTERNAL rows by subject.

**Checked** in tests/evaluation/privacy/attacks/test_report.py (a memoriser, independent cases; withheld and skipped
attacks).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.disclosure import internal
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.core.statistics import Interval
from understudy.evaluation.folder import three, write_rows, write_table
from understudy.evaluation.paired import holm
from understudy.evaluation.privacy.attacks import ALWAYS, ATTACKS, ON_WEIGHTS
from understudy.evaluation.privacy.attacks.risk import MIN_FOR_TPR, RATE, AttackPerformance, area, measure
from understudy.evaluation.privacy.attacks.setup import (
    Attack,
    AttackScores,
    AttackSetup,
    SubjectScores,
    join_by_subject,
    withheld,
)

TABLE = (
    *("cohort", "attack", "question", "attacker_holds", "outcome", "auc", "auc_low", "auc_high"),
    *("risk", "risk_low", "risk_high", "advantage", "advantage_low", "advantage_high", "tpr", "tpr_low", "tpr_high"),
    *("success_members", "success_non_members", "control_auc", "control_auc_low", "control_auc_high"),
    *("n_members", "n_non_members", "note"),
)
ROWS = ("synthetic_cohort", "attack", "subject", "member", "score", "success")
FAMILIES = (ALWAYS, ON_WEIGHTS, tuple(name for name in ATTACKS if name not in (*ALWAYS, *ON_WEIGHTS)))
NOT_COVERED = (
    "not covered: attackers with other knowledge, shadow generators trained for the attack, copies that are mirrored, "
    "shifted or warped (see copies), and patients unlike the control group"
)


CONTROL = (
    "AUC of the same attack on real cases of the other splits as the released ones, which cannot know the members: "
    "what is off 0.5 is how unequally members and non-members were dealt, and other cohorts share it"
)


@dataclass(frozen=True)
class AttackResult:
    """The result of one attack, or of one part of it."""

    name: str  # of the attack, with the part: ``attribute.pneumonia``
    attack: Attack
    why: str = ""  # why nothing was measured
    performance: AttackPerformance | None = None
    members: SubjectScores | None = None
    non_members: SubjectScores | None = None
    success: SubjectScores | None = None  # of all subjects, where the attack has a success of its own
    control: Interval | None = None  # its AUC had the bystanders' cases been released


def attack_all(setup: AttackSetup, names: Sequence[str], draws: int) -> list[AttackResult]:
    """Run attacks of the menu, one after the other, with ``draws`` resamples of subjects for each interval."""
    found = []
    for name in names:
        attack = ATTACKS[name]
        why = _few(setup.subjects, setup.is_member)
        if not why and (lacks := attack.lacks(setup)):
            why = f"not measured: {lacks}"
        if why:
            found.append(AttackResult(name, attack, why))
        else:
            found += [_result_of(name, attack, scored, setup, draws) for scored in attack.run(setup)]
    return found


def _few(subjects: np.ndarray, is_member: np.ndarray) -> str:
    """Say that no or too few subjects stand behind a number, or ""."""
    if is_member.all():
        return "not measured: the real cohort has no subjects in the splits of non-members to compare with"
    return withheld(subjects, is_member)


def _result_of(name: str, attack: Attack, scored: AttackScores, setup: AttackSetup, draws: int) -> AttackResult:
    name = f"{name}.{scored.part}" if scored.part else name
    counted = ~np.isnan(scored.scores)
    if why := _few(setup.subjects[counted], setup.is_member[counted]):
        return AttackResult(name, attack, why)
    joined = join_by_subject(scored.scores, setup.subjects, attack.aggregate)
    member = np.isin(joined.subjects, np.unique(setup.subjects[setup.is_member]))
    sides = (member, ~member)
    ours, theirs = (SubjectScores(joined.subjects[side], joined.scores[side], joined.note) for side in sides)
    won = None if scored.success is None else join_by_subject(scored.success, setup.subjects, "mean")
    rates = (won.scores[member], won.scores[~member]) if won else None
    seed = derive(setup.seed, "attack", name)
    performance, control = measure(ours.scores, theirs.scores, seed, draws, rates), None
    if scored.control is not None:
        dealt = join_by_subject(scored.control, setup.subjects, attack.aggregate).scores
        control = area(dealt[member], dealt[~member], seed, draws)
    return AttackResult(name, attack, "", performance, ours, theirs, won, control)


def attack_results(prefix: str, attacked: Sequence[AttackResult], seed: int) -> list[Result]:
    """Return the public results: AUC, residual risk, p by Holm; advantage and TPR at 1 % FPR where they can be said.

    p is corrected within a family, so that asking for more attacks hides none: those that are always carried out, those
    on weights, and all others. The prefix is ``privacy.`` or ``privacy.NAME.``; the seed is that of the evaluation.
    """
    results = [result for one in attacked for result in _results(f"{prefix}attack.{one.name}", one, seed)]
    for family in FAMILIES:
        those = [one for one in attacked if one.name.partition(".")[0] in family]
        measured = [(one.name, one.performance) for one in those if one.performance]
        note = f"one-sided, that members score no higher; corrected for {len(measured)} attacks of its family (Holm)"
        for (name, v), p in zip(measured, holm([v.p for _, v in measured]), strict=True):
            n = v.members + v.non_members
            results.append(Result(f"{prefix}attack.{name}.p", p, None, None, "", "higher", n, seed, note))
    return results


def _results(name: str, one: AttackResult, seed: int) -> list[Result]:
    if one.performance is None or one.members is None:
        return [Result(f"{name}.auc", None, better="lower", seed=seed, note=one.why)]
    v, n = one.performance, one.performance.members + one.performance.non_members
    about = f"{v.members} members and {v.non_members} non-members; {one.members.note}"
    least = f"; TPR at 1 % FPR needs {MIN_FOR_TPR} non-members: the upper end of this interval is the bound"
    auc = f"0.5: guessing; {about}{'' if v.tpr else least}; {NOT_COVERED}"
    found: list[tuple[str, Interval | None, str]] = [("auc", v.auc, auc), ("risk", v.risk, _risk_note(one, v))]
    if v.advantage:
        found.append(("advantage", v.advantage, f"attack - control; {about}"))
    if one.control:
        found.append(("control", one.control, f"{CONTROL}; {about}"))
    if v.tpr:
        found.append(("tpr", v.tpr, f"members found at 1 % false accusations; {about}"))
    return [Result(f"{name}.{word}", *three(x), "", "lower", n, seed, note) for word, x, note in found]


def _risk_note(one: AttackResult, v: AttackPerformance) -> str:
    if v.risk is None:
        return "not measured: the attack succeeds on every non-member, so it tells nothing about members"
    what = "own success" if one.success is not None else f"a score that {100 * RATE:.0f} % of non-members exceed"
    return (
        f"(attack - control) / (1 - control), success: {what}; {100 * v.attack:.0f} % of {v.members} members, "
        f"{100 * v.control:.0f} % of {v.non_members} non-members"
    )


def write_attacks(folder: Path, cohorts: Iterable[tuple[str, str]], attacked: Iterable[Sequence[AttackResult]]) -> None:
    """Write tables/privacy_attacks.csv and internal/attacks.csv of some synthetic cohorts, (name or "", id) each."""
    table, rows = [], []
    for (name, identity), one in zip(cohorts, attacked, strict=True):
        table += attack_table(name or "synthetic", one)
        rows += subject_rows(identity, one)
    write_table(folder, "privacy_attacks", TABLE, table)
    write_rows(internal(folder) / "attacks.csv", ROWS, rows)


def attack_table(cohort: str, attacked: Sequence[AttackResult]) -> list[list[Any]]:
    """Return rows of tables/privacy_attacks.csv, one an attack, columns as in ``TABLE``."""
    return [_row(cohort, one) for one in attacked]


def _row(cohort: str, one: AttackResult) -> list[Any]:
    told = [cohort, one.name.replace("_", " ").replace(".", ": "), one.attack.question, one.attack.holds]
    if one.performance is None:
        return [*told, one.why, *[None] * (len(TABLE) - len(told) - 2), ""]
    v = one.performance
    numbers = [number for found in (v.auc, v.risk, v.advantage, v.tpr) for number in three(found)]
    note = one.members.note if one.members else ""
    return [*told, outcome(v), *numbers, v.attack, v.control, *three(one.control), v.members, v.non_members, note]


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
