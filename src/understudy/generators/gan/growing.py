"""What ProGAN and the first StyleGAN share: the schedule of growing, optimisers that start anew, EMA, Wasserstein loss.

**Source**: Karras et al. (ProGAN), 2018, arXiv 1710.10196, section 2, appendix A.1 and the published code (order of
phases; Adam is reset at the start and the end of every fade; learning rate by resolution; exponential average of the
generator's weights, 0.999 a step; drift); Gulrajani et al., 2017, arXiv 1704.00028, eq. 3 (gradient penalty).
**Differs**: the published phases of 600,000 or 800,000 images suit 12 to 25 million images in all; by default phases
are a share of the training, so that a short one also ends with most of its images at the last resolution. Published
settings change every fourth step, here every step is asked. The average's memory is given in images and is shorter
while few images were seen (training/ema.py). The augmentation of ada.py, which came later, may be switched on for small
data; published is none. With it, ADA's certainty is measured from the middle between the mean logits of real and of
synthetic cases, because a Wasserstein critic has no zero.
**Checked**: tests/generators/gan/test_growing.py (published points, continuity, shares, fading against its definition),
test_progan.py (resets, learning rates, resume within a fade) and tests/generators/test_contract.py.

    images    0 ...... stable ...... + fade ...... + stable ...... + fade ...
    level     log2(first)            rises by 1    holds           rises by 1     ... log2(last) to the end

Everything is a function of the images seen, so that a resumed training grows as the uninterrupted one.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from understudy.core.errors import UsageError
from understudy.generators.gan.adversarial import AdversarialConfig, AdversarialGenerator
from understudy.nets.growing import ToChannels, double, halve, stage
from understudy.nets.layers import channels_at
from understudy.nets.losses import gradient_penalty
from understudy.training.batches import Batch
from understudy.training.optimizer import adam


@dataclass(frozen=True)
class Growth:
    """When resolutions come: from `first` to `last`, powers of two, `stable` images at each, then `fade` to the next.

    Example:
        >>> paper = Growth(first=4, last=1024, stable=800_000, fade=800_000)
        >>> paper.level(1_000_000), paper.begin(1024)
        (2.25, 12000000)
    """

    first: int
    last: int
    stable: int
    fade: int

    def level(self, images_seen: int) -> float:
        """Return log2 of the resolution, with a fraction while a new one is faded in."""
        phases, rest = divmod(images_seen, self.stable + self.fade)
        return min(math.log2(self.first) + phases + max(rest - self.stable, 0) / self.fade, math.log2(self.last))

    def begin(self, resolution: int) -> int:
        """Return after how many images the fade to a resolution (first < resolution <= last) begins."""
        return self.stable + (round(math.log2(resolution / self.first)) - 1) * (self.stable + self.fade)

    def end(self) -> int:
        """Return after how many images the networks are grown."""
        return round(math.log2(self.last / self.first)) * (self.stable + self.fade)


def phase(level: float) -> tuple[int, int]:
    """Return what is the same throughout a stable phase or a fade: the resolutions in use, as log2."""
    return math.floor(level), math.ceil(level)


def faded(x: Tensor, level: float) -> Tensor:
    """Mix cases (N, C + L, R', R') with their copy at half the resolution, as the networks do; outside a fade: x."""
    alpha = stage(level)[1]
    return x if alpha == 1 else torch.lerp(double(halve(x)), x, alpha)


class GrowingSynthesis(nn.Module):
    """4x4 features -> image and label channels at the resolution of a level; blocks `b4` ..., outputs `write4` ...

    The first block is made of its feature maps, a further one of those that go in and out and its resolution; there are
    `channel_base` / resolution feature maps, at most `channel_max`. The last resolution is a power of two >= 8, growing
    starts from `first`. The weights of output layers begin with the deviation `contrast`, None: 1 as published.
    """

    def __init__(
        self,
        first_block: Callable[[int], nn.Module],
        block: Callable[[int, int, int], nn.Module],
        resolution: int,
        channels: int,
        channel_base: int = 16384,
        channel_max: int = 512,
        first: int = 4,
        contrast: float | None = None,
    ) -> None:
        super().__init__()
        self.first, width, r = first, channels_at(4, channel_base, channel_max), 4
        self.b4 = first_block(width)
        while r <= resolution:
            out = channels_at(r, channel_base, channel_max)
            if r > 4:
                self.add_module(f"b{r}", block(width, out, r))
            if r >= first:
                self.add_module(f"write{r}", write := ToChannels(out, channels))
                if contrast is not None:
                    nn.init.normal_(write.weight, std=contrast)
            width, r = out, r * 2

    def grown(self, x: Tensor, level: float, low: torch.dtype, given: Iterable[tuple[Any, ...]] = repeat(())) -> Tensor:
        """Features (N, I, 4, 4) -> (N, C, R', R'), by blocks in low precision; `given`: what else each takes."""
        resolution, alpha = stage(level)
        before, r, arguments = x, 4, iter(given)
        while r < resolution:
            before, r = x, r * 2
            x = self.get_submodule(f"b{r}")(x.to(low), *next(arguments))
        image = self.get_submodule(f"write{resolution}")(x)
        if alpha < 1:
            old = double(self.get_submodule(f"write{resolution // 2}")(before))
            image = torch.lerp(old, image, alpha)
        return torch.as_tensor(image)


EMA_STEPS = math.log(0.5) / math.log(0.999)


class GrowingConfig(AdversarialConfig):
    """The settings that ProGAN and the first StyleGAN share."""

    first_resolution: int = Field(4, ge=4, description="resolution that growing starts from, a power of two")
    growing_share: float = Field(0.4, ge=0, le=1, description="share of the training that growing takes, 0 for none")
    stable_images: int | None = Field(None, gt=0, description="images between fades; default by growing_share")
    fade_images: int | None = Field(None, gt=0, description="images of a fade; default by growing_share")
    batch_sizes: dict[int, int] = Field({}, description="batch size by resolution where it is not batch_size")
    learning_rates: dict[int, float] = Field({}, description="learning_rate by resolution; the other rate in step")
    channel_base: int = Field(16384, gt=0, description="feature maps times resolution")
    channel_max: int = Field(512, gt=0, description="most feature maps at any resolution")
    learning_rate: float = Field(0.001, gt=0, description="of Adam, generator")
    discriminator_rate: float = Field(0.001, gt=0, description="of Adam, discriminator")
    penalty_share: float = Field(1.0, gt=0, le=1, description="share of the batch that the penalty is measured on")
    ema_images: float | None = Field(None, gt=0, description="half-life of the EMA in images; default 693 batch_size")
    penalty: float = Field(10.0, ge=0, description="of the Wasserstein loss: weight of the gradient penalty, lambda")
    drift: float = Field(0.001, ge=0, description="of the Wasserstein loss: weight of the squared logits of real cases")
    group: int = Field(4, gt=0, description="cases a minibatch-deviation group")
    augment: Literal["none", "ada", "fixed"] = Field("none", description="no, adaptive or fixed augmentation for D")

    @field_validator("first_resolution")
    @classmethod
    def _check_power(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("a power of two")
        return value

    @model_validator(mode="after")
    def _check_batches(self) -> "GrowingConfig":
        for n in (self.batch_size, *self.batch_sizes.values()):
            if n < 1 or n % min(self.group, n):
                raise ValueError(f"every batch size must be a multiple of group = {self.group} or smaller, found {n}")
        return self

    def growth(self, last: int, images_seen: int) -> Growth:
        """Make the schedule of a training up to the resolution `last`, `images_seen` long.

        Fades and stable phases are as set, or of one length that lets growing end after its share of the training.
        """
        first = min(self.first_resolution, last) if self.growing_share else last
        fades = max(round(math.log2(last / first)), 1)
        length = max(int(images_seen * self.growing_share) // (2 * fades), 1)
        return Growth(first, last, self.stable_images or length, self.fade_images or length)


class GrowingGAN(AdversarialGenerator):
    """Everything of a growing GAN but its networks and losses; `build` calls :meth:`plan`, :meth:`register_networks`.

    The generator network has a buffer `level`, which the EMA copies, so that a snapshot knows how far it has grown; the
    discriminator network maps (cases, condition, level) to logits (N, 1).
    """

    NUMBERS = ("level",)
    config: GrowingConfig

    @property
    def widths(self) -> dict[str, Any]:
        """The arguments that both networks take: how wide they are and where growing starts."""
        return self.config.model_dump(include={"channel_base", "channel_max"}) | {"first": self.config.first_resolution}

    def plan(self, size: tuple[int, ...]) -> int:
        """Make the schedule of growing to cases of a size; return their side.

        Raises:
            UsageError: they are not square, no power of two, or smaller than 8 or than growing starts; or the training
                would end before the networks are grown.
        """
        side = self.square_side(size, max(self.config.first_resolution, 8))
        self.growth = self.config.growth(side, self.config.images_seen)
        fixed = self.config.stable_images or self.config.fade_images
        if fixed and self.growth.end() > self.config.images_seen:
            raise UsageError(
                f"growing to {side} pixels takes {self.growth.end()} images with stable_images and fade_images as "
                f"they are, and images_seen is {self.config.images_seen}: raise it, or leave those two out"
            )
        self.level = self.growth.level(0)
        return side

    def register_networks(self, g: nn.Module, d: nn.Module, image_channels: int, classes: int) -> None:
        """Set the level of G, put the networks on the device, make the optimisers; see the base."""
        g.get_buffer("level").fill_(self.level)
        super().register_networks(g, d, image_channels, classes)
        self.adams = {
            "g": adam(self.g_parameters(), self.config.learning_rate),
            "d": adam(d.parameters(), self.config.discriminator_rate),
        }

    # ------------------------------------------------------------------ training
    def schedule(self, images_seen: int) -> tuple[int, int]:
        """Return batch size and resolution for the next step; see the contract."""
        resolution = stage(self.growth.level(images_seen))[0]
        return self.config.batch_sizes.get(resolution, self.config.batch_size), resolution

    def update(self, batch: Batch) -> dict[str, Any]:
        """Take one step of each network; see the contract."""
        level = self.growth.level(batch.images_seen)
        self._grow(level)
        x = faded(batch.x, level)
        condition = None if batch.condition is None else batch.condition.nan_to_num()
        losses: dict[str, Tensor] = {}

        def total(terms: dict[str, Tensor]) -> Tensor:
            losses.update({name: term.detach() for name, term in terms.items()})
            return torch.stack([*terms.values()]).sum()

        self._step("d", lambda: total(self.d_losses(x, condition)))
        self._step("g", lambda: total(self.g_losses(x, condition)))
        batch_size = self.schedule(batch.images_seen)[0]
        half_life = EMA_STEPS * batch_size if self.config.ema_images is None else self.config.ema_images
        self.move_average(self.g, batch_size, half_life, batch.images_seen)
        return {**losses, "level": level, "augment_p": self.ada.p}

    def _grow(self, level: float) -> None:
        """Set the level and its learning rate; reset the optimisers where a fade begins or ends."""
        if phase(level) != phase(self.level):
            for optimizer in self.adams.values():
                optimizer.state.clear()
        self.level = level
        self.g.level.fill_(level)
        factor = self.config.learning_rates.get(stage(level)[0], self.config.learning_rate) / self.config.learning_rate
        self.adams["g"].param_groups[0]["lr"] = self.config.learning_rate * factor
        self.adams["d"].param_groups[0]["lr"] = self.config.discriminator_rate * factor

    @abstractmethod
    def d_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Terms of the discriminator's loss on real cases (N, C + L, R', R'), already faded, and as many new ones."""

    @abstractmethod
    def g_losses(self, x: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """Terms of the generator's loss on as many new cases as there are real ones."""

    def wasserstein(self, real: Tensor, synthetic: Tensor, condition: Tensor | None) -> dict[str, Tensor]:
        """E D(synthetic) - E D(real) + drift + gradient penalty, of cases as D sees them; informs ADA."""
        with self.engine.autocast():
            by_real, by_synthetic = self.discriminate(real, condition), self.discriminate(synthetic, condition)
        certainty = by_real - (by_real.mean() + by_synthetic.mean()) / 2
        self.observe(certainty, len(real) * self.engine.world_size)
        losses = {"d": by_synthetic.mean() - by_real.mean(), "drift": self.config.drift * by_real.square().mean()}
        if self.config.penalty:
            part = None if condition is None else self.part(condition)
            losses["penalty"] = self.gradient_penalty(self.part(real), self.part(synthetic), part)
        return losses

    def gradient_penalty(self, real: Tensor, synthetic: Tensor, condition: Tensor | None) -> Tensor:
        """L E (|grad D(x)| - 1)^2 (Gulrajani, eq. 3), L = `penalty`, in float32."""
        return self.config.penalty * gradient_penalty(lambda x: self.discriminate(x, condition), real, synthetic)

    def part(self, x: Tensor) -> Tensor:
        """The share of a batch that the penalty is measured on, in whole minibatch-deviation groups."""
        group = min(self.config.group, len(x))
        return x[: max(int(len(x) * self.config.penalty_share) // group, 1) * group]

    def discriminate(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Logits (N, 1) of cases, at the present level."""
        return torch.as_tensor(self.d(x, condition, self.level))

    # ------------------------------------------------------------------ sampling
    def enlarged(self, x: Tensor) -> Tensor:
        """Repeat pixels of cases that come from the midst of growing, up to the full size."""
        factor = self.size[-1] // x.shape[-1]
        return x if factor == 1 else torch.nn.functional.interpolate(x, scale_factor=float(factor), mode="nearest")
