"""SEG and RTSTRUCT that lie, end early or lack parts: one sentence each, that quotes nothing, in little memory."""

import re
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless, RLELossless

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import segmentation, structures
from understudy.data.dicom.annotation import labels_of, refers_to
from understudy.data.dicom.grid import Grid
from understudy.data.dicom.opening import reading

SIZE = (8, 6, 4)
CANARY = "Meyer"  # the name of the patient, and in every label
MOST_BYTES = 40_000_000
Change = Callable[[Dataset], Any]


def labels_drawn() -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[2:6, 1:5, 0:3], labels[3:5, 2:4, 1:4] = 1, 2
    return labels


@pytest.fixture
def grid(annotated: ModuleType) -> Grid:
    return annotated.grid_of(annotated.affine_of((0, 0, 0), (1, 2, 3), (5, 6, 7)), SIZE)


def made_seg(annotated: ModuleType, grid: Grid, kind: str = "BINARY", syntax: str = "") -> Dataset:
    options = {"transfer_syntax_uid": syntax} if syntax else {}
    named = {1: "Meyer 1", 2: "Meyer 2"}
    return annotated.seg(
        annotated.series(grid), annotated.slices(labels_drawn()), kind, labels=named, **options,
        **annotated.spatial(grid),
    )  # fmt: skip


def made_structures(annotated: ModuleType, grid: Grid) -> Dataset:
    square = np.array([[0.5, 0.5], [4.5, 0.5], [4.5, 3.5], [0.5, 3.5]])
    rois = {
        "Meyer 1": [annotated.outline(grid, square, level) for level in (0, 1)],
        "Meyer 2": [annotated.outline(grid, square, 3)],
    }
    return annotated.structures(rois)


def on_disk(file: Dataset, cut: int | None = None) -> Dataset:
    """Write a data set, cut it, and read it again."""
    stream = BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(stream.getvalue()[:cut]), force=True)


