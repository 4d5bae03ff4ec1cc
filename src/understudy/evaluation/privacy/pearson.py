"""Highest Pearson r of each case to any case of another set: exact, over all pairs.

**Source**: Usman Akbar, Wang, Eklund, "Beware of diffusion models for synthesizing medical images", Mach. Learn.: Sci.
Technol. 6(1) 2025, arXiv:2305.07644: for each synthetic image the Pearson r between the flattened images (whole image,
background included) and every training image; the highest is kept.
**Differs**: all channels are flattened together (one r for a case, not one for a grey image), in the range that a
network sees (each channel's recorded range maps to [-1, 1]); 3D cases are flattened whole. Vectors are float32, r is
computed in float64 (evaluation/search): the answer does not depend on blocks or on the library that multiplies; ties
go to the lowest index. A constant case has r = 0.
**Checked** in tests/evaluation/privacy/test_pearson.py (numpy.corrcoef to 1e-6, injected copies, ties, block sizes).
"""

from dataclasses import dataclass

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.search import Rows, search, unit_vectors


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


@dataclass(frozen=True)
class Nearest:
    """For each of n queries the target of the highest r: index int64 (n,) into the target, r float64 (n,)."""

    index: np.ndarray
    r: np.ndarray


def nearest(
    query: Rows,
    target: Rows,
    *,
    query_groups: np.ndarray | None = None,
    target_groups: np.ndarray | None = None,
    memory_mib: int = 1024,
) -> Nearest:
    """Find for each query the target with the highest Pearson r; exact over all pairs.

    Args:
        query: n cases as unit vectors.
        target: m cases to search.
        query_groups: (n,) names; a target of the same name is left out (a subject is not compared with itself).
        target_groups: (m,) names, given together with ``query_groups``.
        memory_mib: about how much memory the blocks may take; the result does not depend on it.

    Returns:
        The nearest targets; ties go to the lowest index; index -1 and r NaN where every target was left out.

    Raises:
        UnderstudyError: the vectors' sizes differ, or there is no target.
    """
    found = search(query, target, query_groups=query_groups, target_groups=target_groups, memory_mib=memory_mib)
    return Nearest(found.index[:, 0], found.value[:, 0])
