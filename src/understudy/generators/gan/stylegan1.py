"""The first StyleGAN: styles that steer a growing generator, image and label channels from one latent.

**Source**: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv
1812.04948: figure 1b, eq. 1 (adaptive instance normalisation), section 2 (noise), section 3.1 (style mixing), appendix
B (truncation) and C (loss, schedule, learning rates, low-pass filter, average of w); Mescheder et al., "Which Training
Methods for GANs do actually Converge?", 2018, arXiv 1801.04406, eq. 9 (R1). The order of a layer is that of the
published code: convolution, low-pass filter, noise, bias, leaky ReLU, instance normalisation, style.
**Differs**: any number of image channels plus label channels; R1 may be measured on a share of the batch; a condition
is embedded as in later papers of the family (nets/mapping.py) and projected in the discriminator; the average of w is
tracked once a step, published also in the generator's phase; the discriminator steps first, published both at once;
under autocast everything from 8x8 pixels up runs in the low precision, the 4x4 layers, the mapping, the styles and the
output layers in float32. What follows a convolution is one function with its derivative written by hand, which can be
differentiated once. Two starting values: the output layers begin at a tenth of the published size, because normalised
and styled features else make images of several times the contrast of data, which a short training does not undo; the
learned constant is random as in StyleGAN2, because ones have no deviation to divide by.
**Checked**: tests/generators/gan/test_stylegan1.py (R1 against finite differences, style mixing, truncation, growing; a
layer against its definition, its derivatives, statistics, noise, fading) and the contract tests.

Shapes: N batch, Z z_dim, W w_dim, L layers (`num_ws`), C image + label channels, R' the resolution of a level.
"""

import math
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from understudy.core.encoding import Encoding
from understudy.generators.gan.growing import GrowingConfig, GrowingGAN, GrowingSynthesis
from understudy.generators.gan.style import learning_parameters, mixed_styles
from understudy.nets.filters import blur, fir_kernel
from understudy.nets.growing import SMOOTHING, GrowingConv2d, GrowingDiscriminator
from understudy.nets.layers import SLOPE, EqualisedLinear, convolution_dtype, per_channel
from understudy.nets.losses import logistic_discriminator, logistic_generator, r1
from understudy.nets.mapping import Mapping
from understudy.training.batches import shuffled

W_AVERAGE_DECAY = 0.995
FIRST_CONTRAST = 0.1  # of images, at the start


class _Epilogue(torch.autograd.Function):
    """y = scale (a - mean a) / deviation(a) + shift with a = leaky ReLU(x + strength noise + bias).

    Mean and deviation are over the pixels of each case and channel, in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, noise: Tensor, strength: Tensor, bias: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor:
        """x (N, C, H, W), noise (N or 1, 1, H, W), strength and bias (C,), scale and shift (N, C) -> (N, C, H, W)."""
        noise = noise.to(x.dtype)
        a = torch.addcmul(x, noise, per_channel(strength, x)).add_(per_channel(bias, x))
        F.leaky_relu_(a, SLOPE)
        pixels = a.shape[2] * a.shape[3]
        mean = a.sum(dim=(2, 3), dtype=scale.dtype) / pixels
        power = (a * a).sum(dim=(2, 3), dtype=scale.dtype) / pixels
        rate = ((power - mean.square()).clamp_min(0) + 1e-8).rsqrt()
        ctx.save_for_backward(a, noise, scale, mean, rate)
        factor = rate * scale
        return torch.addcmul(per_channel(shift - mean * factor, x), a, per_channel(factor, x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Derivative in every argument but the noise."""
        a, noise, scale, mean, rate = ctx.saved_tensors
        pixels = a.shape[2] * a.shape[3]
        by_shift = gradient.sum(dim=(2, 3), dtype=scale.dtype)
        by_scale = rate * ((gradient * a).sum(dim=(2, 3), dtype=scale.dtype) - mean * by_shift)
        # dL/da = rate scale (g - E g - n E[g n]) with n the normalised a, sorted into factors of g, a and 1.
        of_g = rate * scale
        of_a = -of_g * rate * by_scale / pixels
        x = torch.addcmul(per_channel(-of_g * by_shift / pixels - of_a * mean, a), a, per_channel(of_a, a))
        x = torch.ops.aten.leaky_relu_backward(x.addcmul_(gradient, per_channel(of_g, a)), a, SLOPE, True)
        flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        by_strength = (noise.expand(len(x), -1, -1, -1).reshape(1, -1) @ flat)[0]
        return x, None, by_strength.to(scale.dtype), flat.sum(dim=0, dtype=scale.dtype), by_scale, by_shift


