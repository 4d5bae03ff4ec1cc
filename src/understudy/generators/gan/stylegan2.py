"""StyleGAN2 with adaptive discriminator augmentation: image and label channels from one latent.

**Source**: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958, sections 2
and 4: mapping and skip synthesis (configuration E/F; discriminator: nets/discriminator.py; losses: style.py); Karras et
al. (ADA), 2020, arXiv 2006.06676 (ada.py). Names and shapes are those of the published weights, so that those load.
**Differs**: any number of image channels (images and encoded label maps side by side); modulation of activations
instead of weights; under autocast everything from 8x8 pixels up runs in the low precision, the 4x4 blocks, the mapping,
the styles and the output layers in float32; the clamp that float16 needs is off unless asked for. With differential
privacy (dp) neither R1, nor adaptive augmentation, nor minibatch deviations: the discriminator sees each subject alone.
**Checked**: tests/generators/gan/test_stylegan2.py (shapes, names, gains, demodulation inside the network, precision of
the output), tests/training/dp/test_training.py and the contract tests.

Shapes: N batch, Z z_dim, W w_dim, L latents per case (`num_ws`), C image + label channels, R resolution.
"""

import math
from functools import partial
from typing import Any, ClassVar, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from understudy.core.encoding import Encoding
from understudy.generators.gan.style import StyleGAN, StyleGANConfig, learning_parameters
from understudy.nets.discriminator import Discriminator
from understudy.nets.filters import fir_kernel, upsample, upsample_convolve
from understudy.nets.layers import (
    SQRT_TWO,
    EqualisedLinear,
    activate,
    channels_at,
    convolution_dtype,
    modulated_conv2d,
    per_channel,
    project,
)
from understudy.nets.losses import logistic_discriminator
from understudy.nets.mapping import Mapping
from understudy.training.batches import Batch
from understudy.training.dp.settings import OffersPrivacy

LOW_PRECISION_FROM = 8


class StyleGAN2Layer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU; `up`: to a resolution that is twice the input's."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.up, self.clamp = up, clamp
        self.register_buffer("resample_filter", fir_kernel())
        self.affine = EqualisedLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor, random_noise: bool) -> Tensor:
        """x (N, I, H, W), w (N, W) float32 -> (N, O, H', W'), in the precision of x.

        Noise is drawn from torch's global generator when `random_noise`, else it is the layer's constant noise image.
        """
        convolve = partial(upsample_convolve, kernel=self.resample_filter) if self.up else None
        y, factor = modulated_conv2d(x, self.weight, self.affine(w), convolve)
        noise = self.noise_const.expand(1, 1, -1, -1)
        if random_noise:
            noise = torch.randn(x.shape[0], 1, *noise.shape[2:], device=x.device)
        offset = (noise * (self.noise_strength * SQRT_TWO)).to(x.dtype)
        y = torch.addcmul(offset, y, per_channel(factor * SQRT_TWO, x))
        return activate(y.add_(per_channel(self.bias * SQRT_TWO, x)), self.clamp)


