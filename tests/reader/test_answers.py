"""What may be answered: each kind of question, and what is refused."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from understudy.core.documents import parsed
from understudy.core.errors import UsageError
from understudy.reader.answers import SentAnswer, refuse_unasked


def test_a_whole_answer_is_taken(reading: Any) -> None:
    refuse_unasked(reading.plan().asked, reading.SAID)
    without = {name: value for name, value in reading.SAID.items() if name != "comment"}
    refuse_unasked(reading.plan().asked, without | {"findings": []})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", {"call": "left", "confidence": 3}),
        ("source", {"call": "real", "confidence": 6}),
        ("source", {"call": "real", "confidence": True}),
        ("source", {"call": "real"}),
        ("source", "real"),
        ("realism", 3),
        ("realism", -1),
        ("realism", 1.0),
        ("realism", None),
        ("outline", 1),
        ("findings", [0, 0]),
        ("findings", [2]),
        ("findings", 0),
        ("comment", "x" * 2001),
        ("comment", 5),
        ("other", 1),
    ],
)
def test_another_answer_is_refused(reading: Any, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        refuse_unasked(reading.plan().asked, reading.SAID | {name: value})


def test_no_answer_is_refused(reading: Any) -> None:
    with pytest.raises(UsageError, match="'source' has no answer"):
        refuse_unasked(reading.plan().asked, {})


def test_a_whole_document_is_read(reading: Any) -> None:
    assert parsed(json.dumps(reading.sent(3)).encode(), SentAnswer).position == 3


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"position": 0}',
        b'{"reader": 1, "position": "0", "nonce": "00000000000000000000000000000000", "answers": {}, "seconds": 1}',
        b'{"reader": 1, "position": -1, "nonce": "00000000000000000000000000000000", "answers": {}, "seconds": 1}',
        b'{"reader": 1, "position": 0, "nonce": "../x", "answers": {}, "seconds": 1}',
        b'{"reader": 1, "position": 0, "nonce": "00000000000000000000000000000000", "answers": {}, "seconds": NaN}',
        b'{"reader": 1, "position": 0, "nonce": "00000000000000000000000000000000", "answers": {}, "x": 1}',
    ],
)
def test_other_documents_are_refused(text: bytes) -> None:
    with pytest.raises(ValidationError):
        parsed(text, SentAnswer)
