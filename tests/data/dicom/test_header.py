"""Header values: numbers, texts, and what is neither."""

from typing import Any

import pytest
from pydicom.datadict import keyword_for_tag

from understudy.data.dicom.header import NAMES, header_values, number, numbers, text, texts, whole

FOUND: dict[str, Any] = {
    "a": " x\0",
    "b": [1, 2.5],
    "c": "",
    "d": None,
    "e": 7.0,
    "f": 7.5,
    "g": ["x ", "y"],
    "h": b"12",
}


def test_every_name_is_an_element() -> None:
    assert [keyword_for_tag(tag) for tag in header_values()] == list(NAMES)


def test_texts() -> None:
    assert (text(FOUND, "a"), text(FOUND, "d"), text(FOUND, "z"), text(FOUND, "e")) == ("x", "", "", "7.0")
    assert (texts(FOUND, "g"), texts(FOUND, "a"), texts(FOUND, "z")) == (("x", "y"), ("x\0",), ())


def test_numbers() -> None:
    assert (number(FOUND["b"], 1), number(FOUND["b"], 2), number(""), number(None), number(7)) == (
        2.5,
        None,
        None,
        None,
        7,
    )
    assert (numbers(FOUND, "b", 2), numbers(FOUND, "c", 2), numbers(FOUND, "z", 2)) == ((1, 2.5), None, None)
    with pytest.raises(ValueError, match="b"):
        numbers(FOUND, "b", 3)
    with pytest.raises(ValueError, match="e"):
        numbers(FOUND, "e", 3)


def test_whole_numbers() -> None:
    assert (whole(FOUND, "e", 1), whole(FOUND, "c", 1), whole(FOUND, "z", 1)) == (7, 1, 1)
    for name in ("a", "b", "f", "h"):
        with pytest.raises(ValueError, match="."):
            whole(FOUND, name, 1)
