"""Singling out: does a released case point to exactly one person of a group?

The score of a real case is the highest, over released cases, of log(distance from the released case to the nearest
other person of the group / distance to this case): above 0 where this case is the nearest, 0.7 where all others are
twice as far. Members and non-members are in groups of the same size, apart from each other.
**Source**: the question is that of Giomi, Boenisch, Wehmeyer, Tasnadi, "A Unified Framework for Quantifying Privacy
Risk in Synthetic Data" (Anonymeter, PoPETs 2023, arXiv 2211.10459), section on singling out, after the Article 29
Working Party (WP216).
**Differs**: there the attacker makes predicates out of columns and counts those that hold for exactly one record; here
a predicate is a ball round a released image, and the score says how much room it leaves.
**Checked** in tests/evaluation/privacy/attacks/test_singling_out.py (by hand).
"""

import numpy as np

from understudy.core.seed import rng
from understudy.evaluation.privacy.attacks.setup import Attack, AttackScores, AttackSetup, log_distance, parts

GROUP = 50  # people at most


def singling_out(setup: AttackSetup) -> list[AttackScores]:
    """Score each case by how far it stands alone beside its best released case."""
    scores = np.full(len(setup.rows), -np.inf)
    sides = [np.unique(setup.subjects[side]) for side in (setup.is_member, ~setup.is_member)]
    size = min(GROUP, *map(len, sides))
    for name, names in zip(("members", "non-members"), sides, strict=True):
        order = names[rng(setup.seed, "attack", "crowds", name).permutation(len(names))]
        for start in range(0, len(order), size):
            group = np.roll(order, -start)[:size]  # the last group is filled up with people of the first
            rows = np.flatnonzero(np.isin(setup.subjects, group))
            new = np.isin(setup.subjects[rows], order[start : start + size])
            scores[rows[new]] = alone(setup, rows)[new]
    return [AttackScores(scores)]


def alone(setup: AttackSetup, rows: np.ndarray) -> np.ndarray:
    """Return the scores (n,) of the cases of one group; ``rows`` count within the setup."""
    order = np.argsort(setup.subjects[rows], kind="stable")
    _, starts, person = np.unique(setup.subjects[rows][order], return_index=True, return_inverse=True)
    best = np.full(len(rows), -np.inf)
    group = setup.pixels(rows[order]).block(0, len(rows))
    for start, stop in parts(setup.released, setup.memory_mib):
        r = setup.released.block(start, stop) @ group.T
        near = np.maximum.reduceat(r, starts, axis=1)  # (released, people)
        first = near.argmax(1)
        highest = near[np.arange(len(near)), first]
        near[np.arange(len(near)), first] = -1
        second = near.max(1)
        other = np.where(first[:, None] == person, second[:, None], highest[:, None])
        best = np.maximum(best, (log_distance(other) - log_distance(r)).max(0))
    scores = np.empty(len(rows))
    scores[order] = best
    return scores


ATTACK = Attack(
    singling_out,
    "Does a released case point to exactly this patient out of a group?",
    "the released cases, and images of a group of people in which the patient is",
    "highest",
)
