"""Rank correlations against SciPy, resamples against the same resamples written out, permutations counted out."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from understudy.evaluation.correlation.coefficients import kendall, kendall_within, permutation_p, signs, spearman


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
