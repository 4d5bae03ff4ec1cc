"""Obuchowski-Rockette-Hillis against R's MRMCaov 0.3.1 (DeLong covariance), and the two one-sided tests."""

import numpy as np
import pytest
from scipy import stats

from understudy.core.errors import UnderstudyError
from understudy.reader.statistics.mrmc import (
    Estimate,
    compare,
    equivalence_p,
    one_treatment,
    over_readers,
    stacked,
)
from understudy.reader.statistics.roc import Averages, areas


def factorial(k: int, t: int, r: int, n0: int, n1: int, sep: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the seeded ratings (T, R, n) of negatives and (T, R, m) of positives that R was given."""
    g = np.random.default_rng(100 + k)
    truth = np.r_[np.zeros(n0, int), np.ones(n1, int)]
    case = g.normal(0, 0.7, n0 + n1)
    x = np.empty((t, r, n0 + n1))
    for i in range(t):
        for j in range(r):
            x[i, j] = case + g.normal(0, 0.3) * truth + (sep * (1 + 0.3 * i)) * truth + g.normal(0, 0.8, n0 + n1)
    rating = np.digitize(x, [-1, -0.3, 0.3, 1, 1.8]) + 1
    return rating[:, :, :n0], rating[:, :, n0:]


SETS = {
    (0, 2, 5, 60, 60, 0.5): {
        "f": 0.562867994786, "df": 4.09382289375, "p": 0.493928125067,
        "cov": (0.000907094972798, 0.000983113687487, 0.00096828648122),
    },
    (2, 3, 4, 40, 45, 0.8): {
        "f": 13.4317509904, "df": 6.49653971471, "p": 0.00491993947829,
        "cov": (0.001436495808183, 0.001391072669757, 0.001368809877572),
    },
}  # fmt: skip
EACH = [(0.613166666667, 0.0585270454707, 7.66127748291), (0.651222222222, 0.0324374370665, 3365.20059026611)]


@pytest.mark.parametrize("setting", SETS)
def test_several_treatments_equal_r(setting: tuple[int, int, int, int, int, float]) -> None:
    real, synthetic = factorial(*setting)
    found, expected = compare(stacked(list(real), list(synthetic), "both")), SETS[setting]
    assert (found.f, found.df[1], found.p) == pytest.approx((expected["f"], expected["df"], expected["p"]), rel=1e-9)
    assert found.covariances == pytest.approx(expected["cov"], rel=1e-9)


def test_one_treatment_equals_r() -> None:
    real, synthetic = factorial(*next(iter(SETS)))
    both = stacked(list(real), list(synthetic), "both")
    for i, expected in enumerate(EACH):
        assert over_readers(one_treatment(both, i)) == pytest.approx(expected, rel=1e-9)
        assert over_readers(areas(real=real[i], synthetic=synthetic[i])) == pytest.approx(expected, rel=1e-9)


def test_the_area_of_one_treatment_equals_imrmc() -> None:
    real, synthetic = factorial(1, 1, 6, 50, 50, 0.2)
    assert areas(real=real[0], synthetic=synthetic[0]).values.mean() == pytest.approx(0.4859, abs=1e-12)


def test_own_synthetic_cases_share_the_real_ones_only() -> None:
    real, synthetic = factorial(*next(iter(SETS)))
    both, own = (stacked([real[0]] * 2, list(synthetic), shared) for shared in ("both", "real"))
    assert own.covariance[0, :, 0, :] == pytest.approx(both.covariance[0, :, 0, :])
    assert np.trace(own.covariance[0, :, 1, :]) < np.trace(both.covariance[0, :, 1, :])
    pair = compare(own).pairs[0, 1]
    assert pair.value == pytest.approx(own.values[0].mean() - own.values[1].mean())


def test_by_hand() -> None:
    """Two readers without covariance: the variance of two numbers, and one degree of freedom."""
    found = over_readers(Averages(np.array([0.4, 0.6]), np.diag([0.01, 0.01])))
    assert found == pytest.approx((0.5, 0.1, 1))
    assert found.interval() == pytest.approx((0.5 - 12.7062 * 0.1, 0.5 + 12.7062 * 0.1), abs=1e-4)
    with pytest.raises(UnderstudyError, match="at least 2 of them, found 1"):
        over_readers(Averages(np.array([0.4]), np.array([[0.01]])))
    with pytest.raises(UnderstudyError, match="2 generators and 2 readers, found 1 and 2"):
        compare(Averages(np.zeros((1, 2)), np.zeros((1, 2, 1, 2))))


def test_a_share_has_the_interval_of_its_logit() -> None:
    low, high = Estimate(0.9, 0.03, float("inf")).interval_of_share()
    odds = 9 * np.exp(np.array([-1.959964, 1.959964]) * 0.03 / 0.09)
    assert (low, high) == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert Estimate(0.5, 0.03, 9).interval_of_share() == pytest.approx(Estimate(0.5, 0.03, 9).interval(), abs=1e-3)
    assert Estimate(1.0, 0.03, 9).interval_of_share()[1] == 1


def test_readers_who_always_agree_have_no_width() -> None:
    found = over_readers(Averages(np.array([1.0, 1.0]), np.zeros((2, 2))))
    assert found.interval() == found.interval_of_share() == (1, 1)
    assert equivalence_p(found, 0.4, 0.6) == 1
    assert equivalence_p(found, 0.9, 1.1) == 0


def test_equivalence_is_the_90_percent_interval_within_the_margin() -> None:
    low = 0.5 - 0.03 * stats.t.ppf(0.95, 9)
    assert equivalence_p(Estimate(0.5, 0.03, 9), low, 1) == pytest.approx(0.05)
    assert equivalence_p(Estimate(0.5, 0.03, 9), 0.4, 0.6) < 0.05 < equivalence_p(Estimate(0.56, 0.03, 9), 0.4, 0.6)
    assert equivalence_p(Estimate(0.7, 0.01, 9), 0.4, 0.6) > 0.99
