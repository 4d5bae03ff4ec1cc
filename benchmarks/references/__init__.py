"""What ``benchmarks/exactness.py`` measures: every number of an evaluation against a reference, a row of the page each.

A row is a function that computes the same number twice, on data that it makes up from a seed, and returns the largest
difference that it found.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np


@dataclass(frozen=True)
class Row:
    """One row of the page.

    Attributes:
        metrics: names in the menus, or of statistics.
        reference: what they are held against, in words.
        setting: how many cases (n), features (F) and what else decides the error.
        bound: what the error may be at most.
        test: the file below tests/ that holds the bound.
        measure: returns the largest error found.
        library: the distribution that the reference comes from, "" where it is computed by hand.
        relative: whether errors are relative.
    """

    metrics: tuple[str, ...]
    reference: str
    setting: str
    bound: float
    test: str
    measure: Callable[[], float]
    library: str = ""
    relative: bool = False

    @property
    def source(self) -> str:
        """The reference with the version that is installed."""
        return f"{self.library} {version(self.library)}: {self.reference}" if self.library else self.reference


def largest(
    found: Iterable[float] | np.ndarray, expected: Iterable[float] | np.ndarray, relative: bool = False
) -> float:
    """Return the largest difference of two sets of numbers.

    Infinite where only one of two is NaN; beside an expected 0 a difference counts as it is.
    """
    a, b = (np.asarray(x if isinstance(x, np.ndarray) else list(x), float) for x in (found, expected))
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    differences = np.abs(np.subtract(a, b, out=np.zeros(a.shape), where=a != b))
    if relative:
        differences = np.divide(differences, np.abs(b), out=differences, where=b != 0)
    return float(np.nanmax(differences))
