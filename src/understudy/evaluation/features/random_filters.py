"""``random``: a fixed random convolutional network, pooled at three scales; features without any download or training.

**Source**: Naeem et al., Reliable Fidelity and Diversity Metrics (2020, arXiv 2002.09797), section 4.1: embeddings of a
randomly initialised network serve where a network trained on natural photographs does not fit the images.
**Differs**: small (64 filters in three scales; mean and standard deviation of each response: 128 features), any number
of channels, 2D and 3D; the weights are the same on every machine and in every run, so numbers compare across runs.
**Checked** in tests/evaluation/features/test_random_filters.py (block size and order do not matter; blur
and noise move the features).
"""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.seed import rng
from understudy.evaluation.features.extractor import ExtractorInputs

WIDTHS = (16, 24, 24)  # filters at full, half and quarter size
WEIGHTS_SEED = 0  # not the run's seed: features are a fixed reference


class RandomFeatures:
    """Map images (n, C, *S) float32 in [-1, 1] to features (n, 128) float32; `dims`: 2 or 3 spatial axes."""

    standardised = False
    logits = None

    def __init__(self, channels: int, dims: int) -> None:
        """Draw the filters: normal, scaled so that responses neither grow nor shrink; biases spread the thresholds."""
        self.convolve: Callable[..., Tensor] = F.conv2d if dims == 2 else F.conv3d
        self.pool: Callable[..., Tensor] = F.avg_pool2d if dims == 2 else F.avg_pool3d
        self.filters = []
        for scale, (before, after) in enumerate(zip((channels, *WIDTHS), WIDTHS, strict=False)):
            draw = rng(WEIGHTS_SEED, "random features", channels, dims, scale)
            weight = draw.normal(0, np.sqrt(2 / (before * 3**dims)), (after, before, *(3,) * dims))
            bias = draw.uniform(-1, 1, after)
            self.filters.append((torch.from_numpy(weight).float(), torch.from_numpy(bias).float()))
        digest = hashlib.sha256(b"".join(array.numpy().tobytes() for pair in self.filters for array in pair))
        self.identity = {"name": "random", "weights": digest.hexdigest()}

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""
        x, parts = torch.from_numpy(images), []
        axes = tuple(range(2, x.ndim))
        for scale, (weight, bias) in enumerate(self.filters):
            x = self.pool(x, 2, ceil_mode=True) if scale else x
            x = F.relu(self.convolve(x, weight, bias, padding=1))
            sd, mean = torch.std_mean(x, axes, correction=0)
            parts += [mean, sd]
        return torch.cat(parts, 1).numpy()


def build(source: ExtractorInputs) -> RandomFeatures:
    """Return the extractor for the images of a cohort."""
    return RandomFeatures(source.cohort.encoding.image_channels, len(source.cohort.size))
