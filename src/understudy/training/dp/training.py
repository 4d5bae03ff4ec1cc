"""A training with differential privacy, as the loop sees it: the generator, with the mechanism between it and the data.

**Source**: Abadi et al. (2016, arXiv 1607.00133), algorithm 1; McMahan et al. (2018, arXiv 1710.06963): the user as the
unit; Xie et al., Differentially Private Generative Adversarial Network (2018, arXiv 1802.06739): of a GAN the
discriminator alone meets data, and all that the generator does is post-processing.
**Differs**: nothing that depends on data but for the noised gradient is written: the log holds its norm and no loss.
**Checked**: tests/training/dp/test_training.py.

The generator is never handed a subject but through :meth:`Private.subject_loss`. What it does with the noised gradient
(optimiser, EMA, steps of another network) sees no data, and its randomness is seeded anew after the losses, so that it
does not show who was drawn last.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.seed import derive
from understudy.training.batches import Batch
from understudy.training.dp.accountant import plan, statement
from understudy.training.dp.gradient import norm_of, private_gradient
from understudy.training.dp.refusals import copied, refuse_networks, refuse_request, refuse_unclipped
from understudy.training.dp.secret import kept, known
from understudy.training.dp.settings import OffersPrivacy
from understudy.training.dp.subjects import DrawnSubjects, SubjectStream
from understudy.training.engine import Engine
from understudy.training.loop import Trainable

WATCHED_STEPS = 3  # steps with subjects, from the start or a resume, whose losses are watched for unclipped paths


class Private(Trainable, Protocol):
    """What a generator that offers privacy has, beside the contract."""

    name: ClassVar[str]
    engine: Engine

    @property
    def config(self) -> OffersPrivacy:
        """Its settings."""

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What a translator is given of every case."""

    def private_network(self) -> nn.Module:
        """Return the network that real data move."""

    def assume(self) -> None:
        """Put public constants where data statistics would be measured."""

    def subject_loss(self, params: dict[str, Tensor], subject_batch: Batch) -> Tensor:
        """Return the mean loss of one subject's cases as a function of the private network's parameters, 0-d.

        It changes nothing. Randomness is torch's, seeded by the caller.
        """

    def private_step(self, images_seen: int) -> None:
        """Take the step of the gradient that stands in the private network, and all that follows without data."""

    def modules(self) -> dict[str, nn.Module]:
        """Return everything that has weights."""


class PrivateTraining:
    """The loop's method and its batches; neither noise nor the choice of subjects follows from ``seed``.

    Raises:
        UsageError: something would break the guarantee (``other`` does, and a ``start`` that is not public), or Opacus
            is missing.
    """

    def __init__(self, method: Private, cohort: Cohort, other: Cohort | None, start: Path | None, seed: int) -> None:
        config, dp = method.config, method.config.dp
        assert dp is not None
        self.method, self.settings, self.seed = method, dp, seed
        refuse_request(method.name, config, method.given, cohort, other, start)
        self.plan = plan(dp, len(cohort.subjects("train")), config.batch_size, config.images_seen)
        self.statement = statement(self.plan, dp)  # for run.json; None where there is nothing to claim
        self.stream = SubjectStream(
            cohort,
            derive(seed, "feed"),
            self.plan.rate,
            dp.slices,
            dp.draws,
            mirror=config.mirror,
            rotate=config.rotate,
            conditional=config.conditional,
        )
        self._watched_steps = WATCHED_STEPS
        # what else the loop asks is the generator's: of its state the secret is no part
        self.schedule, self.state = method.schedule, method.state
        self.load_state, self.snapshot = method.load_state, method.snapshot

    def measure(self, cases: Iterable[Tensor]) -> None:
        """Look at no case: check the networks, which were just made, and put constants where statistics would be.

        Raises:
            UsageError: several processes, or networks with statistics over cases.
        """
        if self.method.engine.world_size > 1:
            raise UsageError("differential privacy draws subjects in one process: leave --devices at 1")
        refuse_networks(self.method.name, self.method.modules().values())
        self.method.assume()

    def condition_of(self, cohort: Cohort, rows: np.ndarray) -> np.ndarray | None:
        """Return the condition of cases to look at, (N, classes): NaN, none, for patients' classes are their own."""
        return np.full((len(rows), len(cohort.classes)), np.nan) if self.method.config.conditional else None

    def source(self, run: Path) -> SubjectStream:
        """Return the stream, with the secret of a run folder: a fresh one where the training has not begun."""
        seed = self.settings.noise_seed
        self.stream.secret = kept(run) if seed is None else known(seed)
        return self.stream

    def update(self, batch: DrawnSubjects) -> dict[str, Any]:
        """Take one step; the norm of its noised gradient is all that is logged of it."""
        method, network, secret = self.method, self.method.private_network(), self.stream.secret
        assert secret is not None
        everything = [p for module in method.modules().values() for p in module.parameters()]
        for p in everything:
            p.grad = None
        watched = self._watched_steps > 0 and bool(batch.subjects)
        before = copied(method.state()) if watched else None
        network.requires_grad_(True)
        gradient = private_gradient(
            method.subject_loss,
            dict(network.named_parameters()),
            batch.subjects,
            clip=self.plan.clip,
            noise=self.plan.noise,
            expected=self.plan.expected,
            random=secret.stream("noise", batch.step),
        )
        if before is not None:
            refuse_unclipped(before, method.state(), everything)
            self._watched_steps -= 1
        for name, p in network.named_parameters():
            p.grad = gradient[name]
        torch.manual_seed(derive(self.seed, "after", batch.images_seen))
        method.private_step(batch.images_seen)
        return {"noised_gradient": norm_of(gradient)}
