"""Rows to search: cases as vectors, made block by block, so that a whole set is never held.

**Checked** in tests/evaluation/search/test_rows.py.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from understudy.core.errors import UnderstudyError

NORM_FLOOR = 1e-6  # of a range of about one: below it a row is constant
PIECE_VALUES = 2**18  # of one thread's work: 2 MiB in float64, which stay in the processor's cache
MOST_THREADS = 8  # each holds several pieces; fewer where a row is longer than a piece: bounds memory


class Rows(Protocol):
    """Cases as vectors. Several threads may ask for blocks at once."""

    dimension: int

    def __len__(self) -> int:
        """Return the number of cases."""
        ...

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the cases ``start`` to ``stop`` as floating-point numbers (n, dimension)."""
        ...


class ArrayRows:
    """The rows of an array or memory map of any number type, as they are."""

    def __init__(self, array: np.ndarray, chosen: np.ndarray | None = None) -> None:
        """Choose the rows; nothing is read yet.

        Args:
            array: (N, ...) numbers; whole numbers of up to 16 bits become float32, which holds them exactly, longer
                ones float64; floating-point numbers are kept as they are.
            chosen: which rows, in which order; all where None.
        """
        self.array, self.chosen = array, np.arange(len(array)) if chosen is None else np.asarray(chosen)
        self.dimension = int(np.prod(array.shape[1:]))
        self.dtype = np.result_type(array.dtype, np.float32)

    def __len__(self) -> int:
        """Return the number of chosen rows."""
        return len(self.chosen)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the chosen rows ``start`` to ``stop``, float32 or float64 (n, dimension)."""
        rows = np.asarray(self.array[self.chosen[start:stop]])
        return np.ascontiguousarray(rows.reshape(len(rows), -1), self.dtype)


class UnitRows:
    """Other rows, each centred and of length one: their inner products are Pearson's r."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows; nothing is read yet."""
        self.rows, self.dimension = rows, rows.dimension

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop``, float32 (n, dimension), all zero where they are constant."""
        return unit_vectors(self.rows.block(start, stop))


def unit_vectors(flat: np.ndarray) -> np.ndarray:
    """Subtract each row's mean and divide by its length, so that a dot product is Pearson's r.

    Args:
        flat: (n, d) numbers.

    Returns:
        float32 (n, d); rows of zeros for constant rows.

    Raises:
        UnderstudyError: a value is NaN or infinite.
    """
    result, size = np.empty(flat.shape, np.float32), max(1, PIECE_VALUES // max(1, flat.shape[1]))
    for start in range(0, len(flat), size):
        piece = slice(start, start + size)
        centred = np.array(flat[piece], np.float64, order="C")  # the order of sums is the same for any number of rows
        centred -= centred.mean(1, keepdims=True)
        length = np.sqrt((centred**2).sum(1, keepdims=True))
        if not np.isfinite(length).all():
            raise UnderstudyError(
                "finite intensities were expected, and some are NaN or infinite: run `understudy check` on the cohorts"
            )
        varied = length > NORM_FLOOR * np.sqrt(flat.shape[1])
        result[piece] = centred / np.where(varied, length, np.inf)
    return result


def in_pieces(work: Callable[[int, int], None], n: int, dimension: int) -> None:
    """Call ``work(start, stop)`` on pieces of n rows that fit the processor's cache, by several threads at once."""
    size = max(1, PIECE_VALUES // dimension)
    threads = max(1, min(torch.get_num_threads(), MOST_THREADS, MOST_THREADS * PIECE_VALUES // dimension))
    starts = range(0, n, size)
    if threads == 1 or len(starts) == 1:
        for start in starts:
            work(start, min(start + size, n))
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda start: work(start, min(start + size, n)), starts):
            pass  # an exception of a piece comes out here
