"""Diffusion: the EDM formulation with its Heun sampler, and the published 4000-step linear DDPM.

**Source**: Karras, Aittala, Aila, Laine, Elucidating the Design Space of Diffusion-Based Generative Models (EDM,
arXiv 2206.00364), Table 1, Eq. 5-8 and Algorithm 1; Ho, Jain, Abbeel, Denoising Diffusion Probabilistic Models
(arXiv 2006.11239), Eq. 4, 11, 14, with the 4000 linear steps that Akbar et al. (Sci Data 11:259, 2024) trained.
**Differs**: the network is nets/unet.py (EDM2's magnitude-preserving U-Net) for both; image and label channels are
diffused jointly; DDPM's noise schedule and ancestral step are MONAI's DDPMScheduler.
**Checked** in tests/generators/test_diffusion.py: preconditioning identities, Heun's order 2 on a Gaussian with known
score, DDPM marginals in closed form, and by the contract tests.
"""

import copy
import math
from typing import Any, ClassVar, Literal

import torch
from monai.networks.schedulers import DDPMScheduler
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.base import Generator, GeneratorConfig
from understudy.nets.unet import UNet
from understudy.training.ema import ema_decay, ema_update
from understudy.training.feed import Batch

DDPM_STEPS = 4000  # Akbar et al. 2024


class DiffusionConfig(GeneratorConfig):
    """Configuration of :class:`Diffusion`; letters as in EDM, Table 1."""

    formulation: Literal["edm", "ddpm"] = Field(
        "edm", description="edm: EDM with Heun; ddpm: 4000 linear steps, ancestral"
    )
    channels: tuple[int, ...] = Field((64, 128, 192), description="channels a level, finest first")
    blocks: int = Field(1, gt=0, description="residual blocks a level")
    patch: int = Field(
        2, gt=0, description="side of the patches that become channels at the network's door; 1 for none"
    )
    attention_levels: tuple[int, ...] = Field((2,), description="levels (0 = finest) with self-attention")
    head_channels: int = Field(64, gt=0, description="channels an attention head")
    dropout: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(
        16, gt=0, description="images a step, over all processes; small: steps count more than noise"
    )
    learning_rate: float = Field(0.02, gt=0, description="of Adam; weights have unit rows, hence larger than usual")
    decay_images: float = Field(2e4, gt=0, description="from here the rate falls with the square root of images (EDM2)")
    warmup_images: float = Field(500, ge=0, description="linear warm-up of the learning rate")
    ema_images: float = Field(10_000, gt=0, description="half-life of the EMA, in images")
    sigma_data: float = Field(0.5, gt=0)
    p_mean: float = Field(-1.2, description="mean of ln(sigma) in training")
    p_std: float = Field(1.2, gt=0, description="standard deviation of ln(sigma) in training")
    sampler_steps: int = Field(18, gt=1, description="Heun steps (edm), or ancestral steps out of 4000 (ddpm)")
    sigma_min: float = Field(0.002, gt=0)
    sigma_max: float = Field(80.0, gt=0)
    rho: float = Field(7.0, gt=0)
    condition_dropout: float = Field(
        0.1, ge=0, le=1, description="share of training cases whose class condition is hidden"
    )

    @model_validator(mode="after")
    def _check(self) -> "DiffusionConfig":
        if self.formulation == "ddpm" and self.sampler_steps > DDPM_STEPS:
            raise ValueError(f"sampler_steps is at most {DDPM_STEPS} for ddpm, found {self.sampler_steps}")
        return self


