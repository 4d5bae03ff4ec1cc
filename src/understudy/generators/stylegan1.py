"""The first StyleGAN: styles that steer a growing generator, image and label channels from one latent.

Source: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv
    1812.04948: section 3.1 (style mixing), appendix B (truncation) and C (loss, schedule, learning rates); Mescheder et
    al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv 1801.04406, eq. 9 (R1).
Differs: any number of image channels plus label channels; R1 may be measured on a share of the batch; a condition is
    projected in the discriminator; the average of w is tracked once a step, published also in the generator's phase;
    the discriminator steps first, published both at once.
Checked: tests/generators/test_stylegan1.py (R1 against finite differences, style mixing, truncation, growing) and
    tests/generators/test_contract.py; the networks in tests/nets/test_stylegan1.py.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.generators.base import Generator, GeneratorConfig
from understudy.nets.growing import GrowingDiscriminator
from understudy.nets.stylegan1 import GeneratorNetwork, layers_at
from understudy.training.adversarial import logistic_discriminator, logistic_generator, r1
from understudy.training.growing_gan import GrowingGAN, GrowingGANSettings


class StyleGAN1Config(GrowingGANSettings, GeneratorConfig):
    """Configuration of :class:`StyleGAN1`; the defaults suit 64 to 128 pixels and some thousand images."""

    first_resolution: int = Field(8, ge=4, description="resolution that growing starts from, a power of two")
    w_dim: int = Field(512, gt=0, description="width of the style")
    mapping_layers: int = Field(8, gt=0, description="depth of the mapping network")
    noise: bool = Field(True, description="learn how much noise each layer adds; false: none is added")
    loss: Literal["logistic", "wasserstein"] = Field("logistic", description="published: for faces in the wild, CelebA")
    gamma: float = Field(10.0, ge=0, description="of the logistic loss: weight of R1")
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability that a batch mixes two latents")
    ema_images: float | None = Field(10_000, gt=0, description="half-life of the EMA in images")
    truncation_psi: float = Field(1.0, ge=0, le=1, description="sampling: 1 full diversity, 0 the average case")
    truncation_layers: int | None = Field(None, gt=0, description="layers truncated, coarsest first; default all")

    @model_validator(mode="after")
    def _check_truncation(self) -> "StyleGAN1Config":
        if self.truncation_layers is not None and not self.truncation_psi:
            raise ValueError("truncation_layers needs a truncation_psi above 0: leave truncation_layers out")
        return self


class StyleGAN1(GrowingGAN, Generator):
    """The first style-based GAN, over image and label channels."""

    name = "stylegan1"
    Config = StyleGAN1Config
    SAMPLING: ClassVar[tuple[str, ...]] = ("sample_block", "truncation_psi", "truncation_layers")
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        # Some ten thousand images in all: small batches and longer strides than the millions of the paper call for. No
        # noise: in so few steps its strengths grow faster than the discriminator learns to object.
        "short": {"z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 4096, "channel_max": 128,
                  "batch_size": 8, "learning_rate": 0.002, "discriminator_rate": 0.002, "penalty_share": 0.5,
                  "noise": False, "loss": "wasserstein"},
        # On eight GPUs; sampled with psi 0.7 as in the published code, which truncates layers up to 32 pixels.
        "paper": {"images_seen": 25_000_000, "stable_images": 600_000, "fade_images": 600_000,
                  "batch_sizes": {8: 256, 16: 128, 32: 64, 64: 32}, "truncation_psi": 0.7, "truncation_layers": 8,
                  "learning_rates": {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003},
                  "snapshot_every": 1_000_000, "grid_every": 200_000},
        "demo": {"z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 2048, "channel_max": 128,
                 "batch_size": 8, "learning_rate": 0.006, "discriminator_rate": 0.003, "penalty_share": 0.5,
                 "images_seen": 12_000, "snapshot_every": 12_000, "grid_every": 2_000},
    }  # fmt: skip
    config: StyleGAN1Config

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract."""
        cfg, side = self.config, self.plan(size)
        g = GeneratorNetwork(
            cfg.z_dim, classes, cfg.w_dim, side, encoding.n, mapping_layers=cfg.mapping_layers, **self.widths
        )
        d = GrowingDiscriminator(classes, side, encoding.n, group=cfg.group, smooth=True, **self.widths)
        self.adopt(g, d, encoding.image_channels, classes)

    # ------------------------------------------------------------------ training
    def styles(self, n: int, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draw styles of n cases, mixed at one layer a batch: for the layers in use (n, L', W), unmixed (n, W)."""
        return self.mixed_styles(n, condition, layers_at(self.level))

    def _generate(self, ws: Tensor) -> Tensor:
        """Cases with fresh noise, if any, at the present level, as the discriminator sees them."""
        return self.augmented(self.g.synthesis(ws, self.level, random_noise=self.config.noise))

    def d_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Logistic loss with R1 on real cases, or the Wasserstein loss; informs ADA."""
        wasserstein = self.config.loss == "wasserstein"
        others = condition if wasserstein else self.shuffled(condition)
        with self.engine.autocast(), torch.no_grad():
            ws, w = self.styles(len(x), others)
            real, synthetic = self.augmented(x), self._generate(ws)
            self.g.track(self.over_processes(w.mean(dim=0)))
        if wasserstein:
            return self.wasserstein(real, synthetic, condition)
        with self.engine.autocast():
            by_real, by_synthetic = self.judge(real, condition), self.judge(synthetic, others)
        self.observe(by_real, len(x) * self.engine.world_size)
        losses = {"d": logistic_discriminator(by_real, by_synthetic)}
        if self.config.gamma:
            losses["r1"] = self.r1(self.part(real), None if condition is None else self.part(condition))
        return losses

    def r1(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """R1 penalty on real cases x (N, C + L, R', R'), in float32."""
        return r1(lambda y: self.judge(y, condition), x, self.config.gamma)

    def g_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Non-saturating logistic loss, or - E D(synthetic); conditions (N, classes) are shuffled."""
        condition = self.shuffled(condition)
        with self.engine.autocast():
            logits = self.judge(self._generate(self.styles(len(x), condition)[0]), condition)
        return {"g": -logits.mean() if self.config.loss == "wasserstein" else logistic_generator(logits)}

    # ------------------------------------------------------------------ sampling
    def style(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents z (N, z_dim) float32 and conditions (N, classes) to truncated styles w (N, W).

        Raises:
            UsageError: a condition is missing.
        """
        w = self.ema.mapping(z, self.checked(condition))
        return torch.as_tensor(self.ema.mapping.truncate(w, self.config.truncation_psi))

    def synthesise(self, w: Tensor) -> Tensor:
        """Map styles w (N, W) to cases (N, C + L, R, R) with the EMA weights and constant noise, in float32.

        Layers that truncation does not reach (`truncation_layers`) get w with the truncation undone.
        """
        ws = w.unsqueeze(1).expand(-1, self.ema.synthesis.num_ws, -1)
        if self.config.truncation_layers is not None:
            full = self.ema.mapping.truncate(ws[:, self.config.truncation_layers :], 1 / self.config.truncation_psi)
            ws = torch.cat([ws[:, : self.config.truncation_layers], full], dim=1)
        return self.enlarged(self.ema.synthesis(ws, float(self.ema.level)))

    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to cases (N, C + L, R, R) with the EMA weights and constant noise; see above."""
        return self.synthesise(self.style(z, condition))
