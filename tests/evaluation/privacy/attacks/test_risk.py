"""Residual risk against the published formula, its Wilson intervals, and what it says with few subjects."""

import numpy as np
import pytest
from scipy.stats import binomtest

from understudy.evaluation.privacy.attacks.risk import residual_risk, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (3, 17), (40, 80)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.95, "wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("attack", "control"), [(0.5, 0.5), (0.9, 0.1), (0.1, 0.3), (1, 0.2), (0, 0)])
def test_value_is_the_published_formula(attack: float, control: float) -> None:
    found = residual_risk(attack, 50, control, 20)
    assert found is not None
    assert found.value == pytest.approx((attack - control) / (1 - control), abs=1e-12)
    assert found.low <= found.value <= found.high <= 1


def test_large_groups_agree_with_propagated_errors() -> None:
    attack, n, control, m = 0.4, 100_000, 0.25, 50_000
    errors = 1.96 * np.sqrt(attack * (1 - attack) / n), 1.96 * np.sqrt(control * (1 - control) / m)
    half = np.hypot(errors[0] / (1 - control), errors[1] * (1 - attack) / (1 - control) ** 2)  # Anonymeter's
    found = residual_risk(attack, n, control, m)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=1e-4)


def test_nothing_found_on_five_people_is_no_safety() -> None:
    few, many = residual_risk(0, 5, 0, 5), residual_risk(0, 500, 0, 500)
    assert few is not None
    assert many is not None
    assert few.high > 0.4
    assert many.high < 0.01


def test_control_that_always_succeeds_leaves_no_risk_to_tell() -> None:
    assert residual_risk(1, 50, 1, 20) is None


def test_interval_covers_the_truth() -> None:
    draw, hits, runs = np.random.default_rng(0), 0, 2000
    for a, c in zip(draw.binomial(30, 0.3, runs), draw.binomial(12, 0.1, runs), strict=True):
        found = residual_risk(a / 30, 30, c / 12, 12)
        assert found is not None
        hits += found.low <= (0.3 - 0.1) / 0.9 <= found.high
    assert 0.93 < hits / runs < 0.99
