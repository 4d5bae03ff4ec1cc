"""One slice of a synthetic case as a DICOM data set: an MR, a CT, a digital x-ray or a Secondary Capture image.

A digital x-ray (DX, For Presentation) is a projection: it has a spacing at the detector and no plane in the patient.
The standard asks for an orientation, which a cohort does not know: that of a frontal view, and a text says so.
**Source**: DICOM PS3.3, C.7.1 to C.7.6 (patient to image), C.8.2 (CT), C.8.3 (MR), C.8.6 (Secondary Capture), C.8.11
(digital x-ray), C.12.1.
**Checked** in tests/release/formats/test_dicom_instance.py, and by dciodvfy (docs/clients.md).
"""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.provenance import code_version
from understudy.data.dicom.opening import pydicom

MADE_BY = "understudy"
NOT_A_PATIENT = "Synthetic image made by a generator, not acquired from a patient."
NO_VIEW = "The view is not known: the orientation of a frontal one stands for it."
NO_SPACING = "The spacing is not known: 1 mm stands for it."
MODALITIES = {"CR", "CT", "DX", "MG", "MR", "NM", "PT", "US", "XA"}  # of a Secondary Capture; OT is any other
MOST_LETTERS = 64
KINDS: dict[str, dict[str, Any]] = {
    "MR": {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "3D",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
    },
    "CT": {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "ImageType": ["DERIVED", "SECONDARY", "AXIAL"],
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "KVP": None,
        "AcquisitionNumber": None,
    },
    "DX": {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1",
        "ImageType": ["DERIVED", "SECONDARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageLaterality": "U",
        "AnatomicRegionSequence": [],
        "AcquisitionContextSequence": [],
        "PatientOrientation": ["L", "F"],
        "DetectorType": "",
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": 1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "BurnedInAnnotation": "NO",
    },
    "SC": {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "ImageType": ["DERIVED", "SECONDARY"],
        "ConversionType": "WSD",
        "PatientOrientation": ["L", "P"],
    },
}


@dataclass(frozen=True)
class SyntheticSlice:
    """SyntheticSlice d of channel c of case i, stored in so many bits, perhaps signed."""

    cohort: Cohort
    i: int
    c: int
    d: int
    bits: int
    signed: bool

    @property
    def pixels(self) -> np.ndarray:
        """The pixels (H, W), whole numbers."""
        assert self.cohort.images is not None
        volume = np.asarray(self.cohort.images[self.i, self.c])
        return volume[self.d] if volume.ndim == 3 else volume

    @property
    def kind(self) -> str:
        """MR, CT, DX or SC; a digital x-ray is of two dimensions, and its pixels are not below 0."""
        modality = self.cohort.modality
        fits = modality in KINDS and (modality != "DX" or (len(self.cohort.size) == 2 and not self.signed))
        return modality if fits else "SC"


def uid(*parts: object) -> str:
    """Return the UID that some parts always give: 2.25, and a UUID made from their hash."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return f"2.25.{UUID(bytes=digest[:16], version=5).int}"


def text(name: str) -> str:
    """Return a name as DICOM holds it: one line, no backslash, 64 characters."""
    return " ".join(name.replace("\\", "/").split())[:MOST_LETTERS]


def instance(one: SyntheticSlice) -> Any:
    """Return the data set of a slice, ready to be saved."""
    dataset = pydicom().Dataset()
    for part in (_identity(one), _plane(one), _pixels(one), KINDS[one.kind]):
        for name, value in part.items():
            setattr(dataset, name, value)
    mark_synthetic(dataset)
    dataset.file_meta = pydicom().dataset.FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = pydicom().uid.ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = uid(MADE_BY)
    dataset.file_meta.ImplementationVersionName = MADE_BY
    return dataset


def mark_synthetic(dataset: Any) -> None:
    """Say of an instance that it is synthetic, and what made it."""
    purpose, item = pydicom().Dataset(), pydicom().Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "109100", "DCM"
    purpose.CodeMeaning = "Synthesizing Equipment"
    item.PurposeOfReferenceCodeSequence = [purpose]
    item.Manufacturer = item.ManufacturerModelName = MADE_BY
    item.SoftwareVersions = text(code_version())
    item.ContributionDescription = NOT_A_PATIENT
    dataset.SyntheticData = "YES"
    dataset.ContributingEquipmentSequence = [item]
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "synthetic: not acquired from a patient"


def _identity(one: SyntheticSlice) -> dict[str, Any]:
    """Patient, study, series, frame of reference and instance; all of it follows from the cohort's id."""
    about, owner = one.cohort.id, text(one.cohort.entry("subject_id", one.i))
    modality = one.cohort.modality if one.cohort.modality in MODALITIES else "OT"
    place = {"FrameOfReferenceUID": uid(about, "frame", one.i), "PositionReferenceIndicator": "", "Laterality": ""}
    return {
        **(place if one.kind != "DX" else {}),
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": f"Synthetic^{owner}",
        "PatientID": f"{about}-{owner}"[:MOST_LETTERS],
        "PatientBirthDate": "",
        "PatientSex": "",
        "StudyInstanceUID": uid(about, "study", one.i),
        "StudyID": str(one.i + 1),
        "StudyDate": "",
        "StudyTime": "",
        "StudyDescription": f"synthetic case {one.i + 1}",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "Modality": modality,
        "SeriesInstanceUID": uid(about, "series", one.i, one.c),
        "SeriesNumber": str(one.c + 1),
        "SeriesDescription": text(one.cohort.encoding.channels[one.c].name),
        "Manufacturer": MADE_BY,
        "ManufacturerModelName": MADE_BY,
        "SoftwareVersions": text(code_version()),
        "SOPInstanceUID": uid(about, "instance", one.i, one.c, one.d),
        "InstanceNumber": str(one.d + 1),
    }


def _plane(one: SyntheticSlice) -> dict[str, Any]:
    """Where the slice lies: axial, rows to posterior and columns to left, as the arrays of a cohort run."""
    known = one.cohort.spacing_mm(one.i)
    depth, height, width = (1.0,) * (3 - len(known or ())) + (known or ())
    if one.kind == "DX":
        spacing = [_decimal(height), _decimal(width)]
        told = f"{NOT_A_PATIENT} {NO_VIEW}{'' if known else f' {NO_SPACING}'}"
        return {"DerivationDescription": told, "ImagerPixelSpacing": spacing, "PixelSpacing": spacing}
    return {
        "DerivationDescription": NOT_A_PATIENT if known else f"{NOT_A_PATIENT} {NO_SPACING}",
        "ImagePositionPatient": ["0", "0", _decimal(one.d * depth)],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": [_decimal(height), _decimal(width)],
        "SliceThickness": _decimal(depth),
        **({"PatientPosition": "HFS"} if one.kind != "SC" else {}),
    }


def _pixels(one: SyntheticSlice) -> dict[str, Any]:
    """The pixels, and the range in which a viewer should show them: that of the channel."""
    allocated = one.bits if one.kind in ("SC", "DX") else 16
    stored = allocated if one.kind == "CT" else one.bits
    channel = one.cohort.encoding.channels[one.c]
    kind = f"<{'i' if one.signed else 'u'}{allocated // 8}"
    data = one.pixels.astype(kind).tobytes()
    height, width = one.pixels.shape
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": height,
        "Columns": width,
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(one.signed),
        "WindowCenter": _decimal((channel.low + channel.high) / 2),
        "WindowWidth": _decimal(max(channel.high - channel.low, 1)),
        "LossyImageCompression": "00",
        "PixelData": data + b"\0" * (len(data) % 2),
    }


def _decimal(value: float) -> str:
    """Return a number as a decimal string of DICOM, of 16 letters at most."""
    return f"{value:.9g}"
