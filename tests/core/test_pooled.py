"""Pooling: values by hand, widths against known variances, shared networks once, coverage by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from understudy.core.errors import UnderstudyError
from understudy.core.pooled import WORDS, Pool, Pooled, Unit, mean_interval
from understudy.core.statistics import Means

DRAWS = 2000


def unit(subjects: str, block: str, **arms: np.ndarray | Means) -> Unit:
    names = tuple(f"{subjects}{i}" for i in range(next(iter(arms.values())).shape[1]))  # type: ignore[union-attr]
    return Unit(names, block, {arm: Means(np.asarray(scores)) for arm, scores in arms.items()})


def width(found: Pooled | None) -> float:
    assert found is not None and found.low is not None and found.high is not None
    return found.high - found.low


def test_values_are_means_over_subjects_of_all_folds() -> None:
    first = unit("a", "0", real=np.array([[0.8, 0.6]]), synthetic=np.array([[0.4, 0.2]]))
    second = unit("b", "0", real=np.array([[0.5, 0.5, 0.5, np.nan]]), synthetic=np.array([[0.5, 0.2, 0.2, np.nan]]))
    pool = Pool([first, second], 0)
    real, ratio, gain = pool.score("real"), pool.ratio("synthetic", "real"), pool.gain("synthetic", "real")
    assert real is not None and real.value == pytest.approx((0.8 + 0.6 + 1.5) / 5) and real.n == 5
    assert ratio is not None and ratio.value == pytest.approx(1.5 / 2.9) and (ratio.folds, ratio.units) == (2, 2)
    assert gain is not None and gain.value == pytest.approx((1.5 - 2.9) / 5)
    assert pool.score("both") is None and pool.gain("both", "real") is None
    assert ratio.missing == tuple(WORDS.values())  # one block and one network each


def test_subjects_alone_give_the_interval_of_a_mean() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(0.7, 0.2, (1, 400))
    found = Pool([unit("a", "0", real=scores)], 1, 10_000).score("real")
    assert width(found) == pytest.approx(2 * 1.966 * scores.std(ddof=1) / 20, rel=0.05)


def test_few_blocks_are_widened_by_t() -> None:
    """Three units that differ by a shift alone: t of 2 degrees of freedom times the standard error."""
    shifts = np.array([0.6, 0.65, 0.7])
    units = [unit("a", str(i), synthetic=np.full((1, 30), shift)) for i, shift in enumerate(shifts)]
    found = Pool(units, 0, 10_000).score("synthetic")
    error = shifts.std(ddof=1) / np.sqrt(3)
    assert found is not None and found.value == pytest.approx(0.65) and found.blocks == 3
    assert width(found) == pytest.approx(2 * 4.303 * error, rel=0.05)
    two = Pool(units[:2], 0, 10_000).score("synthetic")
    assert width(two) == pytest.approx(2 * 12.706 * 0.025, rel=0.05)


def test_networks_that_units_share_count_once() -> None:
    random = np.random.default_rng(0)
    shared = Means(random.normal(0.8, 0.05, (3, 20)))
    names = tuple(map(str, range(20)))
    synthetic = [Means(random.normal(0.6, 0.05, (3, 20))) for _ in range(2)]
    pool = Pool([Unit(names, str(i), {"real": shared, "synthetic": s}) for i, s in enumerate(synthetic)], 0)
    alone = Pool([Unit(names, "0", {"real": shared})], 0)
    one, other = pool.score("real"), alone.score("real")
    assert one is not None and other is not None and one.value == other.value
    assert (one.low, one.high) == (other.low, other.high)  # as if there were one unit
    apart = pool.ratio("synthetic", "real")
    assert apart is not None and apart.missing == () and apart.networks == 3


def test_arms_are_compared_on_the_same_subjects() -> None:
    ease = np.random.default_rng(0).normal(0, 0.3, (1, 50))
    pool = Pool([unit("a", "0", real=0.7 + ease, synthetic=0.5 + ease)], 0)
    gain = pool.gain("synthetic", "real")
    assert gain is not None and gain.value == pytest.approx(-0.2) and width(gain) < 1e-9
    assert width(pool.score("real")) > 0.1


def test_a_fold_that_one_arm_lacks_counts_for_neither() -> None:
    """Equal in both folds that both have; the third, which the second arm lacks, is harder."""
    ease = np.random.default_rng(0).normal(0, 0.1, (1, 6))
    units = [unit(name, "0", one=mean + ease, other=mean + ease) for name, mean in (("a", 0.8), ("b", 0.7))]
    units.append(unit("c", "0", one=0.2 + ease))
    found, alone = Pool(units, 0).gain("one", "other"), Pool(units, 0).score("one")
    assert found is not None and found.value == pytest.approx(0) and found.folds == found.units == 2
    assert found.left_out == (units[2].subjects,)
    assert alone is not None and alone.folds == 3 and alone.left_out == ()


def test_an_arm_with_one_network_lacks_its_seed_whatever_the_other_has() -> None:
    shared, random = Means(np.full((1, 9), 0.8)), np.random.default_rng(0)
    names = tuple(map(str, range(9)))
    units = [Unit(names, str(i), {"real": shared, "it": Means(random.normal(0.6, 0.1, (1, 9)))}) for i in range(3)]
    ratio, alone = Pool(units, 0).ratio("it", "real"), Pool(units, 0).score("it")
    assert ratio is not None and ratio.missing == (WORDS["networks"],)
    assert alone is not None and alone.missing == ()


def test_blocks_hold_what_is_nested_in_them() -> None:
    """Two draws with two seeds each are two blocks: their average counts, not four units."""
    values = {"a": (0.5, 0.7), "b": (0.6, 0.8)}
    units = [unit("s", block, both=np.full((1, 9), v)) for block, pair in values.items() for v in pair]
    found = Pool(units, 0).score("both")
    assert found is not None and found.blocks == 2 and found.units == 4 and found.value == pytest.approx(0.65)


def test_one_of_everything_has_no_interval() -> None:
    found = Pool([unit("a", "0", real=np.full((1, 1), 0.5))], 0).score("real")
    assert found is not None and found.low is None and found.high is None
    with pytest.raises(UnderstudyError, match="found none"):
        Pool([], 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    random = np.random.default_rng(0)
    units = [unit("a", str(i), real=random.normal(0.7, 0.1, (2, 12))) for i in range(3)]
    assert Pool(units, 4).score("real") == Pool(units, 4).score("real") != Pool(units, 5).score("real")


@pytest.mark.parametrize(("subjects", "folds", "generators", "least"), [(16, 1, 5, 0.88), (80, 5, 2, 0.88)])
def test_intervals_hold_the_truth(
    simulate: Callable[..., list[Unit]], subjects: int, folds: int, generators: int, least: float
) -> None:
    """The fast version of benchmarks/coverage.py: 100 studies, whose share has a standard error of 0.022."""
    held = 0
    for i in range(100):
        found = Pool(simulate(i, subjects, folds, generators), i, 300).ratio("synthetic", "real")
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 0.65 / 0.75 <= found.high
    assert held / 100 >= least


@pytest.fixture
def simulate() -> Callable[..., list[Unit]]:
    def go(seed: int, subjects: int, folds: int, generators: int) -> list[Unit]:
        random, units, per = np.random.default_rng(seed), [], subjects // folds
        for fold in range(folds):
            ease, pair = random.normal(0, 0.2, per), random.normal(0, 0.06, per)
            draw = lambda: random.normal(0, 0.02, (3, 1)) + random.normal(0, 0.06, (3, per))  # noqa: E731
            real = Means(0.75 + ease + draw())
            for generator in range(generators):
                seen = 0.65 + random.normal(0, 0.04) + ease + pair
                arms = {"real": real, "synthetic": Means(seen + draw())}
                units.append(Unit(tuple(f"{fold}-{i:02d}" for i in range(per)), str(generator), arms))
        return units

    return go


# One unit: the intervals of scores repeated over seeds


def alone(one: Means, other: Means, seed: int, draws: int) -> Pool:
    """Two arms on the same subjects."""
    names = tuple(f"{i:03d}" for i in range(one.subjects))
    return Pool([Unit(names, "", {"it": one, "other": other})], seed, draws)


def ratio(one: Means, other: Means, seed: int, draws: int = 2000) -> Pooled | None:
    return alone(one, other, seed, draws).ratio("it", "other")


def difference(one: Means, other: Means, seed: int, draws: int = 2000) -> Pooled | None:
    return alone(one, other, seed, draws).gain("it", "other")


def wider(subjects: int, freedom: float) -> float:
    """How much wider than a percentile interval: the spread is that of a sample, and t stands for z."""
    return float(np.sqrt(subjects / (subjects - 1)) * stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))


def test_one_repeat_agrees_with_scipy() -> None:
    scores = np.random.default_rng(0).beta(4, 2, (1, 40))
    own = mean_interval(scores, seed=0, draws=20000)
    other = stats.bootstrap(
        (scores[0],), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert own.value == pytest.approx(scores.mean(), abs=1e-12)
    assert own.low is not None and own.high is not None
    found = [(end - own.value) / wider(40, 39) + own.value for end in (own.low, own.high)]
    assert found == pytest.approx([other.low, other.high], abs=2e-3)
    assert own.missing


def test_spread_of_seeds_and_of_subjects_both_count() -> None:
    rng = np.random.default_rng(0)
    seeds, subjects = rng.normal(0, 1, (60, 1)), rng.normal(0, 2, (1, 80))
    of_seeds, of_subjects = seeds.var(ddof=1) / 60, subjects.var(ddof=1) / 80
    for part, variance in ((seeds, of_seeds), (subjects, of_subjects), (seeds + subjects, of_seeds + of_subjects)):
        found = mean_interval(np.broadcast_to(part, (60, 80)), seed=0, draws=20_000)
        assert found.low is not None and found.high is not None
        assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.04)


def test_ratio_is_paired() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.uniform(0.2, 1, (1, 30))
    below = np.repeat(subjects, 3, 0)
    exact = ratio(Means(0.8 * below), Means(below), seed=0)
    assert exact is not None and exact.value == pytest.approx(0.8)
    assert exact.low == exact.high is None or (exact.low, exact.high) == pytest.approx((0.8, 0.8))
    apart = ratio(Means(0.8 * below[:, rng.permutation(30)]), Means(below), seed=0)
    assert apart is not None and apart.low is not None and apart.high is not None
    assert apart.value == pytest.approx(0.8) and apart.high - apart.low > 0.1


def test_repeats_of_the_two_sides_are_drawn_apart() -> None:
    below = np.array([[0.5], [0.7]]) * np.ones((2, 9))
    found = ratio(Means(below), Means(below.copy()), seed=0)
    assert found is not None and found.low is not None and found.high is not None and found.low < 0.9 < 1.1 < found.high


def test_missing_scores_drop_out() -> None:
    scores = np.array([[0.2, np.nan, 0.6], [0.4, 0.9, np.nan]])
    assert mean_interval(scores, seed=0).value == pytest.approx((0.4 + 0.65) / 2)
    with pytest.raises(UnderstudyError, match="at least one score"):
        mean_interval(np.full((2, 3), np.nan), seed=0)


def test_same_seed_same_interval_and_zero_below() -> None:
    scores = np.random.default_rng(0).random((3, 10))
    assert mean_interval(scores, 1) == mean_interval(scores, 1) != mean_interval(scores, 2)
    assert ratio(Means(scores), Means(np.zeros((3, 10))), 0) is None
    for compare in (ratio, difference):
        with pytest.raises(UnderstudyError, match="same subjects were expected on both sides, found 5 and 10"):
            compare(Means(scores), Means(scores[:, :5]), 0)


def test_difference_is_paired_and_holds_the_seeds() -> None:
    rng = np.random.default_rng(4)
    below = rng.uniform(0.2, 0.9, (1, 40)).repeat(3, axis=0)
    repeats = np.array([0.0, 0.1, 0.2])[:, None]
    found = difference(Means(below + repeats), Means(below), seed=0, draws=20_000)
    assert found is not None and found.low is not None and found.high is not None
    error = np.sqrt(0.01 / 3)  # of a mean of three, of which the variance is 0.01
    expected = 2 * error * stats.t.ppf(0.975, 2)
    assert found.value == pytest.approx(0.1) and found.high - found.low == pytest.approx(expected, rel=0.05)


def test_without_subjects_every_statistic_is_refused_in_a_sentence() -> None:
    none = Means(np.zeros((1, 0)))
    for statistic in (ratio, difference):
        with pytest.raises(UnderstudyError, match="at least one score"):
            statistic(none, none, 0, 100)


def test_one_subject_and_one_network_have_no_interval() -> None:
    found = mean_interval(np.array([[0.7]]), 0)
    assert found.value == 0.7 and found.low is None and found.high is None


def test_intervals_of_scores_and_ratios_keep_to_what_these_can_be() -> None:
    scores = np.array([[0.01, 0.0, 0.02, 0.0, 0.9], [0.9, 0.95, 0.99, 0.97, 0.1]])
    pool = Pool([unit("a", "0", real=1 - scores / 9, it=scores)], 0)
    free, ratio, gain = pool.score("it"), pool.ratio("it", "real"), pool.gain("it", "real")
    assert free is not None and free.low is not None and free.low < 0 and free.high is not None and free.high > 1
    assert (free.within(1).low, free.within(1).high, free.within().high) == (0, 1, free.high)
    assert ratio is not None and ratio.low == 0 and gain is not None and gain.low is not None and gain.low < -1
