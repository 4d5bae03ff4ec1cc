"""``texture``: grey levels and their co-occurrence, channel by channel; features that have names and no network.

First order: mean, standard deviation, skewness, excess kurtosis and five quantiles of the intensities. Second order:
contrast, dissimilarity, homogeneity, energy and correlation of the grey-level co-occurrence matrix at distances of 1
and 3 pixels, averaged over four directions; through scikit-image.
**Source**: Haralick, Shanmugam and Dinstein, Textural features for image classification (1973, doi
10.1109/TSMC.1973.4309314).
**Differs**: 32 grey levels over the channel's range, not the image's, so that a change of level or contrast counts;
homogeneity has the squared difference below, as scikit-image has it. Units differ from feature to feature: they are
divided by the standard deviation over real training cases. 2D only: a co-occurrence matrix of a middle slice would say
nothing of the rest of a volume.
**Checked** in tests/evaluation/features/test_texture.py (SciPy's moments, a matrix counted by hand).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.features.extractor import ExtractorInputs

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVELS = 32
DISTANCES = (1, 3)
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
MIN_SD = 1e-4  # of images in [-1, 1]; below it an image is flat, and its skewness and kurtosis are 0


class TextureFeatures:
    """Map images (n, C, H, W) float32 in [-1, 1] to features (n, 19 C) float32, with two functions of scikit-image."""

    standardised = True
    logits = None

    def __init__(self, matrix: Callable[..., np.ndarray], properties: Callable[..., np.ndarray]) -> None:
        self.matrix, self.properties = matrix, properties  # graycomatrix, graycoprops
        settings = {"quantiles": QUANTILES, "levels": LEVELS, "distances": DISTANCES, "properties": PROPERTIES}
        self.identity: dict[str, Any] = {"name": "texture", **settings}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""
        n, channels = images.shape[:2]
        levels = ((images + 1) / 2 * LEVELS).astype(np.int64).clip(0, LEVELS - 1).astype(np.uint8)
        second = self._co_occurrence(levels.reshape(n * channels, *images.shape[2:])).reshape(n, channels, -1)
        return np.concatenate([first_order(images), second], 2).reshape(n, -1).astype(np.float32)

    def _co_occurrence(self, planes: np.ndarray) -> np.ndarray:
        """Return the properties at each distance of planes of grey levels (p, H, W): (p, properties * distances)."""
        about: dict[str, Any] = {"levels": LEVELS, "symmetric": True, "normed": True}
        matrices = np.concatenate([self.matrix(plane, DISTANCES, ANGLES, **about) for plane in planes], 2)
        found = [self.properties(matrices, name).mean(1).reshape(len(planes), -1) for name in PROPERTIES]
        return np.concatenate(found, 1)


def first_order(images: np.ndarray) -> np.ndarray:
    """Return mean, SD, skewness, excess kurtosis and quantiles of images (n, C, *S): (n, C, 9) float64."""
    flat = images.reshape(*images.shape[:2], -1).astype(np.float64)
    mean, sd = flat.mean(2, keepdims=True), flat.std(2, keepdims=True)
    z = np.where(sd > MIN_SD, (flat - mean) / sd.clip(MIN_SD), 0)
    kurtosis = np.where(sd[..., 0] > MIN_SD, (z**4).mean(2) - 3, 0)
    moments = np.stack([mean[..., 0], sd[..., 0], (z**3).mean(2), kurtosis], 2)
    return np.concatenate([moments, np.moveaxis(np.quantile(flat, QUANTILES, axis=2), 0, 2)], 2)


def build(source: ExtractorInputs) -> TextureFeatures:
    """Return the extractor for images of a cohort.

    Raises UsageError where it holds volumes, UnderstudyError where scikit-image is not installed.
    """
    if len(source.cohort.size) != 2:
        raise UsageError(
            f"features=texture is for 2D images, and {source.cohort.path.name} holds volumes: choose features=random"
        )
    try:
        from skimage.feature import graycomatrix, graycoprops
    except ImportError as error:
        raise UnderstudyError(
            "features=texture needs scikit-image, which is not installed: pip install 'understudy[texture]'"
        ) from error
    return TextureFeatures(graycomatrix, graycoprops)
