"""Cases as unit vectors, and the products of two sets of them, block by block: what all attacks are made of.

Similarity is Pearson's r of unit vectors (of pixels, or of features), distance the chord sqrt(2 - 2 r) between them.
**Checked** in tests/evaluation/privacy/attacks/test_vectors.py (numpy; any block size gives the same).
"""

from collections.abc import Iterator

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.correlation import ImageVectors, Rows, unit_vectors

COLUMNS = 1024  # released cases that are multiplied at once
NEAREST = 1e-5  # of 1 - r: products in single precision tell no less


class MatrixVectors:
    """Rows of a matrix as centred unit vectors."""

    def __init__(self, matrix: np.ndarray) -> None:
        """Take a matrix (n, d)."""
        self._units, self.dimension = unit_vectors(matrix), matrix.shape[1]

    def __len__(self) -> int:
        """Return n."""
        return len(self._units)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop``."""
        return self._units[start:stop]


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


def products(query: Rows, target: Rows, memory_mib: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield r of all pairs in blocks.

    Args:
        query: n cases.
        target: m cases.
        memory_mib: about how much memory a block of queries may take.

    Yields:
        Which queries, which targets, and r float32 of these; all targets of some queries before the next queries.
    """
    rows = max(1, min(memory_mib * 2**20 // 2 // (4 * query.dimension + 8 * COLUMNS), max(1, len(query))))
    for first in range(0, len(query), rows):
        across = slice(first, min(first + rows, len(query)))
        block = query.block(across.start, across.stop)
        for start in range(0, len(target), COLUMNS):
            down = slice(start, min(start + COLUMNS, len(target)))
            yield across, down, block @ target.block(down.start, down.stop).T


def log_distance(r: np.ndarray) -> np.ndarray:
    """Return the logarithm of the distance between unit vectors of correlation r."""
    return np.asarray(0.5 * np.log(2 * np.maximum(1 - r, NEAREST)))
