"""Epsilon is what Opacus says when it is asked directly; what promises nothing is refused."""

import math
import sys
import warnings

import pytest

from understudy.core.errors import UsageError
from understudy.training.dp.accountant import epsilon_of, noise_for, plan, statement
from understudy.training.dp.settings import PrivacySettings


def direct(noise: float, delta: float, rate: float, steps: int, eps_error: float) -> float:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):  # as Opacus' own engine counts, step by step
            accountant.step(noise_multiplier=noise, sample_rate=rate)
        return accountant.get_epsilon(delta, eps_error=eps_error)


@pytest.mark.parametrize(("noise", "rate", "steps", "delta"), [(1.0, 0.1, 50, 1e-3), (3.0, 0.5, 100, 1e-5)])
def test_epsilon_is_that_of_opacus(noise: float, rate: float, steps: int, delta: float) -> None:
    ours = epsilon_of(noise, delta, rate, steps)
    assert ours == pytest.approx(direct(noise, delta, rate, steps, eps_error=0.01), rel=0.02)


@pytest.mark.parametrize("epsilon", [0.5, 8.0])
def test_noise_keeps_to_epsilon_and_is_not_much_more_than_needed(epsilon: float) -> None:
    noise, found = noise_for(epsilon, 1e-3, 0.25, 100)
    assert 0.97 * epsilon < direct(noise, 1e-3, 0.25, 100, eps_error=0.005 * epsilon) <= found <= epsilon


def test_a_plan_in_subjects() -> None:
    found = plan(PrivacySettings(noise=2.0, slices=4), subjects=40, batch_size=16, images_seen=100)
    assert (found.rate, found.steps, found.expected) == (0.1, 7, 4)
    assert found.delta == 1 / 400 and found.epsilon == epsilon_of(2.0, 1 / 400, 0.1, 7)
    told = statement(found, PrivacySettings(noise=2.0)) or {}
    assert told["epsilon"] == found.epsilon and told["unit"] == "patient" and told["noise_multiplier"] == 2.0
    usual = told["epsilon_at_delta_1e-5"]
    assert usual == pytest.approx(direct(2.0, 1e-5, 0.1, 7, eps_error=0.01), rel=0.05) and usual > found.epsilon


def test_nothing_is_claimed_without_noise_or_with_noise_that_can_be_drawn_again() -> None:
    none = plan(PrivacySettings(noise=0), 40, 16, 100)
    assert none.epsilon == math.inf and statement(none, PrivacySettings(noise=0)) is None
    known = PrivacySettings(noise=2.0, noise_seed=1)
    assert statement(plan(known, 40, 16, 100), known) is None


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="not both"):
        PrivacySettings()
    with pytest.raises(ValueError, match="not both"):
        PrivacySettings(epsilon=1, noise=1)
    with pytest.raises(UsageError, match="every time"):
        plan(PrivacySettings(epsilon=1, slices=4), subjects=4, batch_size=16, images_seen=100)
    with pytest.raises(UsageError, match="promises nothing"):
        epsilon_of(0.2, 1e-3, 0.5, 1000)
    monkeypatch.setitem(sys.modules, "opacus.accountants", None)
    with pytest.raises(UsageError, match=r"understudy\[dp\]"):
        epsilon_of(1.0, 1e-3, 0.5, 10)
