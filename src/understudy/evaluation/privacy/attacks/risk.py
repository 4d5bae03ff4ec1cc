"""Residual risk: how often an attack succeeds on members beyond what it achieves on people who were never there.

**Source**: Giomi, Boenisch, Wehmeyer, Tasnadi (Anonymeter, PoPETs 2023, arXiv 2211.10459): R = (attack - control) /
(1 - control), the excess over the control group, as a share of what is left to gain. 0: no more than on strangers; 1:
every member.
**Differs**: there the rates are the centres of their Wilson intervals, errors are propagated to first order, and R is
cut off at 0. Here R is of the plain rates and may be negative: centres are drawn towards one half, the more the smaller
the group, which would make a small control group hide a risk. R = 1 - (1 - attack) / (1 - control), and the interval of
that ratio follows from the two Wilson intervals by MOVER-R (Donner, Zou, Stat. Methods Med. Res. 21, 2012; Newcombe,
Stat. Methods Med. Res. 25, 2016), which also stands where nobody or everybody is found out. Rates are means over
**subjects**: of a subject with several cases the share on which the attack succeeds counts, as a part of one trial,
whose spread Wilson's interval can only overstate.
**Checked** in tests/evaluation/privacy/attacks/test_risk.py (Anonymeter's formula, Wilson by statsmodels' figures,
coverage).
"""

import numpy as np

from understudy.evaluation.statistics import Interval

Z = 1.959963984540054


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate.

    Args:
        successes: 0..n; parts of a success where a subject's cases differ.
        n: subjects.
    """
    p, z2 = successes / n, Z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def residual_risk(attack: float, n_attack: int, control: float, n_control: int) -> Interval | None:
    """Return the residual risk with its 95 % interval; at most 1, negative where strangers are easier prey.

    Args:
        attack: rate of success on members, 0..1.
        n_attack: member subjects.
        control: rate of success on non-members, 0..1.
        n_control: non-member subjects.

    Returns:
        None where the attack succeeds on every non-member: nothing is left to gain.
    """
    if control >= 1:
        return None
    failed, spared = 1 - attack, 1 - control
    l1, u1 = (1 - bound for bound in reversed(wilson(attack * n_attack, n_attack)))
    l2, u2 = (1 - bound for bound in reversed(wilson(control * n_control, n_control)))
    product = failed * spared
    lower = np.sqrt(max(0.0, product**2 - l1 * u2 * (2 * failed - l1) * (2 * spared - u2)))
    upper = np.sqrt(max(0.0, product**2 - u1 * l2 * (2 * failed - u1) * (2 * spared - l2)))
    low_ratio = (product - lower) / (u2 * (2 * spared - u2))
    high_ratio = (product + upper) / (l2 * (2 * spared - l2))
    return Interval(1 - failed / spared, float(1 - high_ratio), float(1 - low_ratio))
