"""A key that stands twice in a mapping is refused, at any depth; so is one that is no word or number."""

import pytest
import yaml

from understudy.data.once import OnceLoader


def read(text: str) -> object:
    return yaml.load(text, OnceLoader)


def test_each_key_once() -> None:
    assert read("a: 1\nb: {a: 2, c: [{a: 3}, {a: 4}]}\n1: x") == {
        "a": 1,
        "b": {"a": 2, "c": [{"a": 3}, {"a": 4}]},
        1: "x",
    }


@pytest.mark.parametrize(("text", "says"), [
    ("a: 1\nb: 2\na: 3", "'a' stands twice"),
    ("x: [{a: 1, a: 1}]", "'a' stands twice"),
    ("{[1]: 2}", "a key is a word or a number"),
    ("2024-01-01: x", "a key is a word or a number"),
])  # fmt: skip
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(yaml.YAMLError, match=says):
        read(text)
