"""DICOM files made on the spot: one file with any element changed, and a series whose file names say nothing."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

PREFIX = "1.2.826.0.1.3680043.10.1"


def uid(*what: Any) -> str:
    """A UID made of a text."""
    return f"{PREFIX}.{int(hashlib.sha256(repr(what).encode()).hexdigest()[:12], 16)}"


def dataset(array: np.ndarray | None = None, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    """A CT slice of an array (H, W) or (F, H, W) or (H, W, 3); elements by keyword, None takes one away."""
    pixels = np.arange(48, dtype=np.int16).reshape(6, 8) if array is None else array
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    values = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": uid(sorted(elements.items(), key=str), pixels.tobytes()),
        "SeriesInstanceUID": uid("series"),
        "StudyInstanceUID": uid("study"),
        "FrameOfReferenceUID": uid("space"),
        "PatientID": "P1",
        "PatientName": "Meyer^Anna",
        "StudyDate": "20200102",
        "Modality": "CT",
        "SeriesDescription": "head",
        "InstanceNumber": 1,
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": 8 * pixels.dtype.itemsize,
        "BitsStored": 8 * pixels.dtype.itemsize,
        "HighBit": 8 * pixels.dtype.itemsize - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [2, 1.5],
        "SliceThickness": 3,
        "PixelData": pixels.astype(pixels.dtype.newbyteorder("<")).tobytes() + b"\0" * (pixels.nbytes % 2),
    }
    if colour:
        values["PlanarConfiguration"] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong on purpose
        for keyword, value in {**values, **elements}.items():
            if value is not None:
                setattr(made, keyword, value)
    if "PixelData" in made:
        made["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    return made


def save(path: Path, made: Dataset) -> Path:
    """Write a data set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if "SOPInstanceUID" in made:
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.save_as(path, enforce_file_format="SOPInstanceUID" in made)
    return path


def file(path: Path, array: np.ndarray | None = None, **elements: Any) -> Path:
    """Write one file."""
    return save(path, dataset(array, **elements))


def series(
    folder: Path,
    slices: int = 5,
    step: tuple[float, float, float] = (0, 0, 3),
    skip: tuple[int, ...] = (),
    name: str = "series",
    seed: int = 0,
    **elements: Any,
) -> np.ndarray:
    """Write a series with mixed up names and instance numbers; the voxels (K, H, W) in the order of their places."""
    random = np.random.default_rng(seed)
    voxels = random.integers(-900, 900, (slices, 6, 8)).astype(np.int16)
    start = np.array(elements.pop("ImagePositionPatient", (-4.0, 5.0, 6.0)), float)
    for k, order in enumerate(random.permutation(slices).tolist()):
        if k in skip:
            continue
        own = {
            "SeriesInstanceUID": uid(name),
            "SOPInstanceUID": uid(name, k),
            "InstanceNumber": int(order) + 1,
            "ImagePositionPatient": (start + k * np.array(step)).tolist(),
        }
        file(folder / f"{name}-{order:03d}.dcm", voxels[k], **{**own, **elements})
    return voxels


def enhanced(voxels: np.ndarray, step: float = 3, order: Any = None, stacks: int = 1, **elements: Any) -> Dataset:
    """An enhanced MR file of frames (F, H, W), whose places follow one another ``stacks`` times; in any order."""
    count = len(voxels) // stacks
    order = range(len(voxels)) if order is None else order
    frames = []
    for k in order:
        frame = Dataset()
        plane, content, value = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [0, 0, step * (k % count)]
        content.TemporalPositionIndex, content.DimensionIndexValues = k // count + 1, [k // count + 1, k % count + 1]
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = k // count + 1, k % count, "US"
        frame.PlanePositionSequence, frame.FrameContentSequence = [plane], [content]
        frame.PixelValueTransformationSequence = [value]
        frames.append(frame)
    shared, measures, turned = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2, 1.5], 3
    turned.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turned]
    own = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.1",
        "Modality": "MR",
        "NumberOfFrames": len(voxels),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")),
    }
    return dataset(np.ascontiguousarray(voxels[list(order)]), **{**own, **elements})
