"""Only a regular file is opened; everything else is named at once."""

import os
from pathlib import Path

import pytest

from understudy.core.errors import UsageError
from understudy.core.regular_file import open_regular, read_regular


def test_a_file_and_a_link_to_it_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        with open_regular(tmp_path / name, "a file") as handle:
            assert handle.read() == b"abc"


def test_everything_else_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, found in (
        ("pipe", "a pipe"), ("circle", "what cannot be opened"), (".", "a folder"), ("none", "nothing"),
        ("/dev/null", "a device"), ("pipe/below", "nothing"), ("x" * 5000, "what cannot be opened"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"a file was expected at .*, found {found}"):
            open_regular(tmp_path / name, "a file")


def test_a_file_is_read_as_far_as_its_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_regular(tmp_path / "a", "a file") == read_regular(tmp_path / "a", "a file", 3) == b"abc"
    with pytest.raises(UsageError, match="a file was expected at .*/a, found more than 2 bytes"):
        read_regular(tmp_path / "a", "a file", 2)
    os.truncate(tmp_path / "a", 2**43)  # holes, which take no room
    with pytest.raises(UsageError, match="found more than 1,073,741,824 bytes"):
        read_regular(tmp_path / "a", "a file")
