"""StyleGAN3: an alias-free style-based GAN, translation (t) or rotation (r) equivariant; details move with the anatomy.

**Source**: Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, sections 2 and 3 and
appendix C to G: Fourier features, flexible layer specifications, filtered non-linearities, no noise; two mapping
layers, learning rate 0.0025, no style mixing, no path length regularisation; variant r: 1x1 convolutions, twice the
feature maps, blurred images for D at the start. Discriminator and losses are StyleGAN2's (nets/discriminator.py,
style.py). Parameter and buffer names and shapes are those of the published weights, so that those load as they are.
**Differs**: any number of image channels (images and encoded label maps side by side); modulation of activations
instead of weights, and no normalisation of weights and styles before it, which demodulation undoes; under autocast the
convolutions and filters run in the low precision, the Fourier features, the mapping, the styles and the output layer in
float32; fewer layers (`num_layers`) and a smaller margin around the image may be asked for, and the presets for short
trainings do: 14 layers are made for 256 pixels and more; the blur of variant r is as wide relative to the image as at
256 pixels, where those are fewer, and lasts a tenth of the training at most.
**Checked**: tests/generators/test_official.py (numbers of the official code, to 1e-4),
tests/generators/gan/test_stylegan3.py (translation and rotation equivariance, schedule,
names, precision of the output) and the contract tests.

Shapes: N batch, Z z_dim, W w_dim, L latents per case (`num_ws`), C image + label channels, R resolution. Frequencies
and sampling rates are per side of the image.
"""

import math
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from understudy.core.encoding import Encoding
from understudy.generators.gan.style import StyleGAN, StyleGANConfig
from understudy.nets.alias_free import filtered_leaky_relu, low_pass, placement
from understudy.nets.discriminator import Discriminator
from understudy.nets.layers import SQRT_TWO, EqualisedLinear, convolution_dtype, modulated_conv2d, project
from understudy.nets.mapping import Mapping
from understudy.nets.signals import Design, Signal, schedule


class FourierFeatures(nn.Module):
    """Input of the synthesis: waves in a disc of frequencies, rotated and shifted by w, then mixed (section 3.1)."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, signal: Signal) -> None:
        super().__init__()
        self.signal = signal
        radius, angle = torch.rand(signal.channels).sqrt() * signal.cutoff, torch.rand(signal.channels) * 2 * math.pi
        self.weight = nn.Parameter(torch.randn(signal.channels, signal.channels))
        self.affine = EqualisedLinear(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.register_buffer("transform", torch.eye(3))  # from output to input positions, set by the user
        self.register_buffer("freqs", torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1))
        self.register_buffer("phases", torch.rand(signal.channels) - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        """w (N, W) float32 -> (N, channels, size, size) float32."""
        t = self.affine(w)
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        cosine, sine = t[:, 0], t[:, 1]
        rotation = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
        shift = rotation @ (self.transform[:2, 2] - t[:, 2:]).unsqueeze(2)
        freqs = self.freqs @ (rotation @ self.transform[:2, :2])  # N, channels, 2
        phases = self.phases + (self.freqs @ shift).squeeze(2)
        size, rate, cutoff = self.signal.size, self.signal.rate, self.signal.cutoff
        amplitude = (1 - (freqs.norm(dim=2) - cutoff) / (rate / 2 - cutoff)).clamp(0, 1)  # a zoom may leave the band
        position = (torch.arange(size, device=w.device) + 0.5 - size / 2) / rate
        x, y = (freqs[:, None, :, i] * position[:, None] for i in (0, 1))  # N, size, channels
        wave = torch.sin((y[:, :, None] + x[:, None] + phases[:, None, None]) * (2 * math.pi))
        weight = self.weight / math.sqrt(len(self.weight))
        return ((wave * amplitude[:, None, None]) @ weight.t()).permute(0, 3, 1, 2)


class _Layer(nn.Module):
    """What inner and output layers share: style, weight, bias, running mean of the input's power."""

    magnitude_ema: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int, w_dim: int, design: Design) -> None:
        super().__init__()
        self.beta, self.clamp = design.magnitude_ema_beta, design.conv_clamp
        self.affine = EqualisedLinear(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))

    @torch.no_grad()
    def track(self, x: Tensor) -> None:
        """Take note of the power of an input (N, I, H, W)."""
        self.magnitude_ema.copy_(x.float().square().mean().lerp(self.magnitude_ema, self.beta))


