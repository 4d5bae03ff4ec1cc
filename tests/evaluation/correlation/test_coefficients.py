"""Coefficients with intervals over generators: every resample written out, degenerate ones, few cohorts, directions."""

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from understudy.core.result import Result
from understudy.evaluation.correlation.coefficients import (
    NAMES,
    Coefficient,
    coefficients,
    correlations,
    kendall,
    kendall_within,
    permutation_p,
    signs,
    spearman,
)
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import CohortScores

QUICK = CorrelationConfig(draws=400, permutations=500)


def measured(
    rows: list[tuple[str, str, float, float]], better: str = "lower", score: str = "higher"
) -> list[CohortScores]:
    return [
        CohortScores(f"c{i}", id_, made_by, 50, {"m": Result("m", x, better=better)}, Result("u", y, better=score))
        for i, (id_, made_by, x, y) in enumerate(rows)
    ]


def test_the_interval_is_that_of_all_resamples_of_whole_generators() -> None:
    random = np.random.default_rng(0)  # the lowest resample holds one generator twice
    x, cluster = random.normal(size=12), np.array([0] * 3 + [1] * 5 + [2] * 4)
    y = x + random.normal(size=12) + cluster
    found = coefficients(x, y, cluster, 40_000, 0)
    for name, function in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        every = []
        for drawn in product(range(3), repeat=3):  # 27, all as likely
            rows = np.concatenate([np.flatnonzero(cluster == g) for g in drawn])
            every.append(function(x[rows], y[rows]).statistic)
        low, high = np.quantile(every, [0.025, 0.975], method="inverted_cdf")
        assert found[name].value == pytest.approx(function(x, y).statistic, abs=1e-12)
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=1e-9)
        assert found[name].degenerate == 0


def test_by_hand_two_generators_one_of_which_says_nothing() -> None:
    x, y = np.array([1.0, 2, 3, 9]), np.array([1.0, 2, 3, 0])  # the second generator has one cohort
    found = coefficients(x, y, np.array([0, 0, 0, 1]), 4000, 1)
    # resamples: AA (1/4) -> 1, AB (1/2) -> the sample itself, BB (1/4) -> one cohort twice: degenerate
    assert found["kendall"] == Coefficient(0.0, 0.0, 1.0, found["kendall"].degenerate)
    assert found["spearman"].value == pytest.approx(1 - 6 * (1 + 1 + 1 + 9) / 60) and found["spearman"].high == 1
    assert found["spearman"].degenerate == found["kendall"].degenerate == pytest.approx(1000, abs=100)
    assert (found["kendall_within"].value, found["kendall_within"].low) == (1.0, 1.0)


def test_one_generator_has_no_interval_and_equal_values_no_coefficient() -> None:
    x, one = np.arange(4.0), np.zeros(4, int)
    assert coefficients(x, -x, one, 100, 0)["kendall"] == Coefficient(-1.0, None, None, 0)
    assert coefficients(x, np.ones(4), one, 100, 0)["spearman"] == Coefficient(None, None, None, 100)


def test_resampling_cohorts_alone_would_promise_more() -> None:
    random = np.random.default_rng(0)
    cluster = np.repeat(np.arange(6), 6)
    x, y = (np.repeat(random.normal(size=6), 6) + random.normal(0, 0.1, 36) for _ in range(2))
    whole, alone = (coefficients(x, y, groups, 2000, 0)["spearman"] for groups in (cluster, np.arange(36)))
    assert whole.low is not None and whole.high is not None and alone.low is not None and alone.high is not None
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize("score", ["lower", "higher"])
def test_plus_means_the_better_the_more_useful(cohorts: Callable[..., Any], better: str, score: str) -> None:
    found = correlations(measured(cohorts(15), better, score), QUICK, 0)[0]
    sign = (-1 if better == "lower" else 1) * (-1 if score == "lower" else 1) * -1  # distance falls, Dice rises
    assert [found.coefficients[name].value for name in NAMES] == pytest.approx([sign] * 3)
    assert found.generators == 3 and found.p == pytest.approx(1 / 501)


def test_eleven_cohorts_have_no_coefficient_and_twelve_have_one(cohorts: Callable[..., Any]) -> None:
    few, enough = (correlations(measured(cohorts(n)), QUICK, 0)[0] for n in (11, 12))
    assert few.coefficients == {} and few.p is None and len(few.cohorts) == 11
    assert set(enough.coefficients) == set(NAMES)


def test_a_cohort_without_a_metric_does_not_count_for_it(cohorts: Callable[..., Any]) -> None:
    rows = measured(cohorts(13))
    rows[4].fidelity["other"] = Result("other", 1.0, better="higher")
    rows[5].fidelity["m"] = Result("m", None, better="lower")
    rows[6].fidelity["nobody has it"] = Result("x", None, better="lower")
    found = {one.metric: one for one in correlations(rows, QUICK, 0)}
    assert list(found) == ["m", "other"]
    assert len(found["m"].cohorts) == 12 and found["m"].p is not None and found["m"].p_holm == found["m"].p
    assert len(found["other"].cohorts) == 1 and found["other"].p_holm is None


