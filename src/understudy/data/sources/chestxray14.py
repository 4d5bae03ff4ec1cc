"""NIH ChestX-ray14: x-rays below ``images_001/images`` ... ``images_012/images`` (or ``images``), Data_Entry_2017.csv.

The 14 findings are class columns of 0 and 1 in the order of ``FINDINGS``; an image of ``No Finding`` has 0 in all. The
lists that NIH publishes are read: patients of ``test_list.txt`` are the test split, those of ``train_val_list.txt`` are
shared out among the others. Of a part of the archive, what is there is taken. No picture is opened before its pixels
are read, which keeps the listing of 112,120 quick. Some are stored in colour with alpha: they are grey, and it is told.
**Source**: Wang et al., CVPR 2017 (ChestX-ray8), and its release with 14 findings: the names of files and findings.
**Differs**: a table that names a finding not known is refused; no bounding boxes are read.
**Checked** in tests/data/sources/test_chestxray14.py.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import formats, identity
from understudy.data.listing import Item, Listing, Reading, Source, fingerprint
from understudy.data.options import NAMES, ImportOptions
from understudy.data.sources.case_files import GREY
from understudy.data.sources.table import MOST_BYTES, SourceTable, read_table
from understudy.data.sources.walk import Found, merged, walk

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
HEALTHY = "No Finding"
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")  # the first that is there is read
TEST, OTHERS = "test_list.txt", "train_val_list.txt"
FILE, LABELS, PATIENT = "Image Index", "Finding Labels", "Patient ID"
UNLISTED = "pictures that the table does not name"
MISSING = "pictures of the table that are not there"
IN_NO_LIST = "pictures that stand in neither published list"
NO_TEST = "no picture of the published test list is there: test patients are drawn from the other list"


class ChestXray14Options(ImportOptions):
    """Which findings are kept, and who is tested on."""

    classes: tuple[str, ...] = Field(
        (), description="findings to keep as class columns; default: all 14", json_schema_extra=NAMES
    )
    own_split: bool = Field(False, description="split goes over all patients, whatever the published lists say")

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if not set(classes) <= set(FINDINGS) or len(set(classes)) < len(classes):
            raise ValueError(f"findings are {', '.join(FINDINGS)}, each once; found {', '.join(classes)}")
        return tuple(finding for finding in FINDINGS if finding in classes)


def listing(path: Path, options: ChestXray14Options) -> Listing:
    """List the archive, or a part of it: one table, two lists and one walk; no picture is opened.

    Raises:
        UsageError: no size is given, or the table, one of its columns or one of the two lists is not there.
        UnderstudyError: the table or the lists are not as NIH publishes them, or none of its pictures is there.
    """
    if options.size is None:
        raise UsageError("import chestxray14 opens no picture to learn its size: give --size (1024 is as they are)")
    name = next((name for name in TABLES if (path / name).is_file()), TABLES[-1])
    table = read_table(path / name, (LABELS, PATIENT), FILE)
    patients = identity.subjects(table.column(PATIENT), f"the column {PATIENT!r} of {table.path}", "fill it in")
    kept = options.classes or FINDINGS
    findings, lists = _findings(table, kept), _lists(path, options)
    splits = _splits(table.files, patients, lists, table.path)
    walked = walk(path, path, leave=[path / file for file in (*TABLES, TEST, OTHERS)])
    files = _by_name(walked)
    items = [
        Item(file, f"patient-{patient}", (files[file],), None, splits[file], found)
        for file, patient, found in zip(table.files, patients, findings, strict=True)
        if file in files and file in splits
    ]
    if not items:
        raise UnderstudyError(
            f"none of {len(table.files)} pictures that {table.path} names is to be imported: {len(files)} pictures are "
            f"there, and {len(splits)} of the table stand in the published lists; unpack the archives, or correct them"
        )
    walked.refuse_broken(item.images[0] for item in items)
    over = {
        UNLISTED: len(files.keys() - set(table.files)),
        MISSING: len(set(table.files) - files.keys()),
        IN_NO_LIST: len(files.keys() & (set(table.files) - splits.keys())),
    }
    untested = bool(lists) and not any(item.split for item in items)
    return Listing(
        items=items,
        read=_read,
        channels=("image",),
        dtype="uint8",
        size=None,
        dims=2,
        scheme=None,
        classes=kept,
        modality="DX",
        passed_over=merged(walked.passed_over, table.passed_over, {why: n for why, n in over.items() if n}),
        remarks=merged(identity.remarks(table.column(PATIENT), patients), {NO_TEST: 1} if untested else {}),
        notes={"source": "chestxray14", "table": name, "split_by": "published lists" if lists else "fractions"},
        inputs=fingerprint(path, items, table.path, *lists),
    )


def _findings(table: SourceTable, kept: tuple[str, ...]) -> list[dict[str, str]]:
    """0 or 1 for each finding that is kept, row by row; rows of the same findings share one."""
    known: dict[str, dict[str, str]] = {}
    for line, text in zip(table.lines, table.column(LABELS), strict=True):
        if text in known:
            continue
        told = text.split("|")
        if told != [HEALTHY] and not (set(told) <= set(FINDINGS) and len(set(told)) == len(told)):
            raise UnderstudyError(
                f"row {line} of {table.path} has the findings {text[:80]!r}, and names out of {', '.join(FINDINGS)}, "
                f"joined by |, or {HEALTHY} alone were expected: correct it"
            )
        known[text] = {finding: str(int(finding in told)) for finding in kept}
    return [known[text] for text in table.column(LABELS)]


def _lists(path: Path, options: ChestXray14Options) -> dict[Path, str]:
    """The published lists and the split that each names, none where they are not to be read or both are missing."""
    lists = {path / TEST: "test", path / OTHERS: ""}
    missing = [file.name for file in lists if not file.is_file()]
    if options.own_split or len(missing) == len(lists):
        return {}
    if missing:
        raise UsageError(
            f"{path} has one of the two published lists, and {missing[0]} is not there: add it, or leave both aside "
            "with --own-split"
        )
    return lists


def _splits(names: tuple[str, ...], patients: list[str], lists: dict[Path, str], table: Path) -> dict[str, str]:
    """The published split of each picture that has one: test, or blank for all other splits.

    Raises:
        UnderstudyError: a patient stands in both lists.
    """
    if not lists:
        return dict.fromkeys(names, "")
    split_of = [(frozenset(_lines(file)), split) for file, split in lists.items()]
    found: dict[str, str] = {}
    of_patient: dict[str, set[str]] = {}
    for name, patient in zip(names, patients, strict=True):
        for listed, split in split_of:
            if name in listed:
                found[name] = split
                of_patient.setdefault(patient, set()).add(split)
    both = sum(len(splits) > 1 for splits in of_patient.values())
    if both:
        raise UnderstudyError(
            f"{both} patient(s) of {table} stand in {TEST} and in {OTHERS}, and nobody may be trained and tested on: "
            "restore the lists as NIH publishes them, or give --own-split"
        )
    return found


def _lines(file: Path) -> list[str]:
    if file.stat().st_size > MOST_BYTES:
        raise UnderstudyError(f"{file} has more than {MOST_BYTES // 2**20} MiB, and a list of names was expected")
    try:
        return [line.strip() for line in file.read_bytes().decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UnderstudyError(f"{file} should be text with one file name a line, and is not UTF-8: restore it") from (
            error
        )


def _by_name(walked: Found) -> dict[str, Path]:
    """Pictures by their names without folders."""
    files: dict[str, Path] = {}
    for path, file in walked.files.items():
        name = path.rpartition("/")[2]
        if files.setdefault(name, file) is not file:
            raise UnderstudyError(f"{files[name]} and {file} have one name: move one elsewhere")
    return files


def _read(item: Item) -> Iterator[Reading]:
    """Read one x-ray as one grey channel."""
    file = item.images[0]
    picture = formats.stored_image(file)
    if picture.array.dtype != np.uint8 or (picture.array != picture.array[:1]).any():
        raise UnderstudyError(
            f"{file} is {picture.array.dtype} in {len(picture.array)} channel(s), and x-rays of 8 bits, grey or with "
            "equal colours, were expected: replace it with the file of the archive"
        )
    remarks = (*picture.remarks, *([GREY] if len(picture.array) > 1 else []))
    yield Reading(picture.array[:1], None, remarks=remarks)


def fits(files: Sequence[Path]) -> bool:
    """Tell whether there is the table of the archive."""
    return any(re.fullmatch(r"Data_Entry_2017.*\.csv", file.name) for file in files)


SOURCE = Source(
    "NIH ChestX-ray14: 14 findings as classes, the published test patients",
    listing,
    ChestXray14Options,
    ("understudy import chestxray14 NIH --classes Effusion,Cardiomegaly --size 64 --out nih",),
    fits=fits,
)
