"""Classification: train a network of the menu on class columns for a fixed number of updates, and let it predict.

**Source**: Rajpurkar et al., CheXNet (2017, arXiv 1711.05225): DenseNet-121 with one logit a class and binary
cross-entropy, which serves columns that exclude one another and columns that do not. **Differs**: from random weights,
since pretrained ones are a download; any number of channels; per-image z-scores; AdamW on one cycle (fitting.py); a
missing entry takes no part in the loss; classes are not weighted, which leaves ranks (AUC) alone. The model is chosen
by a score that the caller computes on real validation subjects.
**Checked**: tests/tasks/test_classification.py (learns a trivial task; same seed, same bits; missing entries).

Area under the ROC curve, a class at a time: how well a score ranks cases that have a class above those without.

**Source**: Hanley and McNeil, Radiology 143 (1982): the area is the probability that a random case with the class is
scored above a random case without it, ties counting half. Values by scikit-learn.
**Differs**: a class of which all known cases are the same has no area (NaN), where scikit-learn warns or raises; cases
whose entry is missing do not count for that class.
**Checked**: tests/tasks/test_classification.py (scikit-learn; classes that are absent; missing entries).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from sklearn.metrics import roc_auc_score
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import derive
from understudy.tasks.augmentation import Ranges, augment_images
from understudy.tasks.fitting import (
    FittingConfig,
    Judges,
    TaskCases,
    TaskNetwork,
    channels_last,
    fit,
    images_to_device,
    standardised,
    to_device,
)
from understudy.tasks.networks import CLASSIFIERS, DenseClassifier, build_classifier
from understudy.training.engine import Engine


def class_auc(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the area of each class, (K,), 0..1, 0.5 is chance, higher is better; NaN where it is not defined.

    Targets (n, K) are 0 and 1, NaN where missing; scores (n, K) are higher for the class.
    """
    areas = np.full(targets.shape[1], np.nan)
    for k in range(len(areas)):
        known = np.isfinite(targets[:, k])
        if len(np.unique(targets[known, k])) == 2:
            areas[k] = roc_auc_score(targets[known, k], scores[known, k])
    return areas


def macro(areas: np.ndarray) -> float:
    """Return the mean over the classes that have an area, NaN where none has."""
    return float(areas[np.isfinite(areas)].mean()) if np.isfinite(areas).any() else float("nan")


class ClassificationConfig(FittingConfig):
    """How a classifier is trained; the same in every arm of a comparison."""

    network: str = Field("densenet", description=f"one of {', '.join(CLASSIFIERS)}")
    learning_rate: float = Field(1e-3, description="of AdamW, where the schedule is highest")
    classes: tuple[str, ...] = Field((), description="class columns to learn; empty: all")

    MENU = CLASSIFIERS


@dataclass(frozen=True)
class ClassCases:
    """Rows of a cohort with images, their intensities read with a given encoding, and some of its class columns."""

    cohort: Cohort
    rows: np.ndarray
    encoding: Encoding
    targets: np.ndarray  # (n, K) float32, NaN where missing

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images (n, C, *S) float32 in [-1, 1] and targets (n, K) float32."""
        if self.cohort.images is None:
            raise UnderstudyError(f"a classifier needs images, and {self.cohort.path.name} has none")
        return self.encoding.encode_images(self.cohort.images[self.rows[chosen]]), self.targets[chosen]


@dataclass
class Classifier(TaskNetwork):
    """A network that maps z-scores (N, C, *S) to logits (N, K), and so images to the probability of each class."""

    network: DenseClassifier
    names: tuple[str, ...] = ()  # the K class columns

    def logits(self, images: Tensor) -> Tensor:
        """Map images (N, C, *S) float32 in [-1, 1] to logits (N, K) float32; differentiable in the images."""
        self.network.eval()
        with self.engine.autocast():
            return self.network(channels_last(standardised(images))).float()

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Map one block of images (n, C, *S) float32 in [-1, 1] to probabilities (n, K) float32."""
        return self.logits(images_to_device(images, self.engine)).sigmoid().cpu().numpy()

    @torch.inference_mode()
    def features(self, images: np.ndarray) -> np.ndarray:
        """Map one block of images (n, C, *S) float32 in [-1, 1] to the features (n, F) that the logits are made of."""
        self.network.eval()
        with self.engine.autocast():
            return self.network.features(standardised(images_to_device(images, self.engine))).float().cpu().numpy()


def class_cases(cohort: Cohort, rows: np.ndarray, encoding: Encoding, names: Sequence[str]) -> ClassCases:
    """Return cases with the class columns of K names, their intensities read with an encoding.

    Raises:
        UsageError: a column is not there, or holds other numbers than 0 and 1.
    """
    missing = [name for name in names if name not in cohort.classes]
    if missing:
        there = ", ".join(cohort.classes) or "none"
        raise UsageError(
            f"the cohort {cohort.path.name} has no class column {missing[0]!r}; its class columns: {there}"
        )
    targets = cohort.class_matrix(rows)[:, [cohort.classes.index(name) for name in names]]
    for k, name in enumerate(names):
        odd = sorted(set(targets[np.isfinite(targets[:, k]), k].tolist()) - {0.0, 1.0})
        if odd:
            raise UsageError(
                f"a classifier needs class columns of 0 and 1, and {name!r} of {cohort.path.name} holds {odd[0]:g}: "
                "name the columns to use with --set 'classes=[a, b]'"
            )
    return ClassCases(cohort, rows, encoding, targets)


def chosen_classes(cohort: Cohort, config: ClassificationConfig) -> tuple[str, ...]:
    """Return the class columns that a configuration means, all of the cohort's where it names none.

    Raises:
        UsageError: the cohort has no class columns, or one is named twice.
    """
    names = config.classes or cohort.classes
    if not names:
        raise UsageError(
            f"a classifier needs class columns, and the cohort {cohort.path.name} has none: import it with --classes"
        )
    if len(set(names)) != len(names):
        raise UsageError(f"each class may be named once, found {', '.join(names)}")
    return names


def validation_score(cases: ClassCases) -> Callable[[Classifier], float]:
    """Return the score that chooses a classifier: the mean area under the ROC curve on these cases, 0..1."""
    return lambda classifier: macro(class_auc(cases.targets, classifier.predict_cases(cases)))


def train_classifier(
    cases: TaskCases,
    names: Sequence[str],
    config: ClassificationConfig,
    seed: int,
    judges: Judges[Classifier],
    progress: Callable[[], None] = lambda: None,
) -> Classifier:
    """Train a classifier for ``config.updates`` updates and choose its weights; see :func:`fit`.

    The targets (n, K) of the cases are 0 and 1, NaN where missing.
    """
    engine = Engine(config.precision)
    images, _ = cases.read(np.zeros(1, int))
    classifier = new_classifier(config, images.shape[1:], names, derive(seed, "weights"), engine)

    def batch(z: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return (augment_images(z, generator, Ranges()) if config.augment else z), targets

    return fit(
        classifier, cases, batch, lambda logits, targets, _: known_loss(logits, targets), config, seed, judges, progress
    )


def new_classifier(
    config: ClassificationConfig, shape: Sequence[int], names: Sequence[str], seed: int, engine: Engine
) -> Classifier:
    """Return an untrained classifier for images of a shape (C, *S)."""
    dims = len(shape) - 1
    network = build_classifier(config.network, dims, shape[0], len(names), seed)
    to_device(network, engine, dims)
    return Classifier(network, engine, names=tuple(names))


def known_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the entries (N, K) that are not missing (NaN)."""
    known = targets.isfinite()
    loss = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (loss * known).sum() / known.sum().clamp_min(1)
