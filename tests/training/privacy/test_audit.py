"""The audit finds planted bugs above the claim, and does not accuse the right mechanism."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.errors import UsageError
from understudy.training.privacy import gradient
from understudy.training.privacy.accountant import epsilon_of, noise_for
from understudy.training.privacy.audit import chance, one_run_bound, repeated_bound, seen_in_steps

CLAIM, DELTA, RATE, STEPS = 1.0, 1e-3, 0.5, 2
RUNS, CANARIES = 300, 100


@pytest.fixture(scope="module")
def noise() -> float:
    return noise_for(CLAIM, DELTA, RATE, STEPS)[0]


@pytest.fixture
def audited(subject: Any, linear: Any, noise: float) -> Any:
    """The bound of repeated runs: two subjects nobody looks for, and a canary of a large gradient in ``b``."""
    parameters = {"a": torch.zeros(2), "b": torch.zeros(2)}
    canary = torch.tensor([0.0, 100.0])
    others = [subject(torch.tensor([0.5, 0.0]), torch.zeros(2)) for _ in range(2)]

    def scores(world: list[Any], first: int) -> np.ndarray:
        runs = (
            seen_in_steps(
                linear, parameters, world, [{"b": canary / 100}],
                rate=RATE, steps=STEPS, clip=1.0, noise=noise, expected=RATE * 2, seed=first + i,
            )
            for i in range(RUNS)
        )  # fmt: skip
        return np.concatenate(list(runs))

    def bound() -> float:
        present, absent = scores([*others, subject(torch.zeros(2), canary)], 0), scores(others, 10_000)
        return repeated_bound(present, absent, DELTA)

    return bound


def test_the_right_mechanism_keeps_to_its_claim(audited: Any) -> None:
    assert 0 <= audited() <= CLAIM


def test_clipping_the_sum_in_the_place_of_each_is_found(audited: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient, "clipped", lambda found, clip: found)
    assert audited() > 2 * CLAIM


def test_a_forgotten_parameter_group_is_found(audited: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gradient.norm_of
    monkeypatch.setattr(gradient, "norm_of", lambda found: whole({"a": found["a"]}))
    assert audited() > 2 * CLAIM


def test_noise_of_the_mean_in_the_place_of_the_sum_is_found(audited: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gradient.gaussian
    monkeypatch.setattr(gradient, "gaussian", lambda like, deviation, random: plain(like, deviation / 8, random))
    assert audited() > 2 * CLAIM


def one_run(subject: Any, linear: Any, noise: float) -> float:
    """The bound of one run with many canaries, each in its own direction."""
    included = np.random.default_rng(3).random(CANARIES) < 0.5
    directions = torch.eye(CANARIES)
    world = [subject(100 * row) for row, here in zip(directions, included, strict=True) if here]
    scores = seen_in_steps(
        linear, {"a": torch.zeros(CANARIES)}, world, [{"a": row} for row in directions],
        rate=RATE, steps=STEPS, clip=1.0, noise=noise, expected=RATE * CANARIES, seed=1,
    )  # fmt: skip
    return one_run_bound(scores, included, CANARIES // 2, DELTA)


def test_one_run_with_many_canaries(subject: Any, linear: Any, noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one_run(subject, linear, noise) <= CLAIM
    monkeypatch.setattr(gradient, "clipped", lambda found, clip: found)
    assert one_run(subject, linear, noise) > CLAIM


def test_the_bound_of_one_run_knows_randomised_response() -> None:
    random, epsilon, m = np.random.default_rng(0), 2.0, 2000
    included = random.random(m) < 0.5
    honest = random.random(m) < math.exp(epsilon) / (1 + math.exp(epsilon))
    scores = np.where(included == honest, 1.0, -1.0) + random.random(m) * 0.01
    assert 0.8 * epsilon < one_run_bound(scores, included, m // 2, 0.0) <= epsilon
    assert one_run_bound(random.random(m), included, m // 2, 0.0) < 0.2
    assert chance(10, 10, 0, 1.0, 0.0) == 1.0 and chance(10, 10, 10, 0.0, 0.0) == pytest.approx(2**-10)
    with pytest.raises(UsageError, match="even number"):
        one_run_bound(scores, included, 3, 0.0)


def test_the_bound_of_repeated_runs_knows_a_gaussian() -> None:
    random, noise = np.random.default_rng(0), 1.0
    delta = 1e-2
    found = repeated_bound(random.normal(1, noise, 20_000), random.normal(0, noise, 20_000), delta)
    assert 1.0 < found <= epsilon_of(noise, delta, 0.999999, 1)
    assert repeated_bound(random.normal(size=2000), random.normal(size=2000), delta) < 0.5
