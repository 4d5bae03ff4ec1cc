"""Samplers: from noise to a case by way of a denoiser D(x; sigma), over any descending list of noise levels.

All work on x = y + sigma n (noise.py): a chain's x_t is x / sqrt(1 + sigma^2), a flow's is x / (1 + sigma), and these
scales drop out of the steps below. Each takes D, the start x (N, C, *S), which is noise of the first level, the
descending ``levels``, the last one mostly 0, and a function that gives standard normal noise of x's shape; it returns x
at the last level. ``now`` and ``then`` are the levels before and after a step, float64; x keeps its own type, float32
in use.

**Source**: Ho, Jain, Abbeel (arXiv 2006.11239), Algorithm 2, Eq. 6-7; Song, Meng, Ermon, Denoising Diffusion Implicit
Models (arXiv 2010.02502), Eq. 12 and 16; Karras et al., EDM (arXiv 2206.00364), Algorithms 1 and 2; Lu, Zhou,
Bao, Chen, Li, Zhu, DPM-Solver++: Fast Solver for Guided Sampling (arXiv 2211.01095), Algorithm 2; Ho, Salimans,
Classifier-Free Diffusion Guidance (arXiv 2207.12598), Eq. 6.
**Differs**: steps are written in sigma, those of Heun for a flow too, where others take them in t; Euler's steps in a
flow's t are those of DDIM with eta = 0. MONAI's ``step``, which takes one generator for a whole batch, is the reference
of the tests.
**Checked**: tests/generators/diffusion/test_samplers.py: steps against MONAI's DDPMScheduler and DDIMScheduler, and
against DPM-Solver++ in alpha, sigma and lambda; orders 1 and 2 on a Gaussian and on a mixture with known flow; DDIM
with eta = 1 against DDPM and with eta = 0 against Euler in t; all on Gaussians with exact denoisers; guidance.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]  # D(x, sigma) -> denoised x


def ancestral(
    denoise: Denoiser, x: Tensor, levels: list[float], noise: Callable[[], Tensor], variance: str = "small"
) -> Tensor:
    """Walk a chain back by its posterior: Ho Algorithm 2.

    The variance ``small`` is the posterior's for a known case, beta tilde; ``large`` is beta, section 3.2.
    """
    for now, then in pairwise(levels):
        denoised = denoise(x, now)
        kept = (then / now) ** 2
        x = denoised + (x - denoised) * kept  # Eq. 7, mean
        if then > 0:
            small = then**2 * (1 - kept)  # Eq. 7, beta tilde
            large = (now**2 - then**2) * (1 + then**2) / (1 + now**2)  # beta
            x = x + noise() * math.sqrt(small if variance == "small" else large)
    return x


def ddim(denoise: Denoiser, x: Tensor, levels: list[float], noise: Callable[[], Tensor], eta: float = 0.0) -> Tensor:
    """Take DDIM steps: Song Eq. 12, with eta = 0 deterministic (Euler's method in sigma) and with eta = 1 DDPM.

    Eta is a share of the posterior's standard deviation, 0 .. 1; with 0 no noise is asked for.
    """
    for now, then in pairwise(levels):
        denoised = denoise(x, now)
        variance = eta**2 * then**2 * (now**2 - then**2) / now**2  # Eq. 16
        x = denoised + (x - denoised) * (math.sqrt(then**2 - variance) / now)  # Eq. 12
        if variance > 0:
            x = x + noise() * math.sqrt(variance)
    return x


def heun(
    denoise: Denoiser,
    x: Tensor,
    levels: list[float],
    noise: Callable[[], Tensor],
    s_churn: float = 0.0,
    s_min: float = 0.0,
    s_max: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Integrate dx/dsigma = (x - D(x; sigma)) / sigma by Heun's method: EDM Algorithm 1, with churn Algorithm 2.

    Churn adds noise of standard deviation `s_noise` and takes it away again, `s_churn` over all steps, at the levels
    from `s_min` to `s_max`; without it no noise is asked for.
    """
    gamma = min(s_churn / max(len(levels) - 1, 1), math.sqrt(2) - 1)
    for now, then in pairwise(levels):
        if gamma > 0 and s_min <= now <= s_max:
            churned = now * (1 + gamma)
            x = x + noise() * (s_noise * math.sqrt(churned**2 - now**2))
            now = churned
        slope = (x - denoise(x, now)) / now
        ahead = x + slope * (then - now)
        if then > 0:  # second order correction
            slope_ahead = (ahead - denoise(ahead, then)) / then
            ahead = x + (slope + slope_ahead) * ((then - now) / 2)
        x = ahead
    return x


def dpmpp_2m(denoise: Denoiser, x: Tensor, levels: list[float], noise: Callable[[], Tensor]) -> Tensor:
    """Take steps of DPM-Solver++(2M), of order 2 at one evaluation a step: Lu Algorithm 2; no noise is asked for.

    Lambda is -ln(sigma) here, where alpha is 1. The first step is of order 1, and so is one to level 0, where lambda is
    infinite.
    """
    before, h_before = x, math.inf
    for now, then in pairwise(levels):
        ahead = denoised = denoise(x, now)
        if then > 0:
            h = math.log(now / then)  # h_i = lambda_i - lambda_{i-1}
            ahead = denoised + (denoised - before) * (h / (2 * h_before))  # D_i, with 1 / (2 r_i), r_i = h_{i-1} / h_i
            before, h_before = denoised, h
        x = ahead + (x - ahead) * (then / now)  # (sigma_i / sigma_{i-1}) x - (e^{-h_i} - 1) D_i
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {"ddpm": ancestral, "ddim": ddim, "heun": heun, "dpmpp_2m": dpmpp_2m}
OPTIONS: dict[str, set[str]] = {
    "ddpm": {"variance"}, "ddim": {"eta"}, "heun": {"s_churn", "s_min", "s_max", "s_noise"}, "dpmpp_2m": set(),
}  # fmt: skip


def guided(
    denoise: Callable[[Tensor, float, Tensor | None], Tensor], condition: Tensor | None, guidance: float
) -> Denoiser:
    """Return the denoiser under classifier-free guidance; 1 is the condition alone, and costs one evaluation.

    It is 1 + w of Ho and Salimans: 0 for no condition, above 1 for more than the condition (N, classes), None without.
    """
    if condition is None or guidance == 1:
        return lambda x, sigma: denoise(x, sigma, condition)
    nothing = torch.full_like(condition, torch.nan)
    if guidance == 0:
        return lambda x, sigma: denoise(x, sigma, nothing)
    return lambda x, sigma: torch.lerp(denoise(x, sigma, nothing), denoise(x, sigma, condition), guidance)  # Eq. 6
