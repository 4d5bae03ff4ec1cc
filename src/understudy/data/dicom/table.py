"""The rows of a CSV table that name images by PatientID, study, instance or file; no message quotes an entry of it.

**Checked** in tests/data/dicom/test_table.py.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.study import StudyCase
from understudy.data.identity import file_name
from understudy.data.sources.table import read_columns

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
    read = read_columns(table, (COLUMNS[match], *classes), private=True)
    rows: list[dict[str, str]] = []
    named: dict[str, int] = {}
    for line, row in zip(read.lines, read.rows, strict=True):
        if not any(row.values()):
            continue
        key = file_name(row[COLUMNS[match]]) if match == "file" else row[COLUMNS[match]]
        if not key or key in named:
            raise UnderstudyError(
                f"row {line} of the table has no {COLUMNS[match]}, or another row's: give each row its own"
            )
        named[key] = len(rows)
        rows.append(row)
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
        return [file_name(instance.file.relative_to(path).as_posix()) for instance in instances]
    if match == "instance":
        return [instance.sop for instance in instances]
    return [instances[0].study if match == "study" else instances[0].subject[0]]
