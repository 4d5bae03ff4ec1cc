"""The nearest rows of another set: exact over all pairs, whatever the block sizes, threads or processor.

Blocks of both sets are multiplied roughly (screen.py); a pair whose upper bound reaches the k-th best value found so
far is computed again in float64, and only those numbers decide. A pair that is not computed is proven to be below k
others. Ties go to the lowest index.
Threads do the work, and share one copy of the blocks; processes would each read every target anew, which costs more
than the few hundredths of the time that one thread spends alone. A query's neighbours do not depend on other queries:
several processes or machines each take a part of the rows (``chosen``) of the same memory map.
**Source**: none; brute force, with a filter that never errs.
**Checked** in tests/evaluation/search/test_nearest.py (all pairs in float64; ties, blocks, types of number, groups,
both screens); ``benchmarks/search.py`` holds neighbours and speed against scikit-learn and faiss.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.search.best import Best
from understudy.evaluation.search.measures import MEASURES, Measure
from understudy.evaluation.search.rows import Rows, in_pieces
from understudy.evaluation.search.screen import Block, read_block, screen_dtype, upper_bounds
from understudy.training.engine import keep_freed_memory

TARGET_ROWS, QUERY_ROWS = 1024, 2048  # multiplied at once
CENTRE_ROWS = 256  # targets whose mean is the centre: any would do, near ones let the screen see more
LOWEST = -3e38  # above -inf
Groups = tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Neighbours:
    """For each of n queries its k nearest targets, the nearest first.

    Attributes:
        index: int64 (n, k) into the target; -1 where fewer targets than k were allowed.
        value: float64 (n, k): Pearson's r (highest first) or the Euclidean distance (lowest first); NaN there.
        computed: how many pairs were computed in float64, of all n m.
    """

    index: np.ndarray
    value: np.ndarray
    computed: int


def search(
    query: Rows,
    target: Rows,
    *,
    measure: Literal["pearson", "euclidean"] = "pearson",
    k: int = 1,
    query_groups: np.ndarray | None = None,
    target_groups: np.ndarray | None = None,
    memory_mib: int = 1024,
    screen: torch.dtype | None = None,
) -> Neighbours:
    """Find for each query its k nearest targets.

    Args:
        query: n rows; for Pearson's r of length one or all zero, as ``UnitRows`` makes them.
        target: m rows to search.
        measure: Pearson's r, or Euclidean distance.
        k: how many, at least 1; what is held grows with n k.
        query_groups: (n,) names; a target of the same name is left out (a subject is not compared with itself).
        target_groups: (m,) names, given together with ``query_groups``.
        memory_mib: about how much memory the blocks may take; the result does not depend on it.
        screen: bf16 or fp32; where None, what is quick on this processor. The result does not depend on it.

    Returns:
        The neighbours. A row of zeros has r = 0 with every target: its nearest are the first.

    Raises:
        UnderstudyError: sizes differ, there is no target, or values that cannot be compared.
        UsageError: k below 1, or groups of one side only.
    """
    if query.dimension != target.dimension or not len(target):
        raise UnderstudyError(
            f"{query.dimension} values a case and at least one target were expected, found {target.dimension} "
            f"values and {len(target)} targets"
        )
    if k < 1:
        raise UsageError(f"k, how many neighbours are sought, is at least 1; found {k}")
    groups = _numbered(query_groups, target_groups, len(query), len(target))
    near, dtype, best = MEASURES[measure], screen or screen_dtype(), Best(len(query), k)
    many, few = _block_rows(query, target, dtype, memory_mib)
    centre = target.block(0, min(CENTRE_ROWS, few, len(target))).mean(0, dtype=np.float64)
    keep_freed_memory()  # blocks come and go: getting them from the kernel each time takes as long as reading images
    for first in range(0, len(query), many):
        block = read_block(query, first, min(first + many, len(query)), centre, dtype)
        for start in range(0, len(target), few):
            others = read_block(target, start, min(start + few, len(target)), centre, dtype)
            _compare(near, block, others, groups, best)
            del others  # before the next is made: a name would hold it until then
        del block
    return Neighbours(best.index, np.where(best.index < 0, np.nan, near.answer(best.value)), best.computed)


def _numbered(query_groups: np.ndarray | None, target_groups: np.ndarray | None, n: int, m: int) -> Groups:
    """Return the groups of both sides as whole numbers."""
    if query_groups is None and target_groups is None:
        return None
    if query_groups is None or target_groups is None or (len(query_groups), len(target_groups)) != (n, m):
        raise UsageError(f"groups of all {n} queries and of all {m} targets were expected, or of neither")
    numbers = np.unique(np.concatenate([query_groups, target_groups]), return_inverse=True)[1].astype(np.int32)
    return numbers[:n], numbers[n:]


def _block_rows(query: Rows, target: Rows, dtype: torch.dtype, memory_mib: int) -> tuple[int, int]:
    """Return how many queries and how many targets are held: many queries, so that targets are seldom read again."""
    many, few = (x.dimension * (x.block(0, 1).itemsize + dtype.itemsize) for x in (query, target))  # bytes of a row
    room = memory_mib * 2**20
    return max(1, room * 3 // 4 // many), max(1, min(room // 8 // few, TARGET_ROWS))


def _compare(near: Measure, query: Block, target: Block, groups: Groups, best: Best) -> None:
    """Put into ``best`` what is better in these blocks."""
    bias, theirs = near.bias(target), slice(target.start, target.start + len(target.rows))
    indifferent = near.indifferent(query)
    for a in range(0, len(query.rows), QUERY_ROWS):
        rows = np.arange(a, min(a + QUERY_ROWS, len(query.rows)))
        bounds = upper_bounds(query, slice(a, a + QUERY_ROWS), target, bias)
        if groups is not None:
            bounds[torch.from_numpy(groups[0][query.start + rows, None] == groups[1][None, theirs])] = -torch.inf
        for i in np.flatnonzero(indifferent[rows]):  # all targets tie: the first will do
            needless = torch.isfinite(bounds[i]).nonzero()[best.missing(query.start + rows[i]) :, 0]
            bounds[i, needless] = -torch.inf
        _improve(near, query, rows, target, bounds, best)


def _improve(near: Measure, query: Block, rows: np.ndarray, target: Block, bounds: torch.Tensor, best: Best) -> None:
    """Compute the pairs whose bound reaches the k-th best: first the most hopeful, which raise what is to be reached.

    Args:
        near: the measure.
        query: a block, of which ...
        rows: ... these rows (n,) have ...
        target: ... with these m targets ...
        bounds: ... the bounds (n, m), -inf for pairs that are left out; overwritten.
        best: what is improved.
    """

    def floor() -> np.ndarray:
        reached = near.floor(best.value[query.start + rows, -1], query, rows)
        return np.nextafter(np.maximum(reached, LOWEST).astype(np.float32), np.float32(-np.inf))[:, None]

    beatable = best.value[query.start + rows, -1] < near.highest
    hopeful = np.flatnonzero(beatable & (bounds.amax(1).numpy() >= floor()[:, 0]))
    if not len(hopeful):
        return
    rows, bounds = rows[hopeful], bounds[hopeful]
    highest, column = (x.numpy() for x in bounds.topk(min(best.k, bounds.shape[1]), 1))
    i, place = np.nonzero(highest >= floor())
    _compute(near, query, rows[i], target, column[i, place], best)
    bounds.numpy()[i, column[i, place]] = -np.inf
    i, j = (bounds >= torch.from_numpy(floor())).nonzero().numpy().T
    _compute(near, query, rows[i], target, j, best)


def _compute(near: Measure, query: Block, i: np.ndarray, target: Block, j: np.ndarray, best: Best) -> None:
    """Compute the pairs of row i (p,) and row j (p,) of the blocks and offer them."""
    values = np.empty(len(i))

    def compute(start: int, stop: int) -> None:
        values[start:stop] = near.values(query, i[start:stop], target, j[start:stop])

    in_pieces(compute, len(i), query.rows.shape[1])
    best.take(query.start + i, target.start + j, values)
