"""What a source hands over: a list of items found, checked as far as headers tell, and a way to read each of them.

A source (data/sources) knows where things lie in one data set layout; everything after it (splitting, pseudonyms,
intensities, slices, sizes) is the same for all and stands in data/importing.py.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import file_hash
from understudy.core.labels import LabelScheme
from understudy.data.options import ImportOptions


@dataclass(frozen=True)
class Item:
    """One picture with its label map, not read yet.

    Attributes:
        name: unique; used in messages and for the order within a subject, never written.
        subject: the source's name of the subject, never written.
        images: the image file, or one file per channel.
        split: published split (train, validation, control, test), or blank.
    """

    name: str
    subject: str
    images: tuple[Path, ...] = ()
    labels: Path | None = None
    split: str = ""
    classes: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files: of images, then of the label map."""
        return (*self.images, *([self.labels] if self.labels else []))


@dataclass(frozen=True)
class Reading:
    """One item, read.

    Attributes:
        image: (C, *S) in the listing's data type, or None.
        labels: (*S) uint8, values 0..K-1, or None.
        spacing_mm: per array axis, or None.
        affine: (4, 4), array indices (d, h, w, 1) to millimetres right, anterior, superior; or None. In 2D, d is 0.
        slice_index: which slice of its volume this is, from 0; or None.
        remarks: what a user should know of how it was read: phrases that can be counted, without names.
        stored_axes: where the axes of its file run to, such as ``LPS``; blank where the file does not say.
    """

    image: np.ndarray | None
    labels: np.ndarray | None
    spacing_mm: tuple[float, ...] | None = None
    affine: np.ndarray | None = None
    slice_index: int | None = None
    remarks: tuple[str, ...] = ()
    stored_axes: str = ""

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial size."""
        if self.image is not None:
            return self.image.shape[1:]
        return () if self.labels is None else self.labels.shape


@dataclass(frozen=True)
class Listing:
    """What a source found.

    Attributes:
        read: reads one item: one case, or all slices that a source cuts itself.
        channels: names of the image channels; empty without images.
        dtype: NumPy name of the type images are read in.
        size: spatial size that all items share, or None where they differ.
        dims: 2 or 3.
        modality: for the manifest where the user names none.
        rule: how volumes are cut into slices when 2D cases are wanted.
        judged_by: the channel that the rule looks at.
        intensity: how intensities are stored, where the source knows better than the options; else None.
        sliced: cases are slices unless the user asks for volumes.
        padded: size to which cases are zero-padded where the user asks for none; None leaves them as they are.
        plane: plane of slices in which ``read`` gives volumes: their first axis goes across it.
        passed_over: why files or rows were left out, and how many of each.
        remarks: what a user should know before any pixel is read, and how many files or cases each concerns; like
            the remarks of readings they are phrases without any name, value or path of the source.
        notes: plain data for the manifest's ``preprocessing``.
        inputs: what was found (names, sizes in bytes, the table): only its keyed hash is recorded.
    """

    items: list[Item]
    read: Callable[[Item], Iterable[Reading]]
    channels: tuple[str, ...]
    dtype: str
    size: tuple[int, ...] | None
    dims: int
    scheme: LabelScheme | None
    classes: tuple[str, ...] = ()
    modality: str = "unknown"
    rule: str = "all"
    judged_by: int = 0
    intensity: str | None = None
    sliced: bool = False
    padded: tuple[int, ...] | None = None
    plane: str = "axial"
    passed_over: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    inputs: str = ""


@dataclass(frozen=True)
class Source:
    """A line of the menu: how one data set layout is listed.

    Attributes:
        summary: one line for the help.
        listing: (path, options) -> Listing; path means nothing where ``needs_path`` is False.
        options: the model of its options, from which its sub-command of ``understudy import`` is made.
        example: a command that imports from it, for the help.
        needs_path: whether the source reads a folder.
        secret: whether its subjects are people, whose names the key file hides.
        fits: tells from the first files below a folder whether it seems to have this layout; where several do, the last
            of the menu is taken.
    """

    summary: str
    listing: Callable[[Path, Any], Listing]
    options: type[ImportOptions]
    example: tuple[str, ...]
    needs_path: bool = True
    secret: bool = True
    fits: Callable[[Sequence[Path]], bool] | None = None


def fingerprint(path: Path, items: Sequence[Item], *tables: Path) -> str:
    """Return a text that changes when files are added, removed, renamed or change their size, or a table changes.

    Only its keyed hash is recorded; the name and place of the folder ``path`` do not count. **Differs** from hashing
    every pixel, which would read a large source twice: a file changed within its size is not noticed.
    """
    files = sorted({file for item in items for file in item.files})
    listed = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]
    hashes: list[str | None] = [file_hash(table) for table in tables]
    return json.dumps([listed, *(hashes or [None])])


def size_text(size: tuple[int, ...]) -> str:
    """Write a spatial size for a message."""
    return " x ".join(map(str, size))
