"""Latent class optimisation: an unconditional generator shows wanted classes, because a classifier says so.

Generator G and classifier f are frozen. Latents u (N, D) go down the gradient of
mean_k BCE(f_k(G(u)), y_k) + prior * R(u); a target y_k that is missing (NaN) is free. A start is a random case of G.

- **z**: u = z, normal. R(u) = (|z|^2 / D - 1)^2. After each step z is brought back into the shell
  sqrt(D) - 3 / sqrt(2) <= |z| <= sqrt(D) + 3 / sqrt(2), which holds 99.7 % of normal latents: their length has the
  standard deviation 1 / sqrt(2), whatever D. Generators that normalise z see its direction only.
- **w** (style-based generators): u = (w - w_avg) / s with the mean and the standard deviation of each coordinate over
  1,024 random styles. R(u) = |u|^2 / D, the squared distance to w_avg in units of the spread, 1 on average. u is scaled
  back where R(u) is above the largest R of these 1,024.

Case i depends on the seed and on i alone: blocks have one fixed size, and each latent goes its own way.
**Source**: Segal et al., Evaluating the Clinical Realism of Synthetic Chest X-Rays Generated Using Progressively
Growing GANs (2021, arXiv 2010.03975): z moved down the gradient of the classification loss gives labelled, also
multi-label, cases without a conditional generator. Of the bounds: Menon et al., PULSE (2020, arXiv 2003.03808) search
the sphere of radius sqrt(D) for z; Karras et al. (2020, arXiv 1912.04958) measure mean and spread of styles for w.
**Differs**: optimiser, steps, restarts and prior are not published: Adam. A search ends as soon as what would be
written (decoded, in the cohort's data type) shows every wanted class with probability >= threshold and every unwanted
one with <= 1 - threshold, so that a case is changed no more than needed; of several restarts side by side the first
that gets there is taken (the surest of several); cases that never get there are not written. Two controls tell what
the search adds: ``method=filter`` accepts or refuses random cases and moves none, ``method=label`` writes random cases
with the classes that the classifier sees.
**Checked** in tests/synthesis/conditioning/test_search.py (known answers of a linear generator; bounds; any n; starts).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.core.seed import derive
from understudy.generators.base import Generator
from understudy.nets.case_noise import CaseNoise

Network: TypeAlias = Callable[[Tensor], Tensor]
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
    """The space of z (N, D), D being ``width``; ``generate`` makes cases of it."""

    def __init__(self, generate: Network, width: int, device: torch.device) -> None:
        self.generate, self.width, self.device = generate, width, device

    def start(self, seeds: list[int]) -> Tensor:
        """Draw z from the normal distribution."""
        return CaseNoise(seeds, self.device).normal(self.width)

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
    """The space of w (N, D): ``style`` makes w of z (N, width), and ``synthesise`` cases of w."""

    def __init__(self, style: Network, synthesise: Network, width: int, device: torch.device) -> None:
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
    """Return the space "z" or "w" of a loaded generator; raises UsageError where it has no such latents."""
    needed = ("generate",) if space == "z" else ("style", "synthesise")
    found = [getattr(generator, name, None) for name in needed]
    width = getattr(generator.config, "z_dim", None)
    if width is None or not all(callable(function) for function in found):
        other = "a style-based one, or --set space=z" if space == "w" else "progan or a StyleGAN"
        raise UsageError(f"a {generator.name} run has no latents {space} to optimise: name a run of {other}")
    return (NormalLatents if space == "z" else StyleLatents)(*found, width, generator.engine.device)  # type: ignore[arg-type, call-arg]


class ConditionConfig(BaseModel):
    """How latents are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["search", "filter", "label"] = Field(
        "search",
        description="search: latents optimised; filter: random cases that the classifier accepts; label: random cases, "
        "none refused, with the classes that the classifier sees; the last two are controls of the first",
    )
    space: Literal["z", "w"] = Field("z", description="what is optimised; w: style-based generators only")
    steps: int = Field(100, ge=0, description="most steps of a search")
    learning_rate: float = Field(0.05, gt=0, description="of Adam, in units of the latents' spread")
    restarts: int = Field(2, ge=1, description="latents searched side by side for a case")
    attempts: int = Field(3, ge=1, description="times that a case is tried with new latents")
    prior: float = Field(0.1, ge=0, description="weight of R(u)")
    threshold: float = Field(
        0.9, gt=0.5, lt=1, description="probability of a wanted class from which a case is accepted"
    )
    check_every: int = Field(5, ge=1, description="steps between looks at what would be written")
    block: int = Field(32, ge=1, description="latents optimised at once; padded to this size")
    minimum_accepted: float = Field(0.5, ge=0, le=1, description="share of the cases below which nothing is written")

    @model_validator(mode="after")
    def _check(self) -> "ConditionConfig":
        if self.block < self.restarts:
            raise ValueError(f"block must hold the restarts of a case: at least {self.restarts}, found {self.block}")
        return self


@dataclass(frozen=True)
class DecodedCases:
    """What would be written of some latents: images (N, C, *S), label maps (N, *S) or None, probabilities (N, K)."""

    images: np.ndarray
    labels: np.ndarray | None
    probabilities: np.ndarray