def refused(read: Callable[[], Any], capfd: pytest.CaptureFixture[str]) -> str:
    """Ask for one sentence, nothing on the screen, and little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(UnderstudyError) as caught:
            read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence, (out, err) = str(caught.value), capfd.readouterr()
    assert caught.value.exit_code in (1, 2) and "\n" not in sentence and 20 < len(sentence) < 500
    assert CANARY not in sentence + out + err and not re.search(r"\d+\.\d+\.\d+", sentence) and out + err == ""
    assert peak < MOST_BYTES
    return sentence


def put(keyword: str, value: Any, *path: Any) -> Change:
    """Set an attribute, in an item at a path of keywords and numbers."""

    def change(file: Dataset) -> None:
        for step in path:
            file = file[step] if isinstance(step, int) else getattr(file, step)
        with pydicom.config.disable_value_validation():
            setattr(file, keyword, value)

    return change


def drop(keyword: str, *path: Any) -> Change:
    """Take an attribute away."""

    def change(file: Dataset) -> None:
        for step in path:
            file = file[step] if isinstance(step, int) else getattr(file, step)
        delattr(file, keyword)

    return change


FRAME0 = ("PerFrameFunctionalGroupsSequence", 0)
PLACE0 = (*FRAME0, "PlanePositionSequence", 0)
SHARED = ("SharedFunctionalGroupsSequence", 0)
MEASURES = (*SHARED, "PixelMeasuresSequence", 0)
TURNED = (*SHARED, "PlaneOrientationSequence", 0)

SEGS: dict[str, tuple[Change, str]] = {
    "no kind": (drop("SegmentationType"), "none of these"),
    "unknown kind": (put("SegmentationType", "MEYER"), "none of these"),
    "8 bits in BINARY": (put("BitsAllocated", 8), "none of these"),
    "no bits": (drop("BitsAllocated"), "cannot be read"),
    "no rows": (drop("Rows"), "cannot be read"),
    "0 rows": (put("Rows", 0), "damaged"),
    "65,535 x 65,535": (lambda f: (put("Rows", 65535)(f), put("Columns", 65535)(f)), "65535 x 65535 pixels"),
    "colour": (put("SamplesPerPixel", 3), "several samples"),
    "0 frames": (put("NumberOfFrames", 0), "describes"),
    "-1 frames": (put("NumberOfFrames", -1), "damaged"),
    "2 billion frames": (put("NumberOfFrames", 2**31 - 1), "describes"),
    "one frame more": (put("NumberOfFrames", 7), "describes"),
    "one frame less": (put("NumberOfFrames", 5), "describes"),
    "no frames described": (drop("PerFrameFunctionalGroupsSequence"), "describes 0"),
    "tiles": (put("TotalPixelMatrixRows", 100), "whole-slide"),
    "tiled": (put("DimensionOrganizationType", "TILED_FULL"), "whole-slide"),
    "no segments": (drop("SegmentSequence"), "no segments"),
    "empty segments": (put("SegmentSequence", []), "no segments"),
    "a number twice": (put("SegmentNumber", 1, "SegmentSequence", 1), "one number"),
    "segment 0": (put("SegmentNumber", 0, "SegmentSequence", 1), "segment 0"),
    "no number": (drop("SegmentNumber", "SegmentSequence", 1), "cannot be read"),
    "a segment that is not there": (
        put("ReferencedSegmentNumber", 9, *FRAME0, "SegmentIdentificationSequence", 0), "does not declare"
    ),
    "no segment of a frame": (drop("SegmentIdentificationSequence", *FRAME0), "does not declare"),
    "a frame elsewhere": (put("ImagePositionPatient", [1e5 + 0.5, 0, 0], *PLACE0), "tilted or shifted"),
    "a frame at infinity": (put("ImagePositionPatient", [float("inf"), 0, 0], *PLACE0), "cannot be"),
    "a frame at NaN": (put("ImagePositionPatient", [float("nan"), 0, 0], *PLACE0), "cannot be"),
    "a frame at 1e300": (put("ImagePositionPatient", [1e300, 0, 0], *PLACE0), ""),
    "two coordinates": (put("ImagePositionPatient", [1, 0], *PLACE0), "cannot be"),
    "a frame without a place": (drop("PlanePositionSequence", *FRAME0), "of some frames"),
    "spacing 0": (put("PixelSpacing", [0, 1], *MEASURES), "cannot be"),
    "spacing below 0": (put("PixelSpacing", [-2, 1], *MEASURES), "cannot be"),
    "spacing NaN": (put("PixelSpacing", [float("nan"), 1], *MEASURES), "cannot be"),
    "one spacing": (put("PixelSpacing", [1], *MEASURES), "cannot be"),
    "no direction": (put("ImageOrientationPatient", [0, 0, 0, 0, 0, 0], *TURNED), "cannot be"),
    "two equal directions": (put("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], *TURNED), "cannot be"),
    "five numbers": (put("ImageOrientationPatient", [1, 0, 0, 0, 1], *TURNED), "cannot be"),
    "no pixels": (drop("PixelData"), "cannot be read"),
    "empty pixels": (put("PixelData", b""), "another number"),
    "cut pixels": (lambda f: put("PixelData", f.PixelData[:20])(f), "another number"),
    "another space": (put("FrameOfReferenceUID", "1.2.3.4.5.6"), "another frame of reference"),
    "two frames in one place": (
        lambda f: put("ImagePositionPatient", f.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
                      .ImagePositionPatient, *PLACE0)(f), "one place"
    ),
    "far apart": (lambda f: _apart(f, 1e6), "at most"),
    "big-endian": (lambda f: setattr(f.file_meta, "TransferSyntaxUID", ExplicitVRBigEndian), "big-endian"),
    "an unknown syntax": (
        lambda f: setattr(f.file_meta, "TransferSyntaxUID", pydicom.uid.UID("1.2.840.10008.1.2.4.999")), ""
    ),
    "no file meta": (lambda f: delattr(f, "file_meta"), "cannot be read"),
}  # fmt: skip


def _apart(file: Dataset, far: float) -> None:
    """Frames of a fine spacing, far apart."""
    file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 1e-3
    x, y, _ = file.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    file.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [x, y, far]


@pytest.mark.parametrize("name", list(SEGS))
def test_segs(annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], name: str) -> None:
    file = Dataset(made_seg(annotated, grid))
    file.file_meta = annotated.structures({}).file_meta
    change, says = SEGS[name]
    change(file)
    assert says in refused(lambda: segmentation.read(file, grid), capfd)


@pytest.mark.parametrize(("name", "change"), [
    ("no maximum", drop("MaximumFractionalValue")), ("maximum 0", put("MaximumFractionalValue", 0)),
    ("16 bits", put("BitsAllocated", 16)),
])  # fmt: skip
def test_fractional(
    annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], name: str, change: Change
) -> None:
    file = made_seg(annotated, grid, "FRACTIONAL")
    change(file)
    refused(lambda: segmentation.read(file, grid), capfd)


def test_a_label_that_is_not_declared(annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str]) -> None:
    file = made_seg(annotated, grid, "LABELMAP")
    file.PixelData = bytes([77]) + file.PixelData[1:]
    assert "does not declare" in refused(lambda: segmentation.read(file, grid), capfd)


def _with_size(stream: bytes) -> bytes:
    at = stream.index(b"\xff\xf7")
    return stream[: at + 5] + b"\xff\xff\xff\xff" + stream[at + 9 :]


STREAMS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a frame is missing": lambda frames: frames[:-1],
    "a frame too many": lambda frames: [*frames, frames[0]],
    "an empty frame": lambda frames: [b"\0\0", *frames[1:]],
    "noise": lambda frames: [bytes(range(256)), *frames[1:]],
    "cut": lambda frames: [frames[0][: len(frames[0]) // 2], *frames[1:]],
}


@pytest.mark.parametrize("name", list(STREAMS))
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed(
    annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], syntax: str, name: str
) -> None:
    file = made_seg(annotated, grid, "LABELMAP", syntax)
    frames = list(generate_frames(file.PixelData, number_of_frames=int(file.NumberOfFrames)))
    file.PixelData = encapsulate(STREAMS[name](frames))
    refused(lambda: segmentation.read(file, grid), capfd)


def test_a_compressed_frame_that_claims_4_gigapixels(
    annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str]
) -> None:
    file = made_seg(annotated, grid, "LABELMAP", JPEGLSLossless)
    frames = list(generate_frames(file.PixelData, number_of_frames=int(file.NumberOfFrames)))
    file.PixelData = encapsulate([_with_size(frames[0]), *frames[1:]])
    assert "another size" in refused(lambda: segmentation.read(file, grid), capfd)


CONTOUR = ("ROIContourSequence", 0, "ContourSequence", 0)
STRUCTURES: dict[str, tuple[Change, str]] = {
    "no structures": (drop("StructureSetROISequence"), "no structures"),
    "no contours": (drop("ROIContourSequence"), "no contours"),
    "empty structures": (put("StructureSetROISequence", []), "no structures"),
    "contours of a structure that is not there": (
        put("ReferencedROINumber", 99, "ROIContourSequence", 0), "does not declare"
    ),
    "contours of no structure": (drop("ReferencedROINumber", "ROIContourSequence", 0), "cannot be read"),
    "contours twice": (put("ReferencedROINumber", 12, "ROIContourSequence", 0), "twice"),
    "a number twice": (put("ROINumber", 11, "StructureSetROISequence", 1), "one number"),
    "no number": (drop("ROINumber", "StructureSetROISequence", 1), "cannot be read"),
    "NaN": (put("ContourData", [float("nan")] * 12, *CONTOUR), "not finite"),
    "infinity": (put("ContourData", [float("inf")] * 12, *CONTOUR), "not finite"),
    "far away": (put("ContourData", [1e30] * 12, *CONTOUR), "a kilometre away"),
    "ten million points claimed": (put("NumberOfContourPoints", 10**7, *CONTOUR), "another number of points"),
    "minus one point claimed": (put("NumberOfContourPoints", -1, *CONTOUR), "another number of points"),
    "one point less claimed": (put("NumberOfContourPoints", 3, *CONTOUR), "another number of points"),
    "eleven coordinates": (
        lambda f: (drop("NumberOfContourPoints", *CONTOUR)(f), put("ContourData", [1.0] * 11, *CONTOUR)(f)), "11 coord"
    ),
    "points claimed without any": (drop("ContourData", *CONTOUR), "another number of points"),
    "another space": (
        lambda f: [put("ReferencedFrameOfReferenceUID", "1.2.3.4.5", "StructureSetROISequence", n)(f) for n in (0, 1)],
        "another frame of reference",
    ),
    "no space": (
        lambda f: [drop("ReferencedFrameOfReferenceUID", "StructureSetROISequence", n)(f) for n in (0, 1)],
        "says none",
    ),
    "across the slices": (
        put("ContourData", [0, 0, 0, 1, 0, 0, 1, 1, 9, 0, 1, 9], *CONTOUR), "not parallel"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(STRUCTURES))
def test_structures(annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], name: str) -> None:
    file = made_structures(annotated, grid)
    change, says = STRUCTURES[name]
    with pydicom.config.disable_value_validation():
        change(file)
    assert says in refused(lambda: structures.read(file, grid), capfd)


@pytest.mark.parametrize("text", [
    b"1\\2\\Meyer", b"1\\2", b"1\\2\\3\\4\\\\6", b"\xff\xfe\\0\\0", b"nan\\nan\\nan", b"1e999\\0\\0",
    b"1\\2\\3\n4\\5\\6",
])  # fmt: skip
def test_coordinates_as_text(annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], text: bytes) -> None:
    file = made_structures(annotated, grid)
    contour = file.ROIContourSequence[0].ContourSequence[0]
    contour.NumberOfContourPoints = 1
    tag = pydicom.tag.Tag("ContourData")
    contour._dict[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(text), text, 0, False, True)
    refused(lambda: structures.read(file, grid), capfd)


@pytest.mark.parametrize("share", np.linspace(0.02, 0.999, 25))
@pytest.mark.parametrize("what", ["seg", "compressed", "structures", "structures of no stated length"])
def test_cut_short(
    annotated: ModuleType, grid: Grid, capfd: pytest.CaptureFixture[str], what: str, share: float
) -> None:
    """A file that ends early gives nothing: neither fewer structures nor fewer slices."""
    if what.startswith("structures"):
        whole, module = made_structures(annotated, grid), structures
    else:
        syntax = RLELossless if what == "compressed" else ""
        whole, module = made_seg(annotated, grid, "LABELMAP", syntax), segmentation
    for element in whole.iterall() if "no stated length" in what else ():
        element.is_undefined_length = element.VR == "SQ"
    stream = BytesIO()
    pydicom.dcmwrite(stream, whole, enforce_file_format=True)
    cut = int(share * len(stream.getvalue()))

    def go() -> None:
        with reading("a file", "elements"):
            file = on_disk(whole, cut)
        labels_of(file), refers_to(file)
        module.read(file, grid)

    refused(go, capfd)


def test_they_are_read_as_made(annotated: ModuleType, grid: Grid) -> None:
    assert segmentation.read(on_disk(made_seg(annotated, grid)), grid).array.any()
    assert np.count_nonzero(structures.read(on_disk(made_structures(annotated, grid)), grid).array) == 3 * 12
