"""The audit of differential privacy finds injected faults above the claim, and does not accuse the right mechanism.

Audit: a lower bound on epsilon from what can be told of planted subjects; above the claim means a bug.

**Source**: Jagielski, Ullman, Oprea, Auditing Differentially Private Machine Learning (2020, arXiv 2006.07709),
section 4: repeated runs, Clopper-Pearson; Nasr et al., Adversary Instantiation (2021, arXiv 2101.04535): canaries
that are gradients, seen in every step's output; Steinke, Nasr, Jagielski, Privacy Auditing with One (1) Training Run
(2023, arXiv 2305.08846), theorem 5.2 and appendix D: many canaries in one run.
**Differs**: the threshold of repeated runs is chosen on one half of them and judged on the other.
**Checked** below: bounds of the right mechanism stay below its claim, those of
planted bugs lie above it; the binomial bound against randomised response, whose epsilon is known.

A bound below the claim proves nothing: a weak attack finds little.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.training.dp import gradient
from understudy.training.dp.accountant import epsilon_of, noise_for
from understudy.training.dp.secret import known
from understudy.training.dp.subjects import SubjectBatch

THRESHOLDS = 200  # tried on the first half
MAX_EPSILON = 30.0  # no audit of feasible size says more


def seen_in_steps(
    loss: gradient.Loss,
    parameters: Mapping[str, Tensor],
    subjects: Sequence[SubjectBatch],
    canaries: Sequence[Mapping[str, Tensor]],
    *,
    rate: float,
    steps: int,
    clip: float,
    noise: float,
    expected: float,
    seed: int,
) -> np.ndarray:
    """Run the mechanism, weights standing still, and say how much of each canary all its outputs hold.

    Args:
        loss: of one subject.
        parameters: by name.
        subjects: who may be drawn, in this world.
        canaries: directions to look for, by name of parameter.
        rate: q.
        steps: T.
        clip: C.
        noise: sigma.
        expected: q N, known to all.
        seed: of everything.

    Returns:
        (canaries,) scores, larger where the canary's subject was more likely among the subjects.
    """
    secret, scores = known(seed), np.zeros(len(canaries))
    for step in range(steps):
        drawn = secret.stream("subjects", step).random(len(subjects)) < rate
        found = gradient.private_gradient(
            loss,
            parameters,
            [subject for subject, here in zip(subjects, drawn, strict=True) if here],
            clip=clip,
            noise=noise,
            expected=expected,
            random=secret.stream("noise", step),
        )
        scores += [float(sum((found[name] * part).sum() for name, part in canary.items())) for canary in canaries]
    return scores


def repeated_bound(present: np.ndarray, absent: np.ndarray, delta: float, confidence: float = 0.95) -> float:
    """Return a lower bound on epsilon from many runs with and many without a canary.

    Args:
        present: (R,) scores of runs with the canary.
        absent: (R',) scores of runs without it.
        delta: of the claim.
        confidence: with which epsilon is at least the bound.
    """
    best, chosen = -math.inf, (0.0, False)
    there, gone = present[::2], absent[::2]
    for threshold in np.unique(np.quantile(np.concatenate([there, gone]), np.linspace(0, 1, THRESHOLDS))):
        for below in (False, True):
            value = _two_rates(there, gone, float(threshold), below, delta, confidence)
            if value > best:
                best, chosen = value, (float(threshold), below)
    return max(_two_rates(present[1::2], absent[1::2], *chosen, delta, confidence), 0.0)


def _two_rates(
    present: np.ndarray, absent: np.ndarray, threshold: float, below: bool, delta: float, confidence: float
) -> float:
    """Ln((hits - delta) / false alarms), both at the bad ends of their intervals.

    A hit says "present" of a present canary where ``below`` is false, "absent" of an absent one where it is true.
    """
    told, wrongly = (
        ((absent <= threshold), (present <= threshold)) if below else (present > threshold, absent > threshold)
    )
    level = 1 - (1 - confidence) / 2
    hits = _lower(int(told.sum()), len(told), level)
    alarms = 1 - _lower(len(wrongly) - int(wrongly.sum()), len(wrongly), level)
    return math.log((hits - delta) / alarms) if hits > delta else -math.inf


def _lower(k: int, n: int, level: float) -> float:
    """One-sided lower end of Clopper and Pearson for k of n."""
    return float(stats.beta.ppf(1 - level, k, n - k + 1)) if k else 0.0


def one_run_bound(
    scores: np.ndarray, included: np.ndarray, guesses: int, delta: float, confidence: float = 0.95
) -> float:
    """Return a lower bound on epsilon from one run with many canaries, each in it by the toss of a fair coin.

    Args:
        scores: (m,) larger where a canary was more likely included.
        included: (m,) boolean, the tosses.
        guesses: how many are guessed, the surest ones: half as included, half as not.
        delta: of the claim.
        confidence: with which epsilon is at least the bound.

    Raises:
        UsageError: more guesses than canaries, or an odd number.
    """
    m = len(scores)
    if guesses % 2 or not 0 < guesses <= m:
        raise UsageError(f"an even number of guesses up to the {m} canaries was expected, found {guesses}")
    order = np.argsort(scores, kind="stable")
    right = int(included[order[m - guesses // 2 :]].sum() + (~included[order[: guesses // 2]]).sum())
    low, high = 0.0, MAX_EPSILON
    if chance(m, guesses, right, 0.0, delta) >= 1 - confidence:
        return 0.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if chance(m, guesses, right, middle, delta) < 1 - confidence else (low, middle)
    return low


def chance(m: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return an upper bound on the probability of so many right guesses under (epsilon, delta).

    P[B >= v] + 2 m delta max over i of P[v > B >= v - i] / i for B ~ Binomial(r, e^eps / (1 + e^eps)): theorem 5.2.

    Args:
        m: canaries.
        guesses: r.
        right: v.
        epsilon: of the hypothesis.
        delta: of the hypothesis.
    """
    p = 1 / (1 + math.exp(-epsilon))
    tail = float(stats.binom.sf(right - 1, guesses, p))
    i = np.arange(1, right + 1)
    mass = np.cumsum(stats.binom.pmf(right - i, guesses, p))
    return min(tail + 2 * m * delta * float((mass / i).max(initial=0.0)), 1.0)


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