class Epilogue(nn.Module):
    """What follows a convolution: noise, bias, leaky ReLU, instance normalisation, style (eq. 1)."""

    noise_const: Tensor

    def __init__(self, channels: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.register_buffer("noise_const", torch.randn(1, 1, resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.affine = EqualisedLinear(w_dim, 2 * channels)

    def forward(self, x: Tensor, w: Tensor, random_noise: bool) -> Tensor:
        """x (N, I, H, W), w (N, W) -> (N, I, H, W), in the precision of x.

        Noise is drawn from torch's global generator when `random_noise`, else it is the layer's constant noise image.
        """
        scale, shift = self.affine(w).chunk(2, dim=1)
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device) if random_noise else self.noise_const
        return torch.as_tensor(_Epilogue.apply(x, noise, self.noise_strength, self.bias, scale + 1, shift))


class StyleGAN1FirstBlock(nn.Module):
    """The learned constant and one convolution, at 4x4 pixels."""

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(channels, 4, 4))
        self.epilogue0 = Epilogue(channels, w_dim, 4)
        self.conv1 = GrowingConv2d(channels, channels, bias=False)
        self.epilogue1 = Epilogue(channels, w_dim, 4)

    def forward(self, ws: Tensor, random_noise: bool) -> Tensor:
        """ws (N, 2, W) -> (N, I, 4, 4)."""
        x = self.const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.epilogue0(x, ws[:, 0], random_noise)
        return torch.as_tensor(self.epilogue1(self.conv1(x), ws[:, 1], random_noise))


class StyleGAN1Block(nn.Module):
    """Two layers, the first to twice the resolution."""

    kernel: Tensor

    def __init__(self, in_channels: int, out_channels: int, resolution: int, w_dim: int) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(SMOOTHING), persistent=False)
        self.conv0 = GrowingConv2d(in_channels, out_channels, resize=2, bias=False)
        self.epilogue0 = Epilogue(out_channels, w_dim, resolution)
        self.conv1 = GrowingConv2d(out_channels, out_channels, bias=False)
        self.epilogue1 = Epilogue(out_channels, w_dim, resolution)

    def forward(self, x: Tensor, ws: Tensor, random_noise: bool) -> Tensor:
        """x (N, I, H, W), ws (N, 2, W) -> (N, O, 2 H, 2 W), in the precision of x."""
        x = self.epilogue0(blur(self.conv0(x), self.kernel, padding=1), ws[:, 0], random_noise)
        return torch.as_tensor(self.epilogue1(self.conv1(x), ws[:, 1], random_noise))


class StyleGAN1Synthesis(GrowingSynthesis):
    """w for every layer -> image and label channels at the resolution of a level."""

    def __init__(self, w_dim: int, resolution: int, channels: int, **widths: int) -> None:
        first_block, block = partial(StyleGAN1FirstBlock, w_dim=w_dim), partial(StyleGAN1Block, w_dim=w_dim)
        super().__init__(first_block, block, resolution, channels, contrast=FIRST_CONTRAST, **widths)
        self.num_ws = layers_at(math.log2(resolution))

    def forward(self, ws: Tensor, level: float, random_noise: bool = False) -> Tensor:
        """ws (N, L, W) of which the layers above the level are not used -> (N, C, R', R') in the precision of ws."""
        low = convolution_dtype(ws)
        given = ((ws[:, i : i + 2], random_noise) for i in range(2, layers_at(level), 2))
        with torch.autocast(ws.device.type, enabled=False):
            return self.grown(self.b4(ws[:, :2], random_noise), level, low, given)


def layers_at(level: float) -> int:
    """Number of layers in use at a level: two a resolution, from 4x4 on."""
    return 2 * math.ceil(level) - 2


