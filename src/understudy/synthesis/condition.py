"""Latent class optimisation: an unconditional generator shows wanted classes, because a classifier says so.

**Source**: Segal et al., Evaluating the Clinical Realism of Synthetic Chest X-Rays Generated Using Progressively
Growing GANs (2021, arXiv 2010.03975): with generator G and classifier f frozen, z is moved down the gradient of the
classification loss of f(G(z)) against the wanted labels, which gives labelled, also multi-label, cases without a
conditional generator. Optimiser, steps, restarts and prior are not published: Adam; loss of latent u
mean_k BCE(f_k(G(u)), y_k) + prior * R(u), with R and the bounds of u in latents.py.
**Differs**: z or w; a search ends as soon as what would be written (decoded, in the cohort's data type) shows every
wanted class with probability >= threshold and every unwanted one with <= 1 - threshold, so that a case is changed no
more than needed; several restarts side by side, of which the first that gets there is taken (the surest of several);
cases that never get there are not written. A missing target (NaN) is free.
Case i depends on the seed and on i alone: blocks have one fixed size, and each latent goes its own way.
**Checked** in tests/synthesis/test_condition.py (known answers of a linear generator; bounds; independence of n).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from understudy.core.seed import derive
from understudy.synthesis.latents import Latents


class ConditionConfig(BaseModel):
    """How latents are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
class Drawn:
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
    """Latent class optimisation with a space, a classifier and settings.

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
        logits: Callable[[Tensor], Tensor],
        draw: Callable[[Tensor], Drawn],
        config: ConditionConfig,
        autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Store what is needed."""
        self.latents, self.logits, self.draw, self.config, self.autocast = latents, logits, draw, config, autocast

    def run(self, targets: np.ndarray, seed: int) -> Iterator[Accepted | None]:
        """Search for cases in order.

        Args:
            targets: (n, K) of 0 and 1, NaN where free.
            seed: case i starts from derive(seed, "case", i, attempt, restart).

        Yields:
            For each of the n cases, what was accepted, or None.
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
        for step in range(cfg.steps + 1):
            if step % cfg.check_every == 0 or step == cfg.steps:
                self._accept(block, u, attempt, step)
            if step == cfg.steps or not block.wanting().any():
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
    """Return how surely the least sure target is met, (N,): the least p of wanted and 1 - p of unwanted classes.

    Args:
        probabilities: (N, K).
        targets: (N, K) of 0 and 1, NaN where free.
    """
    met = np.where(targets == 1, probabilities, 1 - probabilities)
    return np.where(np.isnan(targets), 1, met).min(1)
