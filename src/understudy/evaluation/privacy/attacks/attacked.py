"""All attacks on one synthetic cohort: which were run, which were not and why, and what each came to, by subject.

**Checked** in tests/evaluation/privacy/attacks/test_attacked.py (planted memoriser, independent cases, withheld and
skipped attacks).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.seed import derive
from understudy.evaluation.folder import PUBLIC_MINIMUM
from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.attacks.scene import Attack, Attempt, Scene
from understudy.evaluation.privacy.attacks.subjects import Scored, by_subject
from understudy.evaluation.privacy.attacks.verdict import Verdict, judge


@dataclass(frozen=True)
class Attacked:
    """What one attack, or one part of it, came to.

    Attributes:
        name: of the attack, with the part: ``attribute.pneumonia``.
        attack: its entry in the menu.
        why: why there is no verdict, or "".
        verdict: how well it does.
        members: scores of member subjects.
        non_members: scores of non-member subjects.
        success: scores of success of all subjects, where the attack has a success of its own.
    """

    name: str
    attack: Attack
    why: str = ""
    verdict: Verdict | None = None
    members: Scored | None = None
    non_members: Scored | None = None
    success: Scored | None = None


def attack_all(scene: Scene, names: Sequence[str], draws: int) -> list[Attacked]:
    """Run attacks, one after the other.

    Args:
        scene: the cohorts, and who is a member.
        names: of the menu.
        draws: resamples of subjects for each interval.
    """
    found = []
    for name in names:
        attack = ATTACKS[name]
        why = _few(scene.subjects, scene.is_member) or attack.lacks(scene)
        if why:
            found.append(Attacked(name, attack, why if why.startswith("withheld") else f"not measured: {why}"))
        else:
            found += [_judged(name, attack, attempt, scene, draws) for attempt in attack.run(scene)]
    return found


def _few(subjects: np.ndarray, is_member: np.ndarray) -> str:
    """Say that too few subjects stand behind a number, or ""."""
    members, others = (len(np.unique(subjects[side])) for side in (is_member, ~is_member))
    if not others:
        return "the real cohort has no subjects in the splits of non-members to compare with"
    if min(members, others) >= PUBLIC_MINIMUM:
        return ""
    return (
        f"withheld: {members} members and {others} non-members stand behind it, and a public number needs "
        f"{PUBLIC_MINIMUM} of each"
    )


def _judged(name: str, attack: Attack, attempt: Attempt, scene: Scene, draws: int) -> Attacked:
    name = f"{name}.{attempt.part}" if attempt.part else name
    counted = ~np.isnan(attempt.scores)
    if why := _few(scene.subjects[counted], scene.is_member[counted]):
        return Attacked(name, attack, why if why.startswith("withheld") else f"not measured: {why}")
    joined = by_subject(attempt.scores, scene.subjects, attack.aggregate)
    member = np.isin(joined.subjects, np.unique(scene.subjects[scene.is_member]))
    ours, theirs = (Scored(joined.subjects[side], joined.scores[side], joined.note) for side in (member, ~member))
    won = None if attempt.success is None else by_subject(attempt.success, scene.subjects, "mean")
    rates = (won.scores[member], won.scores[~member]) if won else None
    seed = derive(scene.seed, "attack", name)
    return Attacked(name, attack, "", judge(ours.scores, theirs.scores, seed, draws, rates), ours, theirs, won)
