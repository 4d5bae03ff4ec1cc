"""ProGAN: a GAN that grows from 4x4 pixels, image and label channels from one latent.

Source: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv
    1710.10196, appendix A.1 (loss, drift, schedule, averaging); Gulrajani et al., "Improved Training of Wasserstein
    GANs", 2017, arXiv 1704.00028, eq. 3 (gradient penalty); Miyato and Koyama, "cGANs with Projection Discriminator",
    2018, arXiv 1802.05637 (condition).
Differs: any number of image channels plus label channels, the output without a squashing function as published; a
    condition is embedded and joined with z in the generator and projected in the discriminator, which takes several
    classes a case (published: an auxiliary classifier for one); the discriminator steps first, published both at once.
Checked: tests/generators/test_progan.py (penalty against finite differences, drift, growing) and
    tests/generators/test_contract.py; the networks in tests/nets/test_progan.py.
"""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.generators.base import Generator, GeneratorConfig
from understudy.nets.growing import GrowingDiscriminator
from understudy.nets.progan import GeneratorNetwork
from understudy.training.growing_gan import GrowingGAN, GrowingGANSettings


class ProGANConfig(GrowingGANSettings, GeneratorConfig):
    """Configuration of :class:`ProGAN`; the defaults suit 64 to 128 pixels and some thousand images."""

    batch_size: int = Field(16, gt=0, description="images a step, over all processes")


class ProGAN(GrowingGAN, Generator):
    """A progressively grown Wasserstein GAN over image and label channels."""

    name = "progan"
    Config = ProGANConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        # Some ten thousand images in all: small batches and longer strides than the millions of the paper call for.
        "short": {"z_dim": 128, "channel_base": 4096, "channel_max": 128, "batch_size": 8, "learning_rate": 0.002,
                  "discriminator_rate": 0.002, "penalty_share": 0.5},
        "paper": {"images_seen": 19_000_000, "stable_images": 800_000, "fade_images": 800_000, "group": 16,
                  "batch_sizes": {256: 14, 512: 6, 1024: 3}, "snapshot_every": 1_000_000, "grid_every": 200_000},
        "demo": {"z_dim": 128, "channel_base": 2048, "channel_max": 128, "batch_size": 8, "learning_rate": 0.002,
                 "discriminator_rate": 0.002, "penalty_share": 0.5, "images_seen": 7_500, "snapshot_every": 7_500,
                 "grid_every": 2_000},
    }  # fmt: skip
    config: ProGANConfig

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract."""
        cfg, side = self.config, self.plan(size)
        g = GeneratorNetwork(cfg.z_dim, classes, side, encoding.n, **self.widths)
        d = GrowingDiscriminator(classes, side, encoding.n, group=cfg.group, **self.widths)
        self.adopt(g, d, encoding.image_channels, classes)

    # ------------------------------------------------------------------ training
    def _generate(self, n: int, condition: Tensor | None) -> Tensor:
        """Draw n cases at the present level."""
        z = torch.randn(n, self.config.z_dim, device=self.engine.device)
        return self.augmented(self.g(z, condition, self.level))

    def d_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """E D(synthetic) - E D(real) + gradient penalty + drift; synthetic cases have the conditions of the real."""
        with self.engine.autocast(), torch.no_grad():
            real, synthetic = self.augmented(x), self._generate(len(x), condition)
        return self.wasserstein(real, synthetic, condition)

    def g_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """- E D(synthetic); conditions (N, classes) are shuffled."""
        condition = self.shuffled(condition)
        with self.engine.autocast():
            logits = self.judge(self._generate(len(x), condition), condition)
        return {"g": -logits.mean()}

    # ------------------------------------------------------------------ sampling
    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to cases (N, C + L, R, R) with the EMA weights; see the class above."""
        return self.enlarged(self.ema(z, self.checked(condition)))
