"""Attribute inference: do released cases tell a patient's class (a finding, a sex) to an attacker who holds an image?

The attacker reads the class off the nearest released case. That works for non-members too, where the class is visible:
it is what the data are for. Only what works better for members than for non-members counts against the release.
**Source**: Giomi, Boenisch, Wehmeyer, Tasnadi (Anonymeter, PoPETs 2023, arXiv 2211.10459), section on inference: the
secret of the nearest released record is the guess.
**Differs**: nearness is the correlation of images; the graded score is how much nearer the nearest released case of the
true class is than the nearest of the other class, as the logarithm of the ratio of distances. One score for each class
column of 0 and 1 that both cohorts have; a missing entry does not count.
**Checked** in tests/evaluation/privacy/attacks/test_attribute.py (by hand).
"""

import numpy as np

from understudy.core.classes import short_class_names
from understudy.evaluation.guard import slug
from understudy.evaluation.nearest import nearest
from understudy.evaluation.privacy.attacks.setup import Attack, AttackScores, AttackSetup, log_distance
from understudy.evaluation.privacy.pearson import ImageVectors


def attribute(setup: AttackSetup) -> list[AttackScores]:
    """Guess each class column from the nearest released case."""
    columns = secrets(setup)
    names = [slug(name) for name in short_class_names(list(columns))]
    r = np.empty((len(names), 2, len(setup.rows)))  # of the nearest released case without and with the class
    for k, (_, released) in enumerate(columns.values()):
        for value in (0, 1):
            cases = ImageVectors(setup.synthetic, setup.synthetic.rows()[released == value])
            r[k, value] = nearest(setup.attacked, cases, memory_mib=setup.memory_mib).r
    attempts = []
    for k, (name, (true, _)) in enumerate(zip(names, columns.values(), strict=True)):
        towards = log_distance(r[k, 0]) - log_distance(r[k, 1])  # above 0: the guess is 1
        scores = np.where(np.isnan(true), np.nan, np.where(true == 1, towards, -towards))
        success = np.where(np.isnan(scores), np.nan, np.where(scores == 0, true == 0, scores > 0))
        attempts.append(AttackScores(scores, name, success))
    return attempts


def secrets(setup: AttackSetup) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the class columns of 0 and 1 that both cohorts have: (n,) of the attacked, (m,) of the released cases."""
    both = [name for name in setup.real.classes if name in setup.synthetic.classes]
    columns = [
        matrix[:, [cohort.classes.index(name) for name in both]].T
        for cohort, matrix in (
            (setup.real, setup.real.class_matrix(setup.rows)),
            (setup.synthetic, setup.synthetic.class_matrix()),
        )
    ]
    found = {}
    for name, true, released in zip(both, *columns, strict=True):
        binary = all(set(np.unique(values[~np.isnan(values)])) == {0.0, 1.0} for values in (true, released))
        known = [~np.isnan(true[side]) for side in (setup.is_member, ~setup.is_member)]
        if binary and all(side.any() for side in known):
            found[name] = true, released
    return found


def _lacks(setup: AttackSetup) -> str:
    return "" if secrets(setup) else "the cohorts share no class column of 0 and 1"


ATTACK = Attack(
    attribute,
    "Do released cases tell this class of a patient better than they tell it of non-members?",
    "the released cases with their classes, and images of the patient",
    "mean",
    _lacks,
)
