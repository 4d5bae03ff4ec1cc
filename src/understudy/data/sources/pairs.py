"""Which image belongs to which label map, subject and split: by name below two folders, or as a CSV table says.

Image ``a/b.png`` belongs to the label map ``a/b.*`` (same path without the ending). With a table its rows say what is
taken: the ``file`` column names the image below ``images`` (the label map, where there are no images). Files of other
kinds and hidden ones are passed over. **Checked** in tests/data/sources/test_pairs.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import formats
from understudy.data.listing import Item
from understudy.data.options import NAMES, FileOptions
from understudy.data.sources.table import FILE, class_columns, inside, read_table, refuse_outside
from understudy.data.split import published


class FolderOptions(FileOptions):
    """Where images, label maps and the table lie below PATH, and what the table's columns mean."""

    images: str | None = Field(None, description="folder of images below PATH")
    labels: str | None = Field(None, description="folder of label maps below PATH")
    table: str | None = Field(None, description="CSV file below PATH; its column file names the image below images")
    label_column: str | None = Field(
        None, description="table column that names the label map below labels; default: it has the image's name"
    )
    subject: str | None = Field(None, description="table column that names the subject")
    subject_pattern: str | None = Field(
        None, description="regular expression in the file name; its first group, or the match, is the subject"
    )
    one_image_per_subject: bool = Field(False, description="every file is a subject of its own")
    classes: tuple[str, ...] = Field(
        (), description="table columns to keep as class columns; a blank is missing", json_schema_extra=NAMES
    )
    split_column: str | None = Field(None, description="table column with a published split, used in place of split")
    leave_out: str | None = Field(
        None,
        description="subjects of these table rows are the test split; all others share the other splits",
        json_schema_extra={"metavar": "COLUMN=VALUE"},
    )

    @model_validator(mode="after")
    def _tested_on(self) -> Self:
        if self.leave_out is not None and not all(part.strip() for part in self.leave_out.partition("=")):
            raise ValueError(f"leave_out is COLUMN=VALUE, as in institution=north; found {self.leave_out!r}")
        if self.leave_out is not None and self.split_column is not None:
            raise ValueError("leave_out and split_column both say who is tested on: give one of them")
        return self

    @property
    def left_out(self) -> tuple[str, str] | None:
        """The column and the value whose subjects are the test split, or None."""
        column, _, value = (self.leave_out or "").partition("=")
        return (column.strip(), value.strip()) if column else None


@dataclass(frozen=True)
class Pairs:
    """Items found, the names of their class columns, and how many pictures the table does not name."""

    items: list[Item]
    classes: tuple[str, ...]
    passed_over: int


@dataclass(frozen=True)
class _Found:
    """All pictures below the two folders, by their path without the ending."""

    path: Path
    images: dict[str, Path]
    labels: dict[str, Path]
    options: FolderOptions

    @property
    def main(self) -> dict[str, Path]:
        """What a case is counted by: images, or label maps where there are no images."""
        return self.images or self.labels


def pairs(path: Path, options: FolderOptions) -> Pairs:
    """Find and pair all pictures below a folder.

    Raises:
        UsageError: a folder, the table or one of its columns is not there.
        UnderstudyError: a picture has no partner or no subject, two have one name, or the table is wrong.
    """
    images = _pictures(path, options.images, "--images")
    found = _Found(path, images, _pictures(path, options.labels, "--labels"), options)
    if found.images and found.labels and options.label_column is None:
        _refuse_lone(found)
    if options.table is None:
        return Pairs([_item(found, stem, file) for stem, file in found.main.items()], (), 0)
    table = path / options.table
    named = (options.subject, options.split_column, *(options.left_out or ())[:1], options.label_column)
    rows = read_table(table, [name for name in (*named, *options.classes) if name])
    classes, entries = class_columns(rows, options.classes, table)
    items = [_row_item(found, row, entry) for row, entry in zip(rows, entries, strict=True)]
    if options.left_out and not any(item.split for item in items):
        raise UnderstudyError(f"no row of {table} says {options.leave_out}: correct --leave-out")
    return Pairs(items, classes, len(found.main) - len(items))


