"""Each fidelity metric against utility: rank correlations, their intervals, and a p.

Both variables are turned so that higher is better: **+ means the better the fidelity, the more useful**. Cohorts of one
generator are no independent cases: a resample draws whole **generators** with replacement and takes all their cohorts.
Of G generators there are C(2G - 1, G) different resamples, so that with few of them the interval is rough, and with one
there is none; resamples in which a coefficient is not defined are left out and counted. A coefficient over all cohorts
mixes two questions, between generators and within them; ``kendall_within`` counts pairs of one generator only.
**Subsets** are named by the settings, before anything is seen: all cohorts, those that were not spoilt on purpose, and
those of finished generators. A spoilt cohort's answer is built in, so that it decides no question about generators.
**p**: utilities change places among the cohorts of one generator, which is what can be exchanged where generators
differ; it says nothing of differences between generators. Where each generator has one cohort, they change places among
all. Holm over the metrics.
**Source**: Cameron, Gelbach and Miller, Bootstrap-based improvements for inference with clustered errors, Rev. Econ.
Stat. 90 (2008): resampling clusters, and that few of them make intervals too narrow.
**Checked** in tests/evaluation/correlation/test_coefficients.py (every resample written out; known answers).

Rank correlations of a sample, and of all its resamples at once, from the signs of differences of pairs.

With s_ij = sign(x_i - x_j), u_ij = sign(y_i - y_j), and w_i, how often item i stands in a resample of N items: its
midrank is (N + 1 + sum_j w_j s_ij) / 2, so that **Spearman** is the correlation of sum_j w_j s_ij with sum_j w_j u_ij,
and **Kendall**'s tau-b = sum_ij w_i w_j s_ij u_ij / sqrt(sum_ij w_i w_j s_ij^2 sum_ij w_i w_j u_ij^2). Repeats of an
item are ties, as they are where the resample is written out.
**Source**: Spearman, Am. J. Psychology 15 (1904); Kendall, The treatment of ties in ranking problems, Biometrika 33
(1945); over pairs within blocks alone: Korn, Kendall's tau with a blocking variable, Biometrics 40 (1984).
**Checked** in tests/evaluation/correlation/test_coefficients.py (SciPy to 1e-12, ties and resamples included; by hand).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from understudy.core.result import Result
from understudy.core.seed import derive, rng
from understudy.core.statistics import TAILS, by_subject, percentile_interval, resample
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import CohortScores
from understudy.evaluation.paired import holm

ROUNDING = 1e-9  # of a sum of signs


def signs(values: np.ndarray) -> np.ndarray:
    """Return the signs (n, n) of the differences of values (n,)."""
    return np.sign(values[:, None] - values[None, :])


def spearman(s: np.ndarray, u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Spearman's coefficients (draws,) in -1..1 of variables with signs s and u (n, n), on resamples.

    Weights (draws, n) say how often each item stands in each; NaN where all values of a variable are equal.
    """
    x, y = weights @ s.T, weights @ u.T  # twice the midranks less their means, (draws, n)
    return _share((weights * x * y).sum(1), (weights * x * x).sum(1), (weights * y * y).sum(1))


