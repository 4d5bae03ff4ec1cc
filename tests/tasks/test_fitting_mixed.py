"""Mixed: both sets in exactly the share asked for, each whole, in the order asked for; a half is what it always was."""

from dataclasses import dataclass

import numpy as np
import pytest

from understudy.tasks.fitting import Mixed


@dataclass
class Numbers:
    start: int
    n: int

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert chosen.max() < self.n
        return (self.start + chosen)[:, None].astype(np.float32), chosen.astype(np.uint8)


def all_of(cases: Mixed) -> np.ndarray:
    return cases.read(np.arange(len(cases)))[0][:, 0].astype(int)


def test_both_sets_equally_often_and_the_larger_one_whole() -> None:
    cases = Mixed(Numbers(0, 3), Numbers(100, 7))
    assert len(cases) == 14
    images, targets = cases.read(np.arange(14))
    assert sorted(images[:, 0][images[:, 0] >= 100].tolist()) == [100.0 + i for i in range(7)]
    counts = np.bincount(images[:, 0][images[:, 0] < 100].astype(int))
    assert counts.sum() == 7 and counts.min() >= 2
    np.testing.assert_array_equal(targets, images[:, 0] % 100)


@pytest.mark.parametrize(("first", "second"), [(3, 7), (7, 3), (5, 5), (1, 40)])
def test_a_half_is_what_it_always_was(first: int, second: int) -> None:
    """Even positions are the first set's, odd ones the second's: earlier results can be had again, bit by bit."""
    cases = Mixed(Numbers(0, first), Numbers(100, second), 0.5)
    assert len(cases) == 2 * max(first, second)
    expected = [(p // 2 % first) if p % 2 == 0 else 100 + p // 2 % second for p in range(len(cases))]
    assert all_of(cases).tolist() == expected


@pytest.mark.parametrize("share", [0.25, 0.75, 0.1, 0.33, 0.29, 0.99])
@pytest.mark.parametrize(("first", "second"), [(30, 70), (70, 30), (2, 99)])
def test_shares_are_exact_and_no_case_is_favoured(share: float, first: int, second: int) -> None:
    found = all_of(Mixed(Numbers(0, first), Numbers(1000, second), share))
    assert (found >= 1000).mean() == pytest.approx(share, abs=1e-12)
    for counts in (np.bincount(found[found < 1000]), np.bincount(found[found >= 1000] - 1000)):
        assert len(counts) in (first, second) and counts.min() >= 1 and np.ptp(counts) <= 1


def test_cases_come_in_the_order_asked_for() -> None:
    for share in (0.5, 0.4):
        cases = Mixed(Numbers(0, 5), Numbers(100, 5), share)
        order = np.array([9, 0, 3, 3, 8, 1])
        each = np.concatenate([cases.read(order[i : i + 1])[0] for i in range(len(order))])
        np.testing.assert_array_equal(cases.read(order)[0], each)
    assert Mixed(Numbers(0, 5), Numbers(100, 5)).read(np.array([2, 4]))[0][:, 0].tolist() == [1.0, 2.0]
