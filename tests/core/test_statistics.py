"""Cases grouped by subject, and their percentile intervals against variances that are known."""

import numpy as np
import pytest

from understudy.core.seed import rng
from understudy.core.statistics import Sample, by_subject, percentile_interval


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
    assert sample.mean_of_highest(1) == pytest.approx(0.5) and sample.mean_of_highest(0.2) == pytest.approx(0.9)
    assert sample.mean_of_highest(0.8) == pytest.approx((0.9 * 0.5 + 0.1 * 0.3) / 0.8)
    assert Sample.of(np.array([-np.inf, 3.0]), np.arange(2)).mean_of_highest(0.5) == 3
    assert sample.by_subject().mean() == pytest.approx(sample.mean()) and len(sample.by_subject()) == sample.subjects
    assert sample.by_subject(np.ones(len(sample.values))) == pytest.approx(np.ones(sample.subjects))
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
