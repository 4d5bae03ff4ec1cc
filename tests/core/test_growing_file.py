"""Files that grow: what was noted is kept, what lies behind is cut off, other bytes are begun anew."""

import hashlib
from pathlib import Path

import pytest

from understudy.core.growing_file import NOTE, GrowingFile, Written, read_note, write_note


def grown(file: Path) -> tuple[GrowingFile, Written]:
    growing = GrowingFile(file, head=4)
    growing.begin()
    growing.write(b"one")
    written = growing.sync()
    growing.write(b"lost")
    growing.close()
    return growing, written


def test_what_was_noted_is_kept_and_the_head_is_written_last(tmp_path: Path) -> None:
    _, written = grown(tmp_path / "a")
    again = GrowingFile(tmp_path / "a", head=4)
    assert again.go_on(written) and again.content() == b"one"
    again.write(b"two")
    assert again.digest.hexdigest() == hashlib.sha256(b"onetwo").hexdigest()
    again.close(b"head")
    assert (tmp_path / "a").read_bytes() == b"headonetwo"


@pytest.mark.parametrize("bad", [None, Written(bytes=99, sha256="0"), Written(bytes=3, sha256="0")])
def test_other_bytes_are_begun_anew(bad: Written | None, tmp_path: Path) -> None:
    grown(tmp_path / "a")
    again = GrowingFile(tmp_path / "a", head=4)
    assert not again.go_on(bad)
    again.begin()
    again.write(b"x")
    assert again.digest.hexdigest() == hashlib.sha256(b"x").hexdigest()
    again.close(b"head")
    assert (tmp_path / "a").read_bytes() == b"headx"


def test_a_note_is_read_for_its_own_request_only(tmp_path: Path) -> None:
    growing, _ = grown(tmp_path / "a")
    growing = GrowingFile(tmp_path / "a", head=4)
    growing.begin()
    write_note(tmp_path, {"n": (1, 2)}, {"a": growing})
    growing.close()
    note = read_note(tmp_path, {"n": (1, 2)})
    assert note is not None and note.files["a"].bytes == 0
    assert read_note(tmp_path, {"n": (1, 3)}) is None
    for text in ("{", "[]", '{"request": {"n": [1, 2]}, "files": {"a": {"bytes": "1", "sha256": ""}}}'):
        (tmp_path / NOTE).write_text(text)
        assert read_note(tmp_path, {"n": (1, 2)}) is None


def test_a_link_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        GrowingFile(tmp_path / "a")
    assert (tmp_path / "victim").read_text() == "mine"
