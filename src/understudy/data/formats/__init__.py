"""One file per file format. Each gives a header (cheap) and a picture; a broken file gives one clear UnderstudyError.

FORMATS is the menu: file name ending -> (header, image, labels). A new format is one file and its lines here.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats import nifti, raster, tiff
from understudy.data.formats.raster import DecodedFile, Header

FORMATS = {
    ".png": raster,
    ".jpg": raster,
    ".jpeg": raster,
    ".tif": tiff,
    ".tiff": tiff,
    ".nii": nifti,
    ".nii.gz": nifti,
}


def ending(file: Path) -> str | None:
    """Return the known ending of a file name in lower case (``.nii.gz`` counts as one), or None."""
    name = file.name.lower()
    return next((end for end in sorted(FORMATS, key=len, reverse=True) if name.endswith(end) and name != end), None)


def stem(file: Path) -> str:
    """Return a path without its known ending, with forward slashes; what images and label maps are matched by."""
    return file.as_posix()[: -len(ending(file) or "") or None]


def header(file: Path) -> Header:
    """Read a file's channels, size and data type without its pixels."""
    return FORMATS[_known(file)].header(file)


def image(file: Path) -> DecodedFile:
    """Read an image (C, *S); UnderstudyError for a broken file, other content than its name says, NaN or infinity."""
    picture = FORMATS[_known(file)].image(file)
    if picture.array.dtype.kind == "f" and not np.isfinite(picture.array).all():
        bad = int((~np.isfinite(picture.array)).sum())
        raise UnderstudyError(
            f"{file} holds {bad} NaN or infinite values, and an image must have none: repair or remove it"
        )
    return picture


def labels(file: Path) -> DecodedFile:
    """Read a label map (*S), whole numbers as stored; UnderstudyError if broken, with fractions or several channels."""
    picture = FORMATS[_known(file)].labels(file)
    array = picture.array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (np.rint(array) != array).any() or np.abs(array).max() >= 2**31:
            raise UnderstudyError(
                f"{file} holds values that are not whole numbers (or NaN), and a label map must hold whole "
                "numbers: is it an image or a probability map?"
            )
        array = array.astype(np.int32)
    return replace(picture, array=array)


def _known(file: Path) -> str:
    found = ending(file)
    if found is None:
        raise UnderstudyError(f"{file} is of a kind that is not read; read are {', '.join(FORMATS)}")
    return found
