"""Residual risk, AUC and TPR: published formulas, scikit-learn, by hand, coverage."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score, roc_curve

from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.attacks.risk import (
    _resampled,
    above,
    advantage,
    area,
    measure,
    newcombe,
    residual_risk,
    wilson,
)


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


def scores(n: int, m: int, gain: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(gain, 1, n), draw.normal(0, 1, m)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_scikit_learns(ties: bool) -> None:
    members, others = scores(700, 30, 0.5, 1)
    if ties:
        members, others = members.round(), others.round()
    truth = np.r_[np.ones(700), np.zeros(30)]
    found = area(members, others, 0, 100)
    assert found.value == pytest.approx(roc_auc_score(truth, np.r_[members, others]), abs=1e-12)
    assert found.low < found.value < found.high


def test_resampled_areas_are_areas_of_resampled_subjects() -> None:
    members, others = (side.round(1) for side in scores(40, 20, 0.8, 2))
    draw = np.random.default_rng(0)
    redrawn = []
    for _ in range(2000):
        a, b = draw.choice(members, 40), draw.choice(others, 20)
        redrawn.append(((a[:, None] > b) + 0.5 * (a[:, None] == b)).mean())
    ours = _resampled(members, others, 0, 2000)
    assert ours.mean() == pytest.approx(np.mean(redrawn), abs=0.01)
    assert ours.std() == pytest.approx(np.std(redrawn), rel=0.1)


def test_newcombes_interval_solves_its_equation() -> None:
    low, high = newcombe(0.7, 30, 12)
    for theta in (low, high):
        size = 20
        extra = 1 + size * (1 - theta) / (2 - theta) + size * theta / (1 + theta)
        variance = theta * (1 - theta) * extra / (30 * 12)
        assert abs(theta - 0.7) == pytest.approx(1.96 * np.sqrt(variance), abs=2e-4)


def test_interval_covers_with_few_subjects() -> None:
    hits = 0
    for seed in range(200):
        found = area(*scores(20, 8, 0, seed), seed, 100)
        hits += found.low <= 0.5 <= found.high
    assert hits >= 183  # 95 % of 200 less three standard errors


def test_a_perfect_attack_on_few_subjects_keeps_an_interval() -> None:
    found = area(np.arange(10.0) + 9, np.arange(6.0), 0, 100)
    assert (found.value, found.high) == (1, 1)
    assert 0.6 < found.low < 0.95


def test_threshold_and_control_rate_by_hand() -> None:
    others = np.arange(19.0)  # k = 2: the second highest, 17, is exceeded by one in ten
    assert above(np.array([16.5, 17.0, 17.5, 30.0]), others, 0.1) == (0.5, 0.1)
    assert above(np.array([3.0, 5.0]), np.arange(5.0), 0.1) == (0.5, 1 / 6)


def test_members_like_others_have_no_risk_on_average() -> None:
    risks = []
    for seed in range(400):
        risk = measure(*scores(15, 10, 0, seed), seed, 10).risk
        assert risk is not None
        risks.append(risk.value)
    assert np.mean(risks) == pytest.approx(0, abs=3 * np.std(risks) / 20)


def test_low_rate_needs_a_hundred_non_members() -> None:
    assert measure(*scores(50, 99, 2, 0), 0, 50).tpr is None
    members, others = scores(50, 100, 2, 0)
    found = measure(members, others, 0, 50).tpr
    assert found is not None
    truth = np.r_[np.ones(50), np.zeros(100)]
    false, true, _ = roc_curve(truth, np.r_[members, others], drop_intermediate=False)
    assert found.value == true[false == 0].max()  # of 100, the rate at which one more is accused is 1 in 101
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 20, 0.6791, 1),
    ],
)
def test_the_advantage_is_newcombes_difference(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = advantage(a / m, m, b / n, n)  # his table II, method 10
    assert found.value == a / m - b / n
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_success_of_its_own_is_used() -> None:
    won = np.array([1, 1, 0.5, 0.5]), np.array([0, 0.5])
    found = measure(np.arange(4.0), np.arange(2.0), 0, 10, won)
    assert (found.attack, found.control) == (0.75, 0.25)
    assert found.risk is not None
    assert found.risk.value == pytest.approx(2 / 3)
    assert found.advantage is not None and found.advantage.value == 0.5
    assert measure(np.arange(4.0), np.arange(2.0), 0, 10).advantage is None


def test_same_seed_same_interval_and_nan_refused() -> None:
    sides = scores(30, 9, 1, 0)
    assert measure(*sides, 4, 50) == measure(*sides, 4, 50)
    with pytest.raises(UnderstudyError, match="finite scores"):
        measure(np.array([np.nan]), np.ones(3), 0, 10)
