"""The JSON file that describes a data set: hostile ones, both versions of channels and labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.sources import description as described
from understudy.data.sources.description import channel_names, description, scheme


@pytest.mark.parametrize("content", [
    b"", b"{", b"[1, 2]", b'"text"', b"null", b"\xff\xfe{\0}\0", b'{"a": "\xe9"}', b"[" * 100_000, b'{"a": ' * 50_000,
    b'{"a": ' + b"9" * 10_000 + b"}", b"\0" * 100, b"{'a': 1}",
])  # fmt: skip
def test_what_is_no_description(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UnderstudyError, match=r"dataset.json should (be JSON|hold an object)") as caught:
        description(tmp_path, "msd")
    assert len(str(caught.value)) < 500


def test_none_and_one_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no file dataset.json, which import msd needs"):
        description(tmp_path, "msd")
    (tmp_path / "dataset.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert description(tmp_path, "msd") == {"a": 1}
    monkeypatch.setattr(described, "MOST_BYTES", 3)
    with pytest.raises(UnderstudyError, match="a description with fewer was expected"):
        description(tmp_path, "msd")


@pytest.mark.parametrize(("told", "names"), [
    ({"channel_names": {"0": "T1", "1": "FLAIR"}}, ("T1", "FLAIR")),
    ({"modality": {"1": "b", "0": "a", "2": "c"}}, ("a", "b", "c")),
    ({"modality": {str(i): str(i) for i in range(11)}}, tuple(map(str, range(11)))),
    ({"channel_names": {"0": "MR", "1": "MR"}}, ("MR0", "MR1")),
    ({"channel_names": {"0": " CT "}}, ("CT",)),
])  # fmt: skip
def test_channels(told: dict[str, Any], names: tuple[str, ...]) -> None:
    assert channel_names(told, Path()) == names


@pytest.mark.parametrize(
    "told", [{}, {"modality": []}, {"modality": {}}, {"modality": {"1": "a"}}, {"modality": {"a": "b"}}]
)
def test_channels_that_are_none(told: dict[str, Any]) -> None:
    with pytest.raises(UnderstudyError, match="should name its channels"):
        channel_names(told, Path())


@pytest.mark.parametrize(("labels", "text"), [
    ({"background": 0, "tumour": 1}, "0=background,1=tumour"),
    ({"0": "background", "1": "tumour"}, "0=background,1=tumour"),
    ({"tumour": 2, "background": 0, "oedema": 1}, "0=background,1=oedema,2=tumour"),
    ({"background": "0", "tumour": "1"}, "0=background,1=tumour"),
    ({"background": 0, "tumour": [1]}, "0=background,1=tumour"),
    ({"background": 0.0, "tumour": 1.0}, "0=background,1=tumour"),
    ({"other": 0, "a": 255}, "0=other,255=a"),
    ({"tumour": 1, "Background": 2}, "2=Background,1=tumour"),
])  # fmt: skip
def test_labels_both_ways(labels: dict[str, Any], text: str) -> None:
    assert scheme(json.loads(json.dumps({"labels": labels})), Path()).to_text() == text


@pytest.mark.parametrize(("labels", "says"), [
    ({"background": 0, "whole": [1, 2], "core": [2]}, "regions of several label values.*--label-scheme"),
    ({"a": 1, "b": 2}, "which label is the background"),
    ({"background": 0, "x": True}, "no whole numbers"),
    ({"background": 0, "x": None}, "no whole numbers"),
    ({"background": 0, "x": 1.5}, "no whole numbers"),
    ({"background": 0, "x": 1, "y": 1}, "one label value twice"),
    ({"0": "background", "1": "x", "2": "x"}, "two values with one name"),
    (None, "should say under labels"),
    ({}, "should say under labels"),
])  # fmt: skip
def test_labels_that_are_not_said(labels: Any, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        scheme({"labels": labels}, Path())


def test_labels_that_stand_twice() -> None:
    with pytest.raises(UnderstudyError, match="dataset.json names one label value twice") as told:
        scheme({"labels": {"a": 0, "b": 0}}, Path())
    assert told.value.exit_code == 1
