"""What is no JSON, or of other types than its model, is refused in one sentence that says what to do."""

import json
import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from understudy.core.documents import MOST_BITS, STRICT, PlainData, Whole, read_document
from understudy.core.errors import UnderstudyError


class Toy(BaseModel):
    """A document of three entries."""

    model_config = STRICT

    name: str
    n: int = 0
    value: float | None = None


def read(file: Path, content: str | bytes) -> Toy:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_document(file, Toy, "a toy", "play again")


def test_what_fits_is_read(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", '{"name": "x", "n": 3, "value": 2}')
    assert (found.name, found.n, found.value) == ("x", 3, 2.0)
    assert read(tmp_path / "a.json", '{"name": "x", "value": 0.1234567890123456789}').value == 0.1234567890123456789


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"name"',
        "[" * 100_000,
        '{"name": ' * 100_000,
        '{"name": 1}',
        '{"n": 1}',
        '{"name": "x", "n": "1"}',
        '{"name": "x", "n": 1.5}',
        '{"name": "x", "n": true}',
        '{"name": "x", "value": NaN}',
        '{"name": "x", "value": 1e999}',
        '{"name": "x", "value": [1]}',
        '{"name": "x", "more": 1}',
        b'{"name": "\xff"}',
        '{"name": "x"}'.encode("utf-16"),
        b"\0" * 9,
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(UnderstudyError) as refused:
        read(tmp_path / "a.json", content)
    said = str(refused.value)
    assert "a.json is not a toy that understudy wrote (" in said and said.endswith("): play again")
    assert "\n" not in said and len(said) < 700


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    os.truncate(tmp_path / "a.json", 2**43)  # holes, which take no room
    with pytest.raises(UnderstudyError, match="is not a toy .*found more than 1,073,741,824 bytes.: play again"):
        read_document(tmp_path / "a.json", Toy, "a toy", "play again")


def test_many_mistakes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([1] * 50))
    with pytest.raises(UnderstudyError, match="0: .*; 1: .*; 2: .* and 47 more"):
        read_document(tmp_path / "a.json", list[str], "a list", "again")


def test_a_pipe_a_folder_or_nothing_in_the_place_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path, tmp_path / "none", tmp_path / "pipe"):
        with pytest.raises(UnderstudyError, match="is not a toy"):
            read_document(file, Toy, "a toy", "play again")


class Numbers(BaseModel):
    """A document of whole numbers, one of them deep in plain data."""

    model_config = STRICT

    n: Whole = 0
    plain: PlainData = {}


def test_whole_numbers_that_nobody_writes_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    most, file = 2**MOST_BITS - 1, tmp_path / "a.json"
    for number in (most, -most, 0):
        file.write_text(json.dumps({"n": number, "plain": {"a": [{"b": number}]}}))
        assert read_document(file, Numbers, "a toy", "play again").n == number
    for wrong in ({"n": most + 1}, {"n": -(10**400)}, {"plain": {"a": [{"b": 10**400}]}}):
        file.write_text(json.dumps(wrong))
        with pytest.raises(UnderstudyError, match=f"at most {MOST_BITS} bits was expected, found [0-9]+.: play again"):
            read_document(file, Numbers, "a toy", "play again")
