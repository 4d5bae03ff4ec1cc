"""The frames of a SEG: what is said of each, and their pixels, decoded one after the other.

Sizes that the file claims are checked against each other and the length of the pixel data before anything is decoded.
**Source**: DICOM PS3.3, C.8.20.2 and C.8.20.3 (Segmentation Image, its functional groups).
**Checked** in tests/data/dicom/test_segment_frames.py and test_hostile_annotations.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.annotation import items
from understudy.data.dicom.codestream import stated_size
from understudy.data.dicom.decoder import pixels_of
from understudy.data.dicom.opening import pydicom
from understudy.data.formats.decoded import MOST_SIDE, MOST_VALUES
from understudy.data.geometry import LPS_TO_RAS

BITS = {"BINARY": (1,), "FRACTIONAL": (8,), "LABELMAP": (8, 16)}


@dataclass(frozen=True)
class Frame:
    """One frame, not decoded.

    Attributes:
        number: from 0.
        segment: its segment; 0 in a LABELMAP, whose pixels are segment numbers.
        affine: (4, 4), (column, row, 0, 1) to millimetres right, anterior, superior; None where the file does not say.
        sources: SOP instance UID and frame number (0: whole instance) of the images it was derived from.
        between: distance of slices in mm, as the file says; 0 where it does not.
    """

    number: int
    segment: int
    affine: np.ndarray | None
    sources: tuple[tuple[str, int], ...]
    between: float


def kind_of(dataset: Any) -> str:
    """Return BINARY, FRACTIONAL or LABELMAP; UnderstudyError where bits or sizes do not fit. Nothing is allocated."""
    kind = str(dataset.get("SegmentationType") or "").strip().upper()
    if kind not in BITS or int(dataset.BitsAllocated) not in BITS[kind]:
        raise UnderstudyError(
            "a SEG is BINARY with 1 bit, FRACTIONAL with 8 or LABELMAP with 8 or 16 bits a pixel, and one is none of "
            "these: it is damaged, or of a newer kind; export it again as BINARY"
        )
    if "TotalPixelMatrixRows" in dataset or str(dataset.get("DimensionOrganizationType") or "").startswith("TILED"):
        raise UnderstudyError("a SEG is of a whole-slide image, in tiles, and these are not read: remove it")
    rows, columns, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames") or 1)
    if (
        min(rows, columns, frames) < 1
        or max(rows, columns) > MOST_SIDE
        or rows * columns > MOST_VALUES
        or int(dataset.get("SamplesPerPixel") or 1) != 1
    ):
        raise UnderstudyError(
            f"a SEG says that it has {frames} frames of {rows} x {columns} pixels, or several samples a pixel: it is "
            "damaged; export it again"
        )
    return kind


def frames_of(dataset: Any, kind: str) -> list[Frame]:
    """Return all frames with what is said of each, or of all; UnderstudyError where that cannot be."""
    count = int(dataset.get("NumberOfFrames") or 1)
    own = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), None)
    if len(own) != count:
        raise UnderstudyError(
            f"a SEG says that it has {count} frames, and describes {len(own)}: it is cut short or damaged; export it "
            "again"
        )
    declared = {int(item.SegmentNumber) for item in items(dataset, "SegmentSequence")}
    frames = [_frame(number, item, shared, kind) for number, item in enumerate(own)]
    if kind != "LABELMAP" and any(frame.segment not in declared for frame in frames):
        raise UnderstudyError("a SEG has frames of a segment that it does not declare: it is damaged; export it again")
    if len({frame.affine is None for frame in frames}) > 1:
        raise UnderstudyError("a SEG says of some frames where they lie and of others not: export it again")
    return frames


def _frame(number: int, own: Any, shared: Any, kind: str) -> Frame:
    def group(keyword: str) -> Any:
        found = items(own, keyword) or (items(shared, keyword) if shared is not None else [])
        return found[0] if found else {}

    segment = int(group("SegmentIdentificationSequence").get("ReferencedSegmentNumber") or 0)
    position = group("PlanePositionSequence").get("ImagePositionPatient")
    orientation = group("PlaneOrientationSequence").get("ImageOrientationPatient")
    measures = group("PixelMeasuresSequence")
    sources = [
        (str(source.get("ReferencedSOPInstanceUID") or ""), int(frame))
        for derivation in items(own, "DerivationImageSequence")
        for source in items(derivation, "SourceImageSequence")
        for frame in np.atleast_1d(source.get("ReferencedFrameNumber") or 0)
    ]
    spacing = measures.get("PixelSpacing")
    affine = None
    if position and orientation and spacing:
        affine = _affine(*(np.array(value, float) for value in (position, orientation, spacing)))
    apart = float(measures.get("SpacingBetweenSlices") or 0)
    return Frame(number, 0 if kind == "LABELMAP" else segment, affine, tuple(sources), apart)


def _affine(position: np.ndarray, orientation: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(column, row, slice, 1) to RAS; the slice axis is a normal of 1 mm."""
    along, down = orientation[:3], orientation[3:]
    right = position.shape == (3,) and orientation.shape == (6,) and spacing.shape == (2,)
    lengths = right and np.abs([along @ along - 1, down @ down - 1, along @ down]).max() < 1e-2
    if not lengths or not np.isfinite(position).all() or not (spacing > 0).all() or not np.isfinite(spacing).all():
        raise UnderstudyError(
            "a SEG has frames whose position, orientation or pixel spacing cannot be (not finite, not at right angles, "
            "0 or less): it is damaged; export it again"
        )
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([along * spacing[1], down * spacing[0], np.cross(along, down)])
    affine[:3, 3] = position
    return LPS_TO_RAS @ affine


