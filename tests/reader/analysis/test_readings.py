"""Answers as matrices: the first showing counts, repeats make pairs, readers who are not through are left out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.reader.analysis.readings import rating, read_readings
from understudy.reader.create import Created
from understudy.reader.store import Answer, Store


def say_all(made: Created, reader: int, said: Callable[[int], Any], until: int | None = None) -> None:
    store = Store(made.folder)
    total = 26 if until is None else until
    store.add_all((Answer(reader, p, said(p), 2.0 + p, 1.0), f"n{p}") for p in range(total))
    store.close()


def test_first_answers_count_and_repeats_are_pairs(make: Callable[..., Created], reading: Any) -> None:
    made = make()
    say_all(made, 1, lambda p: reading.SAID | {"source": {"call": "real" if p % 2 else "synthetic", "confidence": 3}})
    say_all(made, 2, lambda p: reading.SAID, until=25)
    found = read_readings(made.folder)
    assert (found.readers, found.unfinished) == ([1], [2]) and len(found.items) == 24
    assert found.synthetic.tolist() == [False] * 12 + [True] * 12
    assert found.generators == ["gan"] and set(found.stratum) == {"none", "ill"}
    order = found.orders[0].tolist()
    for item in range(24):
        assert found.first[0, item] == order.index(item)
        assert found.ratings[0, item] == (3 if order.index(item) % 2 else 8)
    first, second = found.repeated[0]
    twice = [item for item in range(24) if order.count(item) == 2]
    assert len(first) == len(twice) == 2
    places = [[p for p, one in enumerate(order) if one == item] for item in twice]
    assert [[a, b] for a, b in zip(first, second, strict=True)] == [
        [3 if p % 2 else 8 for p in pair] for pair in places
    ]
    assert (found.correct == (found.calls == found.synthetic)).all()
    assert len(found.correct_in_order[0]) == 26 and found.seconds[0][3] == 5.0
    assert np.array(found.values("realism")).tolist() == [[2] * 24]


def test_a_rating_is_a_call_with_its_confidence() -> None:
    both = [
        [rating({"call": call, "confidence": c}) for c in (1, 5)] for call in ("real", "synthetic", "left", "right")
    ]
    assert both == [[5, 1], [6, 10], [5, 1], [6, 10]]


def test_nobody_is_through(make: Callable[..., Created], reading: Any) -> None:
    made = make()
    say_all(made, 1, lambda p: reading.SAID, until=3)
    with pytest.raises(UnderstudyError, match="no reader of .* has answered every case"):
        read_readings(made.folder)


def test_the_truth_may_lie_elsewhere(make: Callable[..., Created], reading: Any) -> None:
    made = make()
    say_all(made, 1, lambda p: reading.SAID)
    away = made.folder.parent / "kept.json"
    (made.folder / "truth.json").rename(away)
    assert read_readings(made.folder, away).readers == [1]
    with pytest.raises(UnderstudyError, match="name the file with --truth"):
        read_readings(made.folder)
