"""Means, quantiles and shares in which each subject counts once."""

import numpy as np
import pytest

from understudy.evaluation.consistency.scores import Spread, percentiles


def test_one_case_a_subject_is_the_ordinary_mean_and_quantile() -> None:
    x = np.random.default_rng(0).random(101)
    spread = Spread.of(x, np.arange(101).astype(str))
    assert spread.subjects == 101 and spread.mean() == pytest.approx(x.mean())
    for q in (0.01, 0.05, 0.3, 0.5, 0.97):
        assert spread.quantile(q) == np.quantile(x, q, method="inverted_cdf")
        assert spread.below(spread.quantile(q)) <= q
    assert spread.below(0.3) == pytest.approx((x < 0.3).mean())


def test_a_subject_counts_once_and_what_is_missing_not_at_all() -> None:
    scores = np.array([0.9, 0.9, 0.9, 0.1, np.nan])
    spread = Spread.of(scores, np.array(["a", "a", "a", "b", "c"]))
    assert spread.subjects == 2 and spread.mean() == pytest.approx(0.5)
    assert (spread.quantile(0.05), spread.quantile(0.5), spread.quantile(0.51)) == (0.1, 0.1, 0.9)
    assert spread.below(0.1) == 0 and spread.below(0.5) == pytest.approx(0.5)
    assert Spread.of(np.array([np.nan]), np.array(["a"])).subjects == 0


def test_resamples_do_not_part_the_cases_of_a_subject() -> None:
    spread = Spread.of(np.repeat([0.0, 1.0], 20), np.repeat(["a", "b"], 20))
    means = [spread.mean(w) for w in spread.resamples(200, 0)]
    assert {round(m, 6) for m in means} == {0, 0.5, 1}
    assert means == [spread.mean(w) for w in spread.resamples(200, 0)]
    assert means != [spread.mean(w) for w in spread.resamples(200, 1)]


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    x = np.random.default_rng(0).random(200)
    spread = Spread.of(x, np.arange(200))
    found = percentiles(spread.mean(), [spread.mean(w) for w in spread.resamples(2000, 0)])
    error = x.std() / np.sqrt(200)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1) and found.low < x.mean() < found.high