def kendall(s: np.ndarray, u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Kendall's coefficients tau-b (draws,) in -1..1; arguments and NaN as in :func:`spearman`."""
    return _share(*(((weights @ pairs) * weights).sum(1) for pairs in (s * u, s * s, u * u)))


def kendall_within(s: np.ndarray, u: np.ndarray, cluster: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return tau-b (draws,) over the pairs of items of one cluster alone; NaN where no such pair differs.

    `cluster`: (n,) the number 0..G-1 of each item's; `times`: (draws, G), how often each cluster stands in each
    resample; its copies are clusters of their own.
    """
    member = np.eye(times.shape[1])[cluster]  # (n, G)
    return _share(*(times @ np.einsum("ig,ij,jg->g", member, pairs, member) for pairs in (s * u, s * s, u * u)))


def permutation_p(s: np.ndarray, y: np.ndarray, block: np.ndarray, permutations: int, seed: int) -> float | None:
    """Return the two-sided p that y (n,) is paired at random, within blocks, with the variable of the signs s (n, n).

    The statistic is the sum of s_ij u_ij inside blocks, (n,) the number of each item's; items change places within
    theirs only. p is (1 + those at least as far from 0) / (1 + permutations), as in Phipson and Smyth, Stat. Appl.
    Genet. Mol. Biol. 9 (2010), so never 0; None where no pair of a block differs in x and in y.
    """
    inside = s * (block[:, None] == block[None, :])
    u, draw, extreme = signs(y), rng(seed, "permutations"), 0
    if not inside.any() or not (u * (block[:, None] == block[None, :])).any():
        return None
    observed = abs((inside * u).sum())
    places = [np.flatnonzero(block == b) for b in np.unique(block)]
    order = np.arange(len(y))
    for _ in range(permutations):
        for place in places:
            order[place] = draw.permutation(place)
        extreme += abs((inside * u[np.ix_(order, order)]).sum()) >= observed - ROUNDING
    return (1 + int(extreme)) / (1 + permutations)


def _share(both: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return both / sqrt(one other), NaN where a variable does not vary."""
    below = np.sqrt(one * other)
    return np.divide(both, below, out=np.full(both.shape, np.nan), where=below > ROUNDING)


MINIMUM = 12  # cohorts behind a coefficient
SUBSET_MINIMUM = 6  # of a subset, which is read beside the whole
SUBSETS = {  # named beforehand by the settings; which kinds of cohorts (join.COHORT_KINDS) are in each
    "all": ("finished", "unfinished", "spoilt"),
    "unspoilt": ("finished", "unfinished"),
    "finished": ("finished",),
}
NAMES = ("spearman", "kendall", "kendall_within")


@dataclass(frozen=True)
class Coefficient:
    """A coefficient with its interval; None where not defined. And how many resamples were degenerate."""

    value: float | None
    low: float | None
    high: float | None
    degenerate: int


@dataclass(frozen=True)
class MetricCorrelation:
    """One metric against utility, over those of a subset that have it; `better`: which way is better, of the metric.

    The coefficients, by name, are empty where the cohorts are too few; p is that of the permutations, p_holm the same,
    corrected over the metrics.
    """

    subset: str
    metric: str
    better: str
    cohorts: list[CohortScores]
    coefficients: dict[str, Coefficient]
    p: float | None = None
    p_holm: float | None = None

    @property
    def minimum(self) -> int:
        """How many cohorts are needed for a coefficient."""
        return MINIMUM if self.subset == "all" else SUBSET_MINIMUM

    @property
    def generators(self) -> int:
        """How many generators made the cohorts."""
        return len({cohort.generator for cohort in self.cohorts})

    @property
    def alone(self) -> bool:
        """Whether each generator made one cohort."""
        return self.generators == len(self.cohorts)


def correlations(cohorts: Sequence[CohortScores], config: CorrelationConfig, seed: int) -> list[MetricCorrelation]:
    """Correlate every metric that some cohort has with utility, in the order of the results; all by the same seed.

    Over all cohorts first; then, where the settings mark some, over each smaller subset; Holm within each.
    """
    items = [item for cohort in cohorts for item in cohort.fidelity.items()]
    metrics = {metric: result.better for metric, result in items if result.value is not None}
    done: list[MetricCorrelation] = []
    for subset, kinds in SUBSETS.items():
        chosen = [cohort for cohort in cohorts if cohort.kind in kinds]
        if subset == "all" or len(chosen) < len(cohorts):
            found = [_correlation(subset, metric, better, chosen, config, seed) for metric, better in metrics.items()]
            done += [replace(one, p_holm=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]
    return done


def chance(n: int) -> float:
    """Return which absolute Spearman coefficient of n > 2 independent cohorts one pair of rankings in twenty passes.

    By the t distribution with n - 2 degrees of freedom.
    """
    t = float(stats.t.ppf(TAILS[1], n - 2))
    return t / math.sqrt(n - 2 + t * t)


def _correlation(
    subset: str, metric: str, better: str, every: Sequence[CohortScores], config: CorrelationConfig, seed: int
) -> MetricCorrelation:
    cohorts = [cohort for cohort in every if metric in cohort.fidelity and cohort.fidelity[metric].value is not None]
    correlation = MetricCorrelation(subset, metric, better, cohorts, {})
    if len(cohorts) < correlation.minimum:
        return correlation
    x, y = _upward([c.fidelity[metric] for c in cohorts]), _upward([c.utility for c in cohorts])
    cluster = by_subject(np.array([cohort.generator for cohort in cohorts])).number
    correlation = replace(correlation, coefficients=coefficients(x, y, cluster, config.draws, seed))
    block = np.zeros_like(cluster) if correlation.alone else cluster
    return replace(correlation, p=permutation_p(signs(x), y, block, config.permutations, derive(seed, "p")))


def _upward(results: Sequence[Result]) -> np.ndarray:
    """Return values, with their signs changed where lower is better."""
    return np.array([(-1 if result.better == "lower" else 1) * (result.value or 0.0) for result in results])


def coefficients(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, draws: int, seed: int) -> dict[str, Coefficient]:
    """Return Spearman's, Kendall's tau-b and tau-b within clusters of x and y (n,), with percentile intervals.

    `cluster` (n,) is the number 0..G-1 of each item's cluster; resamples are of clusters.
    """
    s, u, groups = signs(x), signs(y), int(cluster.max()) + 1
    drawn = resample(rng(seed, "bootstrap", "generators"), groups, draws)
    times = np.concatenate([np.ones((1, groups), drawn.dtype), drawn])  # first the sample itself
    weights = times[:, cluster]
    values = (spearman(s, u, weights), kendall(s, u, weights), kendall_within(s, u, cluster, times))
    return {name: _coefficient(each, groups) for name, each in zip(NAMES, values, strict=True)}


def _coefficient(values: np.ndarray, groups: int) -> Coefficient:
    """Return the first of the values with the interval of the others."""
    value, resamples = values[0], values[1:][np.isfinite(values[1:])]
    degenerate = len(values) - 1 - len(resamples)
    if not np.isfinite(value):
        return Coefficient(None, None, None, degenerate)
    if groups < 2 or not len(resamples):
        return Coefficient(float(value), None, None, degenerate)
    return Coefficient(float(value), *percentile_interval(resamples), degenerate)
