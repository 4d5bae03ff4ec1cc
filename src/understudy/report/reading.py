"""Reading results folders: their public part, and where asked for the internal one.

Refused: folders of different real or synthetic cohorts joined on one page, the same number measured twice, and a public
table with a column that names cases or subjects.
**Checked** in tests/report/test_reading.py.
"""

import csv
import hashlib
import re
import zlib
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core.cohort import NPY_ERRORS, file_hash
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.documents import read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import csv_text, open_regular
from understudy.core.result import Result, read_results
from understudy.data.seal import SEAL
from understudy.report.chapters import place

COMMAND = re.compile(r"evaluate ([a-z]{1,40})|(reader) analyze")  # names a section of a page, a folder of a bundle
MAX_BYTES = 2**30  # of the arrays in an image file
ROW_PER_CASE = {
    *("case", "case_id", "real_case", "subject", "subject_id", "real_subject", "patient", "patient_id", "source_file")
}


class _Open(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)  # what has no field is not read


class CurveSeries(_Open):
    """A line of a curve: as many x as y, and as ends of intervals, where there are any."""

    name: str
    x: list[float]
    y: list[float]
    low: list[float] = []
    high: list[float] = []
    reference: bool = False

    @model_validator(mode="after")
    def _equally_long(self) -> "CurveSeries":
        columns = [self.x, self.y, *(getattr(self, end) for end in ("low", "high") if end in self.model_fields_set)]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("a series needs as many x as y, low and high")
        return self


class Position(_Open):
    """A vertical line in a curve, with its name."""

    x: float
    name: str


class Curve(_Open):
    """curves/NAME.json: lines, or, where ``points`` says which way is better, points of a metric and a score."""

    title: str
    x_label: str
    y_label: str
    series: list[CurveSeries]
    vertical: list[Position] = []
    y_scale: str = "linear"
    marked: bool = False
    points: str = ""
    note: str = ""


class Counts(_Open):
    """How many cases of real or synthetic subjects lie in each bin."""

    name: str
    counts: list[float]


class Panel(_Open):
    """One histogram of a file; no bin shows fewer than five real cases."""

    name: str
    x_label: str
    scale: Literal["linear", "log"]
    edges: list[float]
    series: list[Counts] = Field(min_length=1)

    @model_validator(mode="after")
    def _may_be_published(self) -> "Panel":
        if any(len(s.counts) != len(self.edges) - 1 for s in self.series):
            raise ValueError("a series needs a count for each bin")
        if any(s.name == "real" and min(s.counts, default=MIN_SUBJECTS) < MIN_SUBJECTS for s in self.series):
            raise ValueError(f"fewer than {MIN_SUBJECTS} real cases stand in a bin, which no public file may hold")
        return self


class HistogramFile(_Open):
    """histograms/NAME.json: panels with the same series."""

    title: str
    panels: list[Panel] = Field(min_length=1)


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
        section: utility, fidelity, privacy ...
        provenance: the request that made it.
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
    """Read results folders in the order of the page (chapters.py), others last.

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
    return sorted(folders, key=lambda f: (place(f.section), f.section, f.digest))


def cohort_ids(provenance: dict[str, Any], role: str) -> str:
    """Return the ids of the real or synthetic cohorts behind a results folder, joined by commas; "" if none."""
    inputs = provenance.get("inputs", {})
    keys = [key for key in sorted(inputs) if key == role or key.startswith((f"{role}.", f"{role}-", f"{role}_"))]
    return ",".join(str(inputs[key]) for key in keys)


def section_of(provenance: dict[str, Any], path: Path) -> str:
    """Return the evaluation that made a results folder, in lower-case letters, so that it can name a folder.

    Raises:
        UnderstudyError: the request is none of ``understudy evaluate``, nor ``reader analyze``.
    """
    found = COMMAND.fullmatch(str(provenance.get("command", "")))
    if not found:
        raise UnderstudyError(
            f"{path}/results.json should name the request, `evaluate NAME` or `reader analyze`, that made it, found "
            f"{str(provenance.get('command'))[:60]!r}: evaluate again"
        )
    return found[1] or found[2]


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read an .npz file without running anything in it; one that cannot be read is an UnderstudyError."""
    try:
        with open_regular(file, "an image file") as handle, np.load(handle, allow_pickle=False) as arrays:
            if sum(member.file_size for member in arrays.zip.infolist()) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES:,} bytes are packed in it")
            return {name: arrays[name] for name in arrays.files}
    except (*NPY_ERRORS, LookupError, AttributeError, RuntimeError, BadZipFile, zlib.error) as error:
        raise UnderstudyError(f"{file} is not an image file that understudy wrote ({error}): evaluate again") from error


def read_table(file: Path) -> Table:
    """Read a CSV table; one that is empty, or whose rows differ in length, is an UnderstudyError."""
    try:
        rows = [tuple(row) for row in csv.reader(csv_text(file))]
        if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
            raise ValueError("rows of different length")
    except (OSError, UsageError, ValueError, csv.Error) as error:
        raise UnderstudyError(f"{file} is not a table that understudy wrote ({error}): evaluate again") from error
    return Table(file.stem, rows[0], tuple(rows[1:]))


def _read(path: Path) -> Folder:
    results, provenance = read_results(path)
    stem = attrgetter("stem")  # utility before utility-by
    if not cohort_ids(provenance, "real"):
        raise UnderstudyError(
            f"{path}/results.json does not say which real cohort it measured (provenance inputs): evaluate again"
        )
    tables = [read_table(file) for file in sorted(path.glob("tables/*.csv"), key=stem)]
    for table in tables:
        if named := ROW_PER_CASE.intersection(column.strip().lower() for column in table.header):
            raise UnderstudyError(
                f"{path}/tables/{table.name}.csv has the column {sorted(named)[0]!r}, a row per case or subject, "
                "which no public table may hold: move it to internal/"
            )
    section = section_of(provenance, path)
    curves = {f.stem: _read_plain(f, Curve, "a curve") for f in sorted(path.glob("curves/*.json"), key=stem)}
    images = {f.stem: read_arrays(f) for f in sorted(path.glob("images/*.npz"))}
    histograms = {f.stem: _read_plain(f, HistogramFile, "a histogram") for f in sorted(path.glob("histograms/*.json"))}
    digest = folder_hash(path, public=True)
    return Folder(path, section, results, provenance, tables, curves, histograms, images, digest)


def _read_plain(file: Path, model: type[BaseModel], what: str) -> dict[str, Any]:
    """Return a JSON file as plain data, after a model has read it."""
    return read_document(file, model, what, "evaluate again").model_dump(exclude_unset=True)


def folder_hash(path: Path, public: bool) -> str:
    """Return the SHA-256 over names and hashes of a results folder's files, but the seal and, `public`, internal/."""
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path).as_posix()
        if name != SEAL and not (public and name.startswith("internal/")):
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