def _full_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with k - 1 zeros on each side (k odd), half of them put there before.

    On processors the library takes twice as long for the weights' gradient (in float32 eight times) of a convolution
    that pads by more than half its kernel.
    """
    half = weight.shape[-1] // 2
    return F.conv2d(F.pad(x, [half] * 4), weight, padding=half) if half else F.conv2d(x, weight)


class StyleGAN3Layer(_Layer):
    """Modulated convolution, bias, filtered leaky ReLU; changes the sampling rate where the schedule says so.

    It takes the signal `source` to `target`; `radial`: with a radially symmetric filter after the leaky ReLU.
    """

    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(self, source: Signal, target: Signal, w_dim: int, design: Design, radial: bool) -> None:
        super().__init__(source.channels, target.channels, design.conv_kernel, w_dim, design)
        rate = max(source.rate, target.rate) * design.lrelu_upsampling
        up, down = rate // source.rate, rate // target.rate
        up_taps, down_taps = (design.filter_size * factor if factor > 1 else 1 for factor in (up, down))
        self.register_buffer("up_filter", low_pass(up_taps, source.cutoff, 2 * source.half_width, rate))
        self.register_buffer("down_filter", low_pass(down_taps, target.cutoff, 2 * target.half_width, rate, radial))
        self.rates = placement(source.size + design.conv_kernel - 1, target.size, up, down, up_taps, down_taps)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, I, H, H), w (N, W) float32 -> (N, O, size, size), in the precision of x."""
        y, factor = modulated_conv2d(x, self.weight, self.affine(w), _full_convolution)
        scale = factor * (SQRT_TWO * self.magnitude_ema.rsqrt())
        return filtered_leaky_relu(
            y, scale, self.bias * SQRT_TWO, self.up_filter, self.down_filter, self.rates, clamp=self.clamp
        )


