"""StyleGAN2 with adaptive discriminator augmentation: image and label channels from one latent.

Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958 (network:
    nets/stylegan2.py, nets/discriminator.py; losses: training/style_gan.py); Karras et al., "Training Generative
    Adversarial Networks with Limited Data", 2020, arXiv 2006.06676 (training/ada.py).
Differs: any number of image channels plus label channels; see the files named.
Checked: tests/generators/test_stylegan2.py and tests/generators/test_contract.py.
"""

from typing import Any, ClassVar

from pydantic import Field, model_validator

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.base import Generator, GeneratorConfig
from understudy.nets.discriminator import Discriminator
from understudy.nets.stylegan2 import GeneratorNetwork
from understudy.training.style_gan import StyleGANSettings, StyleGANTraining


class StyleGAN2Config(StyleGANSettings, GeneratorConfig):
    """Configuration of :class:`StyleGAN2`; the defaults suit 64 to 128 pixels and some thousand images."""

    noise: bool = Field(True, description="learn how much noise each layer adds; false: none is added")

    @model_validator(mode="after")
    def _check(self) -> "StyleGAN2Config":
        if self.batch_size % min(self.group, self.batch_size):
            raise ValueError(f"batch_size must be a multiple of group = {self.group}, found {self.batch_size}")
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
