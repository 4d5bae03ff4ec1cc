"""How well an attack tells members from non-members: AUC and its p, TPR at 1 % FPR, residual risk and advantage.

**AUC**: the probability that a random member is scored above a random non-member, ties half; 0.5 is chance. Its
interval comes from resampling whole subjects, members and non-members apart (the cluster bootstrap), and is widened to
Newcombe's (Stat. Med. 25, 2006, part 2, method 5) where that is wider: with few subjects the bootstrap alone is too
narrow, and of width 0 where all members come first. **p**: of Mann and Whitney's test that members are not above.
**TPR at 1 % FPR**, the share of members found when one non-member in a hundred is accused (Carlini et al., 2022, arXiv
2112.03570): only from 100 non-members up. Below that the end of the AUC's interval is what can be said.
**Residual risk**: R = (attack - control) / (1 - control), the excess of the rate of success over that on non-members,
as a share of what is left to gain. Success is what the attack says it is, or a score above all but a tenth of the
non-members: the k-th highest of n non-members is exceeded by a fresh one with probability k / (n + 1) (conformal),
which is then the control rate. The interval of such a risk is that of the risk at exactly one in ten: how many
non-members lie above that threshold is drawn from the binomial distribution, and with it the threshold between two of
them, or beyond all on an exponential tail. Rates are means over **subjects**: of a subject with several cases the share
on which the attack succeeds counts, as a part of one trial, whose spread Wilson's interval can only overstate.
**Advantage**: attack - control, where the attack has a success of its own. Where it succeeds on nearly all non-members,
too, little is left to gain, and the residual risk, a share of that, cannot be measured with few subjects; this can.
**Source**: Giomi, Boenisch, Wehmeyer, Tasnadi (Anonymeter, PoPETs 2023, arXiv 2211.10459); the interval from the two
Wilson intervals by MOVER-R (Donner, Zou, Stat. Methods Med. Res. 21, 2012; Newcombe, Stat. Methods Med. Res. 25, 2016).
Advantage: Yeom, Giacomelli, Fredrikson, Jha (CSF 2018, arXiv 1709.01604), definition 5; its interval from the same
two by Newcombe (Stat. Med. 17, 1998, p. 873, method 10).
**Differs**: there the rates are the centres of their Wilson intervals, errors are propagated to first order, and R is
cut off at 0, and the threshold counts as known, which makes the interval short (``benchmarks/attack_risk.py``). Here R
is of the plain rates and may be negative: centres are drawn towards one half, the more the smaller the group, which
would make a small control group hide a risk.
**Checked** in tests/evaluation/privacy/attacks/test_risk.py (scikit-learn; Anonymeter's formula; Newcombe's examples;
coverage).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import Interval, percentile_interval, resample

Z = 1.959963984540054
MIN_FOR_TPR = 100  # non-member subjects
LOW_RATE = 0.01
RATE = 0.1  # of non-members that may be accused where a threshold decides
BLOCK = 512  # members at once
TAIL = 4  # the highest of every four non-members say how fast their tail falls


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate; of 0..n successes, parts count where a subject's cases differ."""
    p, z2 = successes / n, Z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def residual_risk(attack: float, n_attack: int, control: float, n_control: int) -> Interval | None:
    """Return the residual risk with its 95 % interval; at most 1, negative where it succeeds on non-members more.

    Rates of success, 0..1, are those on ``n_attack`` members and on ``n_control`` non-members. None where the attack
    succeeds on every non-member: nothing is left to gain.
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


def advantage(attack: float, n_attack: int, control: float, n_control: int) -> Interval:
    """Return attack - control, -1..1, with its 95 % interval; the rates are those of :func:`residual_risk`."""
    l1, u1 = wilson(attack * n_attack, n_attack)
    l2, u2 = wilson(control * n_control, n_control)
    value = attack - control
    low, high = np.hypot(attack - l1, u2 - control), np.hypot(u1 - attack, control - l2)
    return Interval(value, float(value - low), float(value + high))


@dataclass(frozen=True)
class AttackPerformance:
    """How well one attack does."""

    auc: Interval
    tpr: Interval | None  # share of members found at 1 % FPR; None below 100 non-members
    risk: Interval | None  # residual; None where the attack succeeds on every non-member
    advantage: Interval | None  # None where success is a score above a threshold
    attack: float  # rate of success on members
    control: float  # rate of success on non-members
    p: float  # one-sided, that members score no higher than non-members
    members: int  # subjects
    non_members: int  # subjects


def measure(
    members: np.ndarray,
    non_members: np.ndarray,
    seed: int,
    draws: int,
    success: tuple[np.ndarray, np.ndarray] | None = None,
) -> AttackPerformance:
    """Measure how well an attack tells members from non-members, by scores (n,) and (m,), one a subject.

    ``success`` of members (n,) and non-members (m,) is 0..1, one a subject, where the attack has a success of its own.
    UnderstudyError where a side is empty, or a score is not a number.
    """
    if not len(members) or not len(non_members) or not np.isfinite(np.concatenate([members, non_members])).all():
        raise UnderstudyError(
            f"finite scores of members and of non-members were expected, found {len(members)} and {len(non_members)}"
        )
    if success:
        attack, control = (float(side.mean()) for side in success)
        rates = attack, len(members), control, len(non_members)
        risk, gain = residual_risk(*rates), advantage(*rates)
    else:
        attack, control = above(members, non_members, RATE)
        risk, gain = threshold_risk(members, non_members, seed, draws), None
    tpr = low_rate_tpr(members, non_members, seed, draws) if len(non_members) >= MIN_FOR_TPR else None
    auc = area(members, non_members, seed, draws)
    p = float(mannwhitneyu(members, non_members, alternative="greater").pvalue)
    return AttackPerformance(auc, tpr, risk, gain, attack, control, p, len(members), len(non_members))


def above(members: np.ndarray, non_members: np.ndarray, rate: float) -> tuple[float, float]:
    """Return the share of members above the k-th highest non-member, and k / (m + 1), the rate of fresh non-members."""
    k = max(1, int(rate * (len(non_members) + 1) + 1e-9))
    threshold = np.sort(non_members)[-k]
    return float((members > threshold).mean()), k / (len(non_members) + 1)


def threshold_risk(members: np.ndarray, non_members: np.ndarray, seed: int, draws: int) -> Interval:
    """Return the residual risk where a tenth of non-members may be accused; the threshold is drawn again, too."""
    attack, control = above(members, non_members, RATE)
    draw, n, value = rng(seed, "attack", "risk"), len(members), (attack - control) / (1 - control)
    thresholds = _thresholds(non_members, draw, draws)
    successes = n - np.searchsorted(np.sort(members), thresholds, side="right")
    rates = draw.beta(successes + 0.5, n - successes + 0.5)
    low, high = percentile_interval((rates - RATE) / (1 - RATE))
    return Interval(value, min(low, value), max(high, value))


def _thresholds(non_members: np.ndarray, draw: np.random.Generator, draws: int) -> np.ndarray:
    """Return thresholds (draws,) that a tenth of fresh non-members may exceed, some of them above all of these."""
    m, ordered = len(non_members), np.sort(non_members)[::-1]
    accused = draw.binomial(m, RATE, draws)
    upper, lower = ordered[np.maximum(accused - 1, 0)], ordered[np.minimum(accused, m - 1)]
    between = lower + draw.random(draws) * (upper - lower)
    top = max(m // TAIL, 1)
    slope = float(ordered[:top].mean() - ordered[min(top, m - 1)])
    share = 1 - (1 - RATE) * draw.random(draws) ** (1 / m)  # that exceeds the highest, if it is more than a tenth
    return np.where(accused > 0, between, ordered[0] + slope * np.log(share / RATE))


def area(members: np.ndarray, non_members: np.ndarray, seed: int, draws: int) -> Interval:
    """Return the AUC with its interval."""
    truth = np.r_[np.ones(len(members)), np.zeros(len(non_members))]
    value = float(roc_auc_score(truth, np.r_[members, non_members]))
    low, high = percentile_interval(_resampled(members, non_members, seed, draws))
    least, most = newcombe(value, len(members), len(non_members))
    return Interval(value, min(low, least), max(high, most))


def newcombe(value: float, n: int, m: int) -> tuple[float, float]:
    """Return Newcombe's interval (method 5) of an area found on n members and m non-members."""
    theta = np.linspace(0, 1, 20001)
    size = (n + m) / 2 - 1
    variance = theta * (1 - theta) / (n * m) * (1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta))
    inside = theta[np.abs(theta - value) <= Z * np.sqrt(variance) + 1e-9]
    return float(inside[0]), float(inside[-1])


def low_rate_tpr(members: np.ndarray, non_members: np.ndarray, seed: int, draws: int) -> Interval:
    """Return the share of members above all but 1 % of non-members; both sides are resampled, and the threshold is."""
    draw = rng(seed, "attack", "tpr")
    found = np.empty(draws)
    for i in range(draws):
        some, others = (side[draw.integers(0, len(side), len(side))] for side in (members, non_members))
        found[i], _ = above(some, others, LOW_RATE)
    return Interval(above(members, non_members, LOW_RATE)[0], *percentile_interval(found))


def _resampled(members: np.ndarray, non_members: np.ndarray, seed: int, draws: int) -> np.ndarray:
    """Return the areas (draws,) on resampled subjects."""
    weights = [
        resample(rng(seed, "attack", name), len(side), draws).astype(np.float64)
        for name, side in (("members", members), ("non-members", non_members))
    ]
    won = np.zeros(draws)
    for start in range(0, len(members), BLOCK):
        some = members[start : start + BLOCK, None]
        wins = (some > non_members) + 0.5 * (some == non_members)
        won += ((weights[0][:, start : start + BLOCK] @ wins) * weights[1]).sum(1)
    return won / (len(members) * len(non_members))
