"""SPADE: images rendered from a latent, with a label map in every normalisation layer, pixel by pixel; 2D and 3D.

**Source**: Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019, arXiv 1903.07291: eq. 1
(the layer), section 3 and appendix A (residual blocks, generator, hinge loss, feature matching 10, discriminators at
two scales, spectral normalisation, two rates; an image encoder with a weight of 0.05 on its divergence makes the latent
mean something); gamma is learned as 1 + gamma, as in the authors' code. Preset `paper`: Platscher et al., 2021, arXiv
2010.02745, whose SPADE has L1 and no encoder.
**Differs**: L1 of weight 10 in the place of the perceptual loss, which needs a network trained on photographs; the
divergence is a mean over cases, not a sum. With an encoder a share of every batch (`prior_share`) is rendered from
normal latents, as in sampling, and seen by the discriminator alone (as in Zhu et al., "Toward Multimodal Image-to-Image
Translation", 2017, arXiv 1711.11586, section 3.3); published: encoded latents only. An image is rendered in all its
contrasts at once. Statistics are those of one case and channel (instance normalisation; published: of the batch over
several GPUs), so that a case does not depend on its neighbours; at coarse levels a label map is averaged, not sampled,
so that a small lesion does not vanish; one residual block a level; the encoder's first layer is not normalised, so that
it can see how bright an image is; a thin axis is halved later (nets/spatial.py).
**Checked**: tests/generators/translation/test_spade.py (eq. 1 by hand) and the contract tests.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from understudy.core.encoding import Encoding
from understudy.generators.translation.translation import MIN_HALVINGS, PairedConfig, TranslationGenerator
from understudy.nets.case_noise import CaseNoise
from understudy.nets.label_maps import one_hot
from understudy.nets.losses import Features, feature_matching
from understudy.nets.patch_gan import PatchGAN
from understudy.nets.spatial import Conv, Stride, halved, halvings, instance_norm, needed_halvings
from understudy.training.batches import Batch


class Spade(nn.Module):
    """gamma(m) (h - mu) / sigma + beta(m) of activations h and a label map m: eq. 1; published: 128 hidden maps."""

    def __init__(self, channels: int, classes: int, hidden: int, dims: int) -> None:
        super().__init__()
        self.shared = Conv(classes, hidden, 3, dims=dims)
        self.gamma, self.beta = (Conv(hidden, channels, 3, dims=dims) for _ in "ab")

    def forward(self, h: Tensor, m: Tensor) -> Tensor:
        """Activations h (N, C, *S) and label map m (N, K, *S) -> (N, C, *S)."""
        seen = F.relu(self.shared(m))
        return instance_norm(h) * (1 + self.gamma(seen)) + self.beta(seen)


class SpadeBlock(nn.Module):
    """Residual block whose convolutions each follow a SPADE layer; the shortcut is learned where channels change."""

    def __init__(self, inputs: int, outputs: int, classes: int, hidden: int, dims: int, spectral: bool) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.norm_0, self.norm_1 = Spade(inputs, classes, hidden, dims), Spade(middle, classes, hidden, dims)
        self.conv_0 = Conv(inputs, middle, 3, dims=dims, spectral=spectral)
        self.conv_1 = Conv(middle, outputs, 3, dims=dims, spectral=spectral)
        self.norm_s = Spade(inputs, classes, hidden, dims) if inputs != outputs else None
        if self.norm_s:
            self.conv_s = Conv(inputs, outputs, 1, dims=dims, bias=False, spectral=spectral)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:
        """(N, inputs, *S) and label map (N, K, *S) -> (N, outputs, *S)."""
        y = self.conv_0(F.leaky_relu(self.norm_0(x, m), 0.2))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, m), 0.2))
        return y + (self.conv_s(self.norm_s(x, m)) if self.norm_s else x)


class SpadeGenerator(nn.Module):
    """From a latent, level by level to a case, every level given the label map.

    The strides say how each level is halved, the finest first. Its feature maps are doubled at each coarser one, up to
    `channels_max`. The last `kernel` is published as 3; `spectral` normalises convolutions outside SPADE layers.
    """

    def __init__(
        self,
        z_dim: int,
        classes: int,
        outputs: int,
        size: Sequence[int],
        strides: Sequence[Stride],
        *,
        channels: int,
        channels_max: int,
        hidden: int,
        kernel: int = 3,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        dims, levels = len(size), len(strides)
        widths = [min(channels * 2**i, channels_max) for i in range(levels + 1)]
        self.strides, self.start = list(strides), (widths[-1], *halved(size, strides))
        self.sizes = [halved(size, strides[:i]) for i in range(levels + 1)]
        self.conv_in = nn.Linear(z_dim, math.prod(self.start))
        self.blocks = nn.ModuleList(
            SpadeBlock(widths[min(i + 1, levels)], widths[i], classes, hidden, dims, spectral)
            for i in range(levels, -1, -1)
        )
        self.conv_out = Conv(widths[0], outputs, kernel, dims=dims, exact=True)

    def forward(self, z: Tensor, m: Tensor) -> Tensor:
        """Latents z (N, z_dim), label maps m (N, K, *S) of 0 and 1 -> images (N, C, *S) float32 in [-1, 1]."""
        x = self.conv_in(z).unflatten(1, self.start)
        for level, block in zip(range(len(self.strides), -1, -1), self.blocks, strict=True):
            if level < len(self.strides):
                x = F.interpolate(x, scale_factor=[float(step) for step in self.strides[level]], mode="nearest")
            x = block(x, F.interpolate(m, self.sizes[level], mode="area") if level else m)
        return torch.as_tensor(self.conv_out(F.leaky_relu(x, 0.2))).tanh()


class ImageEncoder(nn.Module):
    """Read from an image the mean and the log-variance of the latent that renders it (section 3, "multi-modal").

    The feature maps of the first layer are doubled at each further one, up to `channels_max`.
    """

    def __init__(self, inputs: int, size: Sequence[int], z_dim: int, *, channels: int, channels_max: int) -> None:
        super().__init__()
        strides, into = halvings(size, 6, 4), inputs
        self.layers = nn.ModuleList()
        for i, stride in enumerate(strides):
            out = min(channels * 2**i, channels_max)
            self.layers.append(Conv(into, out, 3, dims=len(size), stride=stride, bias=i == 0))
            into = out
        self.conv_out = nn.Linear(into * math.prod(halved(size, strides)), 2 * z_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, *S) -> mean (N, z_dim) and log-variance (N, z_dim), float32."""
        for i, layer in enumerate(self.layers):
            x = F.leaky_relu(instance_norm(layer(x)) if i else layer(x), 0.2)
        with torch.autocast(x.device.type, enabled=False):
            mean, log_variance = self.conv_out(x.float().flatten(1)).chunk(2, dim=1)
        return mean, log_variance


