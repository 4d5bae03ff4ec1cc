"""The table: what a CSV must be, and what becomes of its columns."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.sources.table import class_columns, read_table


@pytest.mark.parametrize(("content", "says"), [
    (b"file,a\n", "has no rows"),
    (b"", "has no column 'file'; it has none"),
    (b"file,a\nx.png\n", "row 2 of .* fields, more or fewer fields"),
    (b"file,a\nx.png,1,2\n", "row 2 of .* fields, more or fewer fields"),
    (b"file,a\n,1\n", "row 2 of .* names no file"),
    (b"file,a,a\nx.png,1,2\n", "two columns of one name"),
    (b"file,a\n\xff\xfe.png,1\n", "cannot be read as one"),
    (b'file,a\n"x.png,1\n', "cannot be read as one"),
])  # fmt: skip
def test_tables_that_are_none(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UnderstudyError, match=says):
        read_table(tmp_path / "t.csv", ["a"])


def test_tabs_marks_and_spaces(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"\xef\xbb\xbffile\ta \n x.png \t 1\n")
    assert read_table(tmp_path / "t.tsv", ["a"]).rows == [{"file": "x.png", "a": "1"}]


def test_class_columns() -> None:
    rows = [{"n": value, "t": text} for value, text in (("1", "b"), ("2.5", "a"), ("", "NA"), ("nan", "b"))]
    names, entries = class_columns(rows, ("n", "t"), Path("t.csv"))
    assert names == ("n", "t=a", "t=b")
    assert [list(entry.values()) for entry in entries] == [
        ["1", "0", "1"],
        ["2.5", "1", "0"],
        ["", "", ""],
        ["", "0", "1"],
    ]


def test_class_columns_that_cannot_be() -> None:
    where = Path("t.csv")
    with pytest.raises(UnderstudyError, match="is blank in every row"):
        class_columns([{"n": ""}, {"n": "NA"}], ("n",), where)
    with pytest.raises(UnderstudyError, match="has 40 different texts"):
        class_columns([{"n": f"name {i}"} for i in range(40)], ("n",), where)
    with pytest.raises(UsageError, match="would stand twice"):
        class_columns([{"split": "1"}], ("split",), where)
    with pytest.raises(UsageError, match="would stand twice"):
        class_columns([{"n": "1"}], ("n", "n"), where)


Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "..", "a\\b.png"])
def test_path_traversal_in_the_table(pictures: Path, refused: Refused, name: str) -> None:
    Image.new("RGB", (16, 12)).save(pictures / "secret.png")
    rewrite(pictures / "table.csv", "Jones-5_0.png", name)
    refused("must be named by a relative path")


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_that_leaves_the_source(tmp_path: Path, pictures: Path, refused: Refused, folder: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (16, 12)).save(outside / "secret.png")
    if folder:
        os.symlink(outside, pictures / "elsewhere")
        refused("leads out of", images="elsewhere")
    else:
        file = pictures / "images" / "Jones-5_0.png"
        file.unlink()
        os.symlink(outside / "secret.png", file)
        refused("leads out of .* through a symbolic link")
