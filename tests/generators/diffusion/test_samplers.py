"""Samplers: each step against MONAI or its paper, orders of convergence, Gaussians with exact denoisers, guidance."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor

from understudy.generators.diffusion.noise import EDGE, ChainNoise, FlowNoise, cosine_betas, karras_sigmas, linear_betas
from understudy.generators.diffusion.samplers import (
    OPTIONS,
    SAMPLERS,
    ancestral,
    ddim,
    dpmpp_2m,
    guided,
    heun,
)

GRID = (0.002, 80.0, 7.0)
MEAN, STD = 0.3, 0.5
MIXTURE = ((0.3, -1.0, 0.2), (0.7, 0.5, 0.4))  # weight, mean and standard deviation of each part


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """D of data ~ N(MEAN, STD^2): the posterior mean."""
    return (STD**2 * x + sigma**2 * MEAN) / (STD**2 + sigma**2)


def mixture(x: Tensor, sigma: float) -> Tensor:
    """D of the mixture: each part's posterior mean, by how likely x is of that part."""
    weight, mean, std = torch.tensor(MIXTURE, dtype=x.dtype).T[..., None]
    variance = std**2 + sigma**2
    likely = (weight.log() - variance.log() / 2 - (x - mean) ** 2 / variance / 2).softmax(0)
    return (likely * (std**2 * x + sigma**2 * mean) / variance).sum(0)


def flow_of_the_mixture(x: float, now: float, then: float) -> float:
    """The flow of one variable keeps its rank: the x at level `then` with as much of the distribution below it."""

    def below(x: float, sigma: float) -> float:
        return sum(w * float(norm.cdf(x, mean, math.hypot(std, sigma))) for w, mean, std in MIXTURE)

    return float(brentq(lambda other: below(other, then) - below(x, now), -50, 50, xtol=1e-13))


def forbidden() -> Tensor:
    raise AssertionError("noise was drawn")


def source(seed: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=generator, dtype=dtype)


# ---------------------------------------------------------------------- one step against MONAI
def chains(steps: int) -> list[tuple[Tensor, str, dict[str, float]]]:
    scale = 1000 / steps
    linear = {"beta_start": scale * 1e-4, "beta_end": scale * 2e-2}
    return [(linear_betas(steps), "linear_beta", linear), (cosine_betas(steps), "cosine", {})]


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("chain", [0, 1], ids=["linear", "cosine"])
@pytest.mark.parametrize("t", [1, 40, 150, 198])
def test_a_step_of_ddpm_is_monais(variance: str, chain: int, t: int) -> None:
    """Same x_t, same predicted noise, same drawn noise: posterior mean and variance agree."""
    betas, schedule, settings = chains(200)[chain]
    scheduler = DDPMScheduler(200, schedule, variance_type=f"fixed_{variance}", clip_sample=False, **settings)
    for name in ("betas", "alphas", "alphas_cumprod"):  # theirs in double precision, to compare to rounding
        value = {"betas": betas, "alphas": 1 - betas, "alphas_cumprod": torch.cumprod(1 - betas, 0)}[name]
        assert torch.allclose(getattr(scheduler, name), value.float(), rtol=1e-3, atol=1e-6)
        setattr(scheduler, name, value)
    x_t, epsilon = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected, x_0 = scheduler.step(epsilon, t, x_t, generator=torch.Generator().manual_seed(7))
    sigma = ChainNoise(betas, GRID).sigmas
    x = ancestral(
        lambda x, s: x - s * epsilon,
        x_t * torch.sqrt(1 + sigma[t] ** 2),
        sigma[[t, t - 1]].tolist(),
        source(7, x_t.shape),
        variance,
    )
    assert torch.allclose(x / (1 + sigma[t - 1] ** 2).sqrt(), expected, rtol=1e-9, atol=1e-9)
    last, _ = scheduler.step(epsilon, 0, x_t)  # the last step draws no noise
    start = x_t * torch.sqrt(1 + sigma[0] ** 2)
    assert torch.allclose(ancestral(lambda x, s: x - s * epsilon, start, [float(sigma[0]), 0.0], forbidden), last)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("chain", [0, 1], ids=["linear", "cosine"])
