"""The PUBLIC edition of a results folder, built anew from what is known: nothing of the folder's files is copied.

Written are the results with their request; tables and curves of the names that an evaluation is known to write, each
field through the model that reads it; histograms; and of the pictures those that show cases of the cohort itself, drawn
again from the cohort. A file or field that is not named here stays inside, until somebody lets it out.
Sizes have bounds, since numbers can carry an image: the pixels of one of 64 x 64 are 4,096.
**Not covered**: whoever writes an evaluation can still hide a message in the digits of honest numbers; the seal
(data/seal.py) says who wrote them, and numbers.py looks for real pixels in plain sight.
**Checked** in tests/release/test_public.py.
"""

import csv
import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import ProvenanceRecord
from understudy.evaluation.folder import grid_arrays, write_grid
from understudy.release.disclosure import ROWS, in_levels
from understudy.report.reading import Folder, Table

TABLES = {
    "utility": (
        "utility",
        "utility-scores",
        "utility-comparisons",
        "utility-selection",
        "utility-by",
        "utility-mixing",
    ),
    "fidelity": ("fidelity", "labels", "classes", "diversity", "conditioning"),
    "privacy": ("privacy_thresholds", "privacy_attacks", "privacy_audit"),
    "consistency": ("consistency",),
    "correlation": ("correlation", "correlation-cohorts", "correlation-spoilt"),
    "interrater": ("interrater",),
}
CURVES = {  # what their names begin with
    "utility": ("utility-",),
    "fidelity": ("intensity-", "spectrum-"),
    "privacy": ("privacy",),
    "consistency": ("consistency",),
    "correlation": ("correlation-",),
}
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")  # of a file, without its ending
MAX_NUMBERS, MAX_TEXT, MAX_ROWS, MAX_COLUMNS, MAX_ENTRIES = 4000, 1000, 500, 60, 64
MAX_RESULTS = 2000


def write_public(one: Folder, out: Path, source: Cohort, results_alone: bool = False) -> None:
    """Write the public edition of a results folder about a cohort to a new folder, perhaps its results alone.

    Raises:
        UnderstudyError: a file is larger than any evaluation writes, or a picture shows no case of the cohort.
    """
    out.mkdir(parents=True)
    _write_results(one, out)
    if results_alone:
        return
    for table in one.tables:
        if table.name in TABLES.get(one.section, ()):
            _write_table(table, out / "tables", one.path)
    for name, curve in one.curves.items():
        if NAME.fullmatch(name) and name.startswith(CURVES.get(one.section, ())):
            _write_json(curve, out / "curves" / f"{name}.json", one.path / "curves" / f"{name}.json")
    for name, histograms in one.histograms.items():
        if NAME.fullmatch(name):
            _write_json(histograms, out / "histograms" / f"{name}.json", one.path / "histograms" / f"{name}.json")
    for name, arrays in one.images.items():
        if NAME.fullmatch(name) and "images" in arrays:
            title = str(arrays.get("title", ""))[:MAX_TEXT]
            write_grid(_parent(out / "images" / f"{name}.npz"), source, _rows_of(arrays, source, one.path, name), title)


def _write_results(one: Folder, out: Path) -> None:
    file, request = one.path / "results.json", ProvenanceRecord.model_validate(one.provenance)
    for name, value in request.config.items():
        entries = value if isinstance(value, list | tuple) else [value]
        _refuse_large(file, f"entries of the setting {name[:MAX_TEXT]}", len(entries), MAX_ENTRIES)
        if any(isinstance(entry, list | tuple | dict) for entry in entries):
            raise UnderstudyError(
                f"{file} should hold settings that are numbers, words or lists of such: evaluate again"
            )
    _refuse_large(file, "settings and inputs", len(request.config) + len(request.inputs), MAX_ENTRIES)
    _refuse_large(file, "results", len(one.results), MAX_RESULTS)
    data = {"provenance": request.model_dump(), "results": [asdict(result) for result in one.results]}
    _refuse_long(file, data)
    (out / "results.json").write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")


def _write_table(table: Table, folder: Path, source: Path) -> None:
    file, cells = source / "tables" / f"{table.name}.csv", len(table.header) * len(table.rows)
    for what, n, most in (("columns", len(table.header), MAX_COLUMNS), ("rows", len(table.rows), MAX_ROWS)):
        _refuse_large(file, what, n, most)
    _refuse_large(file, "cells", cells, 2 * MAX_NUMBERS)
    _refuse_long(file, [table.header, *table.rows])
    with _parent(folder / f"{table.name}.csv").open("w", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows([table.header, *table.rows])


def _write_json(data: dict[str, Any], out: Path, file: Path) -> None:
    _refuse_large(file, "numbers", _numbers(data), MAX_NUMBERS)
    _refuse_long(file, data)
    _parent(out).write_text(json.dumps(data, allow_nan=False) + "\n")


def _rows_of(arrays: dict[str, np.ndarray], source: Cohort, path: Path, name: str) -> np.ndarray:
    """Return which cases of a cohort the pictures of an .npz file show, label maps and all."""
    wanted = [arrays["images"], *([arrays["labels"]] if "labels" in arrays and source.labels is not None else [])]
    rows: dict[bytes, int] = {}
    for start in range(0, len(source), ROWS):
        block = np.arange(start, min(start + ROWS, len(source)))
        theirs = grid_arrays(source, block)
        parts = [theirs[part] for part in ("images", "labels")[: len(wanted)]]
        rows |= {digest: start + i for i, digest in enumerate(_digests(parts))}
    found = [rows.get(digest, -1) for digest in _digests(wanted)]
    if -1 in found:
        raise UnderstudyError(
            f"release is refused: {path}/images/{name}.npz shows a picture (number {found.index(-1) + 1}) that is "
            f"no case of {source.path.name}: evaluate this cohort again. Nothing was written"
        )
    return np.array(found, int)


def _digests(parts: list[np.ndarray]) -> list[bytes]:
    """Return a hash of each case: of its image in 65,536 levels, and its label map."""
    if len({len(part) for part in parts if part.ndim}) != 1 or parts[0].dtype.kind not in "fiu":
        return [b""]  # no case has it
    levels = in_levels(parts[0].astype(np.float64))
    arrays: list[np.ndarray] = [levels, *(part.astype(np.uint8) for part in parts[1:])]
    told = [b"".join(str(a[i].shape).encode() + a[i].tobytes() for a in arrays) for i in range(len(levels))]
    return [hashlib.sha256(one).digest() for one in told]


def _numbers(data: Any) -> int:
    if isinstance(data, dict):
        return sum(_numbers(value) for value in data.values())
    return sum(_numbers(value) for value in data) if isinstance(data, list | tuple) else int(not isinstance(data, str))


def _refuse_long(file: Path, data: Any) -> None:
    """Refuse a text in some plain data that is longer than a note."""
    if isinstance(data, str):
        _refuse_large(file, "characters in one text", len(data), MAX_TEXT)
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ():
        _refuse_long(file, value)


def _refuse_large(file: Path, what: str, n: int, most: int) -> None:
    if n > most:
        raise UnderstudyError(
            f"release is refused: {file} holds {n:,} {what}, and a public file may hold {most:,}: leave that evidence "
            "out, or make it again. Nothing was written"
        )


def _parent(file: Path) -> Path:
    """Return a file, the folder for it made."""
    file.parent.mkdir(exist_ok=True)
    return file
