"""The table: what a CSV must be, and what becomes of its columns."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.sources import table as tables
from understudy.data.sources.table import ALIKE, BLANK_LINES, alike, class_columns, read_table


@pytest.mark.parametrize(("content", "says"), [
    (b"file,a\n", "has no rows"),
    (b"", "has no column 'file'; it has none"),
    (b"file,a\nx.png\n", "row 2 of .* fields, more or fewer fields"),
    (b"file,a\nx.png,1,2\n", "row 2 of .* fields, more or fewer fields"),
    (b"file,a,\nx.png,1\ny.png,1,\n", "row 3 of .* has 3 fields, more or fewer fields than the header's 2"),
    (b"file,a,\nx.png,1,\ny.png,1\n", "row 3 of .* has 2 fields, more or fewer fields than the header's 3"),
    (b"file,,,a\nx.png,,,1\n", "two columns of one name"),
    (b"file,a\n,1\n", "row 2 of .* names no file"),
    (b"file,a,a\nx.png,1,2\n", "two columns of one name"),
    (b"file,a\n\xff\xfe.png,1\n", "cannot be read as one"),
    (b'file,a\n"x.png,1\n', "cannot be read as one"),
    (b"file;a\nx.png;1\n", "separated by semicolons, and commas were expected"),
    (b"file\ta\nx.png\t1\n", r"separated by tabs, .* .or call it .tsv"),
    (b"file|a\nx.png|1\n", "separated by bars"),
    ("file,a\nx.png,1\n".encode("utf-16"), "UTF-8 .*it is UTF-16, or no text"),
    ("file,a\nx.png,1\n".encode("utf-16-be"), "it is UTF-16, or no text"),
    ("file,a\nx.png,1\n".encode("utf-32"), "it is UTF-16, or no text"),
    ("file,a\nm\xfcller.png,1\n".encode("latin-1"), "save it as CSV in UTF-8"),
    (b"file,a\nx.png,\0\n", "no text"),
    (b"file,a\nx.png," + b"1" * 10**6 + b"\n", "field larger than field limit"),
    (b'file,a\n"' + b"x" * 10**6, "cannot be read as one"),
    (b'file,a\nx"y.png,"1"2\n', "cannot be read as one"),
    (b"file,a\nx.png,1\n,,\n", "row 3 of .* has 3 fields"),
    (b"file,a\nx.png,1\n,\n,\n", "row 3 of .* names no file, as do 2 row.s. in all"),
    (b"file,a\nx.png,1\n./x.png,1\n", "rows 2 and 3 of .* name the same file x.png"),
    (b"file,a\na/x.png,1\n\na//x.png,1\n", "rows 2 and 4 of .* name the same file a/x.png"),
    ("file,a\n\u00e9.png,1\ne\u0301.png,1\n".encode(), "rows 2 and 3 of .* name the same file"),
    (b"file,a\na\\x.png,1\n", r"write / in place of \\"),
    (b"file,a\n../x.png,1\n", "without '..'"),
    (b"file,a\n/x.png,1\n", "without '..'"),
    (b"file,a\n.,1\n", "without '..'"),
    (b"name,a\nx.png,1\n", "has no column 'file'; it has name, a; name the column of file names with --file-column"),
    (b"File,a\nx.png,1\n", "has no column 'file'; it has File, a"),
    (b"file," + b",".join(b"c%d" % i for i in range(10**4)) + b"\nx.png\n", "has no column 'a'; it has file, c0"),
    (b"\n\n\n", "has no column 'file'; it has none"),
    (b"\x89PNG\r\n\x1a\n\0\0", "no text"),
])  # fmt: skip
def test_tables_that_are_none(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UnderstudyError, match=says) as caught:
        read_table(tmp_path / "t.csv", ["a"])
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)


def test_tabs_marks_and_spaces(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"\xef\xbb\xbffile\ta \n x.png \t 1\n")
    assert read_table(tmp_path / "t.tsv", ["a"]).rows == [{"file": "x.png", "a": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines_blank_lines_and_columns_without_a_name(tmp_path: Path, end: str) -> None:
    lines = ["", " file,a", '0,"x, 1.png",2', "", "   ", '1,"y ""q"".png","two', 'lines"', ""]
    lines[1] = "," + lines[1]
    (tmp_path / "t.csv").write_bytes(end.join(lines[1:]).encode("utf-8-sig"))
    table = read_table(tmp_path / "t.csv", ["a"])
    assert table.files == ("x, 1.png", 'y "q".png') and table.lines == [2, 5]
    assert table.column("a") == ["2", f"two{end}lines"]
    assert table.passed_over == {BLANK_LINES: 2}


@pytest.mark.parametrize("end", ["", ",", ",2", ",,"])
def test_a_header_that_ends_in_commas(tmp_path: Path, end: str) -> None:
    (tmp_path / "t.csv").write_text(f"file,a,,\nx.png,1{end}\ny.png,{end}\n")
    assert read_table(tmp_path / "t.csv", ["a"]).rows == [{"file": "x.png", "a": "1"}, {"file": "y.png", "a": ""}]


def test_a_file_column_called_otherwise(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("picture,a\n./x.png,1\n")
    assert read_table(tmp_path / "t.csv", ["a"], "picture").files == ("x.png",)


def test_what_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("gone.csv", "pipe.csv", "."):
        with pytest.raises(UsageError, match="a table was expected"):
            read_table(tmp_path / name, [])
    (tmp_path / "t.csv").write_text("file\nx.png\n")
    monkeypatch.setattr(tables, "MOST_BYTES", 5)
    with pytest.raises(UnderstudyError, match="and a table with fewer was expected"):
        read_table(tmp_path / "t.csv", [])


def test_twenty_thousand_rows_cost_twice_those_of_ten(tmp_path: Path) -> None:
    def seconds(rows: int) -> float:
        (tmp_path / "t.csv").write_text("file,a\n" + "".join(f"./x{i}.png,{i}\n" for i in range(rows)))
        start = time.process_time()
        read_table(tmp_path / "t.csv", ["a"])
        return time.process_time() - start

    assert seconds(20_000) < 4 * seconds(10_000) + 0.1


def columns(values: list[str], five: int = 5) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Return the class columns of a table with the column ``k``, each value of which five subjects have."""
    rows = [{"k": value} for value in values for _ in range(five)]
    return class_columns(rows, ("k",), Path("t.csv"), [str(i) for i in range(len(rows))])


