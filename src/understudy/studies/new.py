"""A study for somebody's own data: a shipped one, with the import of the folder that was found.

What lies in the folder is guessed from names alone and stands in the YAML, to be corrected there.
**Checked** in tests/studies/test_new.py.
"""

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.column_values import column_values
from understudy.data.sources import SOURCES
from understudy.studies.study import CONTROL, NAME

SHIPPED = files("understudy.studies") / "shipped"
MOST_FILES = 2000  # looked at
PICTURES = re.compile(r"\.(png|jpe?g|bmp|webp|tiff?|nii(\.gz)?|mha|mhd|nrrd|nhdr)$", re.IGNORECASE)
LABELS = re.compile(r"label|mask|seg|annot|lesion|truth|^gt$", re.IGNORECASE)
SUBJECT = ("subject", "subject_id", "patient", "patient_id", "patientid", "participant_id", "group", "case", "id")
FILE = ("file", "filename", "file_name", "image", "image_id", "name")
PLACE = ("import", "dims", "images", "labels", "table", "subject", "file_column")  # lines that say where data lie


@dataclass(frozen=True)
class Guess:
    """What a folder seems to hold: a source, its options, and what was not clear."""

    source: str
    options: dict[str, str] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()


def shipped() -> dict[str, str]:
    """Return the names of the shipped studies with their titles."""
    found = sorted(file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml"))
    return {name: str(yaml.safe_load(shipped_text(name))["title"]) for name in found}


def shipped_text(name: str) -> str:
    """Return the YAML of a shipped study; another name is a UsageError."""
    if not re.fullmatch(NAME, name) or not (SHIPPED / f"{name}.yaml").is_file():
        raise UsageError(f"no study is called {name!r}: `understudy study list` shows all")
    return (SHIPPED / f"{name}.yaml").read_text()


def new_study(name: str, data: Path, folder: Path) -> tuple[str, Guess]:
    """Return the YAML of a shipped study for a folder of data, and what that seems to hold.

    Where the study imports one plain folder, its import becomes that of what was found; else it stays, and no source
    is named.

    Args:
        name: of the shipped study.
        data: the folder.
        folder: in which the YAML will lie.

    Raises:
        UsageError: no such study or folder.
        UnderstudyError: there is nothing to import.
    """
    text = shipped_text(name)
    if not data.is_dir():
        raise UsageError(f"a folder with data was expected at {data}, and there is none: correct --data")
    layout = look(data)
    place = _quoted(os.path.relpath(data.absolute(), folder.absolute()))
    text = re.sub(r"^data: \S+", lambda _: f"data: {place}", text, count=1, flags=re.MULTILINE)
    if re.search(r"^  cohort:\n(?:    .*\n)*?    import: \[folder, \$data\]", text, re.MULTILINE):
        return _with_import(text, layout), layout
    return text, replace(layout, source="", unclear=("the imports are as they were: look whether they fit your data",))


def leaving_out(text: str, layout: Guess, data: Path, column: str) -> str:
    """Return a study with folds that leaves the subjects of each value of a table column out instead, one at a time.

    Raises:
        UsageError: the study has no folds, or there is no table with subjects; or as ``column_values`` says.
    """
    if not re.search(r"^  fold: .*$", text, re.MULTILINE) or not {"table", "subject"} <= layout.options.keys():
        raise UsageError(
            "--leave-out wants a study with folds (crossval), and a table with a subject column: leave it out, and "
            "write leave_out: COLUMN=VALUE into the import yourself"
        )
    found = column_values(data / layout.options["table"], column, layout.options["subject"])
    names = {re.sub(r"[^A-Za-z0-9]+", "_", value).strip("_")[:40]: value for value in found.subjects}
    if len(names) < max(2, len(found.subjects)) or "" in names:
        raise UsageError(f"--leave-out {column}: at least two values of at least two subjects, told apart by letters")
    sites = ", ".join(f"{json.dumps(name)}: {{value: {json.dumps(value)}}}" for name, value in names.items())
    told = ", ".join(f"{n} of {value}" for value, n in found.subjects.items())
    text = re.sub(r"^  fold: .*$", lambda _: f"  fold: {{{sites}}} # {told}", text, flags=re.MULTILINE)
    place = json.dumps(f"{column}=${{fold.value}}")
    return re.sub(r"^    fold: .*$", lambda _: f"    leave_out: {place}", text, flags=re.MULTILINE)


def _with_import(text: str, layout: Guess) -> str:
    """Put the import of a layout in the place of the cohort's."""
    head, start, rest = text.partition("  cohort:\n")
    lines = rest.splitlines(keepends=True)
    body = next((i for i, line in enumerate(lines) if not line.startswith("    ")), len(lines))
    told = (*PLACE, "one_image_per_subject") if "subject" in layout.options else PLACE
    kept = [line for line in lines[:body] if line.split(":")[0].strip() not in told]
    made = [f"    # {CONTROL.sub('?', remark)}\n" for remark in layout.unclear]
    made += [f"    import: [{layout.source}, $data]\n"]
    made += [f"    {key}: {_quoted(value).replace('$', '$$')}\n" for key, value in layout.options.items()]
    whole = any(re.match(r"    dims: 3\b", line) for line in lines[:body])
    made += [f"    dims: {3 if whole else 2} # slices of volumes; 3 keeps them whole\n"]
    return head + start + "".join([*made, *kept, *lines[body:]])


def _quoted(value: Any) -> str:
    """Write a value as YAML on one line; a name that no command can hold is an UnderstudyError."""
    if CONTROL.search(str(value)):
        raise UnderstudyError(f"a name without control characters was expected, found {value!r}: rename it")
    return json.dumps(value, ensure_ascii=False)


def look(data: Path) -> Guess:
    """Guess what a folder holds; UnderstudyError where nothing in it can be imported."""
    found = list(islice(_files(data), MOST_FILES))
    for name in reversed(list(SOURCES)):  # the more special come later in the menu
        if (fits := SOURCES[name].fits) and fits(found):
            return Guess(name, unclear=(f"which images, label maps, subjects: see `understudy import {name} --help`",))
    if pictures := [file for file in found if PICTURES.search(file.name)]:
        return _folder(data, pictures)
    raise UnderstudyError(
        f"nothing that can be imported was found in {data}: images (PNG, TIFF, JPEG, NIfTI, MHA, NRRD) or DICOM files "
        "were expected in it or in folders below"
    )


def _files(data: Path) -> Iterator[Path]:
    """Yield files in the order of their names; links to folders are not followed."""
    for folder, below, names in os.walk(data):
        below.sort()
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))


