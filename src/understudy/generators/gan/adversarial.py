"""What the GANs of images share: latents, networks and the generator's EMA, an augmentation in front of D, drawing.

**Source**: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv 1406.2661; the augmentation: ada.py. Losses
and penalties are in nets/losses.py, steps in training/optimizer.py.
**Differs**: nothing known.
**Checked**: tests/generators/gan/ and tests/generators/test_contract.py.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from understudy.core.errors import UsageError
from understudy.generators.base import Generator
from understudy.generators.gan.ada import Controller, augment
from understudy.nets.case_noise import CaseNoise
from understudy.training.optimizer import optimizer_step
from understudy.training.settings import GeneratorConfig


class AdversarialConfig(GeneratorConfig):
    """The settings that all of them have."""

    z_dim: int = Field(512, gt=0, description="latents a case")
    augment: Literal["ada", "fixed", "none"] = Field("ada", description="adaptive, fixed or no augmentation for D")
    augment_p: float = Field(0.0, ge=0, le=1, description="probability of augmentation at the start (ada) or always")
    augment_limit: float = Field(0.8, ge=0, le=1, description="largest probability that ada may choose")
    ada_target: float = Field(0.6, gt=-1, lt=1, description="mean sign of D on training images that ada aims at")
    ada_images: float = Field(500_000, gt=0, description="images in which ada can raise the probability by 1")


class AdversarialGenerator(Generator):
    """A generator G from latents that learns against a discriminator D; samples are drawn from the EMA of G."""

    config: AdversarialConfig

    def square_side(self, size: tuple[int, ...], least: int) -> int:
        """Return the side of square cases, a power of two; UsageError where they are not, or smaller than `least`."""
        side = size[0]
        if size != (side, side) or side < least or side & (side - 1):
            raise UsageError(
                f"{self.name} needs square images with a side of {least}, {2 * least}, {4 * least} ... pixels, found "
                f"{' x '.join(map(str, size))}: import with another --size"
            )
        return side

    def register_networks(self, g: nn.Module, d: nn.Module, image_channels: int, classes: int) -> None:
        """Put the networks of `classes` class columns on the device; make the EMA of G and the augmentation."""
        cfg, self.image_channels, self.classes = self.config, image_channels, classes
        self.g: Any = self.engine.place(g)
        self.d: Any = self.engine.place(d)
        self.ema: Any = copy.deepcopy(g).eval().requires_grad_(False)
        self.ada = Controller(cfg.ada_target, cfg.ada_images, limit=cfg.augment_limit, p=cfg.augment_p)

    def g_parameters(self) -> list[nn.Parameter]:
        """Parameters of G that learn: all, unless a paper says otherwise."""
        return [*self.g.parameters()]

    def scalars(self) -> dict[str, Any]:
        """Return the state of the augmentation as well."""
        return {**super().scalars(), "ada": {key: getattr(self.ada, key) for key in ("p", "signs", "steps")}}

    def load_scalars(self, scalars: dict[str, Any]) -> None:
        """Put back what :meth:`scalars` gave."""
        super().load_scalars(scalars)
        for key in ("p", "signs", "steps"):
            setattr(self.ada, key, scalars["ada"][key])

    # ------------------------------------------------------------------ training
    @abstractmethod
    def discriminate(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Logits (N, 1) of cases as they are, without augmentation."""

    def augmented(self, x: Tensor) -> Tensor:
        """Cases as the discriminator sees them: augmented as configured."""
        return augment(x, 0.0 if self.config.augment == "none" else self.ada.p, self.image_channels)

    def observe(self, certainty: Tensor, batch_size: int) -> None:
        """Tell the adaptive augmentation how certain D is of training cases: logits (N, 1), 0 where undecided."""
        if self.config.augment == "ada":
            self.ada.observe(float(self.engine.mean(certainty.detach().sign().mean())), batch_size)

    def _step(self, key: str, loss: Callable[[], Tensor], gain: float = 1.0) -> Tensor:
        """Take one step of G (`g`) or of D (`d`)."""
        return optimizer_step(self.engine, (self.g, self.d), self.adams[key], loss, gain)

    # ------------------------------------------------------------------ sampling
    @abstractmethod
    def generate(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map latents to cases with the EMA weights and constant noise, in float32; differentiable in z.

        z (N, z_dim), condition (N, classes) float32 -> (N, C + L, R, R), about [-1, 1]; UsageError for a missing one.
        """

    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        """Draw one case a seed; see the contract."""
        return self.generate(CaseNoise(seeds, self.engine.device).normal(self.config.z_dim), condition)
