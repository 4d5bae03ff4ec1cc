"""How many flags a cohort without copies gives: from thresholds that all subjects but one set, tried on that one.

A threshold that few subjects set does not flag the share ``rate`` of fresh cases: its own share is a random number.
Each unseen subject is left out once; the threshold that the others set flags a share of its cases. The mean of these
is the **cross-fitted false-positive rate**. Weights drawn for the subjects (the Bayesian bootstrap) give how far the
rate of this threshold may lie from it, and n cases flagged with that rate a **predictive distribution** of the count;
with one case a subject that is the beta-binomial distribution of order statistics, which is exact for any scores. How
large the share of a subject is that has any is drawn from those found at the rate, twice and four times the rate: at
the rate itself one or two subjects have one. For the number nearer than *every* unseen case the highest case takes the
threshold's place, and the shares are those of the nearest subject among random quarters of the subjects.

Are cases of *other* unseen subjects flagged more often than those of the subjects who set the threshold? Had chance
decided who sets it, any deal of the subjects would be as likely as this one: p is the share of deals that flag as many.
Where the two are alike p is exact, however many cases a subject has; nearly so where training subjects join those who
set it, since these are matched against fewer cases.
**Source**: Rubin, The Bayesian bootstrap (Ann. Stat. 9, 1981); Wilks, Determination of sample sizes for setting
tolerance limits (Ann. Math. Stat. 12, 1941); leaving out one as in Barber et al., Jackknife+ (arXiv 1905.02928).
**Differs**: subjects with several cases have no exact distribution; ``benchmarks/flags.py`` simulates how often the
intervals hold.
**Checked** in tests/evaluation/privacy/test_chance.py (beta-binomial; coverage, level and power on simulated subjects).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from understudy.core.seed import rng
from understudy.core.statistics import Sample, percentile_interval
from understudy.evaluation.privacy.calibration import ReferenceScores

DRAWS = 4000
DEALS, DEALT = 999, 100  # of subjects; at once
LEVELS = 1, 2, 4  # multiples of the rate from which shares are drawn
MAX_RATE = 0.25  # of the deeper ones
QUARTERS, KEPT = 100, 0.25  # random parts of the subjects
OFTEN = 1 / 3  # a subject with more of its cases flagged is said to be flagged often


@dataclass(frozen=True)
class Chance:
    """What a cohort without copies gives: draws of the rate at which its cases are flagged, and of their number."""

    rate: float  # the mean
    rates: np.ndarray  # (draws,)
    counts: np.ndarray  # (draws,)
    n: int  # cases

    @property
    def expected(self) -> float:
        """Return the mean number."""
        return self.rate * self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Return the ends of the central 95 % of the number."""
        low, high = np.quantile(self.counts, (0.025, 0.975), method="inverted_cdf")
        return float(low), float(high)

    @property
    def rate_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the rate."""
        return percentile_interval(self.rates)

    def p(self, found: int) -> float:
        """Return the probability of so many cases or more."""
        return float((1 + (self.counts >= found).sum()) / (1 + len(self.counts)))


class LeftOut:
    """The unseen subjects that set a threshold, each left out of it once."""

    def __init__(self, reference: ReferenceScores, rate: float) -> None:
        """Hold the reference and the rate of the threshold; UnderstudyError is raised where the reference is empty."""
        self.sample, self.rate = Sample.of(reference.r, reference.subjects), rate

    @property
    def subjects(self) -> int:
        """Number of subjects."""
        return self.sample.subjects

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of each subject's cases (S,) above the threshold that the others set."""
        return self._shares(self.rate)

    @property
    def often(self) -> int:
        """Number of subjects of whose cases more than a third are flagged."""
        return int((self.shares > OFTEN).sum())

    def flags(self, n: int, seed: int) -> Chance:
        """Return what is expected of n cases without copies, if they are as near as those of unseen subjects."""
        draw = rng(seed, "privacy", "chance", "flags")
        deeper = [self._shares(min(level * self.rate, MAX_RATE)) for level in LEVELS[1:]]
        found = np.concatenate([self.shares, *deeper])
        some, weights = found[found > 0], _weights(draw, self.subjects, int((self.shares > 0).sum()))
        rates = (weights * draw.choice(some, weights.shape)).sum(1) if len(some) else np.zeros(DRAWS)
        return self._chance(float(self.shares.mean()), rates, n, draw)

    def nearest(self, n: int, seed: int) -> Chance:
        """Return how many of n cases without copies are expected to be nearer than every unseen case."""
        draw = rng(seed, "privacy", "chance", "nearest")
        some = self._leading(draw)
        rates = _weights(draw, self.subjects, 1)[:, 0] * draw.choice(some, DRAWS)
        return self._chance(float(some.mean()) / self.subjects, rates, n, draw)

    def _chance(self, rate: float, rates: np.ndarray, n: int, draw: np.random.Generator) -> Chance:
        rates = np.clip(rates, 0, 1)
        return Chance(rate, rates, draw.binomial(n, rates), n)

    def _shares(self, rate: float) -> np.ndarray:
        """Return the share of each subject's cases (S,) above the threshold that the others set at a rate."""
        sample, shares = self.sample, np.zeros(self.subjects)
        for one in range(self.subjects if self.subjects > 1 else 0):
            mine = sample.number == one
            threshold = sample.quantile(1 - rate, np.where(mine, 0, sample.weights))
            shares[one] = (sample.values[mine] > threshold).mean()
        top = sample.values == sample.values.max()
        if self.subjects > 1 and not shares.any() and not top.all():  # ties: as if one of them lay beyond the others
            highest = sample.number[np.argmax(top)]
            shares[highest] = top[sample.number == highest].mean()
        return shares

    def _leading(self, draw: np.random.Generator) -> np.ndarray:
        """Return the share of its cases that the nearest subject has above all others, in parts of the subjects."""
        values, number = self.sample.values, self.sample.number
        highest = np.full(self.subjects, -np.inf)
        np.maximum.at(highest, number, values)
        order, found = np.argsort(-highest, kind="stable"), []
        for part in range(QUARTERS):
            kept = order[draw.random(self.subjects) < (KEPT if part else 1)]
            first, second = kept[:2] if len(kept) > 1 else order[[0, -1]]
            found.append((values[number == first] > highest[second]).mean() if first != second else 1.0)
        return np.array(found)


