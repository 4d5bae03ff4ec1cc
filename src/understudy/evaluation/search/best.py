"""The best k targets of each query so far, whatever the order in which pairs arrive.

**Checked** in tests/evaluation/search/test_nearest.py.
"""

import numpy as np


class Best:
    """Index (n, k), -1 where there is none yet, and value (n, k): the highest first, of equal ones the lowest index."""

    def __init__(self, n: int, k: int) -> None:
        """Begin with nothing."""
        self.index, self.value = np.full((n, k), -1), np.full((n, k), -np.inf)
        self.k, self.computed = k, 0  # computed: pairs that were offered

    def missing(self, query: int) -> int:
        """Return how many of its k targets a query still lacks."""
        return int((self.index[query] < 0).sum())

    def take(self, query: np.ndarray, target: np.ndarray, value: np.ndarray) -> None:
        """Merge pairs in: query (p,), target (p,) and the value (p,) of each; no pair comes twice."""
        self.computed += len(query)
        rows = np.unique(query)
        query = np.concatenate([np.repeat(rows, self.k), query])
        target = np.concatenate([self.index[rows].ravel(), target])
        value = np.concatenate([self.value[rows].ravel(), value])
        order = np.lexsort((target, -value, query))
        query, target, value = query[order], target[order], value[order]
        place = np.arange(len(query)) - np.searchsorted(query, query)
        kept = place < self.k
        self.index[query[kept], place[kept]] = target[kept]
        self.value[query[kept], place[kept]] = value[kept]
