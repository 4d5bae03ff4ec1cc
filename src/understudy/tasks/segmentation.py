"""Segmentation: train a network of the menu on annotated cases for a fixed number of updates, and let it predict.

**Source** of the recipe: Isensee et al., nnU-Net (2021, doi 10.1038/s41592-020-01008-z): soft Dice over the batch plus
cross-entropy, per-image z-scores. **Differs**: AdamW on one cycle (fitting.py), since hundreds of updates must do;
z-scores over the whole image, since a generated background is not exactly constant and a threshold would treat the two
sides unequally. The model is chosen by a score that the caller computes on real validation subjects. The network
``pix2pix`` has an adversary beside it (adversary.py).
**Checked**: tests/tasks/test_segmentation.py (learns a trivial task; same seed, same bits; the best check is kept).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from monai.losses import DiceCELoss
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive
from understudy.core.statistics import by_subject
from understudy.tasks.adversary import Adversary
from understudy.tasks.augmentation import Ranges, augment
from understudy.tasks.fitting import (
    FittingConfig,
    Judges,
    TaskCases,
    TaskNetwork,
    fit,
    images_to_device,
    standardised,
    to_device,
)
from understudy.tasks.networks import ADVERSARIAL, NETWORKS, WIDTHS, build_network
from understudy.tasks.overlap import class_mean, confusion, dice
from understudy.training.engine import Engine


class SegmentationConfig(FittingConfig):
    """How a segmenter is trained; the same in every arm of a comparison."""

    network: str = Field("unet", description=f"one of {', '.join(NETWORKS)}")
    channels: tuple[int, ...] = Field(
        (), validate_default=True, description="widths, finest first; empty: the network's own"
    )
    classes: tuple[str, ...] = Field((), description="the only ones that count; the others are background; empty: all")

    MENU = NETWORKS

    @field_validator("channels")
    @classmethod
    def _widths(cls, channels: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        return channels or WIDTHS.get(info.data.get("network", ""), ())


@dataclass(frozen=True)
class CohortCases:
    """Rows of a cohort that has images and label maps, its intensities read with a given encoding."""

    cohort: Cohort
    rows: np.ndarray
    encoding: Encoding

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images (n, C, *S) float32 in [-1, 1] and label maps (n, *S) uint8."""
        rows = self.rows[chosen]
        if self.cohort.images is None or self.cohort.labels is None:
            raise UnderstudyError(
                f"a segmenter needs images and label maps, and {self.cohort.path.name} lacks one of them"
            )
        return self.encoding.encode_images(self.cohort.images[rows]), np.asarray(self.cohort.labels[rows])


@dataclass
class Segmenter(TaskNetwork):
    """A network that maps z-scores (N, C, *S) to logits (N, K, *S), and so images to label maps."""

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Map one block of images (n, C, *S) float32 in [-1, 1] to label maps (n, *S) uint8."""
        self.network.eval()
        with self.engine.autocast():
            logits = self.network(standardised(images_to_device(images, self.engine)))
        return logits.argmax(1).to(torch.uint8).cpu().numpy()


@dataclass(frozen=True)
class SubjectCases:
    """Annotated cases that are scored by subject."""

    cases: CohortCases
    number: np.ndarray  # (n,) of each case's subject
    subjects: list[str]
    classes: int
    labels: np.ndarray = field(repr=False)

    def counts(self, predicted: np.ndarray) -> np.ndarray:
        """Return voxel counts (subjects, K, K) of predicted label maps (n, *S)."""
        return confusion(predicted, self.labels, self.number, len(self.subjects), self.classes)

    def subject_dice(self, segmenter: Segmenter) -> np.ndarray:
        """Return each subject's mean Dice over classes, (subjects,) in 0..1; NaN where nothing counts."""
        return class_mean(dice(self.counts(segmenter.predict_cases(self.cases))))

    def score(self, segmenter: Segmenter) -> float:
        """Return the mean Dice over classes, then subjects, 0..1; NaN where nothing counts."""
        scores = self.subject_dice(segmenter)
        return float(scores[np.isfinite(scores)].mean()) if np.isfinite(scores).any() else float("nan")


def subject_cases(cohort: Cohort, split: str) -> SubjectCases:
    """Return the cases of a split of a cohort with label maps, numbered by subject."""
    return numbered_cases(CohortCases(cohort, cohort.rows(split), cohort.encoding))


def numbered_cases(cases: CohortCases) -> SubjectCases:
    """Return cases of a cohort with label maps, numbered by subject."""
    cohort = cases.cohort
    groups = by_subject(cohort.column("subject_id")[cases.rows])
    labels = np.empty((0,)) if cohort.labels is None else cohort.labels[cases.rows]
    classes = len(cohort.scheme) if cohort.scheme else 0
    return SubjectCases(cases, groups.number, groups.names.tolist(), classes, labels)


def train_segmenter(
    cases: TaskCases,
    classes: int,
    config: SegmentationConfig,
    seed: int,
    judges: Judges[Segmenter],
    progress: Callable[[], None] = lambda: None,
) -> Segmenter:
    """Train a segmenter of ``classes`` K with the background and choose its weights; see :func:`fit`."""
    engine = Engine(config.precision)
    images, _ = cases.read(np.zeros(1, int))
    dims = images.ndim - 2
    network = build_network(config.network, dims, images.shape[1], classes, config.channels, derive(seed, "weights"))
    segmenter = Segmenter(to_device(network, engine, dims), engine)
    adversary = None
    if config.network in ADVERSARIAL:
        adversary = Adversary(images.shape[1:], classes, derive(seed, "adversary"), engine)
    dice = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)

    def batch(z: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return augment(z, labels.long(), generator, Ranges()) if config.augment else (z, labels.long())

    def loss(logits: Tensor, labels: Tensor, x: Tensor) -> Tensor:
        heads = logits.unbind(1) if logits.ndim == labels.ndim + 2 else [logits]
        weights = [0.5**i for i in range(len(heads))]
        each = [w * dice(head, labels[:, None]) for w, head in zip(weights, heads, strict=True)]
        found = torch.stack(each).sum() / sum(weights)
        return found if adversary is None else found + adversary(x, logits, labels)

    return fit(segmenter, cases, batch, loss, config, seed, judges, progress)