class Scale(nn.Module):
    """Mean and standard deviation a channel of the training cases: EDM wants data of standard deviation sigma_data."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, *[1] * dims))
        self.register_buffer("std", torch.ones(channels, *[1] * dims))

    def measure(self, x: Tensor) -> None:
        """Take mean and standard deviation of x (n, channels, *S) a channel; a constant channel keeps std 1."""
        values = x.transpose(0, 1).flatten(1).double()
        std = values.std(1)
        self.mean.copy_(values.mean(1).reshape(self.mean.shape))
        self.std.copy_(torch.where(std > 1e-3, std, 1.0).reshape(self.std.shape))


class Diffusion(Generator):
    """Denoising diffusion in pixel space over image and label channels."""

    name = "diffusion"
    Config = DiffusionConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        "ddpm": {"formulation": "ddpm", "sampler_steps": DDPM_STEPS},
        "large": {
            **{"channels": (128, 256, 384), "blocks": 3, "patch": 1, "batch_size": 64, "images_seen": 5_000_000},
            **{
                "ema_images": 500_000,
                "decay_images": 1e6,
                "learning_rate": 0.01,
                "snapshot_every": 500_000,
                "grid_every": 100_000,
            },
        },
        "demo": {
            **{"channels": (32, 64, 96), "attention_levels": (), "images_seen": 16_000, "sampler_steps": 12},
            **{"ema_images": 2_000},
            **{"snapshot_every": 16_000, "grid_every": 4_000},
        },
    }
    config: DiffusionConfig

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make the network, its EMA and the optimiser; see the contract."""
        cfg, side = self.config, self.config.patch * 2 ** (len(self.config.channels) - 1)
        if any(s % side for s in size):
            raise UsageError(
                f"diffusion with {len(cfg.channels)} levels and patches of {cfg.patch} needs sides that divide by "
                f"{side}, found {size}: import with another --size, or set fewer channels"
            )
        self.shape = (encoding.n, *size)
        shared = cfg.model_dump(include={"channels", "blocks", "patch", "attention_levels", "head_channels", "dropout"})
        self.net = self.engine.place(UNet(encoding.n, encoding.n, dims=len(size), classes=classes, **shared))
        self.scale = Scale(encoding.n, len(size)).to(self.engine.device)
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=cfg.learning_rate, betas=(0.9, 0.99), eps=1e-8, fused=True
        )

    def modules(self) -> dict[str, nn.Module]:
        """Return the network and its EMA."""
        return {"net": self.net, "ema": self.ema, "scale": self.scale}

    def snapshot_modules(self) -> dict[str, nn.Module]:
        """Return the EMA network and the data's scale."""
        return {"ema": self.ema, "scale": self.scale}

    def measure(self, x: Tensor) -> None:
        """Take the data's scale (edm; ddpm works on [-1, 1] as published); see the contract."""
        if self.config.formulation == "edm":
            self.scale.measure(x)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return Adam."""
        return {"net": self.optimizer}

    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one optimiser step; see the contract."""
        cfg = self.config
        rate = cfg.learning_rate / math.sqrt(max(batch.images_seen / cfg.decay_images, 1))
        warm = min((batch.images_seen + cfg.batch_size) / cfg.warmup_images, 1) if cfg.warmup_images else 1
        for group in self.optimizer.param_groups:
            group["lr"] = rate * warm
        condition = self._hide(batch.condition)
        loss = (self._edm_loss if cfg.formulation == "edm" else self._ddpm_loss)(batch.x, condition)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.engine.average_gradients(self.net.parameters())
        self.optimizer.step()
        self.net.normalize_weights()  # type: ignore[operator]
        ema_update(self.ema, self.net, ema_decay(cfg.batch_size, cfg.ema_images, batch.images_seen))
        return {"loss": loss.detach()}

    def _hide(self, condition: Tensor | None) -> Tensor | None:
        if condition is None:
            return None
        kept = torch.rand(len(condition), 1, device=condition.device) >= self.config.condition_dropout
        return condition.nan_to_num() * kept

    # ------------------------------------------------------------------ EDM
    def denoise(self, net: nn.Module, x: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return the denoised image D(x; sigma), EDM Eq. 7.

        Args:
            net: F.
            x: noisy images float32 (N, C + L, *S).
            sigma: noise level a case (N,).
            condition: (N, classes) or None.
        """
        s, d = sigma.reshape(-1, *[1] * (x.ndim - 1)), self.config.sigma_data
        c_skip = d**2 / (s**2 + d**2)
        c_out = s * d / (s**2 + d**2).sqrt()
        c_in = 1 / (s**2 + d**2).sqrt()
        c_noise = sigma.log() / 4
        with self.engine.autocast():
            f = net(c_in * x, c_noise, condition)
        return c_skip * x + c_out * f.float()

    def _edm_loss(self, y: Tensor, condition: Tensor | None) -> Tensor:
        cfg = self.config
        y = (y - self.scale.mean) / self.scale.std * cfg.sigma_data
        sigma = (torch.randn(len(y), device=y.device) * cfg.p_std + cfg.p_mean).exp()
        weight = (sigma**2 + cfg.sigma_data**2) / (sigma * cfg.sigma_data) ** 2  # lambda, Table 1
        noise = torch.randn_like(y) * sigma.reshape(-1, *[1] * (y.ndim - 1))
        error = (self.denoise(self.net, y + noise, sigma, condition) - y).square().flatten(1).mean(1)
        return (weight * error).mean()  # Eq. 8

    def _heun(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Integrate the probability flow from sigma_max to 0: Algorithm 1 without churn."""
        cfg = self.config
        sigmas = karras_sigmas(cfg.sampler_steps, cfg.sigma_min, cfg.sigma_max, cfg.rho).to(noise.device)
        y = heun(lambda x, s: self.denoise(self.ema, x, s.expand(len(x)), condition), noise * cfg.sigma_max, sigmas)
        return y / cfg.sigma_data * self.scale.std + self.scale.mean

    # ------------------------------------------------------------------ DDPM
    def _ddpm_net(self, net: nn.Module, x: Tensor, alpha_bar: Tensor, condition: Tensor | None) -> Tensor:
        sigma = ((1 - alpha_bar) / alpha_bar).sqrt()  # the noise level of EDM at this step, only to tell the network
        with self.engine.autocast():
            return net(x, (sigma.log() / 4).expand(len(x)), condition).float()

    def _ddpm_loss(self, x0: Tensor, condition: Tensor | None) -> Tensor:
        scheduler = ddpm_scheduler(DDPM_STEPS)
        t = torch.randint(DDPM_STEPS, (len(x0),), device=x0.device)
        epsilon = torch.randn_like(x0)
        x_t = scheduler.add_noise(original_samples=x0, noise=epsilon, timesteps=t)  # Eq. 4
        predicted = self._ddpm_net(self.net, x_t, scheduler.alphas_cumprod.to(x0.device)[t], condition)
        return (predicted - epsilon).square().mean()  # Eq. 14

    def _ancestral(self, x: Tensor, generators: list[torch.Generator], condition: Tensor | None) -> Tensor:
        scheduler = ddpm_scheduler(self.config.sampler_steps)
        for t in reversed(range(self.config.sampler_steps)):
            epsilon = self._ddpm_net(self.ema, x, scheduler.alphas_cumprod[t].to(x.device), condition).cpu()
            x = torch.cat(
                [
                    scheduler.step(epsilon[i : i + 1], t, x[i : i + 1].cpu(), generator=g)[0]  # Algorithm 2
                    for i, g in enumerate(generators)
                ]
            ).to(x.device)
        return x

    # ------------------------------------------------------------------ sampling
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw one case a seed; see the contract."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = noise_like(torch.empty(len(seeds), *self.shape, device=self.engine.device), generators)
        if self.config.formulation == "edm":
            return self._heun(noise, condition)
        return self._ancestral(noise, generators, condition)


def noise_like(x: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Return standard normal noise of x's shape, case i from generator i alone."""
    return torch.stack([torch.randn(x.shape[1:], generator=g) for g in generators]).to(x.device)


def ddpm_scheduler(steps: int) -> DDPMScheduler:
    """Return MONAI's scheduler of the 4000-step linear chain, respaced to ``steps`` evenly spread ones of them.

    Respacing keeps the marginals: beta'_i = 1 - alpha_bar(t_i) / alpha_bar(t_{i-1}) (Nichol and Dhariwal,
    arXiv 2102.09672, section 4), which MONAI's own ``set_timesteps`` does not do.
    """
    scale = 1000 / DDPM_STEPS  # the published code scales Ho's 1e-4 .. 2e-2 with the number of steps
    scheduler = DDPMScheduler(
        num_train_timesteps=DDPM_STEPS, schedule="linear_beta", beta_start=scale * 1e-4, beta_end=scale * 2e-2
    )
    if steps < DDPM_STEPS:
        kept = scheduler.alphas_cumprod[torch.linspace(0, DDPM_STEPS - 1, steps).round().long()]
        scheduler.betas = 1 - kept / torch.cat([torch.ones(1), kept[:-1]])
        scheduler.alphas, scheduler.alphas_cumprod = 1 - scheduler.betas, kept
    return scheduler


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Return the noise levels of EDM Eq. 5, float64 (steps + 1,), descending and ending in 0."""
    i = torch.arange(steps, dtype=torch.float64) / (steps - 1)
    sigmas = (sigma_max ** (1 / rho) + i * (sigma_min ** (1 / rho) - sigma_max ** (1 / rho))) ** rho
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])


def heun(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """Integrate dx/dsigma = (x - D(x; sigma)) / sigma by Heun's method: EDM Algorithm 1 with S_churn = 0.

    Args:
        denoise: D(x, sigma) with sigma a 0-d tensor of x's type.
        x: the start, noise of standard deviation sigmas[0].
        sigmas: descending noise levels, the last one 0.

    Returns:
        x at sigma 0.
    """
    for now, then in zip(sigmas[:-1], sigmas[1:], strict=True):
        slope = (x - denoise(x, now.to(x.dtype))) / now.to(x.dtype)
        ahead = x + slope * (then - now).to(x.dtype)
        if then > 0:  # second order correction
            slope_ahead = (ahead - denoise(ahead, then.to(x.dtype))) / then.to(x.dtype)
            ahead = x + (slope + slope_ahead) * ((then - now).to(x.dtype) / 2)
        x = ahead
    return x
