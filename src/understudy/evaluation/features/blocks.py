"""Images of a cohort, block by block: how every evaluation of images reads them, in bounded memory.

**Checked** in tests/evaluation/features/test_blocks.py (order, block size).
"""

from collections.abc import Iterator

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.errors import UnderstudyError

VOXELS_PER_BLOCK = 2**20  # bounds memory: 256 images of 64 px, at 16 filters 64 MiB


def image_blocks(cohort: Cohort, rows: np.ndarray, encoding: Encoding) -> Iterator[np.ndarray]:
    """Yield the images of some rows in order, in blocks of bounded size, float32 (n, C, *S) in [-1, 1].

    Args:
        cohort: where they are.
        rows: which.
        encoding: how intensities are read; the real cohort's on both sides of a comparison.
    """
    if cohort.images is None:
        raise UnderstudyError(f"features need images, and the cohort {cohort.path.name} has none")
    block = max(1, VOXELS_PER_BLOCK // int(np.prod(cohort.size)))
    for start in range(0, len(rows), block):
        yield encoding.encode_images(cohort.images[rows[start : start + block]])