def _pictures(path: Path, folder: str | None, option: str) -> dict[str, Path]:
    if folder is None:
        return {}
    below = path / folder
    if not below.is_dir():
        raise UsageError(f"a folder was expected at {below}, and there is none: correct {option}")
    refuse_outside(path, below)
    out: dict[str, Path] = {}
    for file in sorted(below.rglob("*")):
        relative = file.relative_to(below)
        if formats.ending(file) is None or any(part.startswith(".") for part in relative.parts) or file.is_dir():
            continue
        refuse_outside(path, file)
        stem = formats.stem(relative)
        if stem in out:
            raise UnderstudyError(f"{out[stem]} and {file} have one name but for the ending: rename or remove one")
        out[stem] = file
    if not out:
        endings = ", ".join(formats.FORMATS)
        raise UnderstudyError(f"the folder {below} holds no picture; read are files that end in {endings}")
    return out


def _refuse_lone(found: _Found) -> None:
    """Refuse an image without a label map (a table checks its rows itself) and a label map without an image."""
    sides = (
        (found.images, found.labels, "image", "label map", "labels"),
        (found.labels, found.images, "label map", "image", "images"),
    )
    for some, others, what, missing, option in sides:
        lone = sorted(some.keys() - others.keys())
        if lone and not (found.options.table and what == "image"):
            raise UnderstudyError(
                f"{len(lone)} {what}(s) have no {missing} of the same name, the first is {some[lone[0]]}: add the "
                f"{missing}s, remove the {what}s, or leave out --{option}"
            )


def _item(found: _Found, stem: str, file: Path) -> Item:
    return Item(stem, _subject(stem, found.options, {}), (file,) if found.images else (), found.labels.get(stem))


def _row_item(found: _Found, row: dict[str, str], classes: dict[str, str]) -> Item:
    options = found.options
    file = inside(found.path, found.path / (options.images or options.labels or "."), row[FILE], "the table")
    stem = formats.stem(Path(row[FILE]))
    if found.main.get(stem) != file:
        raise UnderstudyError(f"the table names {row[FILE]!r}, and there is no such picture: {file}")
    label = _named_label(found, row) if options.label_column else found.labels.get(stem)
    if found.labels and label is None:
        raise UnderstudyError(
            f"the image {file} of the table has no label map of the same name below {options.labels}: add it, or "
            "remove the row"
        )
    images, subject = (file,) if found.images else (), _subject(stem, options, row)
    return Item(stem, subject, images, label, _split(options, row), classes)


def _split(options: FolderOptions, row: dict[str, str]) -> str:
    if options.left_out:
        column, value = options.left_out
        return "test" if row[column] == value else ""
    return published(row[options.split_column], "the table") if options.split_column else ""


def _named_label(found: _Found, row: dict[str, str]) -> Path:
    column = str(found.options.label_column)
    below = found.path / (found.options.labels or ".")
    label = inside(found.path, below, row[column], f"the column {column!r}")
    if label not in found.labels.values():
        raise UnderstudyError(f"the column {column!r} names {row[column]!r}, and there is no such label map: {label}")
    return label


def _subject(stem: str, options: FolderOptions, row: dict[str, str]) -> str:
    if options.subject is not None:
        if not row[options.subject]:
            raise UnderstudyError(f"the table has no subject for {row[FILE]}: fill in the column {options.subject!r}")
        return row[options.subject]
    if options.subject_pattern is None:
        return stem
    match = re.search(options.subject_pattern, stem)
    found = match and (match.group(1) if match.re.groups else match.group())
    if not found:
        raise UnderstudyError(
            f"--subject-pattern {options.subject_pattern!r} finds no subject in {stem!r}: correct the pattern"
        )
    return found
