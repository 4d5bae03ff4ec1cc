"""Values of a header as plain numbers and texts, and the elements that are read at all.

**Checked** in tests/data/dicom/test_header.py.
"""

from functools import cache
from typing import Any

from understudy.data.dicom.opening import pydicom

NAMES = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "StudyDate",
    "StudyTime",
    "Modality",
    "SeriesDescription",
    "ImageType",
    "InstanceNumber",
    "SpecificCharacterSet",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "PixelPaddingValue",
    "RealWorldValueMappingSequence",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelAspectRatio",
    "SpacingBetweenSlices",
    "SliceThickness",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "EchoTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "AcquisitionNumber",
    "TriggerTime",
    "AcquisitionTime",
)


@cache
def header_values() -> tuple[int, ...]:
    """Return the tags of ``NAMES``."""
    tag_for_keyword = pydicom().datadict.tag_for_keyword
    return tuple(tag_for_keyword(name) for name in NAMES)


def text(dataset: Any, name: str) -> str:
    """Return an element as text without blanks around it; blank where it is missing."""
    value = dataset.get(name)
    return "" if value is None else str(value).strip().strip("\0")


def texts(dataset: Any, name: str) -> tuple[str, ...]:
    """Return all values of an element as texts."""
    value = dataset.get(name)
    if value is None:
        return ()
    many = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    return tuple(str(part).strip() for part in many)


def number(value: Any, index: int = 0) -> float | None:
    """Return a value, or one of several, as a number; None where it is missing or blank."""
    if value is None or value == "":
        return None
    many = value if hasattr(value, "__getitem__") and not isinstance(value, str | bytes) else [value]
    return float(many[index]) if len(many) > index else None


def numbers(dataset: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return so many numbers of an element; None where it is missing or blank.

    Raises:
        ValueError: there are more or fewer of them.
    """
    value = dataset.get(name)
    if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0):
        return None
    if not hasattr(value, "__len__") or isinstance(value, str) or len(value) != count:
        raise ValueError(name)
    return tuple(float(part) for part in value)


def whole(dataset: Any, name: str, default: int) -> int:
    """Return an element as a whole number, or the default where it is missing or blank; ValueError otherwise."""
    value = dataset.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, list | bytes) or float(value) != int(value):
        raise ValueError(name)
    return int(value)
