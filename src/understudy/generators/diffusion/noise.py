"""Noise levels: EDM's, rectified flow's, and the chains of DDPM (linear) and of improved DDPM (cosine).

All are in EDM's frame: a case y is seen as x = y + sigma n with n ~ N(0, I). A chain's x_t = sqrt(alpha_bar) y +
sqrt(1 - alpha_bar) n is this x over sqrt(1 + sigma^2), where sigma^2 = (1 - alpha_bar) / alpha_bar; a flow's x_t =
(1 - t) y + t n is this x over 1 + sigma, where sigma = t / (1 - t). So the formulations differ in a column of EDM's
Table 1: how sigma is drawn in training, the weight of the loss, the preconditioning, the levels that a sampler visits.
One denoiser and one loss (diffusion.py) and one menu of samplers (samplers.py) serve all.

**Source**: Karras et al. (EDM, 2022, arXiv 2206.00364), Table 1, Eq. 5-8; Ho, Jain, Abbeel (2020, arXiv 2006.11239),
Eq. 4 and 14, section 4 (linear); Nichol, Dhariwal, Improved Denoising Diffusion Probabilistic Models (2021, arXiv
2102.09672), Eq. 17 (cosine), section 4 (respacing); that a linear chain of T steps has the range of Ho's 1000 times
1000 / T is a fact of their code; Liu, Gong, Liu, Flow Straight and Fast (2022, arXiv 2209.03003), Eq. 1 (the velocity);
Esser et al., Scaling Rectified Flow Transformers (2024, arXiv 2403.03206), section 3.1 (logit-normal t), Eq. 23 (its
shift). Full titles of the others: diffusion.py.
**Differs**: the network is given ln(sigma) / 4, not t, in a chain too. A flow's t is 0 for data and 1 for noise, as in
Esser et al.; Liu et al. have it the other way round. Schedule numbers are float64; MONAI's schedulers, float32
throughout and with a ``set_timesteps`` that does not respace the posterior, are the reference of the tests.
**Checked**: tests/generators/diffusion/test_noise.py: schedules against MONAI and Eq. 17, marginals against the
recursion and by Monte Carlo, respacing, preconditioning, the weighted loss against Eq. 14 and the velocity of a flow,
also of Gaussian data.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

COSINE_OFFSET = 0.008  # s of Eq. 17
HIGHEST_BETA = 0.999  # near t = T, where Eq. 17 would give 1
EDGE = 1e-3  # how near a flow comes to t = 0 and 1, where weight or sigma are infinite
Grid = tuple[float, float, float]  # sigma_min, sigma_max and rho of Eq. 5


class Noise(ABC):
    """A column of EDM's Table 1."""

    sigma_data: float = 1.0  # the standard deviation that the data have or are scaled to
    scales: bool = True  # whether data are scaled, by their own mean and deviation
    clip: float | None = None  # bound of what a sampler takes for a denoised case

    @abstractmethod
    def draw(self, n: int, device: torch.device) -> Tensor:
        """Draw n noise levels for training, float32 (n,), from torch's own generator."""

    @abstractmethod
    def weight(self, sigma: Tensor) -> Tensor:
        """Return lambda(sigma), the weight of |D(x; sigma) - y|^2 in the loss."""

    @abstractmethod
    def precondition(self, sigma: Tensor) -> tuple[Tensor | float, Tensor, Tensor]:
        """Return c_skip, c_out, c_in of D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), Eq. 7."""

    def c_noise(self, sigma: Tensor) -> Tensor:
        """Return what the network is given of a noise level, (n,)."""
        return sigma.log() / 4

    @abstractmethod
    def levels(self, sampler: str, steps: int) -> Tensor:
        """Return the levels that a sampler visits, float64 (steps + 1,), descending and ending in 0."""

    @abstractmethod
    def start(self, sigma: float) -> float:
        """Return the standard deviation of the x that a sampler starts from at the level sigma."""


class EDMNoise(Noise):
    """EDM's own column: ln(sigma) ~ N(p_mean, p_std^2) in training, the levels of Eq. 5 in sampling."""

    def __init__(self, sigma_data: float, p_mean: float, p_std: float, grid: Grid) -> None:
        self.sigma_data, self.p_mean, self.p_std, self.grid = sigma_data, p_mean, p_std, grid

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Draw sigma (n,)."""
        return (torch.randn(n, device=device) * self.p_std + self.p_mean).exp()

    def weight(self, sigma: Tensor) -> Tensor:
        """Return lambda = 1 / c_out^2."""
        return (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2

    def precondition(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return c_skip, c_out, c_in: unit variance goes into F and is asked of it."""
        d = self.sigma_data
        return d**2 / (sigma**2 + d**2), sigma * d / (sigma**2 + d**2).sqrt(), 1 / (sigma**2 + d**2).sqrt()

    def levels(self, sampler: str, steps: int) -> Tensor:
        """Return Eq. 5, for every sampler."""
        return karras_sigmas(steps, *self.grid)

    def start(self, sigma: float) -> float:
        """Return sigma: Algorithm 1, line 2."""
        return sigma


