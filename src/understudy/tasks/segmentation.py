"""Segmentation: train a network of the menu on annotated cases for a fixed number of updates, and let it predict.

**Source** of the recipe: Isensee et al., nnU-Net (2021, doi 10.1038/s41592-020-01008-z): soft Dice over the batch plus
cross-entropy, per-image z-scores. **Differs**: AdamW with a cosine schedule, since hundreds of updates must do;
z-scores over the whole image, since a generated background is not exactly constant and a threshold would treat the
two sides unequally. The model is chosen by a score that the caller computes on real validation subjects.
**Checked** in tests/tasks/test_segmentation.py (learns a trivial task; same seed, same bits; the best check is kept).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from monai.losses import DiceCELoss
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive, rng
from understudy.tasks.augmentation import Ranges, augment
from understudy.tasks.networks import NETWORKS, build_network
from understudy.training.engine import Engine

VOXELS_PER_BLOCK = 2**18  # 64 images of 64 px
MINIMUM_SD = 1e-3  # of images in [-1, 1]; a constant channel becomes zero


class SegmentationConfig(BaseModel):
    """How a segmenter is trained; the same on every side of a comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = "unet"
    channels: tuple[int, ...] = (16, 16, 32, 64, 128)
    updates: int = Field(1000, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    augment: bool = True
    checks: int = Field(10, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    @field_validator("network")
    @classmethod
    def _on_the_menu(cls, name: str) -> str:
        if name not in NETWORKS:
            raise ValueError(f"one of {', '.join(NETWORKS)} was expected, found {name!r}")
        return name


class Cases(Protocol):
    """What a segmenter is trained on: a number of cases that can be read in any order."""

    def __len__(self) -> int:
        """Return the number of cases."""

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images (n, C, *S) float32 in [-1, 1] and label maps (n, *S) of the chosen positions."""


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
class Segmenter:
    """A network that maps images to label maps.

    Attributes:
        network: (N, C, *S) z-scores -> logits (N, K, *S).
        engine: where it is computed.
        curve: (updates, score) at every check.
        chosen: number of updates of the weights that were kept.
    """

    network: nn.Module
    engine: Engine
    curve: list[tuple[int, float]] = field(default_factory=list)
    chosen: int = 0

    @torch.inference_mode()
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Map one block of images (n, C, *S) float32 in [-1, 1] to label maps (n, *S) uint8."""
        self.network.eval()
        with self.engine.autocast():
            logits = self.network(standardised(_placed(images, self.engine)))
        return logits.argmax(1).to(torch.uint8).cpu().numpy()

    def predict_cases(self, cases: Cases) -> np.ndarray:
        """Map all cases, in blocks of about VOXELS_PER_BLOCK, to label maps (n, *S) uint8."""
        block = max(1, VOXELS_PER_BLOCK // cases.read(np.zeros(1, int))[1].size)
        starts = range(0, len(cases), block)
        return np.concatenate([self.predict(cases.read(np.arange(s, min(s + block, len(cases))))[0]) for s in starts])


def standardised(images: Tensor) -> Tensor:
    """Return images (N, C, *S) as z-scores per image and channel over the whole image."""
    axes = tuple(range(2, images.ndim))
    sd, mean = torch.std_mean(images, axes, correction=0, keepdim=True)
    return (images - mean) / sd.clamp_min(MINIMUM_SD)


def train_segmenter(
    cases: Cases,
    classes: int,
    config: SegmentationConfig,
    seed: int,
    score: Callable[[Segmenter], float],
    progress: Callable[[], None] = lambda: None,
) -> Segmenter:
    """Train a segmenter for ``config.updates`` updates and keep the weights that scored best.

    Args:
        cases: the training cases; each update draws its batch uniformly from them.
        classes: K with the background.
        config: network and schedule.
        seed: weights, order and augmentation; the same seed gives the same bits on the same processor.
        score: called at ``config.checks`` evenly spaced points; higher is better; must not read test subjects.
        progress: called after each update.

    Returns:
        The segmenter with its curve.
    """
    engine = Engine(config.precision)
    images, _ = cases.read(np.zeros(1, int))
    network = build_network(
        config.network, images.ndim - 2, images.shape[1], classes, config.channels, derive(seed, "weights")
    )
    segmenter = Segmenter(_in_place(network, engine, images.ndim - 2), engine)
    best: tuple[float, dict[str, Tensor]] = (-np.inf, {})
    checks = {round(config.updates * (i + 1) / config.checks) for i in range(config.checks)}
    for update in _updates(segmenter, cases, classes, config, seed):
        progress()
        if update in checks:
            segmenter.curve.append((update, score(segmenter)))
            if segmenter.curve[-1][1] > best[0]:
                segmenter.chosen = update
                best = segmenter.curve[-1][1], {k: v.clone() for k, v in network.state_dict().items()}
    if not best[1]:
        raise UnderstudyError("no check of the segmenter gave a score: the validation subjects hold no class to score")
    network.load_state_dict(best[1])
    return segmenter


def _updates(segmenter: Segmenter, cases: Cases, classes: int, config: SegmentationConfig, seed: int) -> Iterator[int]:
    """Make the updates one by one, yielding the number made."""
    network, engine = segmenter.network, segmenter.engine
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, config.updates, pct_start=0.1)
    loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    order, generator = rng(seed, "order"), torch.Generator().manual_seed(derive(seed, "augmentation"))
    for update in range(1, config.updates + 1):
        images, labels = cases.read(order.integers(len(cases), size=config.batch_size))
        x, y = standardised(_placed(images, engine)), torch.from_numpy(labels).to(engine.device).long()
        if config.augment:
            x, y = augment(x, y, generator, Ranges())
        network.train()
        with engine.autocast():
            logits = network(_fast(x))
        optimizer.zero_grad(set_to_none=True)
        loss(logits.float(), y[:, None]).backward()
        optimizer.step()
        schedule.step()
        yield update


def _in_place(network: nn.Module, engine: Engine, dims: int) -> nn.Module:
    return engine.place(network) if dims == 2 else network.to(engine.device)


def _fast(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()


def _placed(images: np.ndarray, engine: Engine) -> Tensor:
    return _fast(torch.from_numpy(images).to(engine.device))