@pytest.mark.parametrize("text", ["1_0", "\uff11\uff12", "1e999", "0x1", "inf"])
def test_texts_that_are_no_numbers(text: str) -> None:
    assert set(columns([text, "1"])[0]) == {"k=1", f"k={text}"}


def test_class_columns() -> None:
    rows = [{"n": value, "t": text} for value, text in (("1", "b"), ("2.5", "a"), ("", "NA"), ("nan", "b"))] * 5
    names, entries = class_columns(rows, ("n", "t"), Path("t.csv"), [str(i) for i in range(20)])
    assert names == ("n", "t=a", "t=b")
    assert [list(entry.values()) for entry in entries[:4]] == [
        ["1", "0", "1"],
        ["2.5", "1", "0"],
        ["", "", ""],
        ["", "0", "1"],
    ]


def test_categories_and_columns_in_two_forms_are_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,gro\u0308\u00dfe\na.png,e\u0301\nb.png,\u00e9\u200b\n")
    rows = read_table(tmp_path / "t.csv", ["gr\u00f6\u00dfe"]).rows * 3
    assert class_columns(rows, ("gr\u00f6\u00dfe",), Path("t.csv"), list("abcdef"))[0] == ("gr\u00f6\u00dfe=\u00e9",)


def test_class_columns_that_cannot_be() -> None:
    where = Path("t.csv")
    with pytest.raises(UnderstudyError, match="is blank in every row"):
        columns(["", "NA"])
    with pytest.raises(UnderstudyError, match="has 40 different texts"):
        columns([f"name {i}" for i in range(40)])
    with pytest.raises(UsageError, match="would stand twice"):
        class_columns([{"split": "1"}], ("split",), where, ["a"])
    with pytest.raises(UsageError, match="would stand twice"):
        class_columns([{"n": "1"}], ("n", "n"), where, ["a"])


@pytest.mark.parametrize(("values", "says"), [
    (["2020-01-31", "2021-02-01", ""], "holds dates"),
    (["31.01.2020", "1.2.20"], "holds dates"),
    (["1/31/2020", "2/1/2020"], "holds dates"),
    (["20200131", "20210201"], "holds dates"),
    (["2020-01-31T12:00:00", "2020-01-31 08:00"], "holds dates"),
    (["1,5", "2"], "holds numbers with decimal commas"),
    (["2020", "2021"], None),
    (["20209999", "20200131"], None),
    (["1.2.3", "1,5 cm"], None),
])  # fmt: skip
def test_days_and_decimal_commas(values: list[str], says: str | None) -> None:
    if says is None:
        assert columns(values)[0]
        return
    with pytest.raises(UnderstudyError, match=f"^the class column 'k' of t.csv {says}"):
        columns(values)


def test_texts_that_few_subjects_have_become_no_names() -> None:
    many = [{"k": text} for text in ("north", "south") for _ in range(5)]
    rare = [*many, {"k": "Dr Rare only"}, {"k": "Dr Rare only"}, {"k": ""}]
    with pytest.raises(UnderstudyError, match=r"k' of t.csv has 3 .*, and 1 of them \(in 2 of 13 cases\)") as caught:
        class_columns(rare, ("k",), Path("t.csv"), [str(i) for i in range(13)])
    assert "Rare" not in str(caught.value) and "merge" in str(caught.value)
    with pytest.raises(UnderstudyError, match="2 of them"):  # ten cases of four subjects
        class_columns(many, ("k",), Path("t.csv"), list("abcdaabcda"))
    assert class_columns(many, ("k",), Path("t.csv"), list("abcdeabcde"))[0] == ("k=north", "k=south")
    assert columns(["1", "2.5", "0"], 1)[0] == ("k",)  # numbers stay


def test_what_is_not_known_among_numbers_is_missing() -> None:
    entries = columns(["1", "?", "None", "unknown", "2.5", "-"], 1)[1]
    assert [row["k"] for row in entries] == ["1", "", "", "", "2.5", ""]
    assert columns(["None", "yes"])[0] == ("k=None", "k=yes")


def test_texts_with_line_breaks_become_no_names() -> None:
    with pytest.raises(UnderstudyError, match="'k' holds a line break") as caught:
        columns(["two\nlines", "one"])
    assert "two" not in str(caught.value)


def test_categories_that_look_alike_are_told() -> None:
    assert alike(("k=M", "k=m", "k=F", "n", "o=M")) == {ALIKE: 2}
    assert alike(("k=M", "k=F", "n")) == {}


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
