"""Does a released case point to exactly one person of a crowd?

In a crowd of people, some released case lies so near to one of them, and so far from everyone else, that it singles
this person out. The score of a real case is the highest, over released cases, of log(distance from the released case to
the nearest other person / distance to this case): above 0 where this case is the nearest, 0.7 where all others are
twice as far. Members and non-members stand in crowds of the same size, apart from each other.
**Source**: the question is that of Giomi, Boenisch, Wehmeyer, Tasnadi, "A Unified Framework for Quantifying Privacy
Risk in Synthetic Data" (Anonymeter, PoPETs 2023, arXiv 2211.10459), section on singling out, after the Article 29
Working Party (WP216).
**Differs**: there the attacker makes predicates out of columns and counts those that hold for exactly one record; here
a predicate is a ball round a released image, and the score says how much room it leaves.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py (by hand).
"""

import numpy as np

from understudy.core.seed import rng
from understudy.evaluation.privacy.attacks.setup import COLUMNS, Attack, Attempt, Scene, log_distance

CROWD = 50  # people at most


def singling_out(scene: Scene) -> list[Attempt]:
    """Score each case by how far it stands alone beside its best released case."""
    scores = np.full(len(scene.rows), -np.inf)
    sides = [np.unique(scene.subjects[side]) for side in (scene.is_member, ~scene.is_member)]
    size = min(CROWD, *map(len, sides))
    for name, names in zip(("members", "non-members"), sides, strict=True):
        order = names[rng(scene.seed, "attack", "crowds", name).permutation(len(names))]
        for start in range(0, len(order), size):
            crowd = np.roll(order, -start)[:size]  # the last crowd is filled up with people of the first
            rows = np.flatnonzero(np.isin(scene.subjects, crowd))
            new = np.isin(scene.subjects[rows], order[start : start + size])
            scores[rows[new]] = alone(scene, rows)[new]
    return [Attempt(scores)]


def alone(scene: Scene, rows: np.ndarray) -> np.ndarray:
    """Return the scores (n,) of the cases of one crowd; ``rows`` count within the scene."""
    order = np.argsort(scene.subjects[rows], kind="stable")
    _, starts, person = np.unique(scene.subjects[rows][order], return_index=True, return_inverse=True)
    best = np.full(len(rows), -np.inf)
    crowd = scene.pixels(rows[order]).block(0, len(rows))
    for start in range(0, len(scene.released), COLUMNS):
        r = scene.released.block(start, start + COLUMNS) @ crowd.T
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
    "Does a released case point to exactly this patient out of a crowd?",
    "the released cases, and images of a crowd of people in which the patient is",
    "highest",
)
