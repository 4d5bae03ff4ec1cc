"""What near means: Pearson's r or Euclidean distance, as values of which the higher is better, exact in float64.

Both follow from inner products of rows minus a centre c, which are short where rows are alike, so that little is lost
by rounding them: with q' = q - c and t' = t - c

    q.t       = q'.t' + (|q|^2 - |q'|^2) / 2 + (|t|^2 - |t'|^2) / 2
    |q - t|^2 = |q'|^2 + |t'|^2 - 2 q'.t'

Of a query's targets the nearest has the greatest score q'.t' + bias, where the bias depends on the target alone. The
screen bounds scores; what it lets through is computed here.
**Checked** in tests/evaluation/search/test_nearest.py (numpy.corrcoef, distances in float64).
"""

from typing import Protocol

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.evaluation.search.screen import Block

APART = 1e-6  # by which the square of a row's length may differ from one
UNLIKE = 2 * APART  # above what r = q.t / (|q| |t|) can differ from q.t


class Measure(Protocol):
    """What a search asks of a measure."""

    highest: float  # value: a target that has it is beaten by none behind it

    def bias(self, target: Block) -> np.ndarray:
        """Return (m,) what is added to the products with each target to make the scores."""
        ...

    def floor(self, value: np.ndarray, query: Block, rows: np.ndarray) -> np.ndarray:
        """Return the score that has this value (n,), for these rows (n,) of the queries."""
        ...

    def indifferent(self, query: Block) -> np.ndarray:
        """Return a mask (n,) of queries to which all targets are equally near."""
        ...

    def values(self, query: Block, i: np.ndarray, target: Block, j: np.ndarray) -> np.ndarray:
        """Return the exact values (p,) of the pairs of query i (p,) and target j (p,)."""
        ...

    def answer(self, value: np.ndarray) -> np.ndarray:
        """Return what the values are called outside."""
        ...


class Pearson:
    """Pearson's r of rows that are centred and of length one."""

    highest = 1.0

    def bias(self, target: Block) -> np.ndarray:
        """Return (|t|^2 - |t'|^2) / 2.

        Raises:
            UnderstudyError: a row is neither of length one nor all zero.
        """
        _check_unit(target)
        return (target.squares - target.length**2) / 2

    def floor(self, value: np.ndarray, query: Block, rows: np.ndarray) -> np.ndarray:
        """Return r - (|q|^2 - |q'|^2) / 2, lower by what r may differ from q.t: lengths are one but for fp32."""
        return value - UNLIKE - (query.squares[rows] - query.length[rows] ** 2) / 2

    def indifferent(self, query: Block) -> np.ndarray:
        """Return which rows are all zero: constant cases, at r = 0 from everything.

        Raises:
            UnderstudyError: a row is neither of length one nor all zero.
        """
        _check_unit(query)
        return query.squares == 0

    def values(self, query: Block, i: np.ndarray, target: Block, j: np.ndarray) -> np.ndarray:
        """Return r of each pair."""
        products = (query.rows[i].astype(np.float64) * target.rows[j].astype(np.float64)).sum(1)
        return _r(products, query.squares[i], target.squares[j])

    def answer(self, value: np.ndarray) -> np.ndarray:
        """Return r."""
        return value


class Euclidean:
    """Euclidean distance; a value is minus its square."""

    highest = 0.0

    def bias(self, target: Block) -> np.ndarray:
        """Return -|t'|^2 / 2."""
        return -(target.length**2) / 2

    def floor(self, value: np.ndarray, query: Block, rows: np.ndarray) -> np.ndarray:
        """Return (|q'|^2 - distance^2) / 2."""
        return (query.length[rows] ** 2 + value) / 2

    def indifferent(self, query: Block) -> np.ndarray:
        """Return that there are none."""
        return np.zeros(len(query.rows), bool)

    def values(self, query: Block, i: np.ndarray, target: Block, j: np.ndarray) -> np.ndarray:
        """Return minus the squared distance of each pair, from differences: equal rows are at 0."""
        difference = query.rows[i].astype(np.float64) - target.rows[j].astype(np.float64)
        return -(difference**2).sum(1)

    def answer(self, value: np.ndarray) -> np.ndarray:
        """Return the distance."""
        return np.sqrt(-value)


MEASURES: dict[str, Measure] = {"pearson": Pearson(), "euclidean": Euclidean()}


def exact_r(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Pearson's r of centred vectors, row by row, in float64; 0 where one of them is all zero.

    Args:
        a: (n, d) centred.
        b: (n, d) centred.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    return _r((a * b).sum(1), (a * a).sum(1), (b * b).sum(1))


def _r(products: np.ndarray, squares_a: np.ndarray, squares_b: np.ndarray) -> np.ndarray:
    length = np.sqrt(squares_a * squares_b)
    return np.clip(products / np.where(length > 0, length, 1), -1, 1)


def _check_unit(block: Block) -> None:
    odd = (np.abs(block.squares - 1) > APART) & (block.squares > 0)
    if odd.any():
        raise UnderstudyError(
            f"for Pearson's r centred rows of length one were expected, found one of {block.squares[odd][0] ** 0.5:g}: "
            "wrap the rows in UnitRows"
        )