class StyleGAN1Network(nn.Module):
    """z -> w -> image and label channels at the resolution of a level; of 0 classes there is no condition."""

    level: Tensor

    def __init__(
        self, z_dim: int, classes: int, w_dim: int, resolution: int, channels: int, mapping_layers: int, **widths: int
    ) -> None:
        super().__init__()
        self.synthesis = StyleGAN1Synthesis(w_dim, resolution, channels, **widths)
        self.mapping = Mapping(z_dim, classes, w_dim, mapping_layers)
        self.register_buffer("level", torch.tensor(math.log2(self.synthesis.first), dtype=torch.float64))

    def forward(
        self, z: Tensor, condition: Tensor | None = None, level: float | None = None, random_noise: bool = False
    ) -> Tensor:
        """z (N, Z) and condition (N, classes) or None -> (N, C, R', R') in the precision of z.

        Level None is how far the network was trained; random noise is fresh, instead of the constant one.
        """
        ws = self.mapping(z, condition).unsqueeze(1).expand(-1, self.synthesis.num_ws, -1)
        level = float(self.level) if level is None else level
        return torch.as_tensor(self.synthesis(ws, level, random_noise))


class StyleGAN1Config(GrowingConfig):
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


class StyleGAN1(GrowingGAN):
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
        g = StyleGAN1Network(cfg.z_dim, classes, cfg.w_dim, side, encoding.n, cfg.mapping_layers, **self.widths)
        d = GrowingDiscriminator(classes, side, encoding.n, group=cfg.group, smooth=True, **self.widths)
        self.register_networks(g, d, encoding.image_channels, classes)

    # ------------------------------------------------------------------ training
    def styles(self, n: int, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draw styles of n cases, mixed at one layer a batch: for the layers in use (n, L', W), unmixed (n, W)."""
        z = torch.randn(2, n, self.config.z_dim, device=self.engine.device)
        return mixed_styles(self.g.mapping, z, condition, layers_at(self.level), self.config.style_mixing)

    def g_parameters(self) -> list[nn.Parameter]:
        """Parameters of G that learn; see :func:`learning_parameters`."""
        return learning_parameters(self.g, self.config.noise)

    def _generate(self, ws: Tensor) -> Tensor:
        """Cases with fresh noise, if any, at the present level, as the discriminator sees them."""
        return self.augmented(self.g.synthesis(ws, self.level, random_noise=self.config.noise))

    def d_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Logistic loss with R1 on real cases, or the Wasserstein loss; informs ADA."""
        wasserstein = self.config.loss == "wasserstein"
        others = condition if wasserstein else shuffled(condition)
        with self.engine.autocast(), torch.no_grad():
            ws, w = self.styles(len(x), others)
            real, synthetic = self.augmented(x), self._generate(ws)
            self.g.mapping.track(self.engine.mean(w.mean(dim=0)), W_AVERAGE_DECAY)
        if wasserstein:
            return self.wasserstein(real, synthetic, condition)
        with self.engine.autocast():
            by_real, by_synthetic = self.discriminate(real, condition), self.discriminate(synthetic, others)
        self.observe(by_real, len(x) * self.engine.world_size)
        losses = {"d": logistic_discriminator(by_real, by_synthetic)}
        if self.config.gamma:
            losses["r1"] = self.r1(self.part(real), None if condition is None else self.part(condition))
        return losses

    def r1(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """R1 penalty on real cases x (N, C + L, R', R'), in float32."""
        return r1(lambda y: self.discriminate(y, condition), x, self.config.gamma)

    def g_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Non-saturating logistic loss, or - E D(synthetic); conditions (N, classes) are shuffled."""
        condition = shuffled(condition)
        with self.engine.autocast():
            logits = self.discriminate(self._generate(self.styles(len(x), condition)[0]), condition)
        return {"g": -logits.mean() if self.config.loss == "wasserstein" else logistic_generator(logits)}

    # ------------------------------------------------------------------ sampling
    def style(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents z (N, z_dim) to truncated styles w (N, W); UsageError where classes miss their condition."""
        w = self.ema.mapping(z, self.class_condition(condition))
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