class ChainNoise(Noise):
    """The VP column over a chain of T discrete levels with these betas (T,), drawn evenly; F predicts the noise.

    The grid is for solvers of order 2, heun and dpmpp_2m; the chain's own ends bound it.
    """

    clip = 1.0  # published samplers clip the prediction of x_0 to the data's range
    scales = False  # a chain works on [-1, 1] as published

    def __init__(self, betas: Tensor, grid: Grid) -> None:
        self.sigmas, self.grid = sigma_of(torch.cumprod(1 - betas.double(), 0)), grid

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Draw the sigma of t ~ U{1 .. T}, (n,)."""
        return self.sigmas.to(device, torch.float32)[torch.randint(len(self.sigmas), (n,), device=device)]

    def weight(self, sigma: Tensor) -> Tensor:
        """Return 1 / sigma^2, which makes the loss that of the noise, Ho Eq. 14: D - y = sigma (n - F)."""
        return sigma**-2

    def precondition(self, sigma: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return c_skip = 1, c_out = -sigma, and the c_in that makes x the chain's x_t, of unit variance."""
        return 1.0, -sigma, 1 / (1 + sigma**2).sqrt()

    def levels(self, sampler: str, steps: int) -> Tensor:
        """Return ``steps`` levels of the chain evenly spread over t, or for solvers of order 2 those nearest to Eq. 5.

        Nearest levels that fall together are visited once.
        """
        if sampler in ("ddpm", "ddim"):
            return respaced(self.sigmas, steps)
        low, high, rho = self.grid
        wanted = karras_sigmas(steps, max(low, float(self.sigmas[0])), min(high, float(self.sigmas[-1])), rho)[:-1]
        nearest = (self.sigmas.log() - wanted.log()[:, None]).abs().argmin(1).unique_consecutive()
        return torch.cat([self.sigmas[nearest], torch.zeros(1, dtype=torch.float64)])

    def start(self, sigma: float) -> float:
        """Return sqrt(1 + sigma^2), which makes x_T ~ N(0, I): Ho Algorithm 2, line 1."""
        return math.hypot(1, sigma)


class FlowNoise(Noise):
    """Rectified flow: x_t = (1 - t) y + t n with t = sigma / (1 + sigma), and F(x_t; t) predicts the velocity n - y.

    In training t is drawn ``uniform`` as by Liu et al., or ``logit-normal``, whose ln(sigma) ~ N(0, 1). A ``shift``
    s moves it to s t / (1 + (s - 1) t), Esser Eq. 23, which makes sigma s times as large, in training and for samplers.
    """

    def __init__(self, times: str, shift: float = 1.0) -> None:
        self.times, self.shift = times, shift

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Draw the sigma of n times t."""
        t = torch.rand(n, device=device) if self.times == "uniform" else torch.randn(n, device=device).sigmoid()
        t = t.clamp(EDGE, 1 - EDGE)
        return self.shift * t / (1 - t)

    def weight(self, sigma: Tensor) -> Tensor:
        """Return 1 / t^2, which makes the loss that of the velocity, Liu Eq. 1: D - y = t (n - y - F)."""
        return (1 + 1 / sigma) ** 2

    def precondition(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return c_skip, c_out, c_in of D = x_t - t F, where x_t = x / (1 + sigma) is what F is given."""
        scale = 1 / (1 + sigma)
        return scale, -sigma * scale, scale

    def c_noise(self, sigma: Tensor) -> Tensor:
        """Return t, (n,)."""
        return sigma / (1 + sigma)

    def levels(self, sampler: str, steps: int) -> Tensor:
        """Return the sigma of t = 1 - EDGE .. 0 in even steps, for every sampler: at t = 1 it would be infinite."""
        t = torch.linspace(1 - EDGE, 0, steps + 1, dtype=torch.float64)  # before the shift
        return self.shift * t / (1 - t)

    def start(self, sigma: float) -> float:
        """Return sqrt(1 + sigma^2): data scaled to deviation 1, and noise."""
        return math.hypot(1, sigma)


def linear_betas(steps: int) -> Tensor:
    """Return the beta of Ho's linear chain, float64 (steps,): 1e-4 .. 2e-2 at 1000 steps, scaled to others."""
    return torch.linspace(1e-4, 2e-2, steps, dtype=torch.float64) * (1000 / steps)


def cosine_betas(steps: int) -> Tensor:
    """Return the beta of the cosine chain, float64 (steps,): Nichol and Dhariwal Eq. 17."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = ((t + COSINE_OFFSET) / (1 + COSINE_OFFSET) * (math.pi / 2)).cos() ** 2
    return (1 - f[1:] / f[:-1]).clamp_max(HIGHEST_BETA)


CHAINS = {"ddpm": linear_betas, "cosine": cosine_betas}


def sigma_of(alpha_bar: Tensor) -> Tensor:
    """Return sigma, the noise to data ratio of x_t, from alpha_bar."""
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def respaced(sigmas: Tensor, steps: int) -> Tensor:
    """Keep 2 .. T of the ascending levels (T,) of a chain, evenly spread over t with both ends.

    The samplers go by levels alone, so the marginals are those of the whole chain: beta'_i = 1 - alpha_bar(t_i) /
    alpha_bar(t_{i-1}), Nichol and Dhariwal, section 4. Returns (steps + 1,), float64, descending and ending in 0.
    """
    kept = sigmas[torch.linspace(0, len(sigmas) - 1, steps, dtype=torch.float64).round().long()]
    return torch.cat([kept.flip(0), torch.zeros(1, dtype=sigmas.dtype)])


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Return the noise levels of EDM Eq. 5, float64 (steps + 1,), descending and ending in 0."""
    i = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    sigmas = (sigma_max ** (1 / rho) + i * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))) ** rho
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
