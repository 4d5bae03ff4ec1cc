"""What the translators share: source and target of a case, adversarial losses, rates, noise for D, drawing.

**Source**: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv 1611.07004
(conditional discriminator, eq. 1; L1, eq. 3); Zhu et al., 2017, arXiv 1703.10593, appendix 7.1 (rate falls linearly
over the second half); Platscher et al., 2021, arXiv 2010.02745 (Gaussian noise for D, 0.2, less by a factor of 1 -
0.001 a step). Losses: nets/losses.py.
**Differs**: the noise falls at every step (in the released code of Platscher et al. once, when the graph is built), and
D is asked for 0 on synthetic cases (there for 1); samples come from the generator's EMA; where images are segmented,
cross-entropy takes the place of L1, and the discriminator sees whole classes, with gradients of the probabilities
(straight through), because soft maps would be told from real ones at a glance.
**Checked**: tests/generators/translation/test_translation.py and tests/generators/test_contract.py.
"""

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from understudy.generators.base import Generator
from understudy.nets.label_maps import decoded, encoded, one_hot
from understudy.nets.losses import Features, discriminator_loss, generator_loss
from understudy.training.batches import Batch
from understudy.training.jitter import jittered
from understudy.training.optimizer import adam, optimizer_step
from understudy.training.settings import GeneratorConfig

MIN_HALVINGS = 2  # halvings that every translator needs


class TranslationConfig(GeneratorConfig):
    """The settings that all translators share."""

    batch_size: int = Field(4, gt=0, description="images a step, over all processes")
    channels: int = Field(64, gt=0, description="feature maps of the generator's finest level")
    patch_channels: int = Field(64, gt=0, description="feature maps of the discriminator's first layer")
    patch_layers: int = Field(3, gt=0, description="strided layers of the discriminator; a small case takes fewer")
    scales: int = Field(1, gt=0, description="discriminators, each of a case half as large as the one before")
    learning_rate: float = Field(2e-4, gt=0, description="of Adam, generator")
    discriminator_rate: float = Field(2e-4, gt=0, description="of Adam, discriminator")
    beta1: float = Field(0.5, ge=0, lt=1, description="of both Adams")
    decay_from: float = Field(0.5, ge=0, le=1, description="share of the training after which the rates fall to 0")
    adversarial: Literal["least-squares", "hinge"] = Field("least-squares", description="adversarial loss")
    discriminator_weight: float = Field(0.5, gt=0, description="weight of the discriminator's loss")
    d_noise: float = Field(0.2, ge=0, description="first deviation of the Gaussian noise on what D sees")
    d_noise_images: float = Field(4_000, gt=0, description="images in which that noise falls by a factor of e")
    jitter: float = Field(0.0, ge=0, description="small affine changes of training cases; 1: as Platscher et al.")
    ema_images: float = Field(5_000, ge=0, description="half-life of the EMA in images; 0: none")

    @model_validator(mode="after")
    def _unconditional(self) -> "TranslationConfig":
        if self.conditional:
            raise ValueError("a translator is given label maps or images, not class columns: leave conditional false")
        return self


class PairedConfig(TranslationConfig):
    """The settings of translators that learn from pairs."""

    l1_weight: float = Field(10.0, ge=0, description="weight of L1, or of cross-entropy where images are segmented")


