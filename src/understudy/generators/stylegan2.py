"""StyleGAN2 with adaptive discriminator augmentation: image and label channels from one latent.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958 (network:
    nets/stylegan2.py, nets/discriminator.py; losses: training/style_gan.py); Karras et al., "Training Generative
    Adversarial Networks with Limited Data", 2020, arXiv 2006.06676 (training/ada.py).
Differs: any number of image channels plus label channels; see the files named. With differential privacy (dp) neither
    R1, nor adaptive augmentation, nor minibatch deviations: each subject stands alone before the discriminator.
Checked: tests/generators/test_stylegan2.py, tests/training/privacy/test_private_training.py and
    tests/generators/test_contract.py.
"""

from typing import Any, ClassVar, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.base import Generator, GeneratorConfig
from understudy.nets.discriminator import Discriminator
from understudy.nets.stylegan2 import GeneratorNetwork
from understudy.training.adversarial import logistic_discriminator
from understudy.training.ema import ema_decay, ema_update
from understudy.training.feed import Batch
from understudy.training.privacy.settings import OffersPrivacy
from understudy.training.style_gan import StyleGANSettings, StyleGANTraining


class StyleGAN2Config(OffersPrivacy, StyleGANSettings, GeneratorConfig):
    """Configuration of :class:`StyleGAN2`; the defaults suit 64 to 128 pixels and some thousand images."""

    noise: bool = Field(True, description="learn how much noise each layer adds; false: none is added")

    @model_validator(mode="after")
    def _check(self) -> "StyleGAN2Config":
        if self.batch_size % min(self.group, self.batch_size):
            raise ValueError(f"batch_size must be a multiple of group = {self.group}, found {self.batch_size}")
        if self.dp and (self.gamma != 0 or self.augment == "ada" or self.group != 1 or self.freeze_d):
            raise ValueError(
                "with dp the discriminator sees each subject on its own, without R1 and without counting on real "
                "cases: set gamma=0, augment=none or fixed, group=1 and freeze_d=0 (preset private has them)"
            )
        return self


class StyleGAN2(StyleGANTraining, Generator):
    """A style-based GAN over image and label channels."""

    name = "stylegan2"
    Config = StyleGAN2Config
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        "cpu": {"channel_base": 8192, "channel_max": 256, "batch_size": 16, "path_interval": 8},
        # Some ten thousand images in all: small batches, a strong and frequent R1. No noise: in so few steps its
        # strengths grow faster than the discriminator learns to object, and the images stay speckled.
        "short": {"channel_base": 4096, "channel_max": 128, "z_dim": 128, "w_dim": 128, "mapping_layers": 4,
                  "batch_size": 8, "path_weight": 0.0, "style_mixing": 0.0, "noise": False, "gamma": 3.0,
                  "r1_interval": 8, "ada_images": 50_000},
        "paper": {"channel_base": 32768, "gamma": 8.0, "augment": "none", "images_seen": 25_000_000,
                  "snapshot_every": 1_000_000, "grid_every": 200_000},
        "demo": {"z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 2048, "channel_max": 128,
                 "batch_size": 16, "path_weight": 0.0, "gamma": 1.0, "learning_rate": 0.008,
                 "discriminator_rate": 0.008, "images_seen": 6_000, "snapshot_every": 6_000,
                 "grid_every": 2_000, "ada_images": 50_000},
        # What dp asks for: no penalty on real cases, nothing that compares cases or counts on real ones.
        "private": {"z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 2048, "channel_max": 64,
                    "batch_size": 16, "path_weight": 0.0, "style_mixing": 0.0, "noise": False, "gamma": 0.0,
                    "augment": "none", "group": 1},
    }  # fmt: skip
    config: StyleGAN2Config

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract."""
        cfg = self.config
        if len(size) != 2 or size[0] != size[1] or size[0] < 8 or size[0] & (size[0] - 1):
            raise UsageError(
                f"stylegan2 needs square images with a side of 8, 16, 32 ... pixels, found {' x '.join(map(str, size))}"
                ": import with another --size"
            )
        widths: dict[str, Any] = {
            "channel_base": cfg.channel_base, "channel_max": cfg.channel_max, "clamp": cfg.clamp
        }  # fmt: skip
        g = GeneratorNetwork(
            cfg.z_dim, classes, cfg.w_dim, size[0], encoding.n, mapping_layers=cfg.mapping_layers, **widths
        )
        d = Discriminator(classes, size[0], encoding.n, group=cfg.group, **widths)
        self.adopt(g, d, encoding.image_channels, classes, size[0])

    # ------------------------------------------------------------------ with differential privacy
    def private_network(self) -> nn.Module:
        """Return the discriminator: the generator meets data through it alone."""
        return cast(nn.Module, self.d)

    def assume(self) -> None:
        """Nothing is measured."""

    def subject_loss(self, params: dict[str, Tensor], subject_batch: Batch) -> Tensor:
        """Return D's logistic loss on one subject's cases and as many new ones; see training/privacy/training.py."""
        with self.engine.autocast():
            with torch.no_grad():
                generated = self._generate(len(subject_batch.x), None)[0]
            d = lambda *x: functional_call(self.d, params, x)  # noqa: E731
            real, synthetic = (self._judge(x, None, d) for x in (subject_batch.x, generated))
        return logistic_discriminator(real, synthetic)

    def private_step(self, images_seen: int) -> None:
        """Take D's step of the gradient that stands in it, then the generator's own, which sees no data."""
        cfg, n = self.config, self.config.batch_size
        self.d_optimizer.step()
        with torch.no_grad():
            self.g.mapping.track(self._generate(n, None)[2].mean(dim=0))
        self._step(self.g, lambda: self.generator_loss(n, None))
        if cfg.path_weight and self.steps % cfg.path_interval == 0:
            self._step(self.g, lambda: self._path_loss(n, None), cfg.path_interval)
        half_life = 312.5 * n if cfg.ema_images is None else cfg.ema_images
        ema_update(self.ema, self.g, ema_decay(n, half_life, images_seen))
        self.steps += 1
