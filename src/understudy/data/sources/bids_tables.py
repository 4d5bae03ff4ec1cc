"""The tables of a BIDS data set: participants.tsv as class columns, dseg.tsv as the meaning of label values.

**Source**: Brain Imaging Data Structure 1.11.1: participants file; discrete segmentations (columns index and name); the
inheritance principle (the nearest table whose entities a file has).
**Checked** in tests/data/sources/test_bids_tables.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.core.labels import INTEGER, LabelScheme
from understudy.data import formats
from understudy.data.sources.bids_names import BidsName
from understudy.data.sources.table import alike, class_columns, read_columns

ID = "participant_id"
NO_ROW = "subjects without a row in participants.tsv, whose classes are missing"
GROUND = "tables of label values that do not name 0, which is taken as the background"
MOST_CLASSES = 255


def participants(
    path: Path, subjects: Sequence[str], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], list[dict[str, str]], dict[str, int]]:
    """Return class columns from participants.tsv: their names, the entries of each case's subject, and remarks.

    Raises:
        UsageError: there is no such table, or a column is missing.
        UnderstudyError: it names a subject twice, or a column cannot be a class column.
    """
    if not classes:
        return (), [{} for _ in subjects], {}
    table = read_columns(path / "participants.tsv", (ID, *classes))
    rows: dict[str, dict[str, str]] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        name = row[ID] if row[ID].startswith("sub-") else f"sub-{row[ID]}"
        if name in rows:
            raise UnderstudyError(f"row {line} of {table.path} names a subject that stands above: keep one row of each")
        rows[name] = row
    without = len({subject for subject in subjects if subject not in rows})
    blank = dict.fromkeys(classes, "")
    names, entries = class_columns([rows.get(subject, blank) for subject in subjects], classes, table.path, subjects)
    return names, entries, alike(names) | ({NO_ROW: without} if without else {})


def label_tables(tables: Mapping[str, Path], maps: Iterable[str]) -> list[Path]:
    """Return the tables that say what the values of these label maps mean.

    Args:
        tables: files ``..._dseg.tsv`` by their path below the folder of label maps.
        maps: label maps by their path below it.
    """
    by_folder: dict[str, list[tuple[BidsName, Path]]] = {}
    for path, file in tables.items():
        stem = path.rpartition(".")[0]
        name = BidsName.read(stem)
        if name is not None:
            by_folder.setdefault(path.rpartition("/")[0], []).append((name, file))
    used: dict[Path, None] = {}
    for path in maps:
        name, folder = BidsName.read(formats.stem(Path(path))), path
        while name is not None and folder:
            folder = folder.rpartition("/")[0]
            fits = [(len(one.entities), file) for one, file in by_folder.get(folder, []) if _applies(one, name)]
            if fits:
                used[max(fits)[1]] = None
                break
    return list(used)


def _applies(table: BidsName, file: BidsName) -> bool:
    """Whether a table's entities are all entities of a file."""
    mine = table.subject in ("", file.subject) and table.session in ("", file.session)
    return mine and file.holds(table)


def label_scheme(files: Sequence[Path]) -> tuple[LabelScheme | None, dict[str, int]]:
    """Return what label values mean by tables with the columns index and name, and remarks; None without tables.

    Raises:
        UnderstudyError: an index is no whole number, two tables disagree, or there are more than 255 classes.
    """
    names: dict[int, str] = {}
    for file in files:
        table = read_columns(file, ("index", "name"))
        for line, row in zip(table.lines, table.rows, strict=True):
            if not INTEGER.fullmatch(row["index"]) or not row["name"]:
                raise UnderstudyError(
                    f"row {line} of {file} should have a whole number under index and a name: correct it"
                )
            value = int(row["index"])
            if names.setdefault(value, row["name"]) != row["name"]:
                raise UnderstudyError(
                    f"row {line} of {file} names the value {value} {row['name']!r}, and it is {names[value]!r} in "
                    "another row or table: make them one, or give --label-scheme"
                )
    if not names:
        return None, {}
    grounded = 0 in names
    names.setdefault(0, "background")
    if len(names) > MOST_CLASSES or len(set(names.values())) < len(names) or not all(abs(v) < 2**31 for v in names):
        raise UnderstudyError(
            f"the tables of label values, such as {files[0]}, name {len(names)} values with {len(set(names.values()))} "
            f"names, and up to {MOST_CLASSES} values with a name each are read: give --label-scheme"
        )
    values = sorted(names, key=lambda value: (value != 0, value))
    return LabelScheme(tuple(names[v] for v in values), tuple(values)), {} if grounded else {GROUND: len(files)}