def _folder(data: Path, pictures: list[Path]) -> Guess:
    """Guess which folder holds images, which label maps, and what a table says."""
    top = [data / file.relative_to(data).parts[0] if file.parent != data else data for file in pictures]
    count = {folder.relative_to(data).as_posix(): top.count(folder) for folder in dict.fromkeys(top)}
    labels = [name for name in count if name != "." and LABELS.search(name)]
    images = sorted((name for name in count if name not in labels), key=lambda name: -count[name])
    if labels and images == ["."]:
        images = []  # a picture beside the folders, such as a template
    named = [name for name in images if re.search(r"im(age|g)|scan", name, re.IGNORECASE)]
    unclear = []
    if named:
        options = {"images": named[0]}
    else:
        options = {} if labels and not images else {"images": images[0] if len(images) == 1 else "."}
    if len(images) != 1:
        unclear.append(f"images: {'which of ' + ', '.join(sorted(images)) + '?' if images else 'none found'}")
    if len(labels) != 1:
        unclear.append(f"labels: {'which of ' + ', '.join(sorted(labels)) + '?' if labels else 'none found'}")
    options |= {"labels": labels[0]} if labels else {}
    table, missing = _table(data)
    return Guess("folder", options | table, (*unclear, *missing))


def _table(data: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Guess the table and its columns."""
    tables = sorted(file for file in data.iterdir() if file.suffix.lower() == ".csv" and file.is_file())
    whose = "whose image is which: subject_pattern, or table with a subject column (`understudy import folder --help`)"
    if len(tables) != 1:
        told = f"table: one of {', '.join(file.name for file in tables)}?" if tables else whose
        return {}, (told,)
    try:
        with tables[0].open(newline="", encoding="utf-8-sig") as handle:
            header = next(csv.reader(handle), [])
    except (OSError, ValueError, csv.Error):
        return {}, (f"table: {tables[0].name} could not be read",)
    options, named = {"table": tables[0].name}, {column.strip().lower(): column for column in header}
    subject = next((named[name] for name in SUBJECT if name in named), None)
    file = next((named[name] for name in FILE if name in named), None)
    options |= {"subject": subject} if subject else {}
    options |= {"file_column": file} if file and file != "file" else {}
    unclear = [whose] * (subject is None) + ["file_column: which column names the image?"] * (file is None)
    return options, tuple(unclear)
