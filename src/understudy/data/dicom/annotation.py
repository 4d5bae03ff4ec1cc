"""Annotation: a label map on the grid of a series, and what SEG and RTSTRUCT have in common.

Names of segments and ROIs are free text, which may hold the name of a person, so they never become names of classes by
themselves: the user names the classes (``--label-scheme``), or gets class1, class2 ... in the order of the names. A
segment is found by its name, never by its number, which may differ from file to file.
**Checked** in tests/data/dicom/test_annotation.py and test_hostile_annotations.py.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.dicom.grid import Grid
from understudy.data.dicom.opening import reading

Overlap = Literal["refuse", "first", "last"]
UNNAMED = "segments or structures that no class is named after are left out"
SAME_NAME = "several segments or structures of one file have one name and are taken as one class"
OVERLAPPED = "segments or structures overlap, and one class of each voxel is kept, as --overlap says"
BEYOND = "segments or structures reach beyond the images: what lies outside is cut off"
SHOWN = 40  # names in a message
MOST_CLASSES = 254


@dataclass(frozen=True)
class Annotation:
    """A label map that a SEG or RTSTRUCT draws.

    Attributes:
        array: (1, I, J, K) uint8 or uint16 on the grid, 0 where nothing is drawn.
        names: value of the array -> label of the segment or ROI; free text of the file, never written.
        remarks: what was decided: phrases without names or values.
    """

    array: np.ndarray
    names: dict[int, str]
    remarks: tuple[str, ...] = ()


def refuse_cut(dataset: Any, what: str) -> None:
    """Refuse a data set that ended within an element, which pydicom gives as far as it goes: it may lack segments."""
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        value = getattr(element, "value", None)
        if isinstance(value, bytes) and len(value) < getattr(element, "length", 0) < 0xFFFFFFFF:
            raise UnderstudyError(f"{what} ends early (an element is shorter than it says): export or copy it again")


def items(dataset: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence; none where it is missing, empty or no sequence."""
    found = dataset.get(keyword)
    return [item for item in found if hasattr(item, "get")] if isinstance(found, Iterable) else []


def spelled(label: str) -> str:
    """Return a label as labels are compared: without case, and with one space for blanks and underscores."""
    return " ".join(unicodedata.normalize("NFKC", label).replace("_", " ").replace("\0", " ").casefold().split())


def labels_of(dataset: Any) -> list[str]:
    """Return the labels of the segments or ROIs, in the file's order, without any pixel or contour.

    Raises:
        UnderstudyError: the file cannot be read.
    """
    with reading("a SEG or RTSTRUCT", "names"):
        return [
            *(str(item.get("SegmentLabel") or "") for item in items(dataset, "SegmentSequence")),
            *(str(item.get("ROIName") or "") for item in items(dataset, "StructureSetROISequence")),
        ]


def refers_to(dataset: Any) -> set[str]:
    """Return the UIDs of the series and SOP instances that a SEG or RTSTRUCT says it was drawn on.

    Raises:
        UnderstudyError: the file cannot be read.
    """
    with reading("a SEG or RTSTRUCT", "references"):
        found: set[str] = set()
        for series in [*items(dataset, "ReferencedSeriesSequence"), *_structure_series(dataset)]:
            found.add(str(series.get("SeriesInstanceUID") or ""))
            for keyword in ("ReferencedInstanceSequence", "ContourImageSequence"):
                found |= instances(series, keyword)
        for frame in [*items(dataset, "SharedFunctionalGroupsSequence"), *_frames(dataset)]:
            for derivation in items(frame, "DerivationImageSequence"):
                found |= instances(derivation, "SourceImageSequence")
        for roi in items(dataset, "ROIContourSequence"):
            for contour in items(roi, "ContourSequence"):
                found |= instances(contour, "ContourImageSequence")
        return (found | instances(dataset, "SourceImageSequence")) - {""}


def instances(dataset: Any, keyword: str) -> set[str]:
    """Return the SOP instance UIDs that the items of a sequence refer to."""
    return {str(item.get("ReferencedSOPInstanceUID") or "") for item in items(dataset, keyword)} - {""}


def _frames(dataset: Any) -> list[Any]:
    return items(dataset, "PerFrameFunctionalGroupsSequence")


def _structure_series(dataset: Any) -> list[Any]:
    """The series that a structure set names, through frames of reference and studies."""
    studies = [
        study
        for frame in items(dataset, "ReferencedFrameOfReferenceSequence")
        for study in items(frame, "RTReferencedStudySequence")
    ]
    return [series for study in studies for series in items(study, "RTReferencedSeriesSequence")]


