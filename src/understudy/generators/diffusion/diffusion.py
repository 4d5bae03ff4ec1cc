"""Diffusion: EDM with Heun; rectified flow; DDPM with 4000 linear steps as published; cosine; DDIM; DPM-Solver++.

**Source**: Karras, Aittala, Aila, Laine, Elucidating the Design Space of Diffusion-Based Generative Models (EDM, 2022,
arXiv 2206.00364), Table 1, Eq. 7 (preconditioning) and 8 (loss); Karras et al. (EDM2, 2023, arXiv 2312.02696), Eq. 67
(the falling learning rate) and section 2.3 (weights kept at their norm); Ho, Jain, Abbeel, Denoising Diffusion
Probabilistic Models (2020, arXiv 2006.11239), Eq. 14, with the 4000 linear steps that Akbar et al. (Sci Data 11:259,
2024) trained with OpenAI's guided-diffusion; Nichol, Dhariwal (2021, arXiv 2102.09672), the cosine chain; Liu, Gong,
Liu (2022, arXiv 2209.03003), rectified flow; Ho, Salimans (2022, arXiv 2207.12598), guidance. With privacy: Dockhorn,
Cao, Vahdat, Kreis, Differentially Private Diffusion Models (2022, arXiv 2210.09929): every case is seen with several
noise levels before its subject's gradient is clipped. With a second cohort of images alone: Bao et al., One Transformer
Fits All Distributions in Multi-Modal Diffusion at Scale (UniDiffuser, 2023, arXiv 2303.06555): one network learns the
joint distribution and that of one part alone. Noise levels: noise.py; samplers: samplers.py; network: nets/unet.py
(EDM2's magnitude-preserving U-Net).
**Differs**: image and label channels are diffused jointly; learning rates are those of weights of unit size (preset
``paper``: 1e-4 on guided-diffusion's weights, of size about 0.02, is 5e-3 here, and Adam with betas 0.9 and 0.99 stands
for AdamW with 0.9 and 0.999); EDM's augmentation that does not leak is left out; the cosine chain is trained with Ho's
loss and fixed variances, without learned ones; a flow is learned once, of data scaled to deviation 1, without the
reflow of Liu et al.; any sampler may be used with any formulation; with privacy the data's mean and deviation are not
measured, and public constants stand in their place. Label maps that are not known enter the network as 0 in every label
channel, without noise, which no label map does at any noise level; UniDiffuser has them at the highest of noise levels
of their own. In the loss a channel counts by its mean over the cases in which it is known.
**Checked**: tests/generators/diffusion/ (preconditioning, loss, samples of known Gaussians in every pair of formulation
and sampler, null condition, guidance, images alone), tests/training/dp/test_training.py and the contract tests.
"""

import copy
import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.base import Generator
from understudy.generators.diffusion.dissimilarity import Dissimilarity
from understudy.generators.diffusion.noise import CHAINS, ChainNoise, EDMNoise, FlowNoise, Noise
from understudy.generators.diffusion.samplers import OPTIONS, SAMPLERS, Denoiser, guided
from understudy.generators.diffusion.scale import DataScale
from understudy.nets.case_noise import CaseNoise
from understudy.nets.label_maps import decoded, encoded, one_hot
from understudy.nets.unet import UNet, fixed_weights
from understudy.training.batches import Batch, BatchStream, PartlyLabelledStream
from understudy.training.dp.settings import OffersPrivacy
from understudy.training.loop import BatchSource
from understudy.training.optimizer import adam

Network = Callable[..., Tensor]
DEFAULT_STEPS = {"heun": 18, "dpmpp_2m": 7, "ddim": 50, "ddpm": 250}  # 7: docs/results/sampling_steps.md
GRID = {"sigma_min", "sigma_max", "rho"}
ONLY = {
    "edm": {"sigma_data", "p_mean", "p_std", *GRID}, "flow": {"flow_times", "flow_shift"},
    "ddpm": {"steps", *GRID}, "cosine": {"steps", *GRID},
}  # fmt: skip


