"""The CSV table beside a folder of images: its rows, the files that they name, and its class columns.

Commas, or tabs by the ending .tsv; UTF-8. Blank lines are passed over and counted. A file that is named in two ways
(``./a.png``, ``a//b.png``, composed or decomposed letters) is one file. Numeric class columns are kept; a text column
becomes one 0/1 column per category, named ``column=category``, in alphabetical order. Blank, NA, N/A and NaN mean
missing, and among numbers so does every other word for "not known". More than 32 categories are refused, dates, and
texts that fewer than five subjects have, since a category becomes a name that is published: names, notes and days do
not belong in a cohort. Numbers with decimal commas are refused, since they would be texts.
**Checked** in tests/data/sources/test_table.py.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from understudy.core.disclosure import MIN_SUBJECTS, rare
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import CONTROL
from understudy.core.manifest import COLUMNS
from understudy.data.identity import file_name, is_known, look, plain

FILE = "file"
MISSING = ("", "na", "n/a", "nan", "null", "<na>", "#n/a")
CATEGORIES = 32
ALIKE = "categories look alike (capitals, spaces, dots) and are kept apart: where two are one, correct the table"
MOST_BYTES = 2**28  # of a table, which is read as a whole
BLANK_LINES = "blank lines of the table"
_DATE = re.compile(  # a day: year first, or last; perhaps a time after it
    r"(?:(?:19|20)\d\d([-./]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])|\d{1,2}([-./])\d{1,2}\2(?:19|20)?\d\d)"
    r"(?:[T ]\d.*)?"
)
_COMMA = re.compile(r"[+-]?\d+,\d+")  # a number with a decimal comma
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class SourceTable:
    """The rows of a table.

    Attributes:
        rows: entries by column, without outer blanks.
        lines: the number of each row in the file, as a spreadsheet counts them: the header is 1.
        passed_over: blank lines.
        files: what the file column names, row by row, in one form (``identity.file_name``).
    """

    path: Path
    rows: list[dict[str, str]]
    lines: list[int]
    passed_over: dict[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def column(self, name: str) -> list[str]:
        """Return the entries of a column."""
        return [row[name] for row in self.rows]


def read_table(path: Path, wanted: Sequence[str], file_column: str = FILE) -> SourceTable:
    """Read a table whose ``file_column`` names files and that has the columns wanted.

    Raises:
        UsageError: there is no such file, or a column is missing.
        UnderstudyError: it is not UTF-8 text, its columns are separated by something else, a row is too long or short,
            a file is named twice or not at all.
    """
    table = read_columns(path, (file_column, *wanted), file_column)
    seen: dict[str, int] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        if not row[file_column]:
            blank = sum(not other[file_column] for other in table.rows)
            raise UnderstudyError(
                f"row {line} of {path} names no file, as do {blank} row(s) in all: fill in the column {file_column!r}, "
                "or remove the rows (empty ones at the end too)"
            )
        name = one_file(row[file_column], "the table")
        if name in seen:
            raise UnderstudyError(f"rows {seen[name]} and {line} of {path} name the same file {name}: keep one")
        seen[name] = line
    return replace(table, files=tuple(seen))


def read_columns(path: Path, wanted: Sequence[str], file_column: str = "", private: bool = False) -> SourceTable:
    """Read the rows of a table that has the columns wanted.

    Messages of a ``private`` table name neither its path nor its columns: without a header, the first row is of a
    person.

    Raises:
        UsageError: there is no such file, or a column is missing.
        UnderstudyError: it is no such table, or has no rows.
    """
    where = "the table" if private else f"the table {path}"
    lines = enumerate(_parsed(path, where), start=1)
    columns = [plain(name) for name in next(lines, (0, []))[1]]
    wide, width = len(columns), 0
    while columns[1:] and not columns[-1]:
        columns.pop()  # a header that ends in commas; the rows may, or may not
    _refuse_columns(where, columns, wanted, file_column, private)
    numbers, rows, blank = [], [], 0
    for line, fields in lines:
        if len(fields) < 2 and not "".join(fields).strip():
            blank += 1
            continue
        width = width or min(max(len(fields), len(columns)), wide)
        if len(fields) != width:
            raise UnderstudyError(
                f"row {line} of {where} has {len(fields)} fields, more or fewer fields than the header's "
                f"{width}: correct it (a comma inside a field needs quotes)"
            )
        numbers.append(line)
        rows.append({name: value.strip() for name, value in zip(columns, fields, strict=False)})
    if not rows:
        raise UnderstudyError(f"{where} has no rows: nothing would be imported")
    return SourceTable(path, rows, numbers, {BLANK_LINES: blank} if blank else {})


def _parsed(path: Path, where: str) -> Iterator[list[str]]:
    """The fields of every line; a line without anything has none."""
    if not path.is_file():
        raise UsageError(f"a table was expected, and {where} is not there, or no file: add it, or correct its name")
    if path.stat().st_size > MOST_BYTES:
        raise UnderstudyError(f"{where} has more than {MOST_BYTES // 2**20} MiB, and a table with fewer was expected")
    content = path.read_bytes()
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in content:
            raise UnderstudyError(
                f"{where} should be a CSV table in UTF-8 and cannot be read as one (it is UTF-16, or no text): save it "
                "as CSV in UTF-8"
            )
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        yield from csv.reader(text, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        why = "a quote is opened and never closed" if str(error) == "unexpected end of data" else error
        raise UnderstudyError(
            f"{where} should be a CSV table in UTF-8 and cannot be read as one ({why}): save it as CSV in UTF-8"
        ) from error


def _refuse_columns(where: str, columns: list[str], wanted: Sequence[str], file_column: str, private: bool) -> None:
    if columns and columns[0].lower().startswith("sep="):
        raise UnderstudyError(f"{where} begins with a line sep=, as Excel writes it: remove it, and save with commas")
    if len(columns) == 1:
        for separator, name in SEPARATORS.items():
            if separator in columns[0]:
                tabs = " (or call it .tsv)" if separator == "\t" else ""
                raise UnderstudyError(
                    f"the columns of {where} are separated by {name}, and commas were expected: save it with "
                    f"commas{tabs}"
                )
    for name in wanted:
        if name not in columns:
            cure = "; name the column of file names with --file-column" if name == file_column else ""
            raise UsageError(f"{where} has no column {name!r}{_listed(columns, private)}{cure}")
    if len(set(columns)) != len(columns):
        raise UnderstudyError(f"{where} has two columns of one name{_listed(columns, private)}: rename one")


def _listed(columns: list[str], private: bool) -> str:
    """Column names for a message, which stays one short line; nothing of a private table."""
    if private:
        return ""
    short = [" ".join(name.split())[:40] for name in columns[:8]]
    return "; it has " + (", ".join(short) + (", ..." if len(columns) > 8 else "") if columns else "none")


def one_file(name: str, where: str) -> str:
    """Return the name of a file below a folder, as a table gives it, in one form.

    Raises:
        UnderstudyError: it is absolute, has ``..`` in it, backslashes, or is no name at all.
    """
    one = file_name(name)
    if "\\" in name and not one.startswith("/") and ".." not in one.split("/"):
        raise UnderstudyError(
            f"{where} names {name[:200]!r}, and a file must be named by a relative path with slashes: write / in place "
            "of \\"
        )
    if one.startswith("/") or ".." in one.split("/") or one == "." or "\\" in name:
        raise UnderstudyError(
            f"{where} names {name[:200]!r}, and a file must be named by a relative path below the folder of images, "
            "without '..'"
        )
    return one


def class_columns(
    rows: list[dict[str, str]], names: tuple[str, ...], where: Path, subjects: Sequence[str]
) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Turn columns of a table at ``where`` into class columns: their names, and their entries for each row, or blanks.

    ``subjects`` says whose each row is.

    Raises:
        UnderstudyError: a column is all blank, has too many categories or rare ones, dates, or numbers with decimal
            commas, or clashes with a column that every cohort has.
    """
    out: list[dict[str, str]] = [{} for _ in rows]
    for name in names:
        values = ["" if value.casefold() in MISSING else value for value in (plain(row[name]) for row in rows)]
        if all(_number(value) for value in values if is_known(value)):
            values = [value if is_known(value) else "" for value in values]
        present = sorted(set(values) - {""})
        if not present:
            raise UnderstudyError(
                f"the class column {name!r} of {where} is blank in every row: leave it out of --classes"
            )
        _refuse_days_and_commas(present, f"the class column {name!r} of {where}")
        if all(_number(value) for value in present):
            _add(out, name, values)
            continue
        if len(present) > CATEGORIES:
            raise UnderstudyError(
                f"the class column {name!r} of {where} has {len(present)} different texts, and at most {CATEGORIES} "
                "categories are taken: numbers, or fewer categories, were expected"
            )
        _refuse_rare(values, subjects, f"the class column {name!r} of {where}")
        for category in present:
            _add(out, f"{name}={category}", ["" if not value else str(int(value == category)) for value in values])
    return (tuple(out[0]) if out else ()), out


