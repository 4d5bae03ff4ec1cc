"""The images of a cohort as vectors, for the highest Pearson r of each case to any case of another set.

**Source**: Usman Akbar, Wang, Eklund, "Beware of diffusion models for synthesizing medical images", Mach. Learn.: Sci.
Technol. 6(1) 2025, arXiv:2305.07644: for each synthetic image the Pearson r between the flattened images (whole image,
background included) and every training image; the highest is kept.
**Differs**: all channels are flattened together (one r for a case, not one for a grey image), in the range that a
network sees (each channel's recorded range maps to [-1, 1]); 3D cases are flattened whole. evaluation/nearest.py
compares all pairs.
**Checked** in tests/evaluation/privacy/test_pearson.py (numpy.corrcoef of the flattened images; channels).
"""

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.nearest import unit_vectors


class ImageVectors:
    """The images of some rows of a cohort, or some of their channels, as centred unit vectors, read block by block.

    Nothing is read before a block is asked for. UnderstudyError where the cohort has no images.
    """

    def __init__(self, cohort: Cohort, rows: np.ndarray, channels: np.ndarray | slice = slice(None)) -> None:
        if cohort.images is None:
            raise UnderstudyError(f"images were expected in the cohort {cohort.path}, and it has label maps only")
        self._cohort, self._images, self.rows, self._channels = cohort, cohort.images, rows, channels
        self.dimension = len(np.arange(cohort.images.shape[1])[channels]) * int(np.prod(cohort.size))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop`` as float32 (n, dimension), centred and of length one."""
        images = self._cohort.encoding.encode_images(np.asarray(self._images[self.rows[start:stop]]))
        return unit_vectors(images[:, self._channels].reshape(len(images), -1))
