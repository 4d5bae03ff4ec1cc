"""A screen: upper bounds of all inner products of two blocks, from one quick matrix product of rounded rows.

Rows are rounded to bf16 where the processor multiplies bf16 faster than fp32. Let q, t be the rows, q^, t^ rounded,
and u = 2^-24. What the product can be off by is bounded, whatever the order in which a library adds:

- rounding of the rows: |q.t - q^.t^| = |(q - q^).t + q^.(t - t^)| <= |q - q^| |t| + |q^| |t - t^| (Cauchy-Schwarz),
  with the lengths of what was lost measured row by row in float64;
- adding n products in fp32 (products of bf16 are exact in it): at most n u / (1 - n u) |q^| |t^|; long rows are
  multiplied in runs of 2^16 values, whose sums are added, so that n is the length of a run plus the number of runs;
- rounding of each result to bf16: at most 1/255 of what comes out (half a unit of its 8th bit).

**Source**: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, section 3.1 (inner products).
**Differs**: what fp32 does to the bounds themselves, and numbers too small for it, are allowed for as well.
**Checked** in tests/evaluation/search/test_screen.py (no product above its bound, rounded rows that add up the wrong
way, bounds no wider than stated).
"""

from dataclasses import dataclass

import numpy as np
import torch

from understudy.core.errors import UnderstudyError
from understudy.evaluation.search.rows import Rows, in_pieces
from understudy.training.engine import has_fast_bf16

UNIT = 2.0**-24  # u, the rounding of fp32
SLACK = 16 * UNIT  # of the handful of fp32 operations on a product, and of vectors whose length is one but for fp32
BF16_RESULT = 0.00393  # above 1/255
UNDERFLOW = 2.0**-120  # matrix units may take denormal numbers, given or made, for zero
RUN = 2**16  # values of a row that are multiplied at once: beyond 2^24, a whole volume, fp32 sums have no bound
LONGEST = 1e15  # of a row: the square of it is far from the end of fp32


@dataclass(frozen=True)
class Block:
    """Some rows, as they are and rounded for the screen.

    Attributes:
        start: number of the first row in its source.
        rows: (n, d) float32 or float64.
        squares: (n,) float64, |row|^2.
        rounded: (n, d) bf16 or fp32: the rows minus the centre.
        length: (n,) float64, of the rows minus the centre.
        lost: (n,) float64, length of what rounding took off them.
    """

    start: int
    rows: np.ndarray
    squares: np.ndarray
    rounded: torch.Tensor
    length: np.ndarray
    lost: np.ndarray


def screen_dtype() -> torch.dtype:
    """Return bf16 where the processor has instructions for it, else fp32."""
    return torch.bfloat16 if has_fast_bf16("cpu") else torch.float32


def read_block(source: Rows, start: int, stop: int, centre: np.ndarray, dtype: torch.dtype) -> Block:
    """Read some rows and round them.

    Args:
        source: where they are.
        start: the first.
        stop: behind the last; the end of the source at most.
        centre: (d,) subtracted before rounding.
        dtype: of the screen.

    Raises:
        UnderstudyError: a value is NaN or infinite, or a row is too long for fp32.
    """
    n, d, first = stop - start, source.dimension, source.block(start, start + 1)
    rows, squares = np.empty((n, d), first.dtype), np.empty(n)
    rounded, length, lost = torch.empty((n, d), dtype=dtype), np.empty(n), np.empty(n)

    def read(a: int, b: int) -> None:
        rows[a:b] = source.block(start + a, start + b)
        squares[a:b] = (rows[a:b].astype(np.float64) ** 2).sum(1)

    in_pieces(read, n, d)
    offset, size = torch.from_numpy(centre), max(1, 2**20 // d)
    for a in range(0, n, size):
        exact = torch.from_numpy(rows[a : a + size]) - offset  # float64, as the centre is
        length[a : a + size] = torch.linalg.vector_norm(exact, dim=1).numpy()
        rounded[a : a + size] = exact
        lost[a : a + size] = torch.linalg.vector_norm(exact.sub_(rounded[a : a + size]), dim=1).numpy()
    if not (length <= LONGEST).all():
        raise UnderstudyError(
            f"finite rows of a length up to {LONGEST:g} were expected, found one of {length.max():g}: look for NaN or "
            "infinite values with `understudy check`, or scale the features"
        )
    return Block(start, rows, squares, rounded, length, lost)


def upper_bounds(query: Block, rows: slice, target: Block, bias: np.ndarray) -> torch.Tensor:
    """Return for each pair a number that is certainly not below q.t + bias, both minus the centre; fp32 (n, m).

    Args:
        query: a block, of which ...
        rows: ... these rows are multiplied.
        target: another block.
        bias: (m,) float64, added to the products with each of its rows.
    """
    d, rounded_q, rounded_t = query.rows.shape[1], query.length[rows] + query.lost[rows], target.length + target.lost
    bounds = _product(query.rounded[rows, :RUN], target.rounded[:, :RUN])
    for a in range(RUN, d, RUN):
        bounds += _product(query.rounded[rows, a : a + RUN], target.rounded[:, a : a + RUN])
    added = (min(d, RUN) + -(-d // RUN)) * UNIT
    adding = added / (1 - added) + SLACK
    for_target = bias + SLACK * np.abs(bias) + d * UNDERFLOW * (1 + rounded_t)
    for_query = SLACK * query.length[rows] ** 2 + d * UNDERFLOW * rounded_q
    bounds += _fp32(for_target)
    bounds += _fp32(for_query)[:, None]
    bounds.addr_(_fp32(query.lost[rows]), _fp32(target.length))
    bounds.addr_(_fp32(rounded_q), _fp32(target.lost + adding * rounded_t))
    return bounds


def _product(query: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the products of rows, fp32 (n, m); those of bf16 raised by what rounding the result may have taken off."""
    if query.dtype == torch.bfloat16:
        product = (query @ target.T).float()
        return product.add_(product.abs().mul_(BF16_RESULT))
    return torch.from_numpy(query.numpy() @ target.numpy().T)  # torch may have been told to multiply in fewer bits


def _fp32(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x).float()