def test_holm_counts_the_metrics_and_lone_cohorts_are_exchanged_among_all(cohorts: Callable[..., Any]) -> None:
    rows = measured([(id_, f"generator {i}", x, y) for i, (id_, _, x, y) in enumerate(cohorts(12))])
    for row in rows:
        row.fidelity["same"] = row.fidelity["m"]
    one, other = correlations(rows, QUICK, 0)
    assert one.alone and one.p == other.p == pytest.approx(1 / 501) and one.p_holm == pytest.approx(2 / 501)
    assert one.coefficients["kendall_within"].value is None  # no generator has a pair


def sample(seed: int, n: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Return values with ties on both sides."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 8, n).astype(float)
    return x, np.round(0.4 * x + random.normal(0, 2, n))


@pytest.mark.parametrize("seed", range(20))
def test_coefficients_are_those_of_scipy(seed: int) -> None:
    for x, y in (sample(seed), np.random.default_rng(seed).normal(size=(2, 30))):
        s, u, once = signs(x), signs(y), np.ones((1, len(x)))
        assert spearman(s, u, once)[0] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert kendall(s, u, once)[0] == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_resamples_are_those_written_out() -> None:
    x, y = sample(3)
    weights = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), 25)
    s, u = signs(x), signs(y)
    rho, tau = spearman(s, u, weights), kendall(s, u, weights)
    for i, times in enumerate(weights):
        ours, theirs = np.repeat(x, times), np.repeat(y, times)
        assert rho[i] == pytest.approx(stats.spearmanr(ours, theirs).statistic, abs=1e-12)
        assert tau[i] == pytest.approx(stats.kendalltau(ours, theirs).statistic, abs=1e-12)


def test_what_does_not_vary_has_no_coefficient() -> None:
    x, y = np.arange(5.0), np.ones(5)
    for function in (spearman, kendall):
        assert np.isnan(function(signs(x), signs(y), np.ones((1, 5)))).all()
        assert np.isnan(function(signs(x), signs(x), np.array([[5, 0, 0, 0, 0]]))).all()  # one item, five times


def test_pairs_within_clusters_by_hand() -> None:
    x, y = np.array([1.0, 2, 3, 11, 12]), np.array([3.0, 1, 2, 15, 14])  # within: 1 of 3 pairs agrees, 0 of 1
    cluster = np.array([0, 0, 0, 1, 1])
    whole, first, twice = kendall_within(signs(x), signs(y), cluster, np.array([[1, 1], [1, 0], [1, 2]]))
    assert whole == pytest.approx((1 - 2 - 1) / 4) and first == pytest.approx(-1 / 3)
    assert twice == pytest.approx((1 - 2 - 2) / 5)  # a cluster drawn twice is two clusters, not one of twice the size
    assert kendall(signs(x), signs(y), np.ones((1, 5)))[0] > 0  # the six pairs between them say the opposite
    assert np.isnan(kendall_within(signs(x), signs(y), np.arange(5), np.ones((1, 5)))).all()


def test_p_is_near_that_of_all_permutations() -> None:
    x, y = np.arange(6.0), np.array([0.0, 2, 1, 3, 5, 4])
    s, observed = signs(x), abs((signs(x) * signs(y)).sum())
    everything = [abs((s * signs(np.array(order))).sum()) >= observed for order in permutations(y)]
    p = permutation_p(s, y, np.zeros(6, int), 20_000, 0)
    assert p == pytest.approx(np.mean(everything), abs=0.005)
    assert p == pytest.approx(stats.kendalltau(x, y, method="exact").pvalue, abs=0.005)


def test_values_change_places_within_blocks_only() -> None:
    x = np.r_[np.arange(5.0), np.arange(5.0) + 50]
    block = np.repeat([0, 1], 5)
    y = np.r_[np.array([2.0, 0, 4, 1, 3]), np.array([52.0, 54, 50, 53, 51])]  # nothing but the blocks' difference
    within, among = (permutation_p(signs(x), y, b, 2000, 0) for b in (block, np.zeros(10, int)))
    assert within is not None and among is not None and within > 0.4 and among < 0.05
    perfect = permutation_p(signs(x), x, block, 5000, 0)
    assert perfect == pytest.approx(2 / 120**2, abs=1e-3) and perfect >= 1 / 5001  # never 0
    tied = np.r_[np.zeros(5), np.arange(5.0)]  # the first block's zeros stay in it: 2 of the 120 orders of the second
    assert permutation_p(signs(x), tied, block, 20_000, 0) == pytest.approx(2 / 120, abs=0.004)
    assert permutation_p(signs(x), y, np.arange(10), 100, 0) is None  # nothing to exchange
    assert permutation_p(signs(x), np.ones(10), block, 100, 0) is None


def test_p_keeps_its_promise_where_nothing_agrees_within_generators() -> None:
    random, block = np.random.default_rng(0), np.repeat(np.arange(3), 5)
    found = []
    for i in range(300):
        x, y = random.normal(size=15) + 5 * block, random.normal(size=15) - 5 * block
        found.append([permutation_p(signs(x), y, b, 100, i) for b in (block, np.zeros(15, int))])
    within, among = np.array(found, float).T
    for level in (0.05, 0.2, 0.5):
        assert abs((within <= level).mean() - level) < 3.5 * np.sqrt(level * (1 - level) / 300) + 0.02
    assert (among <= 0.05).mean() > 0.9  # cohorts taken as independent would promise what is not there