class StyleGAN3Output(_Layer):
    """Feature maps -> image and label channels by a modulated 1x1 convolution in float32, not demodulated."""

    def __init__(self, source: Signal, target: Signal, w_dim: int, design: Design) -> None:
        super().__init__(source.channels, target.channels, 1, w_dim, design)
        self.gain = design.output_scale

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, I, R, R), w (N, W) -> (N, C, R, R) in the precision of w."""
        style = self.affine(w) * (self.magnitude_ema.rsqrt() / math.sqrt(self.weight.shape[1]))
        y = project(x, self.weight.flatten(1) * style.unsqueeze(1)) + self.bias.view(-1, 1, 1)
        return (y if self.clamp is None else y.clamp(-self.clamp, self.clamp)) * self.gain


class StyleGAN3Synthesis(nn.Module):
    """w for every layer -> image and label channels."""

    def __init__(self, w_dim: int, resolution: int, channels: int, design: Design) -> None:
        super().__init__()
        signals = schedule(resolution, channels, design)
        self.input = FourierFeatures(w_dim, signals[0])
        self.names: list[str] = []
        self.low: list[bool] = []
        for i, (source, target) in enumerate(zip([signals[0], *signals], signals, strict=False)):
            layer: _Layer
            if i == design.num_layers:
                layer = StyleGAN3Output(source, target, w_dim, design)
            else:
                radial = design.use_radial_filters and i < design.num_layers - design.num_critical
                layer = StyleGAN3Layer(source, target, w_dim, design, radial)
            self.names.append(f"L{i}_{target.size}_{target.channels}")
            self.low.append(target.rate * 2**design.num_fp16_res > resolution)
            self.add_module(self.names[-1], layer)
        self.num_ws = design.num_layers + 2

    def forward(self, ws: Tensor, track: bool = False) -> Tensor:
        """ws (N, L, W) float32 -> (N, C, R, R) float32; convolutions in the precision of the surrounding autocast.

        `track`: update the running means of the layers' input power.
        """
        dtype = convolution_dtype(ws)
        with torch.autocast(ws.device.type, enabled=False):
            x = self.input(ws[:, 0])
            for i, (name, low) in enumerate(zip(self.names, self.low, strict=True)):
                layer = cast(_Layer, self.get_submodule(name))
                if track:
                    layer.track(x)
                x = layer(x.to(dtype if low else ws.dtype), ws[:, i + 1])
        return x


class StyleGAN3Network(nn.Module):
    """z -> w -> image and label channels; of 0 classes there is no condition."""

    def __init__(
        self, z_dim: int, classes: int, w_dim: int, resolution: int, channels: int, mapping_layers: int, design: Design
    ) -> None:
        super().__init__()
        self.synthesis = StyleGAN3Synthesis(w_dim, resolution, channels, design)
        self.mapping = Mapping(z_dim, classes, w_dim, mapping_layers)

    def forward(self, z: Tensor, condition: Tensor | None = None, truncation_psi: float = 1.0) -> Tensor:
        """z (N, Z), condition (N, classes) or None -> (N, C, R, R), about [-1, 1], float32."""
        w = self.mapping.truncate(self.mapping(z, condition), truncation_psi)
        return self.synthesis(w.unsqueeze(1).expand(-1, self.synthesis.num_ws, -1))


class StyleGAN3Config(StyleGANConfig):
    """Configuration of :class:`StyleGAN3`; variant r doubles `channel_base` and `channel_max` in its generator."""

    variant: Literal["t", "r"] = Field("t", description="equivariant to translation, or to rotation as well")
    num_layers: int = Field(14, gt=2, description="layers of the generator besides input and output")
    margin: int = Field(10, ge=0, description="rows and columns that the generator keeps around the image")
    mapping_layers: int = Field(2, gt=0, description="depth of the mapping network")
    learning_rate: float = Field(0.0025, gt=0, description="of Adam, generator")
    path_weight: float = Field(0.0, ge=0, le=0, description="stylegan3 has no path length regularisation")
    style_mixing: float = Field(0.0, ge=0, le=1, description="probability that a batch mixes two latents")


class StyleGAN3(StyleGAN):
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
        cfg, side = self.config, self.square_side(size, 16)
        turning = cfg.variant == "r"
        wider = 2 if turning else 1
        design = Design(
            channel_base=cfg.channel_base * wider, channel_max=cfg.channel_max * wider, num_layers=cfg.num_layers,
            margin_size=cfg.margin, conv_kernel=1 if turning else 3, use_radial_filters=turning, conv_clamp=cfg.clamp,
            magnitude_ema_beta=0.5 ** (cfg.batch_size / 20_000),
        )  # fmt: skip
        g = StyleGAN3Network(cfg.z_dim, classes, cfg.w_dim, side, encoding.n, cfg.mapping_layers, design)
        widths = cfg.model_dump(include={"channel_base", "channel_max", "clamp"})
        d = Discriminator(classes, side, encoding.n, group=cfg.group, **widths)
        self.register_networks(g, d, encoding.image_channels, classes)

    def training_synthesis(self, ws: Tensor, track: bool) -> Tensor:
        """Styles of every layer (N, L, W) to cases; `track`: the layers' running means of input power take note."""
        images = torch.as_tensor(self.g.synthesis(ws, track=track))
        if track:  # then processes keep the same running means
            means = [b for name, b in self.g.synthesis.named_buffers() if name.endswith("magnitude_ema")]
            for mean, joint in zip(means, self.engine.mean(torch.stack(means)), strict=True):
                mean.copy_(joint)
        return images

    def first_blur(self, resolution: int) -> float:
        """Width of the blur at the start, in pixels: variant r starts with one."""
        return 10 * min(resolution / 256, 1) if self.config.variant == "r" else 0.0
