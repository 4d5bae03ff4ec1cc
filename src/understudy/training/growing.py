"""The growing schedule of ProGAN and the first StyleGAN: how far the networks have grown after how many images.

Source: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv
    1710.10196, section 2 and appendix A.1; the published code for the order of phases and the learning rates.
Differs: the published phases of 600,000 or 800,000 images suit 12 to 25 million images in all; by default phases are a
    share of the training, so that a short one also ends with most of its images at the last resolution. Published
    settings change every fourth step, here every step is asked.
Checked: tests/training/test_growing.py (published points, continuity, shares, fading against its definition).

    images    0 ...... stable ...... + fade ...... + stable ...... + fade ...
    level     log2(first)            rises by 1    holds           rises by 1     ... log2(last) to the end

Everything is a function of the images seen, so that a resumed training grows as the uninterrupted one.
"""

import math
from dataclasses import dataclass

import torch
from pydantic import BaseModel, Field, field_validator
from torch import Tensor

from understudy.nets.growing import double, halve, stage


@dataclass(frozen=True)
class Growth:
    """When the resolutions come.

    Attributes:
        first: resolution at the start, a power of two.
        last: resolution at the end, a power of two, at least `first`.
        stable: images at each resolution before the next one is faded in, > 0.
        fade: images over which it is faded in, > 0.

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
    """Mix real cases with their copy at half the resolution as the networks mix their branches.

    Args:
        x: (N, C + L, R', R') with R' the resolution of the level.
        level: how far the networks have grown.

    Returns:
        The shape of x; x itself where nothing is faded in.
    """
    alpha = stage(level)[1]
    return x if alpha == 1 else torch.lerp(double(halve(x)), x, alpha)


class GrowingSettings(BaseModel):
    """The settings of growing."""

    first_resolution: int = Field(4, ge=4, description="resolution that growing starts from, a power of two")
    growing_share: float = Field(0.4, ge=0, le=1, description="share of the training that growing takes, 0 for none")
    stable_images: int | None = Field(None, gt=0, description="images between fades; default by growing_share")
    fade_images: int | None = Field(None, gt=0, description="images of a fade; default by growing_share")
    batch_sizes: dict[int, int] = Field({}, description="batch size by resolution where it is not batch_size")
    learning_rates: dict[int, float] = Field({}, description="learning_rate by resolution; the other rate in step")

    @field_validator("first_resolution")
    @classmethod
    def _check_power(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("a power of two")
        return value

    def growth(self, last: int, images_seen: int) -> Growth:
        """Make the schedule of a training.

        Args:
            last: the full resolution.
            images_seen: length of the training.

        Returns:
            Fades and stable phases as set, or of one length that lets growing end after its share of the training.
        """
        first = min(self.first_resolution, last) if self.growing_share else last
        fades = max(round(math.log2(last / first)), 1)
        length = max(int(images_seen * self.growing_share) // (2 * fades), 1)
        return Growth(first, last, self.stable_images or length, self.fade_images or length)
