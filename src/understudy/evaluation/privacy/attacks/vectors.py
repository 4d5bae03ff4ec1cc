"""Some channels of cases as unit vectors, and the distance that belongs to a correlation: what attacks are made of.

Similarity is Pearson's r of unit vectors (of pixels, or of features), distance the chord sqrt(2 - 2 r) between them.
**Checked** in tests/evaluation/privacy/attacks/test_vectors.py (numpy).
"""

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.correlation import ImageVectors
from understudy.evaluation.search import unit_vectors

COLUMNS = 1024  # released cases that are multiplied at once
NEAREST = 1e-5  # of 1 - r: products in single precision tell no less


class ChannelVectors(ImageVectors):
    """Some channels of the images of some rows as centred unit vectors."""

    def __init__(self, cohort: Cohort, rows: np.ndarray, channels: np.ndarray) -> None:
        """Choose rows and channels; nothing is read yet."""
        super().__init__(cohort, rows)
        self._channels, self.dimension = channels, len(channels) * int(np.prod(cohort.size))

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop`` as float32 (n, dimension), centred and of length one."""
        images = self._cohort.encoding.encode_images(np.asarray(self._images[self.rows[start:stop]]))
        return unit_vectors(images[:, self._channels].reshape(len(images), -1))


def log_distance(r: np.ndarray) -> np.ndarray:
    """Return the logarithm of the distance between unit vectors of correlation r."""
    return np.asarray(0.5 * np.log(2 * np.maximum(1 - r, NEAREST)))
