"""Highest Pearson r of each case to any case of another set: exact, by matrix products on centred unit vectors.

**Source**: Usman Akbar, Wang, Eklund, "Beware of diffusion models for synthesizing medical images", Mach. Learn.: Sci.
Technol. 6(1) 2025, arXiv:2305.07644: for each synthetic image the Pearson r between the flattened images (whole image,
background included) and every training image; the highest is kept.
**Differs**: all channels are flattened together (one r for a case, not one for a grey image), in the range that a
network sees (each channel's recorded range maps to [-1, 1]); 3D cases are flattened whole. The search is a product of
blocks in fp32, and what comes within rounding of the highest is computed again in fp64, so that the answer does not
depend on blocks or on the library that multiplies; ties go to the lowest index. A constant case has r = 0.
**Checked** in tests/evaluation/privacy/test_correlation.py (numpy.corrcoef to 1e-6, planted copies, ties, block sizes).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError

ROUNDING = 4e-6  # more than fp32 products of unit vectors err
TARGET_ROWS = 1024  # rows of the target multiplied at once
NORM_FLOOR = 1e-6  # of the network range: below it a case is constant


class UnitVectors(Protocol):
    """Cases as centred unit vectors, made block by block."""

    dimension: int

    def __len__(self) -> int:
        """Return the number of cases."""
        ...

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return float32 (stop - start, dimension): centred, of length one, or all zero for a constant case."""
        ...


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
        result = np.empty((min(stop, len(self)) - start, self.dimension), np.float32)
        for first in range(0, len(result), 64):
            rows = self.rows[start + first : start + min(first + 64, len(result))]
            images = self._cohort.encoding.encode_images(np.asarray(self._images[rows]))
            result[first : first + len(rows)] = unit_vectors(images.reshape(len(rows), -1))
        return result


def unit_vectors(flat: np.ndarray) -> np.ndarray:
    """Subtract each row's mean and divide by its length, so that a dot product is Pearson's r.

    Args:
        flat: (n, d) numbers.

    Returns:
        float32 (n, d); rows of zeros for constant rows.

    Raises:
        UnderstudyError: a value is NaN or infinite.
    """
    centred = flat.astype(np.float64)
    centred -= centred.mean(1, keepdims=True)
    length = np.sqrt((centred**2).sum(1, keepdims=True))
    if not np.isfinite(length).all():
        raise UnderstudyError(
            "finite intensities were expected, and some are NaN or infinite: run `understudy check` on the cohorts"
        )
    varied = length > NORM_FLOOR * np.sqrt(flat.shape[1])
    return (centred * varied / np.where(varied, length, 1)).astype(np.float32)


@dataclass(frozen=True)
class Nearest:
    """For each of n queries the target of the highest r: index int64 (n,) into the target, r float64 (n,)."""

    index: np.ndarray
    r: np.ndarray


def nearest(
    query: UnitVectors,
    target: UnitVectors,
    *,
    query_groups: np.ndarray | None = None,
    target_groups: np.ndarray | None = None,
    memory_mib: int = 1024,
) -> Nearest:
    """Find for each query the target with the highest Pearson r; exact over all pairs.

    Args:
        query: n cases.
        target: m cases to search.
        query_groups: (n,) names; a target of the same name is left out (a subject is not compared with itself).
        target_groups: (m,) names, given together with ``query_groups``.
        memory_mib: about how much memory the blocks may take; the result does not depend on it.

    Returns:
        The nearest targets; ties go to the lowest index; index -1 and r NaN where every target was left out.

    Raises:
        UnderstudyError: the vectors' sizes differ, or there is no target.
    """
    if query.dimension != target.dimension or not len(target):
        raise UnderstudyError(
            f"{query.dimension} values a case and at least one target were expected, found {target.dimension} "
            f"values and {len(target)} targets"
        )
    rows_each = max(1, min(memory_mib * 2**20 // 2 // (4 * query.dimension + 8 * TARGET_ROWS), len(query)))
    columns = max(1, min(TARGET_ROWS, memory_mib * 2**20 // 4 // (4 * query.dimension)))
    index, best = np.full(len(query), -1), np.full(len(query), -np.inf)
    for first in range(0, len(query), rows_each):
        rows = slice(first, min(first + rows_each, len(query)))
        block = query.block(rows.start, rows.stop)
        for start in range(0, len(target), columns):
            others = target.block(start, start + columns)
            product = block @ others.T
            if query_groups is not None and target_groups is not None:
                product[query_groups[rows, None] == target_groups[None, start : start + len(others)]] = -np.inf
            _improve(block, others, product, start, index[rows], best[rows])
    return Nearest(index, np.where(index < 0, np.nan, best))


def exact_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's r of centred vectors, row by row, in float64; 0 where one of them is all zero.

    Args:
        a: (n, d) centred.
        b: (n, d) centred.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.clip((a * b).sum(1) / np.where(length > 0, length, 1), -1, 1)


def _improve(
    block: np.ndarray, others: np.ndarray, product: np.ndarray, start: int, index: np.ndarray, best: np.ndarray
) -> None:
    """Put into ``index`` and ``best`` what is higher in this block, in float64 and the lowest index first."""
    hopeful = product >= (np.maximum(product.max(1), best) - ROUNDING)[:, None]
    hopeful &= np.isfinite(product)
    hopeful[~block.any(1) & (index >= 0)] = False  # a constant case is at r = 0 from every target: the first will do
    query, other = np.nonzero(hopeful)
    if not len(query):
        return
    r = np.concatenate(
        [exact_r(block[query[i : i + 256]], others[other[i : i + 256]]) for i in range(0, len(query), 256)]
    )
    order = np.lexsort((other, -r, query))
    rows, first = np.unique(query[order], return_index=True)
    found = order[first]
    higher = r[found] > best[rows]
    index[rows[higher]], best[rows[higher]] = start + other[found[higher]], r[found[higher]]