class SpadeConfig(PairedConfig):
    """Configuration of :class:`SPADE`; the defaults suit 64 to 256 pixels and some thousand images."""

    channels: int = Field(32, gt=0, description="feature maps of the generator's finest level")
    channels_max: int = Field(512, gt=0, description="most feature maps of the generator")
    levels: int = Field(5, ge=MIN_HALVINGS, description="times that a case is doubled at most, from sides of 4 up")
    hidden: int = Field(64, gt=0, description="feature maps between a label map and its modulation; published: 128")
    kernel: int = Field(3, gt=0, description="odd: side of the last convolution's kernel")
    z_dim: int = Field(128, gt=0, description="width of the latent")
    encoder: bool = Field(True, description="learn what the latent means from the images")
    encoder_channels: int = Field(32, gt=0, description="feature maps of the encoder's first layer")
    prior_share: float = Field(0.5, ge=0, lt=1, description="with an encoder: share of a batch from normal latents")
    kl_weight: float = Field(0.05, ge=0, description="with an encoder: weight of the latents' divergence from normal")
    feature_weight: float = Field(10.0, ge=0, description="weight of feature matching")
    spectral: bool = Field(True, description="spectral normalisation of generator and discriminator")
    scales: int = Field(2, gt=0, description="discriminators, each of a case half as large as the one before")
    adversarial: Literal["least-squares", "hinge"] = Field("hinge", description="adversarial loss")
    learning_rate: float = Field(1e-4, gt=0, description="of Adam, generator and encoder")
    discriminator_rate: float = Field(4e-4, gt=0, description="of Adam, discriminator")
    beta1: float = Field(0.0, ge=0, lt=1, description="of both Adams")
    d_noise: float = Field(0.0, ge=0, description="first deviation of the Gaussian noise on what D sees")

    @model_validator(mode="after")
    def _odd(self) -> "SpadeConfig":
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, found {self.kernel}")
        return self


