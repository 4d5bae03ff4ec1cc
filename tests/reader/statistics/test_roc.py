"""Areas by pairs counted out, DeLong's covariance against R, intervals, curves."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from understudy.core.errors import UnderstudyError
from understudy.reader.statistics.roc import areas, covariance, curve, means, normal_interval


def test_areas_are_the_shares_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    real, synthetic = random.integers(1, 6, (3, 20)), random.integers(2, 7, (3, 25))
    truth = np.r_[np.zeros(20), np.ones(25)]
    expected = [roc_auc_score(truth, np.r_[x, y]) for x, y in zip(real, synthetic, strict=True)]
    assert areas(real=real, synthetic=synthetic).values == pytest.approx(expected, abs=1e-12)
    assert areas(real=real, synthetic=real).values == pytest.approx(0.5)


def test_delong_counted_out() -> None:
    """Equations 3 to 6 with loops."""
    random = np.random.default_rng(1)
    real, synthetic = random.integers(1, 6, (2, 7)), random.integers(1, 6, (2, 9))
    score = lambda x, y: 1.0 if y > x else 0.5 if y == x else 0.0  # noqa: E731
    v10 = [[np.mean([score(x, y) for x in real[r]]) for y in synthetic[r]] for r in (0, 1)]
    v01 = [[np.mean([score(x, y) for y in synthetic[r]]) for x in real[r]] for r in (0, 1)]
    expected = np.cov(v10) / 9 + np.cov(v01) / 7
    assert areas(real=real, synthetic=synthetic).covariance == pytest.approx(expected, abs=1e-15)


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(UnderstudyError, match="2 real and 2 synthetic cases, found 1 and 9"):
        areas(real=np.ones((2, 1)), synthetic=np.ones((2, 9)))


def test_means_weigh_every_case_alike() -> None:
    random = np.random.default_rng(2)
    a, b = random.random((3, 10)), random.random((3, 30))
    found = means(a, b)
    assert found.values == pytest.approx(np.concatenate([a, b], 1).mean(1))
    assert found.covariance == pytest.approx(covariance(a) / 16 + covariance(b) * 9 / 16)


def test_the_normal_interval_stays_within_an_area() -> None:
    assert normal_interval(0.5, 0.0025) == pytest.approx((0.402, 0.598), abs=1e-3)
    assert normal_interval(0.99, 0.0025)[1] == 1


def test_the_curve_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    real, synthetic = random.integers(1, 11, 30), random.integers(3, 11, 20)
    x, y = curve(real=real, synthetic=synthetic)
    found = roc_curve(np.r_[np.zeros(30), np.ones(20)], np.r_[real, synthetic], drop_intermediate=False)
    assert x == pytest.approx(found[0]) and y == pytest.approx(found[1])
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