def exchanged_p(
    reference: ReferenceScores, nearness: np.ndarray, subjects: np.ndarray, rate: float, seed: int, deals: int = DEALS
) -> float:
    """Return the share of deals in which cases of other unseen subjects are flagged as often as theirs (n,) are.

    In each deal as many of all subjects as there are set the threshold. Each subject counts once.
    """
    whose = np.concatenate([np.unique(one, return_inverse=True)[1] for one in (reference.subjects, subjects)])
    setting = reference.n_subjects
    whose[len(reference.r) :] += setting
    sample = Sample.of(np.concatenate([reference.r, nearness]), whose)
    draw = rng(seed, "privacy", "chance", "exchanged")
    dealt = np.arange(sample.subjects)[None] < setting
    found, as_often = _flagged_beside(sample, dealt, rate)[0], 0
    for start in range(0, deals, DEALT):
        dealt = draw.permuted(np.repeat(dealt[:1], min(DEALT, deals - start), 0), axis=1)
        as_often += int((_flagged_beside(sample, dealt, rate) >= found - 1e-9).sum())
    return (1 + as_often) / (1 + deals)


def _flagged_beside(sample: Sample, dealt: np.ndarray, rate: float) -> np.ndarray:
    """Return the share flagged (deals,) of the subjects outside a mask (deals, S), by the threshold of those in it."""
    inside = dealt[:, sample.number] * sample.weights
    flagged = np.stack([sample.values > sample.quantile(1 - rate, weights) for weights in inside])
    outside = sample.weights - inside
    share: np.ndarray = (outside * flagged).sum(1) / outside.sum(1)
    return share


def _weights(draw: np.random.Generator, subjects: int, chosen: int) -> np.ndarray:
    """Return the weights (draws, chosen) of some of the subjects; those of all are uniform and add up to 1."""
    some = draw.exponential(size=(DRAWS, chosen))
    rest = draw.gamma(max(subjects - chosen, 1e-9), size=(DRAWS, 1))
    weights: np.ndarray = some / (some.sum(1, keepdims=True) + rest)
    return weights