@dataclass(frozen=True)
class Accepted:
    """One accepted case: image (C, *S), label map (*S) or None, how many attempts and steps it took."""

    image: np.ndarray
    label: np.ndarray | None
    attempts: int
    steps: int


@dataclass
class _Block:
    """Cases that are searched together: their numbers, targets (cases, K), and what was accepted."""

    numbers: range
    targets: np.ndarray
    accepted: dict[int, Accepted] = field(default_factory=dict)  # by place in the block

    def wanting(self) -> np.ndarray:
        """Return which places still lack an accepted case, bool (cases,); padding lacks none."""
        return np.array([k < len(self.numbers) and k not in self.accepted for k in range(len(self.targets))])


class Search:
    """Latent class optimisation.

    Args:
        latents: the space.
        logits: cases (N, C + L, *S) -> logits (N, K), differentiable.
        draw: cases (N, C + L, *S) -> what would be written and how the classifier sees that.
        config: settings.
        autocast: the precision of the steps; what is looked at is drawn without it.
    """

    def __init__(
        self,
        latents: Latents,
        logits: Network,
        draw: Callable[[Tensor], DecodedCases],
        config: ConditionConfig,
        autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.latents, self.logits, self.draw, self.config, self.autocast = latents, logits, draw, config, autocast

    def run(self, targets: np.ndarray, seed: int) -> Iterator[Accepted | None]:
        """Yield for each of n cases, in order, what was accepted, or None, for targets (n, K): 0 or 1, NaN where free.

        Case i starts from derive(seed, "case", i, attempt, restart).
        """
        size = self.config.block // self.config.restarts
        for first in range(0, len(targets), size):
            numbers = range(first, min(first + size, len(targets)))
            padded = targets[[min(i, len(targets) - 1) for i in range(first, first + size)]]
            block = _Block(numbers, padded)
            for attempt in range(self.config.attempts):
                if block.wanting().any():
                    self._attempt(block, attempt, seed)
            yield from (block.accepted.get(k) for k in range(len(numbers)))

    @torch.no_grad()
    def label(self, combinations: np.ndarray, n: int, seed: int) -> Iterator[tuple[Accepted, np.ndarray]]:
        """Yield n random cases, each with its classes (K,): the surest of some combinations (rows of (M, K)).

        Case i is where a search for case i would first start.
        """
        for first in range(0, n, self.config.block):
            seeds = [derive(seed, "case", min(first + k, n - 1), 0, 0) for k in range(self.config.block)]
            drawn = self.draw(self.latents.cases(self.latents.start(seeds)))
            sure = [certainty(drawn.probabilities, np.tile(c, (len(seeds), 1))) for c in combinations]
            chosen = np.stack(sure).argmax(0)
            for k in range(min(self.config.block, n - first)):
                label = None if drawn.labels is None else drawn.labels[k].copy()
                yield Accepted(drawn.images[k].copy(), label, 1, 0), combinations[chosen[k]]

    def _attempt(self, block: _Block, attempt: int, seed: int) -> None:
        """Search once for the cases of a block that still lack one."""
        cfg = self.config
        cases, restarts = len(block.targets), cfg.restarts
        seeds = [
            derive(seed, "case", block.numbers.start + k, attempt, r) for k in range(cases) for r in range(restarts)
        ]
        u = self.latents.start(seeds).requires_grad_(True)
        optimizer = torch.optim.Adam([u], lr=cfg.learning_rate)
        targets = torch.from_numpy(np.repeat(block.targets, restarts, 0)).to(u)
        last = cfg.steps if cfg.method == "search" else 0
        for step in range(last + 1):
            if step % cfg.check_every == 0 or step == last:
                self._accept(block, u, attempt, step)
            if step == last or not block.wanting().any():
                return
            optimizer.zero_grad(set_to_none=True)
            (u.grad,) = torch.autograd.grad(self.loss(u, targets).sum(), u)
            optimizer.step()
            with torch.no_grad():
                u.copy_(self.latents.bounded(u))

    def loss(self, u: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each latent, (N,), against targets (N, K), NaN where free."""
        known = targets.isfinite()
        with self.autocast():
            logits = self.logits(self.latents.cases(u)).float()
        each = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
        return (each * known).sum(1) / known.sum(1).clamp_min(1) + self.config.prior * self.latents.prior(u)

    @torch.no_grad()
    def _accept(self, block: _Block, u: Tensor, attempt: int, step: int) -> None:
        """Look at what would be written, and keep for each case the surest of its latents that got there."""
        drawn = self.draw(self.latents.cases(u))
        targets = np.repeat(block.targets, self.config.restarts, 0)
        sure = certainty(drawn.probabilities, targets).reshape(len(block.targets), -1)
        for k in np.flatnonzero(block.wanting() & (sure.max(1) >= self.config.threshold)):
            at = int(k) * self.config.restarts + int(sure[k].argmax())
            label = None if drawn.labels is None else drawn.labels[at].copy()
            block.accepted[int(k)] = Accepted(drawn.images[at].copy(), label, attempt + 1, step)


def certainty(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the least p of wanted and 1 - p of unwanted classes, (N,); targets (N, K) are 0 and 1, NaN where free."""
    met = np.where(targets == 1, probabilities, 1 - probabilities)
    return np.where(np.isnan(targets), 1, met).min(1)