class DiffusionConfig(OffersPrivacy):
    """Configuration of :class:`Diffusion`; letters as in EDM, Table 1."""

    formulation: Literal["edm", "flow", "ddpm", "cosine"] = Field(
        "edm",
        description="edm: continuous noise levels; flow: rectified flow; ddpm, cosine: a chain with Ho's linear, or "
        "the cosine schedule",
    )
    steps: int = Field(4000, ge=50, description="length of the chain (ddpm, cosine)")
    labels: Literal["joint", "given"] = Field(
        "joint", description="joint: label maps are drawn with the images; given: images are drawn for label maps"
    )
    labelled_share: float = Field(
        0.5, gt=0, lt=1, description="share of training cases with label maps, beside images alone (--other)"
    )
    channels: tuple[int, ...] = Field((64, 128, 192), description="channels a level, finest first")
    blocks: int = Field(1, gt=0, description="residual blocks a level")
    patch: int = Field(2, gt=0, description="side of the patches that become channels at full size; 1 for none")
    attention_levels: tuple[int, ...] = Field(
        (2,), description="levels (0 = finest) with self-attention; by default none of fewer than three"
    )
    head_channels: int = Field(
        64, gt=0, description="channels an attention head; more where a level's do not divide by its heads"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="of the U-Net's residual blocks, in training")
    batch_size: int = Field(
        16, gt=0, description="images a step, over all processes; small: steps count more than noise"
    )
    learning_rate: float = Field(0.02, gt=0, description="of Adam; weights have unit rows, hence larger than usual")
    decay_images: float | None = Field(
        2e4, gt=0, description="from here the rate falls with the square root of images (EDM2); null: never"
    )
    warmup_images: float = Field(500, ge=0, description="linear warm-up of the learning rate")
    ema_images: float = Field(10_000, gt=0, description="half-life of the EMA, in images")
    ema_rampup: float | None = Field(
        0.05,
        gt=0,
        description="the half-life is at most this share of the images seen so far; null: never shorter, nor after "
        "--start",
    )
    sigma_data: float = Field(0.5, gt=0, description="standard deviation that data are scaled to (edm)")
    p_mean: float = Field(-1.2, description="mean of ln(sigma) in training (edm)")
    p_std: float = Field(1.2, gt=0, description="standard deviation of ln(sigma) in training (edm)")
    flow_times: Literal["logit-normal", "uniform"] = Field("logit-normal", description="times t in training (flow)")
    flow_shift: float = Field(
        1.0, gt=0, description="factor on the noise levels, in training and sampling: 2 for twice the side (flow)"
    )
    sampler: Literal["auto", "ddpm", "ddim", "heun", "dpmpp_2m"] = Field(
        "auto", description="auto: dpmpp_2m, DPM-Solver++ (2M), for edm and flow, else ddpm"
    )
    sampler_steps: int | None = Field(
        None, gt=1, description="null: 7 for dpmpp_2m, 18 for heun, 50 for ddim, 250 for ddpm"
    )
    sigma_min: float = Field(0.002, gt=0, description="lowest noise level of a sampler (edm; chains: heun, dpmpp_2m)")
    sigma_max: float = Field(80.0, gt=0, description="highest noise level of a sampler (edm; chains: heun, dpmpp_2m)")
    rho: float = Field(7.0, gt=0, description="how densely levels lie at the lower end (edm; chains: heun, dpmpp_2m)")
    eta: float = Field(0.0, ge=0, le=1, description="noise of sampler ddim, as a share of ddpm's")
    variance: Literal["small", "large"] = Field("small", description="of a step of sampler ddpm: beta tilde, or beta")
    s_churn: float = Field(0.0, ge=0, description="noise added and removed again by sampler heun (EDM Algorithm 2)")
    s_min: float = Field(0.05, ge=0, description="lowest noise level with churn")
    s_max: float = Field(50.0, gt=0, description="highest noise level with churn")
    s_noise: float = Field(1.003, gt=0, description="standard deviation of churn's noise")
    guidance: float = Field(1.0, ge=0, description="classifier-free guidance; 1: none, 0: no condition, above 1: more")
    condition_dropout: float = Field(0.1, ge=0, le=1, description="share of training cases whose condition is hidden")

    def noise(self) -> Noise:
        """Return the noise levels of the formulation."""
        grid = (self.sigma_min, self.sigma_max, self.rho)
        if self.formulation == "edm":
            return EDMNoise(self.sigma_data, self.p_mean, self.p_std, grid)
        if self.formulation == "flow":
            return FlowNoise(self.flow_times, self.flow_shift)
        return ChainNoise(CHAINS[self.formulation](self.steps), grid)

    def sampling(self) -> tuple[str, int, dict[str, Any]]:
        """Return name, steps and options of the sampler."""
        name = ("ddpm" if self.formulation in CHAINS else "dpmpp_2m") if self.sampler == "auto" else self.sampler
        return name, self.sampler_steps or min(DEFAULT_STEPS[name], self.steps), self.model_dump(include=OPTIONS[name])

    @model_validator(mode="after")
    def _check(self) -> "DiffusionConfig":
        name, steps, _ = self.sampling()
        if self.formulation in CHAINS and name in ("ddpm", "ddim") and steps > self.steps:
            raise ValueError(f"sampler_steps is at most steps, {self.steps}, for {name}, found {steps}")
        for what, chosen, menu in (("sampler", name, OPTIONS), ("formulation", self.formulation, ONLY)):
            for option in sorted(set().union(*menu.values()) - menu[chosen]):
                default = type(self).model_fields[option].default
                if getattr(self, option) != default:
                    users = " or ".join(user for user in menu if option in menu[user])
                    raise ValueError(
                        f"{option} is for {what} {users}, and the {what} is {chosen}: leave it out, or at {default}"
                    )
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min must be below sigma_max, {self.sigma_max:g}, found {self.sigma_min:g}")
        beyond = sorted({*self.attention_levels} - {*range(len(self.channels))})
        if beyond and self.attention_levels != type(self).model_fields["attention_levels"].default:
            raise ValueError(
                f"attention_levels are 0 to {len(self.channels) - 1} with these channels, found {beyond[0]}"
            )
        if self.formulation not in CHAINS and self.variance == "large":
            raise ValueError(
                f"variance large is the beta of a chain, and {self.formulation} has none: use ddpm, cosine or small"
            )
        conditioned = self.conditional or self.labels == "given"
        if self.guidance != 1 and not (conditioned and self.condition_dropout):
            raise ValueError("guidance needs conditional=true or labels=given, and condition_dropout above 0")
        if self.conditional and self.labels == "given":
            raise ValueError("a condition is classes or label maps: set conditional=true or labels=given, not both")
        return self