class SPADE(TranslationGenerator):
    """A conditional GAN that learns from pairs, and renders one label map in many ways."""

    name = "spade"
    Config = SpadeConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        # Some ten thousand images in all: narrow networks, larger batches and longer strides.
        "short": {"channels": 16, "channels_max": 128, "hidden": 32, "z_dim": 64, "encoder_channels": 16,
                  "patch_channels": 32, "batch_size": 8, "learning_rate": 1e-3, "discriminator_rate": 1e-3,
                  "images_seen": 20_000, "snapshot_every": 20_000, "grid_every": 2_000, "ema_images": 1_000},
        "volumes": {"channels": 8, "channels_max": 64, "hidden": 16, "z_dim": 64, "encoder_channels": 8,
                    "patch_channels": 16, "patch_layers": 2, "scales": 1, "batch_size": 4, "learning_rate": 1e-3,
                    "discriminator_rate": 1e-3, "images_seen": 6_000, "snapshot_every": 6_000, "grid_every": 1_000,
                    "ema_images": 300},
        "paper": {"batch_size": 1, "channels": 64, "channels_max": 1024, "hidden": 128, "kernel": 7, "encoder": False,
                  "feature_weight": 0.0, "spectral": False, "scales": 1, "adversarial": "least-squares",
                  "patch_channels": 32, "learning_rate": 2e-4, "discriminator_rate": 2e-4, "beta1": 0.5,
                  "d_noise": 0.2, "d_noise_images": 1_000, "jitter": 1.0, "mirror": True, "ema_images": 0,
                  "images_seen": 40_000},  # 100 epochs of 400 volumes
        "demo": {"channels": 16, "channels_max": 64, "hidden": 16, "z_dim": 32, "encoder_channels": 16, "scales": 1,
                 "patch_channels": 16, "patch_layers": 2, "batch_size": 8, "learning_rate": 2e-3,
                 "discriminator_rate": 2e-3, "images_seen": 6_000, "ema_images": 500, "snapshot_every": 6_000,
                 "grid_every": 2_000},
    }  # fmt: skip
    config: SpadeConfig

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make the networks, the EMA of the generator and the optimisers; see the contract."""
        cfg, c, k = self.config, encoding.image_channels, len(self.scheme)
        strides = needed_halvings(self.name, size, cfg.levels, 4, MIN_HALVINGS)
        shared = cfg.model_dump(include={"channels", "channels_max", "hidden", "kernel", "spectral"})
        translators: dict[str, nn.Module] = {"g": SpadeGenerator(cfg.z_dim, k, c, size, strides, **shared)}
        if cfg.encoder:
            width = cfg.encoder_channels
            translators["e"] = ImageEncoder(c, size, cfg.z_dim, channels=width, channels_max=8 * width)
        widths: dict[str, int] = {"channels": cfg.patch_channels, "layers": cfg.patch_layers}
        self.register_networks(
            translators, {"d": PatchGAN(c + k, size, scales=cfg.scales, spectral=cfg.spectral, **widths)}
        )

    # ------------------------------------------------------------------ training
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of the discriminator, then one of generator and encoder; see the contract."""
        self.begin(batch)
        images, labels = self.split(batch.x)
        maps = one_hot(labels, self.scheme)
        with self.engine.autocast():
            z, pairs, divergence = self.latents(images)
            made = self.g(z, maps)
        distance = F.l1_loss(made[:pairs], images[:pairs])

        def loss() -> Tensor:
            cfg, found = self.config, self.discriminate("d", made, maps)
            value = self.g_loss(found) + cfg.l1_weight * distance + cfg.kl_weight * divergence
            return value + cfg.feature_weight * self._matching(found, images, maps, pairs)

        losses = {"d": self.optimizer_step("d", lambda: self.d_loss("d", images, made, maps))}
        losses["g"] = self.optimizer_step("g", loss)
        self.average(batch)
        return {**losses, "distance": distance.detach(), "divergence": divergence.detach()}

    def latents(self, images: Tensor) -> tuple[Tensor, int, Tensor]:
        """Draw the latents of a batch (N, C, *S).

        Returns latents (N, z_dim); how many cases, from the first, are to look like their image; the divergence of what
        the encoder found from the normal distribution, in nats a case (0 without an encoder).
        """
        n = len(images)
        z = torch.randn(n, self.config.z_dim, device=images.device)
        if not self.config.encoder:
            return z, n, z.new_zeros(())
        pairs = n - int(n * self.config.prior_share)
        mean, log_variance = self.translators["e"](images[:pairs])
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        return torch.cat([mean + (log_variance / 2).exp() * z[:pairs], z[pairs:]]), pairs, divergence

    def _matching(self, found: Features, images: Tensor, maps: Tensor, pairs: int) -> Tensor:
        if not self.config.feature_weight:
            return images.new_zeros(())
        with torch.no_grad():
            real = self.discriminate("d", images[:pairs], maps[:pairs])
        return feature_matching([[layer[:pairs] for layer in scale] for scale in found], real)

    # ------------------------------------------------------------------ sampling
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Render one label map a seed, in float32; see the contract."""
        maps = self.network_input(condition, len(seeds))
        z = CaseNoise(seeds, self.engine.device).normal(self.config.z_dim)
        return self.joined(self.ema(z, maps), maps.argmax(dim=1))
