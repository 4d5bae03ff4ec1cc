"""The CSV table beside a folder of images, its class columns, and what the label values of files mean.

Numeric class columns are kept; a text column becomes one 0/1 column per category, named ``column=category``, in
alphabetical order. Blank, NA, N/A and NaN mean missing. More than 32 categories are refused: names or notes do not
belong in a cohort. A label scheme is inferred only where there is nothing to guess: values 0..K-1 without a gap.
**Checked** in tests/data/sources/test_table.py and test_folder.py (0/1 and 0..3 named; 0/255 refused).
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.manifest import COLUMNS
from understudy.data import formats
from understudy.data.formats.tiff import UNSURE

FILE = "file"
MISSING = ("", "na", "n/a", "nan")
CATEGORIES = 32


def read_table(path: Path, wanted: list[str]) -> list[dict[str, str]]:
    """Read the rows, stripped of blanks, of a table whose ``file`` column names files and that has the columns wanted.

    It is CSV with commas, or TSV by its ending; UTF-8.

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
    """Refuse a file that leads out of the source folder through a symbolic link, with UnderstudyError."""
    if not file.resolve().is_relative_to(root.resolve()):
        raise UnderstudyError(
            f"{file} leads out of {root} through a symbolic link: put the file itself there, or import the "
            "folder that holds it"
        )


def class_columns(
    rows: list[dict[str, str]], names: tuple[str, ...], where: Path
) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Turn columns of a table at ``where`` into class columns: their names, and their entries for each row, or blanks.

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


LARGEST = 15
NARROW = 65535  # spans of label values up to this one are counted in a table


def inferred_scheme(files: Sequence[Path]) -> LabelScheme:
    """Read all label maps and name their values background, class1, class2 ... (two classes: background, lesion).

    Raises:
        UnderstudyError: the values are not 0..K-1 without a gap, K at most 16, or a file does not tell them apart; the
            message names --label-scheme.
    """
    values: set[int] = set()
    for file in files:
        drawn = formats.labels(file)
        if UNSURE in drawn.remarks:
            raise UnderstudyError(
                f"{file} is a 1-bit TIFF marked min-is-white by tifffile, which so marks every boolean array: whether "
                "0 or 1 is the lesion is not said; name the stored values with --label-scheme, or save it as PNG"
            )
        values.update(distinct(drawn.array).tolist())
        if len(values) > 4 * LARGEST:
            break
    found = sorted(values)
    if found == list(range(len(found))) and len(found) <= LARGEST + 1:
        names = ("background", "lesion") if len(found) == 2 else ("background", *(f"class{k}" for k in found[1:]))
        return LabelScheme(names, tuple(found))
    if len(found) > LARGEST + 1:
        raise UnderstudyError(
            f"the label maps hold more than {LARGEST + 1} values ({', '.join(map(str, found[:5]))}, ...): are they "
            "images? Otherwise name every value with --label-scheme 0=background,1=..."
        )
    example = ",".join(f"{value}={'background' if value == 0 else f'class{k}'}" for k, value in enumerate(found))
    raise UnderstudyError(
        f"the label maps hold the values {', '.join(map(str, found))}, and what they mean is not said: name them, for "
        f"example --label-scheme {example}"
    )


def mapped(scheme: LabelScheme, values: np.ndarray, where: str) -> np.ndarray:
    """Map whole numbers to classes, uint8, as ``LabelScheme.from_source`` does, through a table: fast on volumes."""
    low, high = int(values.min()), int(values.max())
    if not _narrow(low, high):
        return scheme.from_source(values, where)
    present = distinct(values)
    table = np.zeros(high - low + 1, np.uint8)
    table[present - low] = scheme.from_source(present, where)
    return table[values.astype(np.int64) - low]


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the different whole numbers in an array, ascending."""
    low, high = int(values.min()), int(values.max())
    if not _narrow(low, high):
        return np.unique(values)
    return np.flatnonzero(np.bincount((values.astype(np.int64) - low).reshape(-1))) + low


def _narrow(low: int, high: int) -> bool:
    return high - low <= NARROW and high < 2**63  # what int64 holds
