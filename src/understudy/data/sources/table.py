"""The CSV table beside a folder of images: read it, refuse what cannot be right, and turn columns into class columns.

Numeric class columns are kept; a text column becomes one 0/1 column per category, named ``column=category``, in
alphabetical order. Blank, NA, N/A and NaN mean missing. More than 32 categories are refused: names or notes do not
belong in a cohort.
**Checked** in tests/data/test_table.py and tests/data/test_folder.py.
"""

import csv
import math
from pathlib import Path, PurePosixPath

from understudy.core.cohort import COLUMNS
from understudy.core.errors import UnderstudyError, UsageError

FILE = "file"
MISSING = ("", "na", "n/a", "nan")
CATEGORIES = 32


def read_table(path: Path, wanted: list[str]) -> list[dict[str, str]]:
    """Read a table whose ``file`` column names files.

    Args:
        path: CSV with commas, or TSV by its ending; UTF-8.
        wanted: columns that must be there beside ``file``.

    Returns:
        Its rows, blanks stripped.

    Raises:
        UsageError: there is no such file, or a column is missing.
        UnderstudyError: it is not UTF-8 text, a row is too long or short, a file is named twice or not at all.
    """
    if not path.is_file():
        raise UsageError(f"a table was expected at {path}, and there is none: correct --table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnderstudyError(
            f"{path} should be a CSV table in UTF-8 and cannot be read as one ({error}): save it as CSV"
        ) from error
    for name in (FILE, *wanted):
        if name not in columns:
            raise UsageError(f"the table {path} has no column {name!r}; it has {', '.join(columns) or 'none'}")
    if len(set(columns)) != len(columns):
        raise UnderstudyError(f"the table {path} has two columns of one name: {', '.join(columns)}")
    return _checked(path, rows)


def _checked(path: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise UnderstudyError(f"row {line} of {path} has more or fewer fields than the header: correct it")
        row.update({name: value.strip() for name, value in row.items()})
        if not row[FILE]:
            raise UnderstudyError(f"row {line} of {path} names no file: fill in the column {FILE!r} or remove the row")
        if row[FILE] in seen:
            raise UnderstudyError(
                f"rows {seen[row[FILE]]} and {line} of {path} name the same file {row[FILE]}: keep one"
            )
        seen[row[FILE]] = line
    if not rows:
        raise UnderstudyError(f"the table {path} has no rows: nothing would be imported")
    return rows


def inside(root: Path, folder: Path, name: str, where: str) -> Path:
    """Return the file that a table names below a folder.

    Raises:
        UnderstudyError: the name is absolute, has ``..`` in it, or leads out of the source folder through a link.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise UnderstudyError(
            f"{where} names {name!r}, and a file must be named by a relative path below {folder} without '..'"
        )
    file = folder / pure
    refuse_outside(root, file)
    return file


def refuse_outside(root: Path, file: Path) -> None:
    """Refuse a file that leads out of the source folder through a symbolic link.

    Raises:
        UnderstudyError: it does.
    """
    if not file.resolve().is_relative_to(root.resolve()):
        raise UnderstudyError(
            f"{file} leads out of {root} through a symbolic link: put the file itself there, or import the "
            "folder that holds it"
        )


def class_columns(
    rows: list[dict[str, str]], names: tuple[str, ...], where: Path
) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Turn table columns into class columns.

    Args:
        rows: the table.
        names: columns to take.
        where: the table's path, for messages.

    Returns:
        Names of the class columns, and their entries for each row (blank where missing).

    Raises:
        UnderstudyError: a column is all blank, has too many categories, or clashes with a column that every cohort has.
    """
    out: list[dict[str, str]] = [{} for _ in rows]
    for name in names:
        values = ["" if row[name].casefold() in MISSING else row[name] for row in rows]
        present = sorted(set(values) - {""})
        if not present:
            raise UnderstudyError(
                f"the class column {name!r} of {where} is blank in every row: leave it out of --classes"
            )
        if all(_number(value) for value in present):
            _add(out, name, values)
            continue
        if len(present) > CATEGORIES:
            raise UnderstudyError(
                f"the class column {name!r} of {where} has {len(present)} different texts, and at most {CATEGORIES} "
                "categories are taken: numbers, or fewer categories, were expected"
            )
        for category in present:
            _add(out, f"{name}={category}", ["" if not value else str(int(value == category)) for value in values])
    return (tuple(out[0]) if out else ()), out


def _add(out: list[dict[str, str]], name: str, values: list[str]) -> None:
    if name in COLUMNS or name in out[0]:
        raise UsageError(
            f"the class column {name!r} would stand twice in the cohort's table: rename it, or name it once"
        )
    for row, value in zip(out, values, strict=True):
        row[name] = value


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
