"""Intervals against SciPy's bootstrap and against variances that are known."""

import numpy as np
import pytest
from scipy import stats

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import Means, Sample, by_subject, difference, mean_interval, percentile_interval, ratio


def test_one_repeat_agrees_with_scipy() -> None:
    scores = np.random.default_rng(0).beta(4, 2, (1, 40))
    own = mean_interval(scores, seed=0, draws=20000)
    other = stats.bootstrap(
        (scores[0],), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert own.value == pytest.approx(scores.mean(), abs=1e-12)
    assert (own.low, own.high) == pytest.approx((other.low, other.high), abs=2e-3)


def test_same_resamples_give_the_interval_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, draws = np.random.default_rng(0).beta(4, 2, (1, 40)), 3000
    drawn = np.random.default_rng(5).integers(0, 40, (draws, 40))  # as SciPy draws them
    weights = np.stack([np.bincount(rows, minlength=40) for rows in drawn])
    monkeypatch.setattr("understudy.core.statistics._subject_weights", lambda *_: weights)
    own = mean_interval(scores, seed=0, draws=draws)
    other = stats.bootstrap(
        (scores[0],), np.mean, n_resamples=draws, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    assert (own.low, own.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_spread_of_seeds_and_of_subjects_both_count() -> None:
    rng = np.random.default_rng(0)
    seeds, subjects = rng.normal(0, 1, (60, 1)), rng.normal(0, 2, (1, 80))
    of_seeds, of_subjects = seeds.var() / 60, subjects.var() / 80
    for part, variance in ((seeds, of_seeds), (subjects, of_subjects), (seeds + subjects, of_seeds + of_subjects)):
        interval = mean_interval(np.broadcast_to(part, (60, 80)), seed=0, draws=20_000)
        assert (interval.high - interval.low) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.03)


def test_ratio_is_paired() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.uniform(0.2, 1, (1, 30))
    below = np.repeat(subjects, 3, 0)
    exact = ratio(Means(0.8 * below), Means(below), seed=0)
    assert exact is not None and (exact.value, exact.low, exact.high) == pytest.approx((0.8, 0.8, 0.8))
    unpaired = ratio(Means(0.8 * below[:, rng.permutation(30)]), Means(below), seed=0)
    assert unpaired is not None and unpaired.value == pytest.approx(0.8) and unpaired.high - unpaired.low > 0.1


def test_repeats_of_the_two_sides_are_drawn_apart() -> None:
    below = np.array([[0.5], [0.7]]) * np.ones((2, 9))
    interval = ratio(Means(below), Means(below), seed=0)
    assert interval is not None and interval.low < 0.9 < 1.1 < interval.high


def test_missing_scores_drop_out() -> None:
    scores = np.array([[0.2, np.nan, 0.6], [0.4, 0.9, np.nan]])
    interval = mean_interval(scores, seed=0)
    assert (
        interval.value == pytest.approx((0.4 + 0.65) / 2)
        and 0.2 <= interval.low <= interval.value <= interval.high <= 0.9
    )
    with pytest.raises(UnderstudyError, match="at least one score"):
        mean_interval(np.full((2, 3), np.nan), seed=0)


def test_same_seed_same_interval_and_zero_below() -> None:
    scores = np.random.default_rng(0).random((3, 10))
    assert mean_interval(scores, 1) == mean_interval(scores, 1) != mean_interval(scores, 2)
    assert ratio(Means(scores), Means(np.zeros((3, 10))), 0) is None
    with pytest.raises(UnderstudyError, match="same subjects"):
        ratio(Means(scores), Means(scores[:, :5]), 0)


def test_difference_is_paired_and_nested() -> None:
    rng = np.random.default_rng(4)
    below = rng.uniform(0.2, 0.9, (1, 40)).repeat(3, axis=0)
    exact = difference(Means(below + 0.1), Means(below), seed=0)
    assert exact.value == pytest.approx(0.1) and exact.low == pytest.approx(0.1) and exact.high == pytest.approx(0.1)
    repeats = np.array([0.0, 0.1, 0.2])[:, None]
    nested = difference(Means(below + repeats), Means(below), seed=0, draws=20_000)
    sd = np.sqrt(2 / 3 * 0.01 / 3)  # of a mean of three draws out of three repeats
    assert nested.value == pytest.approx(0.1) and nested.high - nested.low == pytest.approx(2 * 1.96 * sd, rel=0.15)
    with pytest.raises(UnderstudyError, match="same subjects, found 40 and 5"):
        difference(Means(below), Means(below[:, :5]), seed=0)


def test_cases_are_grouped_by_subject() -> None:
    groups = by_subject(np.array(["b", "a", "b", "c"]))
    assert groups.names.tolist() == ["a", "b", "c"]
    assert groups.number.tolist() == [1, 0, 1, 2]
    assert groups.counts.tolist() == [1, 2, 1]
    assert groups.weights == pytest.approx([1 / 6, 1 / 3, 1 / 6, 1 / 3])


def test_resamples_without_a_value_do_not_count() -> None:
    x = np.random.default_rng(0).random(100)
    assert percentile_interval(x) == percentile_interval([*x, np.nan]) == tuple(np.percentile(x, [2.5, 97.5]))


def test_one_case_a_subject_is_the_ordinary_mean_and_quantile() -> None:
    x = np.random.default_rng(0).random(101)
    sample = Sample.of(x, np.arange(101).astype(str))
    assert sample.subjects == 101 and sample.mean() == pytest.approx(x.mean())
    for q in (0.01, 0.05, 0.3, 0.5, 0.97):
        assert sample.quantile(q) == np.quantile(x, q, method="inverted_cdf")
        assert sample.below(sample.quantile(q)) <= q
    assert sample.below(0.3) == pytest.approx((x < 0.3).mean())


def test_a_subject_counts_once_and_what_is_missing_not_at_all() -> None:
    scores = np.array([0.9, 0.9, 0.9, 0.1, np.nan])
    sample = Sample.of(scores, np.array(["a", "a", "a", "b", "c"]))
    assert sample.subjects == 2 and sample.mean() == pytest.approx(0.5)
    assert (sample.quantile(0.05), sample.quantile(0.5), sample.quantile(0.51)) == (0.1, 0.1, 0.9)
    assert sample.below(0.1) == 0 and sample.below(0.5) == pytest.approx(0.5)
    assert Sample.of(np.array([np.nan]), np.array(["a"])).subjects == 0


def test_resamples_do_not_part_the_cases_of_a_subject() -> None:
    sample = Sample.of(np.repeat([0.0, 1.0], 20), np.repeat(["a", "b"], 20))
    means = [sample.mean(w) for w in sample.resamples(200, rng(0, "s"))]
    assert {round(m, 6) for m in means} == {0, 0.5, 1}
    assert means == [sample.mean(w) for w in sample.resamples(200, rng(0, "s"))]
    assert means != [sample.mean(w) for w in sample.resamples(200, rng(1, "s"))]


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    x = np.random.default_rng(0).random(200)
    sample = Sample.of(x, np.arange(200))
    low, high = percentile_interval([sample.mean(w) for w in sample.resamples(2000, rng(0, "s"))])
    error = x.std() / np.sqrt(200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1) and low < x.mean() < high


def test_without_subjects_every_statistic_is_refused_in_a_sentence() -> None:
    none = Means(np.zeros((1, 0)))
    for statistic in (ratio, difference):
        with pytest.raises(UnderstudyError, match="at least one score"):
            statistic(none, none, 0, 100)
