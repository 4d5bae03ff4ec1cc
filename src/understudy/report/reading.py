"""Reading results folders: their public part, and where asked for the internal one.

Refused: folders of different real or synthetic cohorts joined on one page, the same number measured twice, and a public
table with a column that names cases or subjects.
**Checked** in tests/report/test_reading.py.
"""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from understudy.core.cohort import file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result, read_results

ORDER = ("utility", "fidelity", "privacy", "agreement", "over", "readers")
COMMAND = re.compile(r"evaluate ([a-z]{1,40})")  # what may name a section of a page and a folder of a bundle
FEWEST = 5  # real cases in a bin
ROW_PER_CASE = {
    "case_id",
    "subject_id",
    "case",
    "subject",
    "real_case",
    "real_subject",
    "patient",
    "patient_id",
    "source_file",
}


@dataclass(frozen=True)
class Table:
    """A table as text: header and rows of cells."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Folder:
    """The public part of one results folder; ``path`` leads to the internal part.

    Attributes:
        path: the folder.
        section: utility, fidelity, privacy ...
        results: its numbers.
        provenance: the request that made it.
        tables: its tables.
        curves: its curve files by name.
        histograms: its histogram files by name.
        images: its .npz files of synthetic cases by name.
        digest: hash of the public files.
    """

    path: Path
    section: str
    results: list[Result]
    provenance: dict[str, Any]
    tables: list[Table]
    curves: dict[str, dict[str, Any]]
    histograms: dict[str, dict[str, Any]]
    images: dict[str, dict[str, np.ndarray]]
    digest: str


def read_folders(paths: list[Path]) -> list[Folder]:
    """Read results folders in the order of the page (ORDER), others last.

    Raises:
        UsageError: no folder, or one given twice.
        UnderstudyError: not a results folder, results of another cohort, or the same number in two folders.
    """
    if not paths:
        raise UsageError(
            "at least one results folder was expected, found none: name folders that `understudy evaluate` wrote"
        )
    if len({path.resolve() for path in paths}) != len(paths):
        raise UsageError("each results folder may be named once, and one was named twice: leave out the second")
    folders = [_read(path) for path in paths]
    for role in ("real", "synthetic"):
        _refuse_other_cohorts(folders, role)
    seen: dict[str, Path] = {}
    for folder in folders:
        for result in folder.results:
            if result.name in seen:
                raise UnderstudyError(
                    f"{folder.path} and {seen[result.name]} both hold the result {result.name}: name one of them"
                )
            seen[result.name] = folder.path
    return sorted(
        folders, key=lambda f: (ORDER.index(f.section) if f.section in ORDER else len(ORDER), f.section, f.digest)
    )


def cohort_ids(provenance: dict[str, Any], role: str) -> str:
    """Return the ids of the real or synthetic cohorts behind a results folder, joined by commas; "" if none."""
    inputs = provenance.get("inputs", {})
    return ",".join(
        str(inputs[key])
        for key in sorted(inputs)
        if key == role or key.startswith((f"{role}.", f"{role}-", f"{role}_"))
    )


def section_of(provenance: dict[str, Any], path: Path) -> str:
    """Return the evaluation that made a results folder, in lower-case letters, so that it can name a folder.

    Raises:
        UnderstudyError: the request is none of ``understudy evaluate``.
    """
    found = COMMAND.fullmatch(str(provenance.get("command", "")))
    if not found:
        raise UnderstudyError(
            f"{path}/results.json should name the request `evaluate NAME` that made it, found "
            f"{str(provenance.get('command'))[:60]!r}: evaluate again"
        )
    return found[1]


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read an .npz file without running anything in it.

    Raises:
        UnderstudyError: it cannot be read.
    """
    try:
        with file.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, OSError, KeyError, BadZipFile) as error:
        raise UnderstudyError(f"{file} is not an image file that understudy wrote ({error}): evaluate again") from error


def read_table(file: Path) -> Table:
    """Read a CSV table.

    Raises:
        UnderstudyError: it is empty, or its rows differ in length.
    """
    with file.open(newline="") as handle:
        rows = [tuple(row) for row in csv.reader(handle)]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise UnderstudyError(f"{file} is not a table that understudy wrote (rows of different length): evaluate again")
    return Table(file.stem, rows[0], tuple(rows[1:]))


def _read(path: Path) -> Folder:
    results, provenance = read_results(path)
    if not cohort_ids(provenance, "real"):
        raise UnderstudyError(
            f"{path}/results.json does not say which real cohort it measured (provenance inputs): evaluate again"
        )
    tables = [read_table(file) for file in sorted(path.glob("tables/*.csv"), key=lambda f: f.stem)]
    for table in tables:
        named = ROW_PER_CASE.intersection(column.strip().lower() for column in table.header)
        if named:
            raise UnderstudyError(
                f"{path}/tables/{table.name}.csv has the column {sorted(named)[0]!r}, a row per case or subject, "
                "which no public table may hold: move it to internal/"
            )
    section = section_of(provenance, path)
    curves = {file.stem: _read_curve(file) for file in sorted(path.glob("curves/*.json"), key=lambda f: f.stem)}
    images = {file.stem: read_arrays(file) for file in sorted(path.glob("images/*.npz"))}
    histograms = {file.stem: _read_histograms(file) for file in sorted(path.glob("histograms/*.json"))}
    digest = folder_hash(path, public=True)
    return Folder(path, section, results, provenance, tables, curves, histograms, images, digest)


def _read_curve(file: Path) -> dict[str, Any]:
    try:
        curve = json.loads(file.read_text())
        for s in curve["series"]:
            columns = [s["x"], s["y"], *(s[end] for end in ("low", "high") if end in s)]
            if not isinstance(s["name"], str) or len({len(column) for column in columns}) > 1:
                raise ValueError("a series needs a name, and as many x as y, low and high")
        return {
            "title": str(curve["title"]),
            "x_label": str(curve["x_label"]),
            "y_label": str(curve["y_label"]),
            **curve,
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UnderstudyError(f"{file} is not a curve that understudy wrote ({error}): evaluate again") from error


def _read_histograms(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
        for panel in data["panels"]:
            if not panel["series"] or any(len(s["counts"]) != len(panel["edges"]) - 1 for s in panel["series"]):
                raise ValueError("a series needs a count for each bin")
            if any(s["name"] == "real" and min(s["counts"]) < FEWEST for s in panel["series"]):
                raise ValueError(f"fewer than {FEWEST} real cases stand in a bin, which no public file may hold")
        return {"title": str(data["title"]), "panels": list(data["panels"])}
    except (ValueError, KeyError, TypeError) as error:
        raise UnderstudyError(
            f"{file} is not a histogram file that understudy wrote ({error}): evaluate again"
        ) from error


def folder_hash(path: Path, public: bool) -> str:
    """Return the SHA-256 over the names and hashes of a results folder's files, with or without its internal part."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path).as_posix()
        if not (public and name.startswith("internal/")):
            digest.update(f"{name}\n{file_hash(file)}\n".encode())
    return digest.hexdigest()


def _refuse_other_cohorts(folders: list[Folder], role: str) -> None:
    measured = [(folder.path, ids) for folder in folders if (ids := cohort_ids(folder.provenance, role))]
    for path, ids in measured[1:]:
        if ids != measured[0][1]:
            raise UnderstudyError(
                f"results of another cohort: {path} measured the {role} cohort {ids}, and {measured[0][0]} measured "
                f"{measured[0][1]}: make one report for each"
            )
