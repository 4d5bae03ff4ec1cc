"""What both text headers share: numbers, data files beside a header, and voxels that are all there."""

import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import LONGER
from understudy.data.formats.text_header import Fields, TextHeader, beside, located, refuse_damaged

BODY = bytes(range(48))
NAMES = [
    "/etc/passwd", "../a.raw", "b/../../a.raw", "..", ".", "LIST", "LIST 2", "a%02d.raw 1 4 1", "C:\\a.raw", "C:a.raw",
    "b\\a.raw", "", "a\x07.raw", "x" * 300, "a.mha", "missing.raw", "out.raw", "folder", "pipe", "round", " ",
    "é" * 200,
]  # fmt: skip


def header(file: Path, body: bytes = BODY, zipped: bool = False, start: int = 4) -> TextHeader:
    file.write_bytes(b"head" + body)
    return TextHeader("NRRD", (2, 3, 4), 1, "int16", False, True, 1.0, file, start, zipped, ())


@pytest.fixture
def fields(tmp_path: Path) -> Callable[[str], Fields]:
    def go(value: str) -> Fields:
        out = Fields(tmp_path / "a.mha", "MetaImage")
        out.put("name", value)
        return out

    return go


def test_numbers(fields: Callable[[str], Fields]) -> None:
    assert fields(" 2 -3 +4 ").whole("name") == (2, -3, 4)
    assert fields("2").one("name", "") == fields("1").one("other", "2") == 2
    assert fields("").real("name", ["1", "-.5", "2.", "1e-3"], 4) == (1, -0.5, 2, 0.001)
    assert fields("").factor({"MM"}) == (1.0, ())


@pytest.mark.parametrize("value", ["", "x", "1.0", "1e3", "0x10", "1_0", "\u0661", "9" * 19, "1 " * 17])
def test_what_is_no_whole_number(fields: Callable[[str], Fields], value: str) -> None:
    with pytest.raises(UnderstudyError, match="whole numbers were expected"):
        fields(value).whole("name")


@pytest.mark.parametrize("word", ["", "x", "nan", "inf", "-inf", "0x1", "1_0", "1e8", "1e400", "1e-4000", "\u0661"])
def test_what_is_no_number(fields: Callable[[str], Fields], word: str) -> None:
    with pytest.raises(UnderstudyError, match="1 numbers, none of them beyond 1e.07, were expected"):
        fields("").real("name", [word], 1)


def test_a_field_stands_once_and_is_text(fields: Callable[[str], Fields]) -> None:
    with pytest.raises(UnderstudyError, match="says 'name' twice"):
        fields("1").put("name", "1")
    with pytest.raises(UnderstudyError, match="no text"):
        fields("").line(b"a\0b")


@pytest.mark.parametrize("name", NAMES)
def test_data_files_that_are_not_followed(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in"
    (inside / "folder").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(BODY)
    (inside / "a.mha").write_bytes(BODY)
    (inside / "out.raw").symlink_to(tmp_path / "a.raw")
    (inside / "round").symlink_to(inside / "round")
    os.mkfifo(inside / "pipe")
    with pytest.raises(UnderstudyError, match="names"):
        beside(inside / "a.mha", name)


@pytest.mark.parametrize("name", ["a.raw", "b/a.raw", "b/\u00e9 1.raw", "link.raw"])
def test_a_data_file_beside_or_below(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    for there in ("a.mha", "a.raw", "b/a.raw", "b/\u00e9 1.raw"):
        (tmp_path / there).write_bytes(BODY)
    (tmp_path / "link.raw").symlink_to("a.raw")
    assert beside(tmp_path / "a.mha", name) == tmp_path / name


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_packed_voxels_are_checked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file, packed = tmp_path / "a.nrrd", pack(BODY)
    wrong = bytearray(packed)
    wrong[-5 if pack is gzip.compress else -1] ^= 1
    assert refuse_damaged(header(file, packed, zipped=True), file) == ()
    assert refuse_damaged(header(file, pack(BODY + b"more"), zipped=True), file) == (LONGER,)
    for body in (packed[:-1], packed[:20], bytes(wrong), pack(BODY[:-1]), b"no stream at all, but long enough", b""):
        with pytest.raises(UnderstudyError, match="cannot be read as one"):
            refuse_damaged(header(file, body, zipped=True), file)


def test_voxels_that_go_on(tmp_path: Path) -> None:
    found = header(tmp_path / "a.nrrd", BODY + b"more")
    assert refuse_damaged(found, found.data) == (LONGER,)
    assert refuse_damaged(located(replace(found, start=-1), found.data), found.data) == ()


def test_more_than_there_is(tmp_path: Path) -> None:
    file = tmp_path / "a.nrrd"
    assert located(header(file), file).start == 4
    assert located(header(file, start=-1), file).start == 4
    with pytest.raises(UnderstudyError, match="needs 48 bytes, and at most 47 are there"):
        located(header(file, BODY[:-1]), file)
    with pytest.raises(UnderstudyError, match="needs 48 bytes, and at most 0 are there"):
        located(header(file, start=99), file)
    with pytest.raises(UnderstudyError, match="needs 1,940,598 bytes, and at most 4,128 are there"):
        located(replace(header(file, b"1234", zipped=True), axes=(99, 99, 99)), file)
    with pytest.raises(UnderstudyError, match="should be the last bytes"):
        located(header(file, zipped=True, start=-1), file)
    with pytest.raises(UnderstudyError, match="should be the last bytes"):
        located(header(file, b"", start=-1), file)
