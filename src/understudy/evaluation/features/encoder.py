"""``encoder``: a small network that learns, without labels, what the cases of the real training split differ in.

Two augmented views of each image (rotated, scaled, other contrast and level; the classical augmentation of ``tasks``)
are to give the same embedding, while embeddings of a batch keep their variance and stay uncorrelated. No noise, no blur
and no mirroring among the views: a fixed reference must not learn to overlook what a generator may get wrong. Features
are the mean responses of all four levels, so that grain counts beside shape.
**Source**: Bardes, Ponce and LeCun, VICReg (2022, arXiv 2105.04906), equations 1 to 6 with the weights 25, 25, 1.
**Differs**: a network of 50,000 weights that trains in well under a minute on one core at 64 pixels, a fixed number of
updates, crops of at most 64 pixels (volumes: 24 voxels) at the same place in both views. The weights follow from the
cohort and a fixed seed, not the run's: the same machine and cohort give the same reference. **What it has seen**: all
real training subjects, and neither synthetic cases nor the unseen subjects of the baselines. Had it memorised the cases
that it saw, unseen subjects would lie too far. On lgg_tcga (40 of 80 subjects, 12 random splits) they lay 1.08 times
[0.82, 1.43] as far as seen ones, relative to random features: no such effect was found, and one of 1.4 is not excluded.
**Against random features** there, in units of the distance between halves of the real subjects:
a blur counts 1.0 to 2.9 times as much, noise of a tenth of the half range 1.9 to 11 times; losing subjects moves the
distance up in 90 % of the steps (random: 80 %).
**Checked** in tests/evaluation/features/test_encoder.py (same seed, same bits; case by case; the training split only).
"""

import hashlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.seed import derive, rng
from understudy.evaluation.features.extractor import ExtractorInputs
from understudy.tasks.augmentation import Ranges, augment_images
from understudy.training.parallel import seeded

WIDTHS = (16, 32, 48, 64)
EMBEDDING = 128
BATCH = {2: 64, 3: 16}
CROP = {2: 64, 3: 24}
VIEWS = Ranges(flip=0, rotation_degrees=15, scale=0.2, gain=0.1, shift=0.05, noise=0)
LEARNING_RATE = 2e-3
SIMILAR, VARIANT, UNCORRELATED = 25.0, 25.0, 1.0
SEED = 0  # not the run's seed: features are a fixed reference
MIN_CASES = 16