def classes_of(
    labels: Iterable[str], named: LabelScheme | None, shown: bool = False
) -> tuple[LabelScheme, dict[str, int]]:
    """Return the classes of a data set whose segments and ROIs have these labels, and ``spelled`` label -> value.

    Args:
        labels: of all files.
        named: the user's own: a class is the segments of its name, the value its number; or None, and the classes are
            class1, class2 ... in the order of the labels.
        shown: whether a refusal lists the labels, which may hold names of people.

    Raises:
        UsageError: the first class is not 0, two classes have one name, or no segment has the name of a class.
        UnderstudyError: there are too many labels to be classes.
    """
    found = sorted({spelled(label) for label in labels})
    if named is None:
        if not 1 <= len(found) <= MOST_CLASSES:
            raise UnderstudyError(
                f"SEG and RTSTRUCT files have {len(found)} different names of segments and structures, and classes are "
                f"1 to {MOST_CLASSES}: name those to take, as in --label-scheme 0=background,1=liver"
            )
        names = ("background", *(f"class{value}" for value in range(1, len(found) + 1)))
        return LabelScheme(names, tuple(range(len(names)))), {label: 1 + n for n, label in enumerate(found)}
    if named.source_values[0] != 0 or min(named.source_values) < 0 or max(named.source_values) > MOST_CLASSES:
        raise UsageError(
            f"where SEG and RTSTRUCT are read, a label scheme begins with 0=background and numbers go to "
            f"{MOST_CLASSES}; found {named.to_text()}"
        )
    values = {spelled(name): value for name, value in zip(named.names[1:], named.source_values[1:], strict=True)}
    if len(values) < len(named) - 1:
        raise UsageError(f"two classes of the label scheme differ in case or blanks only: {named.to_text()}")
    listed = f"there are {', '.join(found[:SHOWN])}" if shown else "--show-descriptions lists them on your screen"
    if missing := [name for name in named.names[1:] if spelled(name) not in found]:
        raise UsageError(
            f"the label scheme names {', '.join(missing)}, and no segment or structure is called so: give the names "
            f"as the SEG and RTSTRUCT files have them (case, blanks and underscores are all one); {listed}"
        )
    return named, values


@dataclass(frozen=True)
class ChosenSegments:
    """Which segments of a file are taken.

    Attributes:
        values: segment or ROI number -> value in the label map.
        names: value -> label.
        remarks: what was decided.
    """

    values: dict[int, int]
    names: dict[int, str]
    remarks: tuple[str, ...]


def chosen(labels: Mapping[int, str], classes: Mapping[str, int] | None) -> ChosenSegments:
    """Choose the segments (number -> label) that classes (``spelled`` label -> value) are named after; None: all."""
    if classes is None:
        return ChosenSegments({number: number for number in labels}, dict(labels), ())
    values = {number: classes[spelled(label)] for number, label in labels.items() if spelled(label) in classes}
    names: dict[int, str] = {}
    for number, value in values.items():
        names.setdefault(value, labels[number])
    remarks = [UNNAMED] * (len(values) < len(labels)) + [SAME_NAME] * (len(names) < len(values))
    return ChosenSegments(values, names, tuple(remarks))


class Canvas:
    """A label map (1, I, J, K) onto which segments are laid, in any order; what overlaps is decided by value."""

    def __init__(self, grid: Grid, values: Iterable[int], overlap: Overlap) -> None:
        dtype = np.uint8 if max(values, default=0) < 256 else np.uint16
        self.array = np.zeros((1, *grid.size[::-1]), dtype).transpose(0, 3, 2, 1)  # a slice lies in one piece of memory
        self.overlap = overlap
        self.overlapped = False

    def lay(self, value: int, mask: np.ndarray, region: Any = ...) -> None:
        """Set a class where a mask is true, in a region (an index of (I, J, K), of the mask's shape).

        Raises:
            UnderstudyError: another class is there, and overlaps are refused.
        """
        there = self.array[0][region]
        others = mask & (there != 0) & (there != value)
        kept = mask
        if others.any():
            if self.overlap == "refuse":
                raise UnderstudyError(
                    f"segments or structures overlap (in {int(others.sum())} voxels of one slice or volume), and a "
                    "voxel of a label map has one class: name fewer classes with --label-scheme, or give --overlap "
                    "first (the lower class number is kept) or --overlap last (the higher)"
                )
            self.overlapped = True
            kept = mask & ((there == 0) | ((there > value) if self.overlap == "first" else (there < value)))
        self.array[0][region] = np.where(kept, self.array.dtype.type(value), there)

    def annotation(self, taken: ChosenSegments, remarks: Iterable[str]) -> Annotation:
        """Return the label map with all remarks, each once."""
        said = [*taken.remarks, *remarks, *([OVERLAPPED] if self.overlapped else [])]
        return Annotation(self.array, taken.names, tuple(dict.fromkeys(said)))
