"""Instance: one DICOM file's facts, without pixels: what it is, whose, in which series, and where its slices lie.

Sizes are checked against the bounds of all formats, and, where pixels are not compressed, against the file's length.
Texts that may name a person are kept in memory for matching and never written or shown.
**Source**: DICOM PS3.3, C.7.6.2 (plane), C.7.6.3 (pixels), C.7.6.16 (functional groups), C.11.1 (modality LUT).
**Checked** in tests/data/dicom/test_instance.py and test_hostile.py.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import kinds
from understudy.data.dicom.header import header_values, number, numbers, text, texts, whole
from understudy.data.dicom.opening import damaged, opened, reading
from understudy.data.formats.decoded import refuse_large
from understudy.data.geometry import LARGEST, SMALLEST

SKEW = 0.01  # how far row and column directions may be from unit length and from right angles
MARKS = (  # what tells volumes apart that lie in one place, in the order in which it is tried
    "temporal position",
    "echo",
    "b-value",
    "acquisition",
    "trigger time",
    "kind of image",
    "time",
)
BARE_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
PHOTOMETRIC = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3}
YBR = ("YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True, slots=True)
class ImageFrame:
    """One slice: a single-frame file, or a frame of a multi-frame file.

    Attributes:
        number: from 1.
        position: of the centre of the first pixel in mm, DICOM's axes (left, posterior, superior); or None.
        directions: unit vectors along a row and down a column, six numbers; or None.
        spacing: mm between rows, and between columns; or None.
        step: mm between slices, or their thickness; None where it is not said, or cannot be.
        scale: slope and intercept of the modality transform.
        marks: what tells it from others at its place, by ``MARKS``; never written.
    """

    number: int
    position: tuple[float, ...] | None
    directions: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    step: float | None
    scale: tuple[float, float]
    marks: tuple[Any, ...]

    @property
    def placed(self) -> bool:
        """Whether the file says where this slice lies."""
        return self.position is not None and self.directions is not None and self.spacing is not None


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the numbers of an instance are stored.

    Attributes:
        rows: H. columns: W. samples: stored samples a pixel. frames: F.
        allocated: bits a sample takes. stored: bits that count. high: number of the highest one.
        signed: two's complement.
        photometric: one of ``PHOTOMETRIC`` and ``YBR``.
        lut_bits: bits of a modality LUT, or of the palette; 0 without.
        floats: whether pixels are floating point.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    lut_bits: int = 0
    floats: bool = False

    @property
    def channels(self) -> int:
        """C of the picture."""
        return 1 if self.photometric.startswith("MONOCHROME") else 3


@dataclass(frozen=True, slots=True)
class Instance:
    """One file.

    Attributes:
        file: where it is.
        where: how messages call it.
        kind: of ``kinds``; pixels and frames are there for images only.
        subject: PatientID and its issuer. person: name and birth date, to notice one id for several people.
        order: date and time of the study, for the order of cases.
        about: modality and description, which patterns are matched with.
    """

    file: Path
    where: str
    kind: str
    sop: str
    series: str
    study: str
    subject: tuple[str, str]
    person: int
    order: str
    modality: str
    about: str
    frame_of_reference: str
    image_type: tuple[str, ...]
    number: int
    flags: tuple[str, ...]
    pixels: Pixels | None = None
    frames: tuple[ImageFrame, ...] = ()


BURNT = "images say that text is burnt into their pixels (BurnedInAnnotation YES)"
FACE = "images say that a person can be recognised in them (RecognizableVisualFeatures YES)"
PADDED = "images name a padding value for pixels that were not scanned, and it is kept as a value"
WORLD = "real world value maps are not applied: values are those of the modality transform"
AT_DETECTOR = "spacing is that of the detector (ImagerPixelSpacing): the body is magnified on it"
NOT_SQUARE = "pixels are not square (PixelAspectRatio), and are taken as they are stored, with no spacing"


def read(file: Path, where: str) -> Instance:
    """Read one DICOM file's facts.

    Raises:
        UnderstudyError: it is damaged, or what its header says cannot be right.
    """
    opened_set, element = opened(file, where, header_values())
    with reading(where, "header"):
        syntax = str(opened_set.file_meta.TransferSyntaxUID)
        dataset = {one.keyword: one.value for one in opened_set}
        declared = str(opened_set.file_meta.get("MediaStorageSOPClassUID") or "")  # all that a DICOMDIR has
        kind = kinds.kind(text(dataset, "SOPClassUID") or declared, syntax)
        if kind == kinds.IMAGE and (element is None or "Rows" not in dataset):
            kind = kinds.NO_PIXELS
        series = text(dataset, "SeriesInstanceUID")
        facts: dict[str, Any] = {
            "sop": text(dataset, "SOPInstanceUID"),
            "series": intern(series),
            "study": intern(text(dataset, "StudyInstanceUID")),
            "subject": (intern(text(dataset, "PatientID")), intern(text(dataset, "IssuerOfPatientID"))),
            "person": hash((text(dataset, "PatientName"), text(dataset, "PatientBirthDate"))),
            "order": intern(text(dataset, "StudyDate") + text(dataset, "StudyTime")),
            "modality": intern(text(dataset, "Modality")),
            "about": intern(f"{text(dataset, 'Modality')} {text(dataset, 'SeriesDescription')}"),
            "frame_of_reference": intern(text(dataset, "FrameOfReferenceUID")),
            "image_type": tuple(intern(part) for part in texts(dataset, "ImageType")),
            "number": whole(dataset, "InstanceNumber", 0),
        }
        if kind != kinds.IMAGE or element is None:
            return Instance(file, where, kind, flags=(), **facts)
        flags = _flags(dataset)
    pixels = _pixels(dataset, element.floats, where)
    _refuse_short(syntax, pixels, element.bytes_left, where)
    with reading(where, "geometry"):
        frames = _frames(dataset, pixels.frames, where)
    return Instance(file, where, kind, flags=flags, pixels=pixels, frames=frames, **facts)


def _pixels(dataset: Any, floats: bool, where: str) -> Pixels:
    """How its numbers are stored; refused where the header contradicts itself."""
    with reading(where, "header"):
        allocated = whole(dataset, "BitsAllocated", 0)
        stored = whole(dataset, "BitsStored", allocated)
        samples = whole(dataset, "SamplesPerPixel", 1)
        photometric = text(dataset, "PhotometricInterpretation") or ("MONOCHROME2" if samples == 1 else "")
        lut = number(_lut_descriptor(dataset, photometric), 2)
        found = Pixels(
            whole(dataset, "Rows", 0),
            whole(dataset, "Columns", 0),
            samples,
            whole(dataset, "NumberOfFrames", 1),
            allocated,
            stored,
            whole(dataset, "HighBit", stored - 1),
            whole(dataset, "PixelRepresentation", 0) == 1,
            photometric,
            int(lut or 0),
            floats,
        )
    refuse_large(where, (found.rows, found.columns, found.frames, found.samples))
    if photometric not in PHOTOMETRIC and photometric not in YBR:
        raise UnderstudyError(
            f"{where} has a photometric interpretation that is not read; read are {', '.join((*PHOTOMETRIC, *YBR))}"
        )
    if samples != PHOTOMETRIC.get(photometric, 3):
        raise damaged(where, f"{samples} samples a pixel do not go with {photometric}")
    if allocated not in (1, 8, 16, 32, 64) or not 1 <= stored <= allocated or not stored - 1 <= found.high < allocated:
        raise damaged(where, f"{stored} bits stored of {allocated}, the highest number {found.high}")
    if (photometric == "PALETTE COLOR" or lut) and found.lut_bits not in range(1, 17):
        raise damaged(where, "its lookup table says nothing of its bits")
    return found


def _lut_descriptor(dataset: Any, photometric: str) -> Any:
    if photometric == "PALETTE COLOR":
        return dataset.get("RedPaletteColorLookupTableDescriptor")
    tables = dataset.get("ModalityLUTSequence")
    return tables[0].get("LUTDescriptor") if tables else None


def _flags(dataset: Any) -> tuple[str, ...]:
    """What the header says that a user should know."""
    said = {
        BURNT: text(dataset, "BurnedInAnnotation").upper() == "YES",
        FACE: text(dataset, "RecognizableVisualFeatures").upper() == "YES",
        PADDED: "PixelPaddingValue" in dataset,
        WORLD: "RealWorldValueMappingSequence" in dataset,
        AT_DETECTOR: _has(dataset, "ImagerPixelSpacing") and not _has(dataset, "PixelSpacing", "ImagePositionPatient"),
        NOT_SQUARE: len(set(texts(dataset, "PixelAspectRatio"))) > 1 and not _has(dataset, "PixelSpacing"),
    }
    return tuple(flag for flag, true in said.items() if true)


def _has(dataset: Any, *names: str) -> bool:
    return any(dataset.get(name) for name in names)


def _refuse_short(syntax: str, pixels: Pixels, there: int, where: str) -> None:
    """Refuse pixels, not compressed, that the file is too short for."""
    if syntax not in BARE_SYNTAXES:
        return
    values = pixels.rows * pixels.columns * pixels.frames * pixels.samples
    share = 2 / 3 if pixels.photometric == "YBR_FULL_422" else 1
    expected = math.ceil(values * pixels.allocated * share / 8)
    if there < expected:
        raise damaged(where, f"{expected:,} bytes of pixels should follow, and {there:,} do")


def _frames(dataset: Any, count: int, where: str) -> tuple[ImageFrame, ...]:
    """Where each frame lies, from functional groups where there are any, else from the file's own elements."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if groups is None and shared is None:
        scale = (_one(dataset, "RescaleSlope", 1.0), _one(dataset, "RescaleIntercept", 0.0))
        lone = count == 1
        found = ImageFrame(
            1,
            numbers(dataset, "ImagePositionPatient", 3) if lone else None,
            numbers(dataset, "ImageOrientationPatient", 6),
            _spacing(dataset),
            _step(dataset),
            scale,
            _marks(dataset),
        )
        frames = [replace(found, number=n) for n in range(1, count + 1)]
    else:
        if groups is None or len(groups) != count:
            raise damaged(where, "it does not describe each of its frames")
        frames = [_group_frame(dataset, group, shared, n) for n, group in enumerate(groups, start=1)]
    for frame in frames[:: 1 if groups else count]:
        _refuse_skewed(frame, where)
    return tuple(frames)


