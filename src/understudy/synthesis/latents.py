"""Latents to optimise: where a search starts, what a latent looks like, and how far from common ones it may go.

A search moves u (N, D); in both spaces a start is a random case of the generator.

- **z**: u = z, normal. R(u) = (|z|^2 / D - 1)^2. After each step z is brought back into the shell
  sqrt(D) - 3 / sqrt(2) <= |z| <= sqrt(D) + 3 / sqrt(2), which holds 99.7 % of normal latents: their length has the
  standard deviation 1 / sqrt(2), whatever D. Generators that normalise z see its direction only.
- **w** (style-based generators): u = (w - w_avg) / s with the mean and the standard deviation of each coordinate over
  1,024 random styles. R(u) = |u|^2 / D, the squared distance to w_avg in units of the spread, 1 on average. u is scaled
  back where R(u) is above the largest R of these 1,024.

**Source** of the idea: Menon et al., PULSE (2020, arXiv 2003.03808) search the sphere of radius sqrt(D) for z; Karras
et al. (2020, arXiv 1912.04958) measure mean and spread of random styles to search w.
**Checked** in tests/synthesis/test_condition.py (bounds; starts depend on the seed alone).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.generators.base import Generator

STYLES = 1024  # random styles behind the mean and spread of w
WIDTH = 3 / math.sqrt(2)  # half of the shell's thickness: three standard deviations of |z|


class Latents(ABC):
    """A space that is searched."""

    @abstractmethod
    def start(self, seeds: list[int]) -> Tensor:
        """Return one random latent a seed, (N, D)."""

    @abstractmethod
    def cases(self, u: Tensor) -> Tensor:
        """Return the cases (N, C + L, *S) of latents, differentiable."""

    @abstractmethod
    def prior(self, u: Tensor) -> Tensor:
        """Return R(u), (N,), >= 0."""

    @abstractmethod
    def bounded(self, u: Tensor) -> Tensor:
        """Return the nearest latents within bounds, (N, D)."""


class NormalLatents(Latents):
    """The space of z.

    Args:
        generate: z (N, D) -> cases.
        width: D.
        device: where they live.
    """

    def __init__(self, generate: Callable[[Tensor], Tensor], width: int, device: torch.device) -> None:
        """Store the generator."""
        self.generate, self.width, self.device = generate, width, device

    def start(self, seeds: list[int]) -> Tensor:
        """Draw z from the normal distribution."""
        z = [torch.randn(self.width, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(z).to(self.device)

    def cases(self, u: Tensor) -> Tensor:
        """Generate."""
        return self.generate(u)

    def prior(self, u: Tensor) -> Tensor:
        """Return (|z|^2 / D - 1)^2."""
        return (u.square().mean(1) - 1).square()

    def bounded(self, u: Tensor) -> Tensor:
        """Scale z into the shell."""
        length, radius = u.norm(dim=1, keepdim=True), math.sqrt(self.width)
        return u * length.clamp(max(radius - WIDTH, 0), radius + WIDTH) / length.clamp_min(1e-12)


class StyleLatents(Latents):
    """The space of w.

    Args:
        style: z (N, Z) -> w (N, D).
        synthesise: w (N, D) -> cases.
        width: Z.
        device: where they live.
    """

    def __init__(
        self,
        style: Callable[[Tensor], Tensor],
        synthesise: Callable[[Tensor], Tensor],
        width: int,
        device: torch.device,
    ) -> None:
        """Measure where styles lie."""
        self.style, self.synthesise = style, synthesise
        self.normal = NormalLatents(style, width, device)
        with torch.no_grad():
            w = style(torch.randn(STYLES, width, generator=torch.Generator().manual_seed(0)).to(device))
        self.mean, self.spread = w.mean(0), w.std(0).clamp_min(1e-12)
        self.limit = float(self.prior((w - self.mean) / self.spread).max())

    def start(self, seeds: list[int]) -> Tensor:
        """Draw z from the normal distribution and take its style."""
        with torch.no_grad():
            return (self.style(self.normal.start(seeds)) - self.mean) / self.spread

    def cases(self, u: Tensor) -> Tensor:
        """Synthesise."""
        return self.synthesise(self.mean + u * self.spread)

    def prior(self, u: Tensor) -> Tensor:
        """Return the mean square of u."""
        return u.square().mean(1)

    def bounded(self, u: Tensor) -> Tensor:
        """Scale u to no more than the largest distance found."""
        return u * (self.limit / self.prior(u).clamp_min(1e-12)).sqrt().clamp_max(1)[:, None]


def latents_of(generator: Generator, space: str) -> Latents:
    """Return the space of a generator.

    Args:
        generator: a loaded one.
        space: "z" or "w".

    Raises:
        UsageError: the generator has no such latents.
    """
    needed = ("generate",) if space == "z" else ("style", "synthesise")
    found = [getattr(generator, name, None) for name in needed]
    width = getattr(generator.config, "z_dim", None)
    if width is None or not all(callable(function) for function in found):
        other = "a style-based one, or --set space=z" if space == "w" else "progan or a StyleGAN"
        raise UsageError(f"a {generator.name} run has no latents {space} to optimise: name a run of {other}")
    return (NormalLatents if space == "z" else StyleLatents)(*found, width, generator.engine.device)  # type: ignore[arg-type, call-arg]
