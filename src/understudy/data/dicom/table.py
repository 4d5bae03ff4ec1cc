"""The rows of a CSV table that name images by PatientID, study, instance or file; no message quotes an entry of it.

**Checked** in tests/data/dicom/test_table.py.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom.study import StudyCase

Match = Literal["file", "patient", "study", "instance"]
COLUMNS: dict[str, str] = {
    "patient": "PatientID",
    "study": "StudyInstanceUID",
    "instance": "SOPInstanceUID",
    "file": "file",
}
NO_IMAGE = "rows of the table that no image matches"
NO_ROW = "cases that the table does not name"


def rows_of(
    chosen: Sequence[StudyCase],
    path: Path,
    table: Path | None,
    match: Match,
    classes: Sequence[str],
    passed_over: Counter[str],
) -> tuple[list[StudyCase], list[dict[str, str]]]:
    """Return the cases that a table names, and the row of each; all cases, and no row, without a table.

    Raises:
        UsageError: there is no such table, or a column is missing.
        UnderstudyError: it cannot be read, names one thing twice, or no case.
    """
    if table is None:
        return list(chosen), []
    rows = _read(table, [COLUMNS[match], *classes])
    named: dict[str, int] = {}
    for line, row in enumerate(rows):
        key = row[COLUMNS[match]].removeprefix("./") if match == "file" else row[COLUMNS[match]]
        if not key or key in named:
            raise UnderstudyError(
                f"row {line + 2} of the table has no {COLUMNS[match]}, or another row's: give each row its own"
            )
        named[key] = line
    kept: list[StudyCase] = []
    lines: list[int] = []
    for one in chosen:
        found = {named[key] for key in _keys(one, path, match) if key in named}
        if len(found) > 1:
            raise UnderstudyError(f"{len(found)} rows of the table name the files of one case ({one.study.name})")
        if found:
            kept.append(one)
            lines.append(found.pop())
    passed_over.update({NO_ROW: len(chosen) - len(kept), NO_IMAGE: len(rows) - len(set(lines))})
    for what in (NO_ROW, NO_IMAGE):
        if not passed_over[what]:
            del passed_over[what]
    if not kept:
        raise UnderstudyError(
            f"none of the {len(rows)} rows of the table matches one of the {len(chosen)} cases by its column "
            f"{COLUMNS[match]}: choose another --match"
        )
    return kept, [rows[line] for line in lines]


def _keys(one: StudyCase, path: Path, match: Match) -> list[str]:
    """What a table may call a case."""
    instances = [instance for volume in one.channels for instance in volume.files]
    if match == "file":
        return [instance.file.relative_to(path).as_posix() for instance in instances]
    if match == "instance":
        return [instance.sop for instance in instances]
    return [instances[0].study if match == "study" else instances[0].subject[0]]


def _read(file: Path, wanted: Sequence[str]) -> list[dict[str, str]]:
    if not file.is_file():
        raise UsageError("a table was expected below PATH where --table says, and there is none: correct --table")
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = [row for row in reader if any(row.values())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnderstudyError(
            "the table should be CSV in UTF-8 and cannot be read as it: save it as CSV UTF-8 (comma delimited)"
        ) from error
    header = reader.fieldnames[0] if len(reader.fieldnames) == 1 else ""
    if ";" in header or (file.suffix.lower() != ".tsv" and "\t" in header):
        raise UnderstudyError(
            "the fields of the table should be separated by commas (tabs in a .tsv), and they are by semicolons or "
            "tabs: save it as CSV UTF-8 (comma delimited)"
        )
    for name in wanted:
        if name not in reader.fieldnames:
            raise UsageError(f"the table has no column {name!r}: add it, or choose another --match or other --classes")
    if any(None in row or None in row.values() for row in rows) or not rows:
        raise UnderstudyError("the table has no rows, or one with more or fewer fields than its header: correct it")
    return [{name: value.strip() for name, value in row.items()} for row in rows]
