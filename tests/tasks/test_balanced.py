"""Balanced: both sets equally often, the larger one whole, in the order asked for."""

from dataclasses import dataclass

import numpy as np

from understudy.tasks.balanced import Balanced


@dataclass
class Numbers:
    start: int
    n: int

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert chosen.max() < self.n
        return (self.start + chosen)[:, None].astype(np.float32), chosen.astype(np.uint8)


def test_both_sets_equally_often_and_the_larger_one_whole() -> None:
    cases = Balanced(Numbers(0, 3), Numbers(100, 7))
    assert len(cases) == 14
    images, targets = cases.read(np.arange(14))
    assert sorted(images[:, 0][images[:, 0] >= 100].tolist()) == [100.0 + i for i in range(7)]
    counts = np.bincount(images[:, 0][images[:, 0] < 100].astype(int))
    assert counts.sum() == 7 and counts.min() >= 2
    np.testing.assert_array_equal(targets, images[:, 0] % 100)


def test_cases_come_in_the_order_asked_for() -> None:
    cases = Balanced(Numbers(0, 5), Numbers(100, 5))
    order = np.array([9, 0, 3, 3, 8, 1])
    each = np.concatenate([cases.read(order[i : i + 1])[0] for i in range(len(order))])
    np.testing.assert_array_equal(cases.read(order)[0], each)
    assert cases.read(np.array([2, 4]))[0][:, 0].tolist() == [1.0, 2.0]