def _refuse_rare(values: list[str], subjects: Sequence[str], where: str) -> None:
    """Refuse texts that few subjects have, without telling them: each would become a name, and may name a person."""
    if few := rare(values, subjects) - {""}:
        raise UnderstudyError(
            f"{where} has {len({*values} - {''})} different texts, and {len(few)} of them (in "
            f"{sum(value in few for value in values)} of {len(values)} cases) belong to fewer than {MIN_SUBJECTS} "
            "subjects each, who could be known by a category's name: merge rare categories in the table, or leave the "
            "column out of --classes"
        )


def _refuse_days_and_commas(present: list[str], where: str) -> None:
    if all(_DATE.fullmatch(value) for value in present):
        raise UnderstudyError(
            f"{where} holds dates, which lead to persons and stay out of a cohort: give an age or another span of time "
            "in its place, or leave it out of --classes"
        )
    commas = [value for value in present if _COMMA.fullmatch(value)]
    if commas and all(value in commas or _number(value) for value in present):
        raise UnderstudyError(
            f"{where} holds numbers with decimal commas, which would be texts: write points, as in 1.5 (or take commas "
            "between thousands out)"
        )


def alike(names: Sequence[str]) -> dict[str, int]:
    """Return what a user should know of class columns ``column=category``: how many look like another."""
    looks = Counter((name.partition("=")[0], look(name.partition("=")[2])) for name in names if "=" in name)
    count = sum(n for n in looks.values() if n > 1)
    return {ALIKE: count} if count else {}


def _add(out: list[dict[str, str]], name: str, values: list[str]) -> None:
    if name in COLUMNS or name in out[0]:
        raise UsageError(
            f"the class column {name!r} would stand twice in the cohort's table: rename it, or name it once"
        )
    if CONTROL.search(name):
        raise UnderstudyError(
            f"the class column {name.partition('=')[0]!r} holds a line break or another control character in its name "
            "or in a text, which would become the name of a class: take it out of the table"
        )
    for row, value in zip(out, values, strict=True):
        row[name] = value


def _number(text: str) -> bool:
    try:
        return text.isascii() and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
