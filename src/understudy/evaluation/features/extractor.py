"""What an entry of the menu of feature extractors is: built from the real side, then a function of images.

An extractor maps each image by itself: features do not depend on the other images of a block. Whatever it learned, it
learned on the **real training split** alone; both sets of a comparison, and unseen real cases beside them, go through
the same one. Images are read block by block, in bounded memory.
**Checked** in tests/evaluation/features/test_random_filters.py (order, block size).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError
from understudy.evaluation.cache import Cache
from understudy.evaluation.features.config import FeatureConfig

VOXELS_PER_BLOCK = 2**20  # bounds memory: 256 images of 64 px, at 16 filters 64 MiB


class Extractor(Protocol):
    """Map images (n, C, *S) float32 in [-1, 1] to features (n, F) float32."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides the features of an image, as plain data: name, settings, hash of the weights."""

    @property
    def standardised(self) -> bool:
        """Whether their units are arbitrary: the mean of real training cases is then taken off, and their SD is 1."""

    @property
    def logits(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Map images to logits (n, K) of classes, or None where it knows no classes."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""


@dataclass(frozen=True)
class ExtractorInputs:
    """What an extractor may be built from: of the real cohort its training cases (`rows`), nothing else of it.

    `network` is the file of a scripted network, where one is named; `cache`, where learned weights may be found again.
    """

    cohort: Cohort
    rows: np.ndarray
    config: FeatureConfig
    network: Path | None = None
    cache: Cache = Cache()


def image_blocks(cohort: Cohort, rows: np.ndarray, encoding: Encoding) -> Iterator[np.ndarray]:
    """Yield the images of some rows in order, in blocks of bounded size, float32 (n, C, *S) in [-1, 1].

    The encoding says how intensities are read: the real cohort's on both sides of a comparison.
    """
    if cohort.images is None:
        raise UnderstudyError(f"features need images, and the cohort {cohort.path.name} has none")
    block = max(1, VOXELS_PER_BLOCK // int(np.prod(cohort.size)))
    for start in range(0, len(rows), block):
        yield encoding.encode_images(cohort.images[rows[start : start + block]])
