"""The batches of a private training: every subject is drawn on its own, and gives the same number of cases.

**Source**: Abadi et al. (2016, arXiv 1607.00133), section 3.1, lots by Poisson sampling; McMahan et al. (2018, arXiv
1710.06963), algorithm 1, of users.
**Differs**: a drawn subject gives a fixed number of cases k, without replacement until it has none left, then from the
beginning; few cases are seen often, and no subject counts more than others.
**Checked**: tests/training/dp/test_subjects.py.

What a subject gives depends on the step and on its own name alone, never on who else was drawn: otherwise one subject
more would change what others give, and clipping would bound nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch

from understudy.core.cohort import Cohort
from understudy.core.seed import derive, rng
from understudy.training.batches import Batch, angles, augmented
from understudy.training.dp.secret import Secret


@dataclass(frozen=True)
class SubjectBatch:
    """What one subject gives to one step."""

    cases: Batch  # its k cases, each as often as it is looked at
    seed: int  # of all that is random in its loss; torch is seeded with it


@dataclass(frozen=True)
class DrawnSubjects:
    """The subjects of one step, maybe none."""

    step: int  # from 0
    images_seen: int  # before the step, as planned; how many were drawn stays secret
    subjects: list[SubjectBatch]  # what each gives


class SubjectStream:
    """Serve the drawn subjects of a step out of a cohort's training split; see training/loop.py.

    The choice of cases and mirroring follow from ``seed``, which need not be secret. A subject is drawn with
    probability ``rate`` q and gives ``slices`` k cases, each looked at ``draws`` times; half are mirrored by
    ``mirror``; 9 of 10 are turned by up to ``rotate`` degrees. Where ``conditional``, their class columns come along.
    """

    def __init__(
        self,
        cohort: Cohort,
        seed: int,
        rate: float,
        slices: int,
        draws: int,
        *,
        mirror: bool,
        rotate: float,
        conditional: bool = False,
    ) -> None:
        self.cohort, self.seed, self.rate, self.slices, self.draws = cohort, seed, rate, slices, draws
        self.mirror, self.rotate, self.conditional = mirror, rotate, conditional
        rows = cohort.rows("train")
        owners = cohort.column("subject_id")[rows]
        self.rows = {name: rows[owners == name] for name in cohort.subjects("train")}
        self.secret: Secret | None = None  # given when the run folder is there

    def batch(
        self, images_seen: int, batch_size: int, resolution: int, device: torch.device, part: slice
    ) -> DrawnSubjects:
        """Draw the subjects of a step; see BatchStream.batch. The resolution is the cohort's, the part all."""
        assert self.secret is not None
        step = images_seen // batch_size
        drawn = self.secret.stream("subjects", step).random(len(self.rows)) < self.rate
        names = [name for name, here in zip(self.rows, drawn, strict=True) if here]
        return DrawnSubjects(step, images_seen, [self.of(name, step, images_seen, device) for name in names])

    def of(self, name: str, step: int, images_seen: int, device: torch.device) -> SubjectBatch:
        """Return what a subject gives to a step if it is drawn."""
        random, own = rng(self.seed, "subject", name, step), self.rows[name]
        rows = np.repeat(np.resize(random.permutation(own), self.slices), self.draws)
        flip = random.random(len(rows)) < 0.5 if self.mirror else None
        degrees = angles(random, len(rows), self.rotate) if self.rotate else None
        x = torch.from_numpy(self.cohort.encoded(rows)).to(device)
        x = augmented(x, flip, degrees, self.cohort.encoding.image_channels)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        classes = torch.from_numpy(self.cohort.class_matrix(rows)).to(device) if self.conditional else None
        return SubjectBatch(Batch(x, classes, images_seen), derive(self.seed, "loss", name, step))
