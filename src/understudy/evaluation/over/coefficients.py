"""Each fidelity metric against utility: rank correlations, their intervals, and a p.

Both sides are turned so that higher is better: **+ means the better the fidelity, the more useful**. Cohorts of one
generator are no independent cases: a resample draws whole **generators** with replacement and takes all their cohorts.
Of G generators there are C(2G - 1, G) different resamples, so that with few of them the interval is rough, and with one
there is none; resamples in which a coefficient is not defined are left out and counted. A coefficient over all cohorts
mixes two questions, between generators and within them; ``kendall_within`` counts pairs of one generator only.
**p**: utilities change places among the cohorts of one generator, which is what can be exchanged where generators
differ; it says nothing of differences between generators. Where each generator has one cohort, they change places among
all. Holm over the metrics.
**Source**: Cameron, Gelbach and Miller, Bootstrap-based improvements for inference with clustered errors, Rev. Econ.
Stat. 90 (2008): resampling clusters, and that few of them make intervals too narrow.
**Checked** in tests/evaluation/over/test_coefficients.py (every resample written out; known answers).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from understudy.core.seed import derive, rng
from understudy.evaluation.over.config import OverConfig
from understudy.evaluation.over.joined import Measured
from understudy.evaluation.over.ranks import kendall, kendall_within, permutation_p, signs, spearman
from understudy.evaluation.paired import holm
from understudy.evaluation.statistics import LEVEL

FEWEST = 12  # cohorts behind a coefficient
NAMES = ("spearman", "kendall", "kendall_within")


@dataclass(frozen=True)
class Coefficient:
    """A coefficient with its interval; None where not defined. And how many resamples were degenerate."""

    value: float | None
    low: float | None
    high: float | None
    degenerate: int


@dataclass(frozen=True)
class Agreement:
    """One metric against utility.

    Attributes:
        metric: its name.
        better: which way is better, of the metric.
        cohorts: that have the metric.
        coefficients: by name; empty where the cohorts are too few.
        p: of the permutations, or None.
        p_holm: the same, corrected over the metrics.
    """

    metric: str
    better: str
    cohorts: list[Measured]
    coefficients: dict[str, Coefficient]
    p: float | None = None
    p_holm: float | None = None

    @property
    def generators(self) -> int:
        """How many generators made the cohorts."""
        return len({cohort.generator for cohort in self.cohorts})

    @property
    def alone(self) -> bool:
        """Whether each generator made one cohort."""
        return self.generators == len(self.cohorts)

    @property
    def resamples(self) -> int:
        """How many different resamples of the generators there are."""
        return comb(2 * self.generators - 1, self.generators)


def agreements(cohorts: Sequence[Measured], config: OverConfig, seed: int) -> list[Agreement]:
    """Hold every metric that some cohort has against utility, in the order of the results.

    Args:
        cohorts: what was measured.
        config: how many resamples and permutations.
        seed: of these, the same for every metric.
    """
    told = [item for cohort in cohorts for item in cohort.fidelity.items()]
    metrics = {metric: result.better for metric, result in told if result.value is not None}
    found = [_agreement(metric, better, cohorts, config, seed) for metric, better in metrics.items()]
    return [replace(one, p_holm=p) for one, p in zip(found, holm([one.p for one in found]), strict=True)]


def _agreement(metric: str, better: str, every: Sequence[Measured], config: OverConfig, seed: int) -> Agreement:
    cohorts = [cohort for cohort in every if metric in cohort.fidelity and cohort.fidelity[metric].value is not None]
    if len(cohorts) < FEWEST:
        return Agreement(metric, better, cohorts, {})
    x, y = (np.array(values) for values in zip(*(_upward(cohort, metric) for cohort in cohorts), strict=True))
    _, cluster = np.unique([cohort.generator for cohort in cohorts], return_inverse=True)
    agreement = Agreement(metric, better, cohorts, coefficients(x, y, cluster, config.draws, seed))
    block = np.zeros_like(cluster) if agreement.alone else cluster
    return replace(agreement, p=permutation_p(signs(x), y, block, config.permutations, derive(seed, "p")))


def _upward(cohort: Measured, metric: str) -> tuple[float, float]:
    """Return a metric and the utility of a cohort, turned so that higher is better."""
    one, other = (
        -(result.value or 0.0) if result.better == "lower" else result.value or 0.0
        for result in (cohort.fidelity[metric], cohort.utility)
    )
    return one, other


def coefficients(x: np.ndarray, y: np.ndarray, cluster: np.ndarray, draws: int, seed: int) -> dict[str, Coefficient]:
    """Correlate the ranks of x and y, with percentile intervals over resampled clusters.

    Args:
        x: (n,).
        y: (n,).
        cluster: (n,) the number 0..G-1 of each item's cluster.
        draws: resamples.
        seed: of these.

    Returns:
        Spearman's, Kendall's tau-b, and tau-b over the pairs within clusters.
    """
    s, u, groups = signs(x), signs(y), int(cluster.max()) + 1
    drawn = rng(seed, "bootstrap", "generators").multinomial(groups, np.full(groups, 1 / groups), draws)
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
    low, high = np.percentile(resamples, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return Coefficient(float(value), float(low), float(high), degenerate)