def stored_frames(dataset: Any, wanted: set[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the frames (rows, columns) of these numbers, in order.

    Raises:
        UnderstudyError: the pixel data are shorter, or have fewer frames or others, than the file says.
    """
    rows, columns, bits = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsAllocated)
    compressed = dataset.file_meta.TransferSyntaxUID.is_encapsulated
    for number, value in _raw_frames(dataset, wanted):
        if compressed:
            if (stated_size(value) or (rows, columns)) != (rows, columns):
                raise UnderstudyError("a SEG has a compressed frame of another size than it says: export it again")
            yield number, _decompressed(value, dataset)
        elif bits == 1:
            start = number * rows * columns % 8
            found = np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")[start : start + rows * columns]
            yield number, found.reshape(rows, columns)
        else:
            yield number, np.frombuffer(value, f"<u{bits // 8}").reshape(rows, columns)


def _decompressed(value: bytes, dataset: Any) -> np.ndarray:
    """One frame by pydicom's decoder."""
    bits, frame = int(dataset.BitsAllocated), pydicom().Dataset()
    frame.file_meta = dataset.file_meta
    frame.Rows, frame.Columns, frame.NumberOfFrames, frame.SamplesPerPixel = dataset.Rows, dataset.Columns, 1, 1
    frame.BitsAllocated, frame.BitsStored, frame.HighBit, frame.PixelRepresentation = bits, bits, bits - 1, 0
    frame.PhotometricInterpretation = "MONOCHROME2"
    frame.add_new("PixelData", "OB", pydicom().encaps.encapsulate([value], has_bot=False))
    frame["PixelData"].is_undefined_length = True
    return pixels_of(frame, {})


def _raw_frames(dataset: Any, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Frames as stored; without compression, from the first byte to the last that holds a bit of it."""
    count, syntax, data = (
        int(dataset.get("NumberOfFrames") or 1),
        dataset.file_meta.TransferSyntaxUID,
        dataset.PixelData,
    )
    if syntax == pydicom().uid.ExplicitVRBigEndian:
        raise UnderstudyError("a SEG is stored big-endian, which is not read: convert it to little-endian")
    bits = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated)
    found = 0
    if syntax.is_encapsulated:
        for number, value in enumerate(pydicom().encaps.generate_frames(data, number_of_frames=count)):
            found += 1
            if number in wanted:
                yield number, value
    elif 8 * len(data) >= bits * count:
        yield from ((n, data[n * bits // 8 : ((n + 1) * bits + 7) // 8]) for n in sorted(wanted))
        found = count
    if found != count:
        raise UnderstudyError(
            f"a SEG says that it has {count} frames, and its pixel data are those of another number: it is cut short "
            "or damaged; export it again"
        )
