"""Orders: each item once, repeats late and apart, position and truth independent, names without order."""

import numpy as np
import pytest

from understudy.reader.ordering import item_names, reading_order, shuffled

ITEMS = [f"{i:02d}" for i in range(40)]  # the first half real


def test_every_item_once_and_repeats_later() -> None:
    order = reading_order(ITEMS, [3, 3], seed=0, reader=1)
    assert len(order) == 46 and set(order) == set(ITEMS)
    twice = [name for name in ITEMS if order.count(name) == 2]
    assert len(twice) == 6 and sum(int(name) < 20 for name in twice) == 3
    for name in twice:
        first = order.index(name)
        assert order.index(name, first + 1) - first >= 10
    assert sorted(reading_order(ITEMS, [0], seed=0, reader=1)) == ITEMS


def test_readers_have_orders_of_their_own() -> None:
    orders = [reading_order(ITEMS, [2, 2], seed=0, reader=reader) for reader in (1, 2, 1)]
    assert orders[0] == orders[2] != orders[1] != reading_order(ITEMS, [2, 2], seed=1, reader=2)


def test_neither_position_nor_neighbour_tells() -> None:
    """Over 300 orders: correlation of the truth with the position, and with the case before, is that of chance."""
    with_position, with_neighbour = [], []
    for reader in range(300):
        truth = np.array([int(name) < 20 for name in reading_order(ITEMS, [2, 2], seed=3, reader=reader)], float)
        with_position.append(np.corrcoef(truth, np.arange(len(truth)))[0, 1])
        with_neighbour.append(np.corrcoef(truth[1:], truth[:-1])[0, 1])
    error = 1 / np.sqrt(44 * 300)
    assert abs(np.mean(with_position)) < 4 * error
    assert np.mean(with_neighbour) == pytest.approx(-1 / 43, abs=4 * error)  # of a permutation of equal halves


def test_names() -> None:
    names = item_names(500, seed=0)
    assert len(set(names)) == 500 and all(len(name) == 16 and int(name, 16) >= 0 for name in names)
    ranks = np.argsort(np.argsort(names))
    assert abs(np.corrcoef(ranks, np.arange(500))[0, 1]) < 0.15
    assert item_names(3, seed=1) != names[:3] == item_names(3, seed=0)
    assert sorted(shuffled(9, 0, "x").tolist()) == list(range(9))