class StyleGAN2Output(nn.Module):
    """Feature maps -> image and label channels by a modulated 1x1 convolution in float32, not demodulated."""

    def __init__(self, in_channels: int, channels: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = EqualisedLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, I, H, W), w (N, W) -> (N, C, H, W) in the precision of w."""
        weight = self.weight.flatten(1) * (self.affine(w) * self.weight_gain).unsqueeze(1)
        y = project(x, weight) + self.bias.view(-1, 1, 1)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class StyleGAN2Block(nn.Module):
    """One resolution of the skip generator: one or two layers and an output layer.

    The first block, of `in_channels` 0, starts from a learned constant.
    """

    resample_filter: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, resolution: int, channels: int, clamp: float | None
    ) -> None:
        super().__init__()
        self.resolution, self.num_conv = resolution, 2 if in_channels else 1
        self.register_buffer("resample_filter", fir_kernel())
        if in_channels:
            self.conv0 = StyleGAN2Layer(in_channels, out_channels, w_dim, resolution, up=True, clamp=clamp)
        else:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        self.conv1 = StyleGAN2Layer(out_channels, out_channels, w_dim, resolution, up=False, clamp=clamp)
        self.torgb = StyleGAN2Output(out_channels, channels, w_dim, clamp)

    def forward(
        self, x: Tensor | None, image: Tensor | None, ws: Tensor, dtype: torch.dtype, random_noise: bool
    ) -> tuple[Tensor, Tensor]:
        """Features and image of half the resolution (first block: None), ws (N, num_conv + 1, W) -> the same here."""
        if x is None:
            x = self.const.to(dtype).unsqueeze(0).expand(ws.shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.conv0(x.to(dtype), ws[:, 0], random_noise)
        x = self.conv1(x, ws[:, self.num_conv - 1], random_noise)
        y = self.torgb(x, ws[:, self.num_conv])
        return x, y if image is None else upsample(image, self.resample_filter) + y


class StyleGAN2Synthesis(nn.Module):
    """w for every layer -> image and label channels; the resolution is a power of two >= 8.

    There are `channel_base` / resolution feature maps, at most `channel_max`; `clamp` is the limit of the layers'
    results (256 in the published networks), None for none.
    """

    def __init__(
        self,
        w_dim: int,
        resolution: int,
        channels: int,
        channel_base: int = 32768,
        channel_max: int = 512,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolutions = [2**i for i in range(2, int(math.log2(resolution)) + 1)]
        width = 0
        for r in self.resolutions:
            out = channels_at(r, channel_base, channel_max)
            self.add_module(f"b{r}", StyleGAN2Block(width, out, w_dim, r, channels, clamp))
            width = out
        self.num_ws = 2 * len(self.resolutions)

    def forward(self, ws: Tensor, random_noise: bool = False) -> Tensor:
        """ws (N, L, W) float32 -> (N, C, R, R) float32; convolutions in the precision of the surrounding autocast."""
        low = convolution_dtype(ws)
        x = image = None
        first = 0
        with torch.autocast(ws.device.type, enabled=False):
            for r in self.resolutions:
                block = cast(StyleGAN2Block, self.get_submodule(f"b{r}"))
                dtype = low if r >= LOW_PRECISION_FROM else ws.dtype
                x, image = block(x, image, ws[:, first : first + block.num_conv + 1], dtype, random_noise)
                first += block.num_conv
        assert image is not None
        return image


class StyleGAN2Network(nn.Module):
    """z -> w -> image and label channels; of 0 classes there is no condition."""

    def __init__(
        self, z_dim: int, classes: int, w_dim: int, resolution: int, channels: int, mapping_layers: int, **widths: Any
    ) -> None:
        super().__init__()
        self.synthesis = StyleGAN2Synthesis(w_dim, resolution, channels, **widths)
        self.mapping = Mapping(z_dim, classes, w_dim, mapping_layers)

    def forward(
        self, z: Tensor, condition: Tensor | None = None, truncation_psi: float = 1.0, random_noise: bool = False
    ) -> Tensor:
        """z (N, Z), condition (N, classes) or None -> (N, C, R, R), about [-1, 1], float32."""
        w = self.mapping.truncate(self.mapping(z, condition), truncation_psi)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.synthesis.num_ws, -1), random_noise)


class StyleGAN2Config(OffersPrivacy, StyleGANConfig):
    """Configuration of :class:`StyleGAN2`; the defaults suit 64 to 128 pixels and some thousand images."""

    noise: bool = Field(True, description="learn how much noise each layer adds; false: none is added")

    @model_validator(mode="after")
    def _check(self) -> "StyleGAN2Config":
        if self.dp and self.conditional:
            raise ValueError(
                "with dp this generator learns without classes: set conditional=false, or take diffusion, which can"
            )
        if self.dp and (self.gamma != 0 or self.augment == "ada" or self.group != 1 or self.freeze_d):
            raise ValueError(
                "with dp the discriminator sees each subject on its own, without R1 and without counting on real "
                "cases: set gamma=0, augment=none or fixed, group=1 and freeze_d=0 (preset private has them)"
            )
        return self


class StyleGAN2(StyleGAN):
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
        cfg, side = self.config, self.square_side(size, 8)
        widths = cfg.model_dump(include={"channel_base", "channel_max", "clamp"})
        g = StyleGAN2Network(cfg.z_dim, classes, cfg.w_dim, side, encoding.n, cfg.mapping_layers, **widths)
        d = Discriminator(classes, side, encoding.n, group=cfg.group, **widths)
        self.register_networks(g, d, encoding.image_channels, classes)

    def g_parameters(self) -> list[nn.Parameter]:
        """Parameters of G that learn; see :func:`learning_parameters`."""
        return learning_parameters(self.g, self.config.noise)

    def training_synthesis(self, ws: Tensor, track: bool) -> Tensor:
        """Styles of every layer (N, L, W) to cases, with fresh noise where it is learned; see the base."""
        return torch.as_tensor(self.g.synthesis(ws, random_noise=self.config.noise))

    # ------------------------------------------------------------------ with differential privacy
    def private_network(self) -> nn.Module:
        """Return the discriminator: the generator meets data through it alone."""
        return cast(nn.Module, self.d)

    def assume(self) -> None:
        """Nothing is measured."""

    def subject_loss(self, params: dict[str, Tensor], subject_batch: Batch) -> Tensor:
        """Return D's logistic loss on one subject's cases and as many new ones; see training/dp/training.py."""
        with self.engine.autocast():
            with torch.no_grad():
                generated = self._generate(len(subject_batch.x), None)[0]
            d = lambda *x: functional_call(self.d, params, x)  # noqa: E731
            real, synthetic = (self._logits(x, None, d) for x in (subject_batch.x, generated))
        return logistic_discriminator(real, synthetic)

    def private_step(self, images_seen: int) -> None:
        """Take D's step of the gradient that stands in it, then the generator's own, which sees no data."""
        n = self.config.batch_size
        self.adams["d"].step()
        with torch.no_grad():
            self.g.mapping.track(self._generate(n, None)[2].mean(dim=0))
        self._generator_steps(n, None)
        self._average(images_seen)
