"""Exact nearest-neighbour search by Pearson's r: for each row of one set the best row of another, in bounded memory.

A prefilter multiplies blocks of both sets, rounded to int8, and gives an upper bound of each pair's r. A pair whose
bound reaches the best r so far is computed again in float64, and only that number decides: the result does not depend
on blocks, threads, rounding or processor. Ties go to the lowest index.

Let q, t be rows of length one, c a centre, q' = q - c, t' = t - c, and q^, t^ these rounded to 255 steps a row. Then
r = q.t = q'.t' + (|q|^2 - |q'|^2) / 2 + (|t|^2 - |t'|^2) / 2, where q'.t' is small if images are alike. It is off by

- rounding of rows: |q'.t' - q^.t^| <= |q' - q^| |t'| + |q^| |t' - t^| (Cauchy-Schwarz), measured row by row;
- adding n products in fp32: at most n u / (1 - n u) |q^| |t^| with u = 2^-24. Whole numbers add up exactly in int32, if
  runs of 2^17 of them at most are multiplied at once; then n is the number of runs;
- MARGIN: lengths that are one but for fp32, underflow, and a handful of fp32 operations on numbers below eight.

**Source**: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, section 3.1 (inner products).
**Checked** in tests/evaluation/test_nearest.py (all pairs in float64, ties, blocks, groups, worst-case rounding) and
``benchmarks/search.py`` (scikit-learn, faiss).
"""

import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from understudy.core.errors import UnderstudyError, UsageError
from understudy.training.engine import keep_freed_memory

TARGET_ROWS, QUERY_ROWS = 1024, 2048  # multiplied at once
CENTRE_ROWS = 256  # targets whose mean is the centre: any would do, a near one narrows the bounds
PIECE_VALUES = 2**18  # of one thread's work: 2 MiB in float64, which stay in the processor's cache
MAX_THREADS = 8  # each holds several pieces; fewer where a row is longer than a piece: bounds memory
MIN_RANGE, UNIT_ERROR, MARGIN = 1e-6, 1e-6, 1e-5  # of a row that is not constant; of |row|^2 from one; of r
TINY = 1e-30  # the least step of a row of zeros
RUN = 2**17  # values of a row that are multiplied at once: 2^17 times 127^2 is below 2^31, what int32 holds
INT8 = platform.machine() in ("x86_64", "AMD64")  # elsewhere torch multiplies int8 in plain loops, and fp32 is quicker


class Rows(Protocol):
    """Cases as vectors, made block by block, so that a set is never held whole. Threads may ask at once."""

    dimension: int

    def __len__(self) -> int: ...

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return cases ``start`` to ``stop``, float32 (n, dimension), each centred and of length one or all zero."""


class UnitRows:
    """The rows of an array or memory map (N, ...) of any number type as centred unit vectors."""

    def __init__(self, array: np.ndarray) -> None:
        """Wrap the array; nothing is read yet."""
        self.array, self.dimension = array, int(np.prod(array.shape[1:]))

    def __len__(self) -> int:
        return len(self.array)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop``, float32 (n, dimension), all zero where they are constant."""
        rows = np.asarray(self.array[start:stop])
        return unit_vectors(rows.reshape(len(rows), -1))