class TranslationGenerator(Generator):
    """Networks that translate, discriminators, and the EMA of the translator; see the subclasses."""

    BY_IMAGES: ClassVar[dict[int, dict[str, Any]]] = {0: {"jitter": 1.0}, 5_000: {}}
    config: TranslationConfig

    def register_networks(self, translators: dict[str, nn.Module], discriminators: dict[str, nn.Module]) -> None:
        """Put the networks on the device; make the optimisers and the EMA of `g`, which samples are drawn from."""
        cfg = self.config
        self.translators = {name: self.engine.place(net) for name, net in translators.items()}
        self.discriminators = {name: self.engine.place(net) for name, net in discriminators.items()}
        self.g: Any = self.translators["g"]
        self.ema: Any = copy.deepcopy(self.g).eval().requires_grad_(False)
        self.rates = {"g": cfg.learning_rate, "d": cfg.discriminator_rate}
        learning = {"g": self.translators, "d": self.discriminators}
        self.adams = {
            key: adam(nn.ModuleDict(nets).parameters(), self.rates[key], betas=(cfg.beta1, 0.999))
            for key, nets in learning.items()
        }

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What is given of every case; see the contract."""
        return "labels"

    def modules(self) -> dict[str, nn.Module]:
        """Return all networks and the EMA."""
        return {**self.translators, **self.discriminators, "ema": self.ema}

    # ------------------------------------------------------------------ training
    def rate_at(self, images_seen: int) -> float:
        """Return the factor of the learning rates: 1, then linearly to 0."""
        start, total = self.config.decay_from, self.config.images_seen
        return min(1.0, (1 - images_seen / total) / (1 - start)) if start < 1 else 1.0

    def noise_at(self, images_seen: int) -> float:
        """Return the standard deviation of the noise on what D sees."""
        return float(self.config.d_noise * math.exp(-images_seen / self.config.d_noise_images))

    def begin(self, batch: Batch) -> None:
        """Set the learning rates and the noise of a step; the translators may learn."""
        for net in self.translators.values():
            net.requires_grad_(True)
        self.noise = self.noise_at(batch.images_seen)
        for key, optimizer in self.adams.items():
            optimizer.param_groups[0]["lr"] = self.rates[key] * self.rate_at(batch.images_seen)

    def optimizer_step(self, key: str, loss: Callable[[], Tensor]) -> Tensor:
        """Take one step of the translators (`g`) or of the discriminators (`d`)."""
        networks = [*self.translators.values(), *self.discriminators.values()]
        return optimizer_step(self.engine, networks, self.adams[key], loss)

    def average(self, batch: Batch) -> None:
        """Move the EMA after a step."""
        cfg = self.config
        self.move_average(self.g, cfg.batch_size, cfg.ema_images, batch.images_seen)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Jitter cases (N, C + L, *S), and split them into images (N, C, *S) and label maps (N, *S) int64."""
        c = self.encoding.image_channels
        x = jittered(x, c, self.config.jitter)
        return x[:, :c], decoded(x[:, c:], self.scheme)

    def discriminate(self, name: str, x: Tensor, source: Tensor | None = None) -> Features:
        """Return what a discriminator finds in cases x (N, C, *S), with noise as scheduled: activations and logits.

        It sees with them the source (N, ...) that they were made from, where one is given.
        """
        x = x + self.noise * torch.randn_like(x) if self.noise else x
        with self.engine.autocast():
            features: Features = self.discriminators[name](x if source is None else torch.cat([source, x], dim=1))
        return features

    def d_loss(self, name: str, real: Tensor, synthetic: Tensor, source: Tensor | None = None) -> Tensor:
        """Loss of a discriminator on as many real as synthetic cases, in one batch; weighted."""
        both = None if source is None else torch.cat([source, source])
        found = self.discriminate(name, torch.cat([real, synthetic.detach()]), both)
        losses = [discriminator_loss(self.config.adversarial, *scale[-1].chunk(2)) for scale in found]
        return self.config.discriminator_weight * torch.stack(losses).mean()

    def g_loss(self, found: Features) -> Tensor:
        """Adversarial loss of a translator from what D finds in its cases."""
        return torch.stack([generator_loss(self.config.adversarial, scale[-1]) for scale in found]).mean()

    # ------------------------------------------------------------------ sampling
    def network_input(self, condition: Tensor | None, n: int) -> Tensor:
        """Return what n cases are drawn from, as a network sees it: one channel a class, or image channels."""
        given = self.given_cases(condition, n)
        return given if self.given == "images" else one_hot(given, self.scheme)

    def joined(self, images: Tensor, labels: Tensor) -> Tensor:
        """Join images (N, C, *S) and label maps (N, *S) to cases (N, C + L, *S) float32."""
        return torch.cat([images.float(), encoded(labels, self.scheme)], dim=1)