def test_a_step_of_ddim_is_monais(eta: float, chain: int) -> None:
    """Strides of 10 in a chain of 200, where MONAI's previous level is t - 10."""
    betas, schedule, settings = chains(200)[chain]
    scheduler = DDIMScheduler(200, schedule, clip_sample=False, **settings)
    scheduler.set_timesteps(20)
    scheduler.alphas_cumprod = torch.cumprod(1 - betas, 0)
    sigma = ChainNoise(betas, GRID).sigmas
    x_t, epsilon = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for t in (10, 77, 190):
        expected, _ = scheduler.step(epsilon, t, x_t, eta=eta, generator=torch.Generator().manual_seed(7))
        start, levels = x_t * torch.sqrt(1 + sigma[t] ** 2), sigma[[t, t - 10]].tolist()
        noise = source(7, x_t.shape) if eta else forbidden
        x = ddim(lambda x, s: x - s * epsilon, start, levels, noise, eta)
        assert torch.allclose(x / (1 + sigma[t - 10] ** 2).sqrt(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", [7, 100])
def test_ddim_with_eta_1_is_ddpm(steps: int) -> None:
    levels = ChainNoise(linear_betas(100), GRID).levels("ddpm", steps).tolist()
    x = levels[0] * torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a = ancestral(gaussian, x, levels, source(3, x.shape))
    b = ddim(gaussian, x, levels, source(3, x.shape), eta=1.0)
    assert torch.allclose(a, b, rtol=1e-9) and not torch.allclose(a, ddim(gaussian, x, levels, forbidden), rtol=0.1)


@pytest.mark.parametrize(
    "alpha",
    [lambda sigma: 1.0, lambda sigma: 1 / math.hypot(1, sigma), lambda sigma: 1 / (1 + sigma)],
    ids=["edm", "chain", "flow"],
)
def test_steps_of_dpmpp_2m_are_algorithm_2(alpha: Callable[[float], float]) -> None:
    """Lu Algorithm 2, written as there in alpha_t, sigma_t and lambda_t, over uneven levels."""
    levels, start = [7.0, 2.5, 1.1, 0.9, 0.3], 7 * torch.randn(5, generator=torch.Generator().manual_seed(0)).double()
    found = dpmpp_2m(mixture, start, levels, forbidden)
    alphas = [alpha(level) for level in levels]
    sigmas = [a * level for a, level in zip(alphas, levels, strict=True)]
    lambdas = [math.log(a / s) for a, s in zip(alphas, sigmas, strict=True)]
    x, data = alphas[0] * start, [mixture(start, levels[0])]
    for i in range(1, len(levels)):
        h, d = lambdas[i] - lambdas[i - 1], data[-1]
        if i > 1:
            r = (lambdas[i - 1] - lambdas[i - 2]) / h
            d = (1 + 1 / (2 * r)) * data[-1] - 1 / (2 * r) * data[-2]
        x = sigmas[i] / sigmas[i - 1] * x - alphas[i] * math.expm1(-h) * d
        data.append(mixture(x / alphas[i], levels[i]))
    assert torch.allclose(found, x / alphas[-1], rtol=1e-12, atol=1e-12)
    assert torch.equal(dpmpp_2m(mixture, start, [*levels, 0.0], forbidden), mixture(found, levels[-1]))


def test_eulers_steps_in_the_time_of_a_flow_are_those_of_ddim() -> None:
    """x_t moves by the velocity (x_t - D) / t, from noise at t = 1 to a case at t = 0."""
    levels = FlowNoise("uniform").levels("ddim", 7).tolist()
    x = levels[0] * torch.randn(5, generator=torch.Generator().manual_seed(0)).double()
    times = torch.linspace(1 - EDGE, 0, 8, dtype=torch.float64).tolist()
    moved = (1 - times[0]) * x
    for t, then in itertools.pairwise(times):
        moved = moved + (then - t) * (moved - mixture(moved / (1 - t), t / (1 - t))) / t
    assert torch.allclose(ddim(mixture, x, levels, forbidden), moved, rtol=1e-11, atol=1e-11)


# ---------------------------------------------------------------------- order of convergence
ORDERS = [(heun, 2.0), (dpmpp_2m, 2.0), (ddim, 1.0)]


@pytest.mark.parametrize("data", ["gaussian", "mixture"])
@pytest.mark.parametrize(("sampler", "expected"), ORDERS)
def test_order_where_the_flow_is_known(sampler: Any, expected: float, data: str) -> None:
    """A Gaussian keeps (x - MEAN) / sqrt(STD^2 + sigma^2); DDIM with eta = 0 is Euler's method and of order 1."""
    x, denoise = torch.ones(1, dtype=torch.float64) * 4, gaussian if data == "gaussian" else mixture
    exact = MEAN + (4 - MEAN) * math.sqrt((STD**2 + 0.5**2) / (STD**2 + 4.0**2))
    exact = exact if data == "gaussian" else flow_of_the_mixture(4, 4, 0.5)

    def error(steps: int) -> float:
        levels = torch.linspace(4, 0.5, steps + 1, dtype=torch.float64).tolist()  # above 0: all steps are corrected
        return abs(float(sampler(denoise, x, levels, forbidden)) - exact)

    orders = [math.log2(error(n) / error(2 * n)) for n in (256, 512)]
    assert all(abs(order - expected) < 0.1 for order in orders), orders


@pytest.mark.parametrize("sampler", [heun, dpmpp_2m, ddim])
def test_the_flow_of_gaussian_data_is_x_t(sampler: Any) -> None:
    """x_t = (1 - t) MEAN + sqrt((1 - t)^2 STD^2 + t^2) n at every t, and a case is MEAN + STD n."""
    n = torch.randn(9, generator=torch.Generator().manual_seed(0)).double()

    def exact(sigma: float) -> Tensor:
        t = sigma / (1 + sigma)
        return ((1 - t) * MEAN + math.sqrt((1 - t) ** 2 * STD**2 + t**2) * n) / (1 - t)

    levels = FlowNoise("uniform").levels("heun", 100).tolist()
    for end in (25, 75, 101):
        found = sampler(gaussian, exact(levels[0]), levels[:end], forbidden)
        assert torch.allclose(found, exact(levels[end - 1]), atol=0.02 if sampler is ddim else 0.002)
    assert torch.allclose(exact(0), MEAN + STD * n)


def test_few_steps_of_dpmpp_2m_are_nearer_than_as_many_evaluations_of_others() -> None:
    ranks = torch.linspace(-2, 2, 21, dtype=torch.float64) * 80
    exact = torch.tensor([flow_of_the_mixture(x, 80, 0) for x in ranks.tolist()], dtype=torch.float64)

    def error(name: str, steps: int) -> float:
        x = SAMPLERS[name](mixture, ranks, karras_sigmas(steps, *GRID).tolist(), forbidden)
        return float((x - exact).square().mean().sqrt())

    errors = {name: error(name, steps) for name, steps in (("dpmpp_2m", 15), ("ddim", 15), ("heun", 8))}
    assert errors["dpmpp_2m"] < 0.6 * min(errors["ddim"], errors["heun"]), errors


def test_heun_to_zero_converges() -> None:
    x = torch.tensor([80.0], dtype=torch.float64)
    exact = MEAN + (80 - MEAN) * STD / math.sqrt(STD**2 + 80**2)
    errors = [abs(float(heun(gaussian, x, karras_sigmas(n, *GRID).tolist(), forbidden)) - exact) for n in (18, 36, 72)]
    assert errors[0] < 0.03 and errors[0] > 3.8 * errors[1] > 3.8**2 * errors[2]  # four times less with half the step


# ---------------------------------------------------------------------- distributions
CASES = [
    ("ddpm", {}, 400),
    ("ddpm", {"variance": "large"}, 400),
    ("ddim", {}, 400),
    ("ddim", {"eta": 0.5}, 400),
    ("ddim", {"eta": 1.0}, 400),
    ("heun", {}, 40),
    ("heun", {"s_churn": 20.0, "s_min": 0.01, "s_max": 50.0}, 80),
    ("dpmpp_2m", {}, 40),
]


@pytest.mark.parametrize("levels_of", ["karras", "linear", "cosine", "flow"])
@pytest.mark.parametrize(("name", "options", "steps"), CASES)
def test_a_gaussian_is_recovered(name: str, options: dict[str, Any], steps: int, levels_of: str) -> None:
    if levels_of == "karras":
        levels = karras_sigmas(steps, *GRID).tolist()
    elif levels_of == "flow":
        levels = FlowNoise("uniform").levels(name, steps).tolist()
    else:
        betas = linear_betas(4000) if levels_of == "linear" else cosine_betas(4000)
        levels = ChainNoise(betas, GRID).levels(name, steps).tolist()
    noise = source(0, (20_000,), torch.float32)
    x = SAMPLERS[name](gaussian, noise() * levels[0], levels, noise, **options)
    assert x.dtype == torch.float32
    assert abs(float(x.mean()) - MEAN) < 0.02 and abs(float(x.std()) / STD - 1) < 0.03


def test_churn_is_algorithm_2() -> None:
    """One step in double precision, by hand: churned up, then Heun down."""
    calls: list[float] = []

    def denoise(x: Tensor, sigma: float) -> Tensor:
        calls.append(sigma)
        return gaussian(x, sigma)

    x, n = torch.tensor([3.0], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    found = heun(denoise, x, [2.0, 1.0], lambda: n, s_churn=0.3, s_min=1, s_max=3, s_noise=1.1)
    high = 2.0 * 1.3
    up = x + math.sqrt(high**2 - 4) * 1.1 * n
    d = (up - gaussian(up, high)) / high
    ahead = up + (1 - high) * d
    assert torch.allclose(found, up + (1 - high) * (d + ahead - gaussian(ahead, 1.0)) / 2)
    assert calls == [high, 1.0]
    heun(denoise, x, [2.0, 1.0], forbidden, s_churn=0.3, s_min=2.5)  # outside of its range: no noise
    calls.clear()
    heun(denoise, x, [2.0, 1.0], lambda: n, s_churn=100.0)
    assert math.isclose(calls[0], 2 * math.sqrt(2))  # gamma is at most sqrt(2) - 1


# ---------------------------------------------------------------------- guidance
def test_guidance_identities() -> None:
    asked: list[bool] = []

    def denoise(x: Tensor, sigma: float, condition: Tensor | None) -> Tensor:
        assert condition is not None
        asked.append(bool(condition.isnan().all()))
        return x * sigma + condition.nan_to_num(nan=-3.0)

    x, condition = torch.randn(4, 2), torch.rand(4, 2)
    with_it, without = x * 2 + condition, x * 2 - 3
    for guidance, expected, calls in (
        (1.0, with_it, [False]),
        (0.0, without, [True]),
        (3.0, without + 3 * (with_it - without), [True, False]),
        (0.3, without + 0.3 * (with_it - without), [True, False]),
    ):
        asked.clear()
        assert torch.allclose(guided(denoise, condition, guidance)(x, 2.0), expected, atol=1e-5)
        assert asked == calls
    assert torch.equal(guided(lambda x, s, c: x if c is None else x * 0, None, 1.0)(x, 2.0), x)


def test_the_menu_knows_every_option() -> None:
    assert set(OPTIONS) == set(SAMPLERS)
    for name, options in OPTIONS.items():
        assert options == set(SAMPLERS[name].__code__.co_varnames[4 : SAMPLERS[name].__code__.co_argcount])
