"""Noise levels: the published schedules, their marginals, respacing, preconditioning, weights of the loss, a flow."""

import math

import pytest
import torch
from monai.networks.schedulers import DDPMScheduler
from torch import Tensor

from understudy.generators.diffusion.noise import (
    CHAINS,
    EDGE,
    ChainNoise,
    EDMNoise,
    FlowNoise,
    cosine_betas,
    karras_sigmas,
    linear_betas,
    respaced,
    sigma_of,
)

GRID = (0.002, 80.0, 7.0)
CPU = torch.device("cpu")


def alpha_bar_of(sigma: Tensor) -> Tensor:
    """The share of data in the variance of x_t."""
    return 1 / (1 + sigma**2)


def test_karras_sigmas_are_equation_5() -> None:
    sigmas = karras_sigmas(18, *GRID)
    assert len(sigmas) == 19 and sigmas[-1] == 0
    assert math.isclose(sigmas[0], 80, rel_tol=1e-12) and math.isclose(sigmas[17], 0.002, rel_tol=1e-9)
    middle = (80 ** (1 / 7) + 5 / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert math.isclose(sigmas[5], middle, rel_tol=1e-12)


def test_the_linear_chain_is_the_published_one() -> None:
    betas = linear_betas(4000)
    assert math.isclose(betas[0], 2.5e-5, rel_tol=1e-12) and math.isclose(betas[-1], 5e-3, rel_tol=1e-12)
    assert torch.allclose(betas.diff(), (betas[1] - betas[0]).expand(3999), rtol=1e-6)
    ho = linear_betas(1000)
    assert math.isclose(ho[0], 1e-4, rel_tol=1e-12) and math.isclose(ho[-1], 2e-2, rel_tol=1e-12)
    ends = [float(torch.cumprod(1 - b, 0)[-1]) for b in (ho, betas)]
    assert abs(math.log(ends[0] / ends[1])) < 0.07  # the scaling keeps how much is left at the end


def test_the_cosine_chain_is_equation_17() -> None:
    def f(t: int) -> float:
        return math.cos((t / 4000 + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = cosine_betas(4000)
    assert float(betas.max()) == 0.999 == float(betas[-1]) and int((betas == 0.999).sum()) == 1
    alpha_bar = torch.cumprod(1 - betas, 0)
    for t in (1, 2, 1000, 2000, 3999):
        assert math.isclose(alpha_bar[t - 1], f(t) / f(0), rel_tol=1e-9)
    assert 0.49 < float(alpha_bar[1999]) < 0.5


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (linear_betas(4000), DDPMScheduler(4000, "linear_beta", beta_start=2.5e-5, beta_end=5e-3)),
        (cosine_betas(4000), DDPMScheduler(4000, "cosine")),
    ],
    ids=["linear", "cosine"],
)
def test_schedules_agree_with_monai(ours: Tensor, theirs: DDPMScheduler) -> None:
    assert torch.allclose(ours.float(), theirs.betas, rtol=1e-3, atol=2e-7)  # theirs is float32 throughout
    mine = torch.cumprod(1 - ours, 0).float()
    assert torch.allclose(mine, theirs.alphas_cumprod, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("name", list(CHAINS))
def test_marginals_are_those_of_the_recursion(name: str) -> None:
    """x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) n, step by step: in closed form and by Monte Carlo."""
    betas = CHAINS[name](100)
    alpha_bar = alpha_bar_of(ChainNoise(betas, GRID).sigmas)
    mean, variance = 0.7, 0.0
    x = torch.full((10_000,), 0.7)
    generator = torch.Generator().manual_seed(0)
    for t, beta in enumerate(betas.tolist()):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        x = math.sqrt(1 - beta) * x + math.sqrt(beta) * torch.randn(len(x), generator=generator)
        assert math.isclose(mean, 0.7 * math.sqrt(alpha_bar[t]), rel_tol=1e-9)
        assert math.isclose(variance, 1 - float(alpha_bar[t]), rel_tol=1e-9)
        if t in (20, 50, 99):
            assert abs(float(x.mean()) - mean) < 4 * math.sqrt(variance / len(x))
            assert abs(float(x.var()) / variance - 1) < 4 * math.sqrt(2 / len(x))


def test_sigma_and_alpha_bar_are_inverse() -> None:
    alpha_bar = torch.linspace(1e-6, 1 - 1e-6, 1001, dtype=torch.float64)
    assert torch.allclose(alpha_bar_of(sigma_of(alpha_bar)), alpha_bar, rtol=1e-9)


@pytest.mark.parametrize("name", list(CHAINS))
@pytest.mark.parametrize("steps", [2, 10, 250, 3999, 4000])
def test_respacing_keeps_the_marginals(name: str, steps: int) -> None:
    """The respaced chain, run as a chain of its own by its betas, has the alpha_bar of the levels that were kept."""
    whole = ChainNoise(CHAINS[name](4000), GRID)
    levels = whole.levels("ddpm", steps)
    assert levels.shape == (steps + 1,) and levels[-1] == 0 and bool((levels.diff() < 0).all())
    assert levels[0] == whole.sigmas[-1] and levels[-2] == whole.sigmas[0]
    assert bool(torch.isin(levels[:-1], whole.sigmas).all())
    kept = alpha_bar_of(levels).flip(0)  # from 1 on
    betas = 1 - kept[1:] / kept[:-1]
    again = ChainNoise(betas, GRID)
    assert torch.allclose(alpha_bar_of(again.sigmas), kept[1:], rtol=1e-9)
    assert torch.equal(respaced(whole.sigmas, 4000)[:-1].flip(0), whole.sigmas)


def test_heun_walks_levels_of_the_chain_near_equation_5() -> None:
    for name in CHAINS:
        chain = ChainNoise(CHAINS[name](4000), GRID)
        levels = chain.levels("heun", 18)
        assert len(levels) == 19 and levels[-1] == 0 and bool((levels.diff() < 0).all())
        assert bool(torch.isin(levels[:-1], chain.sigmas).all()) and levels[-2] == chain.sigmas[0]
        wanted = karras_sigmas(18, float(chain.sigmas[0]), 80, 7)
        assert torch.allclose(levels[:10], wanted[:10], rtol=0.02)
    short = ChainNoise(linear_betas(100)[:30], GRID)  # a chain that ends below sigma_max
    assert math.isclose(short.levels("heun", 5)[0], short.sigmas[-1])
    again = short.levels("dpmpp_2m", 40)  # more than the chain has: each once
    assert bool((again.diff() < 0).all()) and len(again) <= 31


def test_preconditioning_is_table_1() -> None:
    sigma = torch.tensor([0.01, 0.5, 20.0], dtype=torch.float64)
    y, n = torch.randn(2, 20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    edm = EDMNoise(0.5, -1.2, 1.2, GRID)
    for s in sigma:
        c_skip, c_out, c_in = edm.precondition(s)
        x = 0.5 * y + s * n
        assert abs(float((c_in * x).std()) - 1) < 0.02  # what goes in
        assert abs(float(((0.5 * y - c_skip * x) / c_out).std()) - 1) < 0.02  # what is asked for
        assert math.isclose(edm.weight(s) * c_out**2, 1, rel_tol=1e-12)
        skip, out, scale = ChainNoise(linear_betas(100), GRID).precondition(s)
        x = y + s * n
        alpha_bar = alpha_bar_of(s)
        assert torch.allclose(scale * x, alpha_bar.sqrt() * y + (1 - alpha_bar).sqrt() * n)  # Ho Eq. 4
        assert torch.allclose(skip * x + out * n, y)  # F = n gives the clean case


@pytest.mark.parametrize("name", list(CHAINS))
def test_the_weighted_loss_of_a_chain_is_that_of_the_noise(name: str) -> None:
    chain = ChainNoise(CHAINS[name](4000), GRID)
    torch.manual_seed(0)
    sigma = torch.cat([chain.draw(50, CPU), chain.sigmas[[0, -1]].float()])[:, None]
    y, n, f = torch.randn(3, 52, 8)
    c_skip, c_out, _ = chain.precondition(sigma)
    denoised = c_skip * (y + sigma * n) + c_out * f
    weighted = chain.weight(sigma) * (denoised - y) ** 2
    assert torch.allclose(weighted, (f - n) ** 2, rtol=1e-3, atol=1e-3)  # in float32 up to sigma = 8e4


def test_a_flow_predicts_the_velocity() -> None:
    """F is given x_t = (1 - t) y + t n; F = n - y gives the clean case, and the weighted loss is that of F."""
    flow, t = FlowNoise("uniform"), torch.tensor([0.01, 0.3, 0.5, 0.99], dtype=torch.float64)[:, None]
    sigma, (y, n, f) = t / (1 - t), torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0)).double()
    c_skip, c_out, c_in = flow.precondition(sigma)
    x = y + sigma * n
    assert torch.allclose(c_in * x, (1 - t) * y + t * n) and torch.allclose(flow.c_noise(sigma), t)
    assert torch.allclose(c_skip * x + c_out * (n - y), y)
    weighted = flow.weight(sigma) * (c_skip * x + c_out * f - y) ** 2
    assert torch.allclose(weighted, (f - (n - y)) ** 2)


def test_the_velocity_of_gaussian_data_is_that_of_the_posterior_mean() -> None:
    """y ~ N(m, s^2): E[n - y | x_t] = (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2) (x_t - (1 - t) m) - m."""
    flow, m, s = FlowNoise("uniform"), 0.3, 0.5
    for t in (0.05, 0.5, 0.95):
        sigma, x = torch.tensor(t / (1 - t)).double(), torch.linspace(-3, 3, 7).double()
        c_skip, c_out, c_in = flow.precondition(sigma)
        slope = (t - (1 - t) * s**2) / ((1 - t) ** 2 * s**2 + t**2)
        velocity = slope * (c_in * x - (1 - t) * m) - m
        assert torch.allclose(c_skip * x + c_out * velocity, (s**2 * x + sigma**2 * m) / (s**2 + sigma**2))


def test_times_of_a_flow() -> None:
    torch.manual_seed(0)
    even, normal = (FlowNoise(times).draw(20_000, CPU) for times in ("uniform", "logit-normal"))
    t = even / (1 + even)
    assert t.min() >= EDGE * 0.999 and t.max() <= 1 - EDGE * 0.999
    assert torch.allclose(t.quantile(torch.tensor([0.1, 0.5, 0.9])), torch.tensor([0.1, 0.5, 0.9]), atol=0.015)
    assert abs(float(normal.log().mean())) < 0.03 and abs(float(normal.log().std()) - 1) < 0.03
    flow = FlowNoise("uniform")
    levels = flow.levels("heun", 8)
    times = flow.c_noise(levels)
    assert levels.dtype == torch.float64 and levels.shape == (9,) and levels[-1] == 0 and flow.start(3.0) == 10**0.5
    assert torch.allclose(times, torch.arange(8, -1, -1, dtype=torch.float64) / 8 * (1 - EDGE))
    shifted = FlowNoise("uniform", 3.0)
    moved = shifted.c_noise(shifted.levels("heun", 8))
    assert torch.allclose(moved, 3 * times / (1 + 2 * times))  # Esser Eq. 23
    torch.manual_seed(0)
    assert torch.allclose(shifted.draw(20_000, CPU), 3 * even)


def test_training_levels() -> None:
    torch.manual_seed(0)
    chain = ChainNoise(linear_betas(50), GRID)
    drawn = chain.draw(20_000, CPU)
    counts = torch.stack([(drawn == s).sum() for s in chain.sigmas.float()])
    assert int(counts.sum()) == 20_000 and int(counts.min()) > 300 and int(counts.max()) < 500
    ln = EDMNoise(0.5, -1.2, 1.2, GRID).draw(20_000, CPU).log()
    assert abs(float(ln.mean()) + 1.2) < 0.04 and abs(float(ln.std()) - 1.2) < 0.03
    assert chain.start(3.0) == math.sqrt(10) and EDMNoise(0.5, -1.2, 1.2, GRID).start(3.0) == 3
