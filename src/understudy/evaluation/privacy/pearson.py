"""The images of a cohort as vectors, for the highest Pearson r of each case to any case of another set.

**Source**: Usman Akbar, Wang, Eklund, "Beware of diffusion models for synthesizing medical images", Mach. Learn.: Sci.
Technol. 6(1) 2025, arXiv:2305.07644: for each synthetic image the Pearson r between the flattened images (whole image,
background included) and every training image; the highest is kept.
**Differs**: all channels are flattened together (one r for a case, not one for a grey image), in the range that a
network sees (each channel's recorded range maps to [-1, 1]); 3D cases are flattened whole. evaluation/nearest.py
compares all pairs.
**Checked** in tests/evaluation/privacy/test_pearson.py (numpy.corrcoef of the flattened images).
"""

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.nearest import unit_vectors


class ImageVectors:
    """The images of some rows of a cohort as centred unit vectors, read from its memory map block by block."""

    def __init__(self, cohort: Cohort, rows: np.ndarray) -> None:
        """Choose the rows; nothing is read yet.

        Raises:
            UnderstudyError: the cohort has no images.
        """
        if cohort.images is None:
            raise UnderstudyError(f"images were expected in the cohort {cohort.path}, and it has label maps only")
        self._cohort, self._images, self.rows = cohort, cohort.images, rows
        self.dimension = int(np.prod(cohort.images.shape[1:]))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop`` as float32 (n, dimension), centred and of length one."""
        rows = self.rows[start:stop]
        return unit_vectors(self._cohort.encoding.encode_images(np.asarray(self._images[rows])).reshape(len(rows), -1))
