"""Cases of two raters matched by slice or case id, cases of one rater only, and each refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.evaluation.interrater.pairing import pair

Rater = Callable[..., Path]
Maps = dict[str, list[np.ndarray | None]]


def marked(value: int, slices: int = 3) -> list[np.ndarray | None]:
    """Return slices that differ from each other and from those of another value."""
    maps: list[np.ndarray | None] = []
    for i in range(slices):
        drawn = np.zeros((16, 16), np.uint8)
        drawn[value, i] = 1
        maps.append(drawn)
    return maps


def without(maps: Maps, subject: str, i: int) -> Maps:
    return {name: [None if (name, j) == (subject, i) else m for j, m in enumerate(m_)] for name, m_ in maps.items()}


ONE: Maps = {name: marked(k) for k, name in enumerate("pqr")}
TWO: Maps = {name: marked(k + 8) for k, name in enumerate("pqr")}


def test_slices_are_matched_by_their_index_and_not_by_their_number(tmp_path: Path, rater: Rater) -> None:
    one, two = rater(tmp_path / "a", without(ONE, "q", 2)), rater(tmp_path / "b", without(TWO, "p", 0))
    found = pair(one, two, "test")
    assert found.alone == (1, 1) and found.lost == 0 and found.subjects == ["p", "q", "r"] and len(found.rows) == 7
    first, second = Cohort.open(one), Cohort.open(two)
    for column in ("subject_id", "slice_index"):
        assert (first.column(column)[found.rows] == second.column(column)[found.others]).all()
    assert (first.column("case_id")[found.rows] != second.column("case_id")[found.others]).any()


def test_only_the_split_of_the_first_counts(tmp_path: Path, rater: Rater) -> None:
    one = rater(tmp_path / "a", ONE)
    two = rater(tmp_path / "b", {"o": marked(5), **without(TWO, "p", 0)}, split="train")
    assert pair(one, two, "test").alone == (1, 0) and pair(one, two, "all").alone == (1, 3)
    with pytest.raises(UnderstudyError, match="in the train split of a, found 0: import both .*--set split=all"):
        pair(one, two, "train")
    fewer = rater(tmp_path / "c", {name: TWO[name] for name in "pq"})
    assert pair(one, fewer, "test").lost == 1 and pair(one, fewer, "test").alone == (3, 0)


def test_pictures_are_matched_by_case_id_and_told_apart_by_their_images(tmp_path: Path, rater: Rater) -> None:
    one = rater(tmp_path / "a", ONE, slices=False)
    assert len(pair(one, rater(tmp_path / "b", TWO, slices=False), "test").rows) == 9
    last = rater(tmp_path / "c", without(TWO, "p", 2), slices=False)
    assert pair(one, last, "test").alone == (1, 0)
    with pytest.raises(UnderstudyError, match="2 of 8 cases of a and d show another image: import the same images"):
        pair(one, rater(tmp_path / "d", without(TWO, "p", 0), slices=False), "test")
    maps = rater(tmp_path / "e", without(TWO, "p", 2), slices=False, images=False)
    with pytest.raises(UnderstudyError, match="neither a slice index nor images to match them by"):
        pair(one, maps, "test")
    assert len(pair(one, rater(tmp_path / "f", TWO, slices=False, images=False), "test").rows) == 9


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"noise": 1}, "9 of 9 cases of a and b show another image"),
        ({"kind": "synthetic"}, "--other needs a rater's label maps of real cases, and b is synthetic"),
        ({"scheme": LabelScheme(("background", "core", "edge"), (0, 1, 2))}, "its label scheme is .*edge"),
        ({"scheme": None}, "needs label maps, and the cohort b has none"),
    ],
)
def test_what_is_not_a_second_reading_is_refused(
    tmp_path: Path, rater: Rater, changes: dict[str, Any], says: str
) -> None:
    one, two = rater(tmp_path / "a", ONE), rater(tmp_path / "b", TWO, **changes)
    with pytest.raises(UnderstudyError, match=says):
        pair(one, two, "test")


def test_one_reader_twice_is_refused(tmp_path: Path, rater: Rater) -> None:
    one = rater(tmp_path / "a", ONE)
    with pytest.raises(UsageError, match="a and a are the same cohort"):
        pair(one, one, "test")