class Network(nn.Module):
    """Four convolutions, each halving the sides; embeddings (N, 128), and the mean responses of all levels (N, 160)."""

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d
        widths = zip((channels, *WIDTHS), WIDTHS, strict=False)
        self.levels = nn.ModuleList(
            nn.Sequential(convolution(a, b, 3, 2, 1, bias=False), norm(b), nn.ReLU()) for a, b in widths
        )
        self.project = nn.Sequential(
            nn.Linear(WIDTHS[-1], EMBEDDING), nn.BatchNorm1d(EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, EMBEDDING)
        )

    def responses(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the mean responses (N, width) of each level, finest first."""
        for level in self.levels:
            x = level(x)
            yield x.flatten(2).mean(2)

    def features(self, x: Tensor) -> Tensor:
        """Map images (N, C, *S) to (N, 160)."""
        return torch.cat(list(self.responses(x)), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, *S) to embeddings (N, 128)."""
        *_, last = self.responses(x)
        return self.project(last)


class EncoderFeatures:
    """Map images (n, C, *S) float32 in [-1, 1] to features (n, 160) float32, with a network that has learned."""

    standardised = True
    logits = None

    def __init__(self, network: Network) -> None:
        self.network = network.eval()
        self.identity = {"name": "encoder", "weights": hashlib.sha256(weights(network).tobytes()).hexdigest()}

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""
        return self.network.features(torch.from_numpy(images)).numpy()


def weights(network: nn.Module) -> np.ndarray:
    """Return all that a network has learned, its running statistics included, as one float32 vector."""
    return parameters_to_vector(_state(network)).detach().numpy()


def set_weights(network: nn.Module, vector: np.ndarray) -> None:
    """Give a network what :func:`weights` returned."""
    parts = torch.from_numpy(vector).split([value.numel() for value in _state(network)])
    for value, part in zip(_state(network), parts, strict=True):
        value.data.copy_(part.view_as(value))


def _state(network: nn.Module) -> Iterator[Tensor]:
    return (value for value in chain(network.parameters(), network.buffers()) if value.is_floating_point())


def loss(one: Tensor, other: Tensor) -> Tensor:
    """Return the VICReg loss of the embeddings (N, D) of two views, equation 6."""
    total = SIMILAR * F.mse_loss(one, other)  # equation 5
    for z in (one, other):
        centred = z - z.mean(0)
        covariance = centred.T @ centred / (len(z) - 1)  # equation 3
        sd = torch.sqrt(covariance.diagonal() + 1e-4)  # equation 2
        total = total + VARIANT / 2 * F.relu(1 - sd).mean()  # equation 1; halved as in the authors' code
        off = covariance - torch.diag(covariance.diagonal())
        total = total + UNCORRELATED * off.square().sum() / z.shape[1]  # equation 4
    return total


def train(cohort: Cohort, rows: np.ndarray, updates: int, seed: int) -> Network:
    """Train a network on some cases of a cohort, which alone are read; the seed is that of weights, order and views.

    Raises UnderstudyError where there are too few cases, or no images.
    """
    if cohort.images is None or len(rows) < MIN_CASES:
        raise UnderstudyError(
            f"features=encoder learns from at least {MIN_CASES} images of the training split, and {cohort.path.name} "
            f"has {0 if cohort.images is None else len(rows)}: choose features=random"
        )
    network = untrained(cohort, seed)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, updates + 2)
    order, generator = rng(seed, "encoder", "order"), torch.Generator().manual_seed(derive(seed, "encoder", "views"))
    batch = min(BATCH[len(cohort.size)], len(rows))
    for _ in range(updates):
        chosen = np.sort(rows[order.choice(len(rows), batch, replace=False)])
        cut: tuple[Any, ...] = (chosen, slice(None), *_crop(cohort.size, order))
        images = torch.from_numpy(cohort.encoding.encode_images(cohort.images[cut]))
        one, other = (augment_images(images, generator, VIEWS) for _ in range(2))
        optimizer.zero_grad(set_to_none=True)
        loss(*network(torch.cat([one, other])).chunk(2)).backward()
        optimizer.step()
        schedule.step()
    return network


def _crop(size: tuple[int, ...], draw: np.random.Generator) -> tuple[slice, ...]:
    """Draw where a batch is cut out."""
    starts = [int(draw.integers(max(0, side - CROP[len(size)]) + 1)) for side in size]
    return tuple(slice(start, start + CROP[len(size)]) for start in starts)


def untrained(cohort: Cohort, seed: int) -> Network:
    """Return a network for a cohort with weights that depend on the seed only."""
    with seeded(derive(seed, "encoder", "weights")):
        return Network(cohort.encoding.image_channels, len(cohort.size))


def build(source: ExtractorInputs) -> EncoderFeatures:
    """Train the encoder on the real training split, or find it in the cache."""
    rows = hashlib.sha256(source.rows.astype("<i8").tobytes()).hexdigest()
    learned = {"updates": source.config.encoder_updates, "seed": SEED, "views": str(VIEWS), "widths": WIDTHS}
    key: dict[str, Any] = {"what": "encoder", "cohort": source.cohort.id, "rows": rows, "settings": learned}
    found = source.cache.load(key)
    if found is None:
        network = train(source.cohort, source.rows, source.config.encoder_updates, SEED)
        source.cache.store(key, weights(network))
    else:
        network = untrained(source.cohort, SEED)
        set_weights(network, found)
    return EncoderFeatures(network)