def _group_frame(dataset: Any, group: Any, shared: Any, n: int) -> ImageFrame:
    """ImageFrame n of an enhanced file: its own functional groups before the shared ones."""

    def macro(name: str) -> Any:
        for at in (group, shared):
            if at is not None and at.get(name):
                return at[name][0]
        return {}

    measures, values = macro("PixelMeasuresSequence"), macro("PixelValueTransformationSequence")
    content, diffusion = macro("FrameContentSequence"), macro("MRDiffusionSequence")
    direction = (diffusion.get("DiffusionGradientDirectionSequence") or [{}])[0]
    kind = macro("MRImageFrameTypeSequence") or macro("CTImageFrameTypeSequence") or macro("PETFrameTypeSequence")
    marks = (
        content.get("TemporalPositionIndex"),
        macro("MREchoSequence").get("EffectiveEchoTime"),
        _plain((diffusion.get("DiffusionBValue"), direction.get("DiffusionGradientOrientation"))),
        content.get("FrameAcquisitionNumber"),
        macro("CardiacSynchronizationSequence").get("NominalCardiacTriggerDelayTime"),
        _plain((kind.get("FrameType"), content.get("StackID"))),
        _plain(content.get("DimensionIndexValues")),
    )
    slope, intercept = _one(values, "RescaleSlope", 1.0), _one(values, "RescaleIntercept", 0.0)
    return ImageFrame(
        n,
        numbers(macro("PlanePositionSequence"), "ImagePositionPatient", 3),
        numbers(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        _pair(numbers(measures, "PixelSpacing", 2)),
        _step(measures),
        (slope, intercept) if values else (_one(dataset, "RescaleSlope", 1.0), _one(dataset, "RescaleIntercept", 0.0)),
        marks,
    )


def _marks(dataset: Any) -> tuple[Any, ...]:
    gradient = _plain((dataset.get("DiffusionBValue"), dataset.get("DiffusionGradientOrientation")))
    return (
        _plain(dataset.get("TemporalPositionIdentifier")),
        _plain((dataset.get("EchoNumbers"), dataset.get("EchoTime"))),
        gradient,
        _plain(dataset.get("AcquisitionNumber")),
        _plain(dataset.get("TriggerTime")),
        _plain(dataset.get("ImageType")),
        _plain(dataset.get("AcquisitionTime")),
    )


def _plain(value: Any) -> str:
    return intern(str(value))


def _pair(found: tuple[float, ...] | None) -> tuple[float, float] | None:
    return (found[0], found[1]) if found else None


def _spacing(dataset: Any) -> tuple[float, float] | None:
    """Spacing of a slice; of a picture without a place, that of the detector too, where it says any."""
    placed = bool(dataset.get("ImagePositionPatient"))
    found = _pair(numbers(dataset, "PixelSpacing", 2))
    found = found if found or placed else _pair(numbers(dataset, "ImagerPixelSpacing", 2))
    return None if found is not None and not placed and not min(found) >= SMALLEST else found


def _one(dataset: Any, name: str, default: float) -> float:
    found = number(dataset.get(name))
    if found is not None and not math.isfinite(found):
        raise ValueError(name)
    return default if found is None else found


def _step(dataset: Any) -> float | None:
    found = number(dataset.get("SpacingBetweenSlices")) or number(dataset.get("SliceThickness"))
    return abs(found) if found is not None and SMALLEST <= abs(found) <= LARGEST else None


def _refuse_skewed(frame: ImageFrame, where: str) -> None:
    """Refuse numbers of a place that cannot be right: NaN, no distance, directions that are not at right angles."""
    given = [*(frame.position or ()), *(frame.directions or ()), *(frame.spacing or ())]
    if not np.isfinite(given).all() or max(map(abs, given), default=0) > LARGEST:
        raise damaged(where, "its position, orientation or spacing is not a number")
    if frame.spacing is not None and min(frame.spacing) < SMALLEST:
        raise damaged(where, "its pixels lie 0 mm apart")
    if frame.directions is not None and frame.placed:
        row, column = np.array(frame.directions).reshape(2, 3)
        if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > SKEW:
            raise damaged(where, "its rows and columns are not at right angles")
