"""StyleGAN3: an alias-free style-based GAN; image and label channels from one latent, details that move with them.

Source: Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423 (network:
    nets/stylegan3.py; section 3.2 and appendix G: two mapping layers, learning rate 0.0025, no style mixing, no path
    length regularisation; variant r: 1x1 convolutions, twice the feature maps, blurred images for D at the start);
    discriminator and losses are StyleGAN2's (nets/discriminator.py, training/style_gan.py).
Differs: any number of image channels plus label channels; fewer layers (`num_layers`) and a smaller margin around the
    image may be asked for, and the presets for short trainings do: 14 layers are made for 256 pixels and more; the
    blur of variant r is as wide relative to the image as at 256 pixels, where those are fewer, and lasts a tenth of
    the training at most.
Checked: tests/generators/test_stylegan3.py and tests/generators/test_contract.py; the network in tests/nets and
    tests/generators/test_official.py.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.generators.base import Generator
from understudy.nets.discriminator import Discriminator
from understudy.nets.signals import Design
from understudy.nets.stylegan3 import GeneratorNetwork
from understudy.training.settings import GeneratorConfig
from understudy.training.style_gan import StyleGANSettings, StyleGANTraining


class StyleGAN3Config(StyleGANSettings, GeneratorConfig):
    """Configuration of :class:`StyleGAN3`; variant r doubles `channel_base` and `channel_max` in its generator."""

    variant: Literal["t", "r"] = Field("t", description="equivariant to translation, or to rotation as well")
    num_layers: int = Field(14, gt=2, description="layers of the generator besides input and output")
    margin: int = Field(10, ge=0, description="rows and columns that the generator keeps around the image")
    mapping_layers: int = Field(2, gt=0, description="depth of the mapping network")
    learning_rate: float = Field(0.0025, gt=0, description="of Adam, generator")
    path_weight: float = Field(0.0, ge=0, le=0, description="stylegan3 has no path length regularisation")
    style_mixing: float = Field(0.0, ge=0, le=1, description="probability that a batch mixes two latents")

    @model_validator(mode="after")
    def _check(self) -> "StyleGAN3Config":
        if self.batch_size % min(self.group, self.batch_size):
            raise ValueError(f"batch_size must be a multiple of group = {self.group}, found {self.batch_size}")
        return self


class StyleGAN3(StyleGANTraining, Generator):
    """An alias-free GAN over image and label channels."""

    name = "stylegan3"
    Config = StyleGAN3Config
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        "cpu": {"channel_base": 8192, "channel_max": 256, "num_layers": 10, "batch_size": 16},
        # Some ten thousand images in all: few and narrow layers, small batches, a strong and frequent R1.
        "short": {"channel_base": 4096, "channel_max": 96, "num_layers": 6, "margin": 4, "z_dim": 128, "w_dim": 128,
                  "batch_size": 8, "gamma": 3.0, "r1_interval": 8, "learning_rate": 0.002, "ada_images": 50_000},
        "paper": {"channel_base": 32768, "gamma": 8.0, "augment": "none", "images_seen": 25_000_000,
                  "snapshot_every": 1_000_000, "grid_every": 200_000},
        "demo": {"channel_base": 2048, "channel_max": 64, "num_layers": 5, "margin": 6, "z_dim": 128, "w_dim": 128,
                 "batch_size": 16, "gamma": 1.0, "learning_rate": 0.008, "discriminator_rate": 0.008,
                 "images_seen": 6_000, "snapshot_every": 6_000, "grid_every": 2_000, "ada_images": 50_000},
    }  # fmt: skip
    config: StyleGAN3Config

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract."""
        cfg = self.config
        if len(size) != 2 or size[0] != size[1] or size[0] < 16 or size[0] & (size[0] - 1):
            raise UsageError(
                "stylegan3 needs square images with a side of 16, 32, 64 ... pixels, found "
                f"{' x '.join(map(str, size))}: import with another --size"
            )
        turning = cfg.variant == "r"
        design = Design(
            channel_base=cfg.channel_base * (2 if turning else 1),
            channel_max=cfg.channel_max * (2 if turning else 1),
            num_layers=cfg.num_layers,
            margin_size=cfg.margin,
            conv_kernel=1 if turning else 3,
            use_radial_filters=turning,
            conv_clamp=cfg.clamp,
            magnitude_ema_beta=0.5 ** (cfg.batch_size / 20_000),
        )
        g = GeneratorNetwork(cfg.z_dim, classes, cfg.w_dim, size[0], encoding.n, cfg.mapping_layers, design)
        d = Discriminator(
            classes, size[0], encoding.n, cfg.channel_base, cfg.channel_max, group=cfg.group, clamp=cfg.clamp
        )
        self.adopt(g, d, encoding.image_channels, classes, size[0])

    def training_synthesis(self, ws: Tensor, track: bool) -> Tensor:
        """Styles of every layer (N, L, W) to cases; `track`: the layers' running means of input power take note."""
        return torch.as_tensor(self.g.synthesis(ws, track=track))

    def first_blur(self, resolution: int) -> float:
        """Width of the blur at the start, in pixels: variant r starts with one."""
        return 10 * min(resolution / 256, 1) if self.config.variant == "r" else 0.0
