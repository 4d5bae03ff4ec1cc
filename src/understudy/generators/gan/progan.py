"""ProGAN: a GAN that grows from 4x4 pixels, image and label channels from one latent.

**Source**: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv
1710.10196, section 2 and figure 2 (fading), section 4.2 (pixel norm), appendix A (layers, loss, drift, schedule,
averaging); Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv 1704.00028, eq. 3 (gradient penalty);
Miyato and Koyama, "cGANs with Projection Discriminator", 2018, arXiv 1802.05637 (condition).
**Differs**: any number of image channels plus label channels, the output without a squashing function as published; a
condition is embedded, scaled to mean square 1 and joined with z in the generator and projected in the discriminator,
which takes several classes a case (published: an auxiliary classifier for one); the discriminator steps first,
published both at once; under autocast everything from 8x8 pixels up runs in the low precision, the 4x4 block and the
output layers in float32. Leaky ReLU and pixel norm are one function with a derivative by hand, differentiable once.
**Checked**: tests/generators/gan/test_progan.py (penalty against finite differences, drift, growing; pixel norm and its
derivative, fading, scale of activations, shapes) and the contract tests.

Shapes: N batch, Z z_dim, C image + label channels, R' the resolution of a level, R the last one.
"""

import math
from functools import partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from understudy.core.encoding import Encoding
from understudy.generators.gan.growing import GrowingConfig, GrowingGAN, GrowingSynthesis
from understudy.nets.growing import Dense, GrowingConv2d, GrowingDiscriminator
from understudy.nets.layers import SLOPE, SQRT_TWO, EqualisedLinear, convolution_dtype, normalise_second_moment
from understudy.training.batches import shuffled


class _ActivateNormalise(torch.autograd.Function):
    """y = a / |a|, |a|^2 the mean square over channels, a = leaky ReLU of x; in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same tensor, overwritten."""
        F.leaky_relu_(x, SLOPE)
        exact = torch.promote_types(x.dtype, torch.float32)
        power = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=exact).square_() / x.shape[1]
        factor = (power + 1e-8).rsqrt().to(x.dtype)
        x.mul_(factor)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x, factor)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """dL/da = (g - y E_c[g y]) / |a|; y has the sign of x, which is all that the leaky ReLU needs."""
        y, factor = ctx.saved_tensors
        along = (gradient * y).mean(dim=1, keepdim=True)
        result = torch.addcmul(gradient, y, along, value=-1).mul_(factor)
        return torch.ops.aten.leaky_relu_backward(result, y, SLOPE, True)


def activate_normalise(x: Tensor) -> Tensor:
    """Leaky ReLU, then pixel norm: mean square 1 over the channels of every pixel; x (N, C, H, W) is overwritten."""
    return torch.as_tensor(_ActivateNormalise.apply(x))


class ProGANBlock(nn.Module):
    """Two convolutions, the first to twice the resolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = GrowingConv2d(in_channels, out_channels, resize=2)
        self.conv1 = GrowingConv2d(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) -> (N, O, 2 H, 2 W)."""
        return activate_normalise(self.conv1(activate_normalise(self.conv0(x))))


class ProGANFirstBlock(nn.Module):
    """Latents on the hypersphere -> 4x4 features."""

    def __init__(self, z_dim: int, classes: int, width: int) -> None:
        super().__init__()
        if classes:
            self.embed = EqualisedLinear(classes, z_dim)
        self.classes = classes
        self.dense = Dense(z_dim * (2 if classes else 1), width * 16, gain=SQRT_TWO / 4)  # as the official code
        self.conv = GrowingConv2d(width, width)

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """z (N, Z) and condition (N, classes) or None -> (N, width, 4, 4)."""
        z = normalise_second_moment(z)
        if self.classes and condition is not None:
            z = torch.cat([z, normalise_second_moment(self.embed(condition.to(z.dtype)))], dim=1)
        x = self.dense(z).view(len(z), -1, 4, 4).contiguous(memory_format=torch.channels_last)
        return activate_normalise(self.conv(activate_normalise(x)))


class ProGANNetwork(GrowingSynthesis):
    """z -> image and label channels at the resolution of a level; of 0 classes there is no condition."""

    level: Tensor

    def __init__(self, z_dim: int, classes: int, resolution: int, channels: int, **widths: int) -> None:
        first_block = partial(ProGANFirstBlock, z_dim, classes)
        super().__init__(first_block, lambda width, out, _: ProGANBlock(width, out), resolution, channels, **widths)
        self.register_buffer("level", torch.tensor(math.log2(self.first), dtype=torch.float64))

    def forward(self, z: Tensor, condition: Tensor | None = None, level: float | None = None) -> Tensor:
        """z (N, Z), condition (N, classes) or None -> (N, C, R', R'), precision of z; level None: as far as trained."""
        low = convolution_dtype(z)
        with torch.autocast(z.device.type, enabled=False):
            return self.grown(self.b4(z, condition), float(self.level) if level is None else level, low)


class ProGANConfig(GrowingConfig):
    """Configuration of :class:`ProGAN`; the defaults suit 64 to 128 pixels and some thousand images."""

    batch_size: int = Field(16, gt=0, description="images a step, over all processes")


class ProGAN(GrowingGAN):
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
        g = ProGANNetwork(cfg.z_dim, classes, side, encoding.n, **self.widths)
        d = GrowingDiscriminator(classes, side, encoding.n, group=cfg.group, **self.widths)
        self.register_networks(g, d, encoding.image_channels, classes)

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
        condition = shuffled(condition)
        with self.engine.autocast():
            logits = self.discriminate(self._generate(len(x), condition), condition)
        return {"g": -logits.mean()}

    # ------------------------------------------------------------------ sampling
    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents (N, z_dim) to cases (N, C + L, R, R) with the EMA weights; see the class above."""
        return self.enlarged(self.ema(z, self.class_condition(condition)))
