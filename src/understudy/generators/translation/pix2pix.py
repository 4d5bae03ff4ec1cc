"""pix2pix: a U-Net renders label maps as images, or segments images; with a discriminator of patches of pairs.

**Source**: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004:
eq. 4 (objective), section 3.1 (noise in form of dropout), appendix 6.1 (networks: nets/translation.py,
nets/patch_gan.py). Volumes, and images to anatomy: Shin et al., 2018, arXiv 1807.10225. Preset `paper`: Platscher et
al., 2021, arXiv 2010.02745.
**Differs**: least-squares losses and an L1 weight of 10, as Platscher et al. (published: logistic, 100). Dropout stays
on when images are rendered, as published, but the masks of a case are drawn from its own seed: a case can be drawn
again, and does not depend on its neighbours. Images are segmented without dropout, since an anatomy should not be
random, and with cross-entropy in the place of L1. See also the files named.
**Checked**: tests/generators/translation/test_pix2pix.py and tests/generators/test_contract.py.
"""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.generators.translation.translation import MIN_HALVINGS, PairedConfig, TranslationGenerator
from understudy.nets.label_maps import one_hot
from understudy.nets.losses import whole_classes
from understudy.nets.patch_gan import PatchGAN
from understudy.nets.spatial import needed_halvings
from understudy.nets.translation import UNetGenerator, no_dropout, seeded_dropout
from understudy.training.batches import Batch


class Pix2PixConfig(PairedConfig):
    """Configuration of :class:`Pix2Pix`; the defaults suit 64 to 256 pixels and some thousand images."""

    direction: Literal["labels_to_images", "images_to_labels"] = Field(
        "labels_to_images", description="what is translated into what"
    )
    channels_max: int = Field(512, gt=0, description="most feature maps of the generator")
    levels: int = Field(8, ge=MIN_HALVINGS, description="levels of the U-Net at most; a side ends at 2 pixels or above")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of activations dropped on the way up")
    dropout_layers: int = Field(3, ge=0, description="layers, from the coarsest, that drop some")
    random: Literal["auto", "dropout", "none"] = Field(
        "auto", description="what is random in sampling; auto: dropout for images, none for label maps"
    )


class Pix2Pix(TranslationGenerator):
    """A conditional GAN that learns from pairs."""

    name = "pix2pix"
    Config = Pix2PixConfig
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {},
        # Some ten thousand images in all: narrow networks, larger batches and longer strides.
        "short": {"channels": 32, "channels_max": 256, "patch_channels": 32, "batch_size": 8, "learning_rate": 1e-3,
                  "discriminator_rate": 5e-4, "d_noise": 0.1, "dropout_layers": 2, "images_seen": 40_000,
                  "ema_images": 1_000},
        "volumes": {"channels": 24, "channels_max": 192, "patch_channels": 16, "patch_layers": 2, "batch_size": 4,
                    "learning_rate": 1e-3, "discriminator_rate": 5e-4, "d_noise": 0.1, "dropout_layers": 2,
                    "images_seen": 12_000, "ema_images": 400, "d_noise_images": 1_000, "snapshot_every": 12_000,
                    "grid_every": 2_000},
        "paper": {"batch_size": 1, "dropout": 0.3, "patch_channels": 32, "d_noise_images": 1_000, "jitter": 1.0,
                  "mirror": True, "ema_images": 0, "images_seen": 40_000},  # 100 epochs of 400 volumes
        "demo": {"channels": 16, "channels_max": 128, "patch_channels": 16, "patch_layers": 2, "batch_size": 8,
                 "learning_rate": 2e-3, "discriminator_rate": 1e-3, "d_noise": 0.1, "dropout_layers": 2,
                 "images_seen": 8_000, "ema_images": 500, "snapshot_every": 8_000, "grid_every": 8_000,
                 "mirror": True},
    }  # fmt: skip
    SAMPLING: ClassVar[tuple[str, ...]] = ("sample_block", "random")
    config: Pix2PixConfig

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What is given of every case; see the contract."""
        return "images" if self.config.direction == "images_to_labels" else "labels"

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        """Make both networks, the EMA of the generator and the optimisers; see the contract."""
        cfg, c, k = self.config, encoding.image_channels, len(self.scheme)
        strides = needed_halvings(self.name, size, cfg.levels, 2, MIN_HALVINGS)
        shared = cfg.model_dump(include={"channels", "channels_max", "dropout", "dropout_layers"})
        source, target = (c, k) if self.given == "images" else (k, c)
        g = UNetGenerator(source, target, strides, squash=self.given == "labels", **shared)
        d = PatchGAN(c + k, size, scales=cfg.scales, channels=cfg.patch_channels, layers=cfg.patch_layers)
        self.register_networks({"g": g}, {"d": d})

    # ------------------------------------------------------------------ training
    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of the discriminator, then one of the generator; see the contract."""
        self.begin(batch)
        images, labels = self.split(batch.x)
        maps = one_hot(labels, self.scheme)
        source, target = (images, maps) if self.given == "images" else (maps, images)
        with self.engine.autocast():
            made = self.g(source)
        shown = whole_classes(made) if self.given == "images" else made
        distance = F.cross_entropy(made, labels) if self.given == "images" else F.l1_loss(made, target)

        def loss() -> Tensor:
            return self.g_loss(self.discriminate("d", shown, source)) + self.config.l1_weight * distance

        losses = {"d": self.optimizer_step("d", lambda: self.d_loss("d", target, shown, source))}
        losses["g"] = self.optimizer_step("g", loss)
        self.average(batch)
        return {**losses, "distance": distance.detach()}

    # ------------------------------------------------------------------ sampling
    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Translate one case a seed, in float32; see the contract."""
        source, auto = self.network_input(condition, len(seeds)), "dropout" if self.given == "labels" else "none"
        by_seed = (auto if self.config.random == "auto" else self.config.random) == "dropout"
        drop = seeded_dropout(seeds, self.engine.device) if by_seed else no_dropout
        made = torch.as_tensor(self.ema(source, drop))
        if self.given == "images":
            return self.joined(source, made.argmax(dim=1))
        return self.joined(made, source.argmax(dim=1))
