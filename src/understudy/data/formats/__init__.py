"""File formats. Each gives a header (cheap) and a picture; a broken file gives one clear UnderstudyError.

FORMATS is the menu: file name ending -> module with ``header``, ``image`` and ``labels``; the other files here serve
those: decoded.py all of them, picture.py and png.py pictures, nifti_affine.py, text_header.py, metaimage.py and nrrd.py
volumes, tiff_segments.py TIFF. A new format is one file and its lines here. Each returns the file as stored, label maps
as (1, *S); the functions below check, and turn to the one stated order (data/geometry.py).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats import dicom, itk, nifti, raster, tiff
from understudy.data.formats.decoded import DecodedFile, Header, refuse_odd

FORMATS = {
    ".png": raster,
    ".jpg": raster,
    ".jpeg": raster,
    ".jpe": raster,
    ".jfif": raster,
    ".bmp": raster,
    ".webp": raster,
    ".tif": tiff,
    ".tiff": tiff,
    ".nii": nifti,
    ".nii.gz": nifti,
    **dict.fromkeys(itk.ENDINGS, itk),
    ".dcm": dicom,
    ".dicom": dicom,
    ".ima": dicom,
}
ROUNDING = 0.01  # how far from a whole number a label may lie that a tool stored as a scaled integer
ROUNDED = "label values a little off whole numbers are taken as those numbers"


def ending(file: Path) -> str | None:
    """Return the known ending of a file name in lower case (``.nii.gz`` counts as one), or None."""
    name = file.name.lower()
    return next((end for end in sorted(FORMATS, key=len, reverse=True) if name.endswith(end) and name != end), None)


def stem(file: Path) -> str:
    """Return a path without its known ending, with forward slashes; what images and label maps are matched by."""
    return file.as_posix()[: -len(ending(file) or "") or None]


def header(file: Path) -> Header:
    """Read a file's channels, size and data type without its pixels."""
    return _reader(file).header(file)


def stored_image(file: Path) -> DecodedFile:
    """Read an image on the file's own axes; UnderstudyError for a broken file, NaN or infinity."""
    picture = _reader(file).image(file)
    if picture.array.dtype.kind == "f" and not np.isfinite(picture.array).all():
        bad = int((~np.isfinite(picture.array)).sum())
        raise UnderstudyError(
            f"{file} holds {bad} NaN or infinite values, and an image must have none: repair or remove it"
        )
    return picture


def stored_labels(file: Path) -> DecodedFile:
    """Read a label map (1, *S) of whole numbers on the file's own axes; UnderstudyError if broken or with fractions."""
    picture = _reader(file).labels(file)
    array = picture.array
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # NaN is refused in the next line
            whole = np.rint(array)
        if not np.isfinite(array).all() or np.abs(array).max() >= 2**31 or np.abs(whole - array).max() > ROUNDING:
            raise UnderstudyError(
                f"{file} holds values that are not whole numbers (or NaN), and a label map must hold whole "
                "numbers: is it an image or a probability map?"
            )
        if (whole != array).any():
            picture = replace(picture, remarks=(*picture.remarks, ROUNDED))
        array = whole.astype(np.int32)
    return replace(picture, array=array)


def image(file: Path, plane: str = "axial") -> DecodedFile:
    """Read an image (C, *S) in the stated order; UnderstudyError for a broken file, NaN or infinity."""
    return stored_image(file).turned(plane)


def labels(file: Path, plane: str = "axial") -> DecodedFile:
    """Read a label map (*S), whole numbers, in the stated order; UnderstudyError if broken or with fractions."""
    picture = stored_labels(file).turned(plane)
    return replace(picture, array=picture.array[0])


def _reader(file: Path) -> Any:
    found = ending(file)
    if found is None:
        raise UnderstudyError(f"{file} is of a kind that is not read; read are {', '.join(FORMATS)}")
    refuse_odd(file)
    return FORMATS[found]