class Diffusion(Generator):
    """Denoising diffusion in pixel space over image and label channels."""

    name = "diffusion"
    OTHER = "images"
    Config = DiffusionConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        "short": {"images_seen": 100_000},
        "ddpm": {"formulation": "ddpm", "grid_every": 50_000},
        "cosine": {"formulation": "cosine", "grid_every": 50_000},
        "flow": {"formulation": "flow"},
        "large": {"channels": (128, 256, 384), "blocks": 3, "patch": 1, "batch_size": 64, "images_seen": 5_000_000,
                  "ema_images": 500_000, "decay_images": 1e6, "learning_rate": 0.01, "snapshot_every": 500_000,
                  "grid_every": 100_000},
        # Akbar et al. 2024: guided-diffusion for 256 px, 64 channels, 3 blocks, attention at 16 and 8 px; 30,000 steps.
        # EMA 0.9999 a step of 32: 32 ln 0.5 / ln 0.9999.
        "paper": {"formulation": "ddpm", "steps": 4000, "sampler_steps": 4000, "variance": "large",
                  "channels": (64, 64, 128, 128, 256, 256), "blocks": 3, "patch": 1, "attention_levels": (4, 5),
                  "batch_size": 32, "learning_rate": 5e-3, "decay_images": None, "warmup_images": 0,
                  "ema_images": 221_800, "ema_rampup": None, "images_seen": 960_000, "snapshot_every": 320_000,
                  "grid_every": 320_000},
        "demo": {"channels": (32, 64, 96), "attention_levels": (), "images_seen": 16_000, "sampler_steps": 12,
                 "ema_images": 2_000, "snapshot_every": 16_000, "grid_every": 4_000},
        # Under a minute of two cores, label map to image: a sampler stops above the noise that 600 steps do not learn.
        "demo-labels": {"labels": "given", "channels": (32, 64), "attention_levels": (), "images_seen": 9_600,
                        "mirror": True, "warmup_images": 800, "decay_images": 4_000, "ema_images": 1_000,
                        "sigma_min": 0.4, "sigma_max": 20.0, "sampler_steps": 10, "snapshot_every": 9_600,
                        "grid_every": 9_600},
    }  # fmt: skip
    SAMPLING: ClassVar[tuple[str, ...]] = (
        "sample_block", "sampler", "sampler_steps", "sigma_min", "sigma_max", "rho", "eta", "variance", "guidance",
        "s_churn", "s_min", "s_max", "s_noise",
    )  # fmt: skip
    _avoided: Dissimilarity | None = None
    NETWORKS = ("net", "ema", "scale")
    SNAPSHOT = ("ema", "scale")
    config: DiffusionConfig

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What is given of every case; see the contract."""
        return "labels" if self.config.labels == "given" else None

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make the network, its EMA and the optimiser; see the contract."""
        cfg, side = self.config, self.config.patch * 2 ** (len(self.config.channels) - 1)
        if any(s % side for s in size):
            raise UsageError(
                f"diffusion with {len(cfg.channels)} levels and patches of {cfg.patch} needs sides that divide by "
                f"{side}, found {size}: import with another --size, or set fewer channels"
            )
        out = encoding.image_channels if self.given else encoding.n
        more = len(encoding.scheme) if self.given and encoding.scheme else 0
        self.shape, self.classes = (out, *size), classes
        shared = cfg.model_dump(include={"channels", "blocks", "patch", "attention_levels", "head_channels", "dropout"})
        self.net = self.engine.place(UNet(out + more, out, dims=len(size), classes=classes, **shared))
        self.scale = DataScale(out, len(size)).to(self.engine.device)
        self.ema = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.noise = cfg.noise()
        self.adams = {"net": adam(self.net.parameters(), cfg.learning_rate, betas=(0.9, 0.99))}

    def measure(self, cases: Iterable[Tensor]) -> None:
        """Take the data's scale, where the formulation wants one; see the contract."""
        if self.noise.scales:
            self.scale.measure(x[:, : self.shape[0]] for x in cases)

    # ------------------------------------------------------------------ training
    def stream(self, cohort: Cohort, other: Cohort | None, seed: int) -> BatchSource:
        """Return the batches of a training, images alone among labelled cases; see the contract."""
        both = BatchStream.of(self.config, cohort, other, seed)
        return PartlyLabelledStream(both, both.other, self.config.labelled_share) if both.other else both

    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one optimiser step; see the contract."""
        loss = self.loss(*self._split(batch))
        self.adams["net"].zero_grad(set_to_none=True)
        loss.backward()
        self.engine.average_gradients(self.net.parameters())
        self.private_step(batch.images_seen)
        return {"loss": loss.detach()}

    def denoise(self, net: Network, x: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return the denoised case D(x; sigma), EDM Eq. 7, by the network F.

        Cases x and condition, NaN for none, are as in :meth:`loss`, x float32; noise levels are (N,).
        """
        c_skip, c_out, c_in = self.noise.precondition(sigma.reshape(-1, *[1] * (x.ndim - 1)))
        c_noise = self.noise.c_noise(sigma)
        y = c_in * x
        if self.given and condition is not None:  # a hidden map has no class anywhere
            y, condition = torch.cat([y, condition.nan_to_num()], dim=1), None
        with self.engine.autocast():
            f = net(y, c_noise, condition)
        return c_skip * x + c_out * f.float()

    def loss(self, x: Tensor, condition: Tensor | None, net: Network | None = None) -> Tensor:
        """Return lambda |D(y + n; sigma) - y|^2 a pixel, EDM Eq. 8: in a chain Ho's Eq. 14, in a flow Liu's Eq. 1.

        Cases x are (N, C + L, *S), NaN in label channels that are not known, or images alone (N, C, *S), in [-1, 1],
        the condition (N, classes), label maps (N, K, *S) or None. F is by default the network that learns.
        """
        known = ~x.isnan()
        y = (x.nan_to_num() - self.scale.mean) / self.scale.std * self.noise.sigma_data
        sigma = self.noise.draw(len(y), y.device)
        noise = torch.randn_like(y) * sigma.reshape(-1, *[1] * (y.ndim - 1))
        error = (self.denoise(net or self.net, known * (y + noise), sigma, condition) - y).square()
        share = known.float().mean(0, keepdim=True)  # of the cases, in which a channel is known
        error = (error * known / share.clamp_min(1e-6)).flatten(1).mean(1)
        return (self.noise.weight(sigma) * error).mean()

    def _split(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return what is drawn, and the condition, hidden in some cases: NaN."""
        condition = batch.condition
        if self.given:
            labels = batch.x[:, self.shape[0] :]
            condition = self._maps(decoded(labels.nan_to_num(), self.scheme)).where(~labels[:, :1].isnan(), torch.nan)
        if condition is None:
            return batch.x, None
        kept = torch.rand(len(condition), *[1] * (condition.ndim - 1), device=condition.device)
        return batch.x[:, : self.shape[0]], condition.where(kept >= self.config.condition_dropout, torch.nan)

    def _maps(self, labels: Tensor) -> Tensor:
        """Return label maps (N, *S) as the network sees them: (N, K, *S), -1 and 1."""
        return one_hot(labels, self.scheme) * 2 - 1

    # ------------------------------------------------------------------ with differential privacy
    def private_network(self) -> nn.Module:
        """Return the network, which is all that learns."""
        return self.net

    def assume(self) -> None:
        """Take for the data's mean and deviation, which are not measured, those of a public start, else 0 and 0.5."""
        if self.noise.scales and "scale" not in self.taken:
            self.scale.std.fill_(0.5)

    def subject_loss(self, params: dict[str, Tensor], subject_batch: Batch) -> Tensor:
        """Return the mean loss of one subject's cases as a function of the network's parameters; see the contract."""
        return self.loss(*self._split(subject_batch), net=lambda *x: functional_call(self.net, params, x))

    def private_step(self, images_seen: int) -> None:
        """Take the step of the gradient that stands in the network, private or not; no data are seen here."""
        cfg = self.config
        rate = cfg.learning_rate / math.sqrt(max(images_seen / (cfg.decay_images or math.inf), 1))
        warm = min((images_seen + cfg.batch_size) / cfg.warmup_images, 1) if cfg.warmup_images else 1
        self.adams["net"].param_groups[0]["lr"] = rate * warm
        self.adams["net"].step()
        self.net.normalize_weights()
        self.move_average(self.net, cfg.batch_size, cfg.ema_images, images_seen, cfg.ema_rampup)

    # ------------------------------------------------------------------ sampling
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw one case a seed; see the contract. A condition of NaN is none; UsageError for another shape."""
        labels = condition
        condition = self._checked(condition, len(seeds))
        name, steps, options = self.config.sampling()
        levels = self.noise.levels(name, steps).tolist()
        noise = partial(CaseNoise(seeds, self.engine.device).normal, *self.shape)
        start = noise() * self.noise.start(levels[0])
        with fixed_weights(self.ema):
            y = SAMPLERS[name](self._denoiser(condition), start, levels, noise, **options)
        x = y / self.noise.sigma_data * self.scale.std + self.scale.mean
        return torch.cat([x, encoded(labels, self.scheme)], dim=1) if self.given and labels is not None else x

    def keep_away(self, images: np.ndarray, subjects: np.ndarray) -> float:
        """Guide samples away from training images; see the contract."""
        self._avoided = Dissimilarity(torch.from_numpy(images).to(self.engine.device), subjects)
        return self._avoided.threshold

    def _away(self, denoised: Tensor) -> Tensor:
        """Return denoised cases in the data's scale, those that come too near to a training image turned away."""
        if self._avoided is None:
            return denoised
        k = self._avoided.channels
        spread, mean = self.scale.std[:k] / self.noise.sigma_data, self.scale.mean[:k]
        images = denoised[:, :k] * spread + mean
        moved = (self._avoided.away(images) - images) / spread
        return torch.cat([denoised[:, :k] + moved, denoised[:, k:]], dim=1)

    def _checked(self, condition: Tensor | None, n: int) -> Tensor | None:
        """Return the condition of n cases as the network sees it."""
        if self.given:
            return self._maps(self.given_cases(condition, n))
        if condition is None and self.classes:
            raise UsageError(
                f"this {self.name} was trained with {self.classes} classes and needs a condition: name the classes, "
                "with the value nan for none"
            )
        if condition is not None and condition.shape != (n, self.classes):
            raise UsageError(
                f"a condition of {n} rows and {self.classes} columns was expected, found "
                f"{tuple(condition.shape)}: give the classes that this {self.name} was trained with"
            )
        return condition

    def _denoiser(self, condition: Tensor | None) -> Denoiser:
        def denoise(x: Tensor, sigma: float, condition: Tensor | None) -> Tensor:
            return self.denoise(self.ema, x, torch.full((len(x),), sigma, device=x.device), condition)

        plain, clip = guided(denoise, condition, self.config.guidance), self.noise.clip
        if clip is None:
            return lambda x, sigma: self._away(plain(x, sigma))
        return lambda x, sigma: self._away(plain(x, sigma).clamp(-clip, clip))
