"""Linkability: do released cases tell that two contrasts, or two slices, belong to one patient?

``link_contrasts``: the attacker holds some channels of a patient's image from one place and the others from another,
and links them where the same released case is the nearest to both.
``link_slices``: the attacker holds another slice of a patient than the one that was learned, and looks for released
cases that resemble both: neighbouring slices of a member lead to the same released case. It has no success of its own;
a threshold decides (risk.py).
**Source**: Giomi, Boenisch, Wehmeyer, Tasnadi (Anonymeter, PoPETs 2023, arXiv 2211.10459), section on linkability: a
link is made where both records have the same nearest released record (there: one in common among k).
**Differs**: k = 1; beside that, a graded score: the highest, over released cases, of the lower of its two correlations.
**Checked** in tests/evaluation/privacy/attacks/test_linkability.py (by hand, block sizes).
"""

import numpy as np

from understudy.evaluation.nearest import Rows
from understudy.evaluation.privacy.attacks.setup import Attack, AttackScores, AttackSetup, parts
from understudy.evaluation.privacy.calibration import next_slices
from understudy.evaluation.privacy.pearson import ImageVectors

QUERIES = 512  # cases at once


def linked(
    one: Rows, other: Rows, released_one: Rows, released_other: Rows, memory_mib: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) scores and (n,) successes of linking record i of one side with record i of the other.

    Both sides hold n records of the same people, and show the same m released cases, each in its own way.
    """
    scores, success = np.full(len(one), -np.inf), np.zeros(len(one))
    for first in range(0, len(one), QUERIES):
        here = slice(first, min(first + QUERIES, len(one)))
        blocks = one.block(here.start, here.stop), other.block(here.start, here.stop)
        best, nearest = np.full((2, len(blocks[0])), -np.inf), np.full((2, len(blocks[0])), -1)
        for start, stop in parts(released_one, memory_mib):
            sides = zip(blocks, (released_one, released_other), strict=True)
            r = np.stack([block @ side.block(start, stop).T for block, side in sides])
            nearest = np.where(r.max(2) > best, start + r.argmax(2), nearest)
            best = np.maximum(best, r.max(2))
            scores[here] = np.maximum(scores[here], r.min(0).max(1))
        success[here] = nearest[0] == nearest[1]
    return scores, success


def contrasts(setup: AttackSetup) -> list[AttackScores]:
    """Link the first half of an image's channels with the others."""
    halves = np.array_split(np.arange(len(setup.real.encoding.channels)), 2)
    one, other = (ImageVectors(setup.real, setup.rows, half) for half in halves)
    released = [ImageVectors(setup.synthetic, setup.synthetic.rows(), half) for half in halves]
    scores, success = linked(one, other, released[0], released[1], setup.memory_mib)
    return [AttackScores(scores, success=success)]


def slices(setup: AttackSetup) -> list[AttackScores]:
    """Link each slice of a patient with the next one that is there."""
    first, second = next_slices(setup.real, setup.rows)
    scores = np.full(len(setup.rows), np.nan)
    scores[first], _ = linked(
        setup.pixels(first), setup.pixels(second), setup.released, setup.released, setup.memory_mib
    )
    return [AttackScores(scores)]


def _lacks_contrasts(setup: AttackSetup) -> str:
    n = len(setup.real.encoding.channels)
    return "" if n >= 2 else f"needs at least 2 channels, found {n}"


def _lacks_slices(setup: AttackSetup) -> str:
    first, _ = next_slices(setup.real, setup.rows)
    both = all((setup.is_member[first] == side).any() for side in (True, False))
    return "" if both else "needs members and non-members with two slices whose slice_index is known"


CONTRASTS = Attack(
    contrasts,
    "Can two contrasts of one patient, held apart, be brought together?",
    "the released cases, and two records that hold different contrasts of a patient",
    "mean",
    _lacks_contrasts,
)
SLICES = Attack(
    slices,
    "Can somebody who holds another slice of this patient find the patient in the released cases?",
    "the released cases, and slices of the patient beside the one that is looked for",
    "highest",
    _lacks_slices,
)
