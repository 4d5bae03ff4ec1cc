"""In which order a reader sees the cases: at random, each reader another, some of them twice.

The order is a plain random permutation: whoever knows the first half can foretell nothing of the second but what the
balance of real and synthetic cases says, which is not told. Repeats stand in the second half, far from their first
showing. **Checked** in tests/reader/test_ordering.py (every case once; position and truth independent; repeats apart).
"""

from collections.abc import Sequence

import numpy as np

from understudy.core.seed import rng


def reading_order(items: Sequence[str], repeats: Sequence[int], seed: int, reader: int) -> list[str]:
    """Return the order of one reader: every item once, and of each kind as many again as ``repeats`` says.

    Args:
        items: names, kind by kind; all kinds have equally many items.
        repeats: how many items of each kind come twice.
        seed: of the study.
        reader: the number of the reader.
    """
    draw = rng(seed, "reader", "order", reader)
    order = [items[i] for i in draw.permutation(len(items))]
    each = len(items) // len(repeats)
    half = max(1, len(order) // 2)
    again: list[str] = []
    for kind, wanted in enumerate(repeats):
        mine = set(items[kind * each : (kind + 1) * each])
        early = [name for name in order[:half] if name in mine]
        again += early[:wanted]
    for name in (again[i] for i in draw.permutation(len(again))):
        first = order.index(name)
        lowest = max(half, first + max(1, len(items) // 3))
        order.insert(int(draw.integers(min(lowest, len(order)), len(order) + 1)), name)
    return order


def item_names(n: int, seed: int) -> list[str]:
    """Return n names of items, 16 hexadecimal digits each, all different, in no order."""
    draw = rng(seed, "reader", "names")
    names: dict[str, None] = {}
    while len(names) < n:
        names[draw.bytes(8).hex()] = None
    return list(names)


def shuffled(n: int, seed: int, what: str) -> np.ndarray:
    """Return a random order of 0..n-1."""
    return rng(seed, "reader", what).permutation(n)
