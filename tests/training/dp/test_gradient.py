"""The mechanism against sums by hand: clipped whole, one by one, divided by what was expected, noise as asked."""

from typing import Any

import numpy as np
import pytest
import torch

from understudy.training.dp.gradient import clipped, norm_of, private_gradient, subject_gradient

PARAMETERS = {"a": torch.zeros(3), "b": torch.zeros(3)}


def mechanism(linear: Any, subjects: list[Any], noise: float = 0.0, clip: float = 1.0, seed: int = 0) -> Any:
    return private_gradient(
        linear, PARAMETERS, subjects, clip=clip, noise=noise, expected=4.0, random=np.random.default_rng(seed)
    )


def test_each_subject_is_clipped_over_all_parameters_and_the_sum_is_over_the_expected_number(
    subject: Any, linear: Any
) -> None:
    small, large = torch.tensor([0.3, 0.0, 0.0]), torch.tensor([0.0, 30.0, 40.0])
    found = mechanism(linear, [subject(small, small), subject(large, torch.zeros(3)), subject(large, 2 * large)])
    a = (small + large / 50 + large / (50 * 5**0.5)) / 4
    b = (small + 2 * large / (50 * 5**0.5)) / 4
    torch.testing.assert_close(found["a"], a)
    torch.testing.assert_close(found["b"], b)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e3, 1e18])
def test_no_subject_exceeds_the_clip(scale: float) -> None:
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        gradient = {name: torch.randn(50, generator=random) * scale for name in "abc"}
        result = clipped(gradient, 0.5)
        assert norm_of(result) <= 0.5 * (1 + 1e-6)
        if norm_of(gradient) <= 0.5:
            assert all(torch.equal(result[name], gradient[name]) for name in gradient)
        else:
            assert norm_of(result) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_gradient_that_is_not_finite_counts_as_nothing(bad: float, subject: Any, linear: Any) -> None:
    good = subject(torch.ones(3), torch.ones(3))
    broken = subject(torch.tensor([bad, 0, 0]), torch.zeros(3))
    alone, both = mechanism(linear, [good]), mechanism(linear, [broken, good])
    assert all(torch.equal(alone[name], both[name]) for name in alone)


def test_an_empty_step_is_noise_alone_of_the_asked_size(linear: Any) -> None:
    values = torch.cat([torch.cat([*mechanism(linear, [], 2.0, 3.0, seed).values()]) for seed in range(500)])
    assert abs(float(values.std()) / (2.0 * 3.0 / 4.0) - 1) < 0.05 and abs(float(values.mean())) < 0.1
    assert not torch.cat([*mechanism(linear, [], 0.0).values()]).any()


def test_a_subjects_randomness_is_its_own(subject: Any) -> None:
    def loss(parameters: dict[str, torch.Tensor], cases: Any) -> torch.Tensor:
        return (parameters["a"] * torch.randn(3)).sum()

    one = subject_gradient(loss, PARAMETERS, subject(torch.zeros(3), seed=5))
    torch.rand(7)
    again = subject_gradient(loss, PARAMETERS, subject(torch.zeros(3), seed=5))
    assert torch.equal(one["a"], again["a"]) and not one["b"].any()
    assert not torch.equal(one["a"], subject_gradient(loss, PARAMETERS, subject(torch.zeros(3), seed=6))["a"])


def remembered(linear_noise: float, subject: Any) -> float:
    """Train a template on seven plain subjects and a canary; correlate what it holds with the canary."""
    random = torch.Generator().manual_seed(0)
    canary = torch.randn(256, generator=random)
    subjects = [subject(torch.full((256,), 0.5)) for _ in range(7)] + [subject(canary)]
    weights, draw = {"a": torch.zeros(256)}, np.random.default_rng(1)

    def loss(parameters: dict[str, torch.Tensor], cases: Any) -> torch.Tensor:
        return (parameters["a"] - cases.x[0]).square().sum() / 2

    for _ in range(60):
        drawn = [s for s in subjects if draw.random() < 0.5]
        step = private_gradient(loss, weights, drawn, clip=1.0, noise=linear_noise, expected=4.0, random=draw)
        weights = {"a": weights["a"] - 0.3 * step["a"]}
    return float(torch.corrcoef(torch.stack([weights["a"], canary]))[0, 1])


def test_a_canary_is_recovered_without_noise_and_not_with_it(subject: Any) -> None:
    assert remembered(0.0, subject) > 0.95
    assert abs(remembered(2.0, subject)) < 0.3