def unit_vectors(flat: np.ndarray) -> np.ndarray:
    """Return rows (n, d) minus their mean and of length one, float32, so that dot products are r; zeros for constants.

    Raises UnderstudyError where a value is NaN or infinite.
    """
    result, size = np.empty(flat.shape, np.float32), max(1, PIECE_VALUES // max(1, flat.shape[1]))
    for start in range(0, len(flat), size):
        piece = slice(start, start + size)
        centred = np.array(flat[piece], np.float64, order="C")  # the order of sums is the same for any number of rows
        centred -= centred.mean(1, keepdims=True)
        length = np.sqrt((centred**2).sum(1, keepdims=True))
        if not np.isfinite(length).all():
            raise UnderstudyError("finite intensities were expected, some are NaN or infinite: run `understudy check`")
        varied = length > MIN_RANGE * np.sqrt(flat.shape[1])
        result[piece] = centred / np.where(varied, length, np.inf)
    return result


def exact_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's r (n,) of centred vectors (n, d), row by row, in float64; 0 where one of them is all zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return np.clip((a * b).sum(1) / np.where(length > 0, length, 1), -1, 1)


@dataclass(frozen=True)
class Nearest:
    """For each of n queries the target of the highest r: index int64 (n,) and r float64 (n,); -1 and NaN for none."""

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

    A constant case has r = 0 with every target: its nearest is the first. Groups are names, (n,) and (m,), given
    together: a target of the query's own group is left out (a subject is not compared with itself). `memory_mib` is
    about how much memory the blocks may take; the result does not depend on it. Raises UnderstudyError where the
    vectors' sizes differ, there is no target, or rows are no unit vectors; UsageError for groups of one side only.
    """
    n, m, d = len(query), len(target), target.dimension
    if query.dimension != d or not m:
        expected = f"{query.dimension} values a case and at least one target were expected"
        raise UnderstudyError(f"{expected}, found {d} values and {m} targets")
    groups = None
    if query_groups is not None or target_groups is not None:
        if query_groups is None or target_groups is None or (len(query_groups), len(target_groups)) != (n, m):
            raise UsageError(f"groups of all {n} queries and of all {m} targets were expected, or of neither")
        groups = np.unique(np.concatenate([query_groups, target_groups]), return_inverse=True)[1].astype(np.int32)
    best = Nearest(np.full(n, -1), np.full(n, -np.inf))
    many, few = _block_rows(d, memory_mib)
    centre = np.nan_to_num(target.block(0, min(CENTRE_ROWS, few, m)).mean(0, dtype=np.float64))  # NaN: refused below
    keep_freed_memory()  # blocks come and go: getting them from the kernel each time takes as long as reading images
    for first in range(0, n, many):
        block = _read(query, first, min(first + many, n), centre)
        for start in range(0, m, few):
            others = _read(target, start, min(start + few, m), centre)
            _compare(block, others, groups, best)
            del others  # before the next is made: a name would hold it until then
        del block
    best.r[best.index < 0] = np.nan
    return best


def _block_rows(dimension: int, memory_mib: int) -> tuple[int, int]:
    """Return how many queries and how many targets are held: many queries, so that targets are seldom read again."""
    room = memory_mib * 2**20 // (dimension * 5)  # fp32 and int8
    return max(1, room * 3 // 4), max(1, min(room // 8, TARGET_ROWS))


def _in_pieces(work: Callable[[int, int], None], n: int, dimension: int) -> None:
    """Call ``work(start, stop)`` on pieces of n rows that fit the processor's cache, by several threads at once."""
    size = max(1, PIECE_VALUES // dimension)
    threads = max(1, min(torch.get_num_threads(), MAX_THREADS, MAX_THREADS * PIECE_VALUES // dimension))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda start: work(start, min(start + size, n)), range(0, n, size)))  # raises what a piece raises


@dataclass(frozen=True)
class _Block:
    """Rows of a source from ``start`` on, and what bounds their products."""

    start: int
    rows: np.ndarray  # (n, d)
    constant: np.ndarray  # (n,) bool
    whole: torch.Tensor  # int8 (n, d), -127 to 127: q^ over the step of its row
    terms: torch.Tensor  # fp32 (5, n): (|q|^2 - |q'|^2) / 2, |q'|, |q' - q^|, the sum of these two >= |q^|, the step


def _read(source: Rows, start: int, stop: int, centre: np.ndarray) -> _Block:
    """Read the rows ``start`` to ``stop``; subtract the centre (d,) and round them."""
    n, d = stop - start, source.dimension
    rows, whole = np.empty((n, d), np.float32), np.empty((n, d), np.int8)
    squares, length, lost, step = np.empty((4, n))

    def read(a: int, b: int) -> None:
        rows[a:b] = source.block(start + a, start + b)
        exact = rows[a:b].astype(np.float64)
        squares[a:b] = found = np.einsum("nd,nd->n", exact, exact)
        for square in found[~((np.abs(found - 1) <= UNIT_ERROR) | (found == 0))]:
            raise UnderstudyError(
                f"centred rows of length one were expected, found one of {square**0.5:g}: use UnitRows"
            )
        exact -= centre
        length[a:b] = np.sqrt(np.einsum("nd,nd->n", exact, exact))
        step[a:b] = np.maximum(np.abs(exact).max(1) / 127, TINY).astype(np.float32)
        exact /= step[a:b, None]
        whole[a:b] = np.rint(exact)
        exact -= whole[a:b]
        lost[a:b] = np.sqrt(np.einsum("nd,nd->n", exact, exact)) * step[a:b]

    _in_pieces(read, n, d)
    terms = torch.from_numpy(np.stack([(squares - length**2) / 2, length, lost, length + lost, step])).float()
    return _Block(start, rows, squares == 0, torch.from_numpy(whole), terms)


def _upper_bounds(query: _Block, part: slice, target: _Block) -> torch.Tensor:
    """Return for each pair of a part of the queries (n) and the targets (m) a number not below r, fp32 (n, m)."""
    d, bounds = target.rows.shape[1], torch.zeros(())
    for a in range(0, d, RUN):
        bounds = _product(query.whole[part, a : a + RUN], target.whole[:, a : a + RUN]).add_(bounds)
    (shift_q, _, lost_q, long_q, step_q), (shift_t, length_t, lost_t, long_t, step_t) = (
        query.terms[:, part],
        target.terms,
    )
    bounds.mul_(step_q[:, None]).mul_(step_t).add_(shift_t + MARGIN).add_(shift_q[:, None]).addr_(lost_q, length_t)
    added = ((1 if INT8 else min(d, RUN)) + -(-d // RUN)) * 2.0**-24  # n u
    return bounds.addr_(long_q, lost_t + added / (1 - added) * long_t)


def _product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a b^T of whole numbers int8 (n, k), (m, k), fp32 (n, m)."""
    if INT8:
        return torch._int_mm(a, b.T).float()
    return torch.from_numpy(
        a.float().numpy() @ b.float().numpy().T
    )  # torch may have been told to multiply in fewer bits


def _compare(query: _Block, target: _Block, groups: np.ndarray | None, best: Nearest) -> None:
    """Put into ``best`` what is better in these blocks: the most hopeful pairs first, for they rule out many others."""
    theirs = slice(len(best.r) + target.start, len(best.r) + target.start + len(target.rows))
    for a in range(0, len(query.rows), QUERY_ROWS):
        rows = np.arange(a, min(a + QUERY_ROWS, len(query.rows)))
        bounds, known = _upper_bounds(query, slice(a, a + QUERY_ROWS), target), best.r[query.start + rows]
        if groups is not None:
            bounds[torch.from_numpy(groups[query.start + rows, None] == groups[theirs])] = -torch.inf
        for i in np.flatnonzero(query.constant[rows]):  # all targets tie: the first will do
            bounds[i, torch.isfinite(bounds[i]).nonzero()[1:, 0]] = -torch.inf
        highest, column = (x.numpy() for x in bounds.max(1))
        beatable = known < np.where(query.constant[rows], 0, 1)
        hopeful = np.flatnonzero(beatable & (highest >= known) & (highest > -np.inf))
        rows, bounds, column = rows[hopeful], bounds[hopeful], column[hopeful]
        _compute(query, rows, target, column, best)
        bounds.numpy()[np.arange(len(rows)), column] = -np.inf
        i, j = (bounds >= torch.from_numpy(best.r[query.start + rows, None]).float()).nonzero().numpy().T
        _compute(query, rows[i], target, j, best)


def _compute(query: _Block, i: np.ndarray, target: _Block, j: np.ndarray, best: Nearest) -> None:
    """Compute r of the pairs of row i (p,) and row j (p,) of the blocks and keep the best."""
    r = np.empty(len(i))

    def compute(a: int, b: int) -> None:
        r[a:b] = exact_r(query.rows[i[a:b]], target.rows[j[a:b]])

    _in_pieces(compute, len(i), query.rows.shape[1])
    order = np.lexsort((j, -r, i))
    order = order[np.unique(i[order], return_index=True)[1]]  # the first of each query
    i, j, r = query.start + i[order], target.start + j[order], r[order]
    better = (r > best.r[i]) | ((r == best.r[i]) & (j < best.index[i]))
    best.index[i[better]], best.r[i[better]] = j[better], r[better]
