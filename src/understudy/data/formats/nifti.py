"""NIfTI in 2D and 3D (and 4D with channels last): signed integers and floats, spacing, affine.

**Checked** in tests/data/formats/test_nifti.py (all 48 orientations give one array and one affine; types; scaling;
cut files).
"""

import gzip
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import DecodedFile, Header, storable, unreadable

_BROKEN = (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile, ImageFileError, HeaderDataError)


def header(file: Path) -> Header:
    """Return channels, stored size and type, without the voxels."""
    found = _loaded(file)
    size = (*found.shape, 1)[:3]
    channels = found.shape[3] if len(found.shape) == 4 else 1
    return Header(channels, size, _type(found), found.affine, _placed(found))


def image(file: Path) -> DecodedFile:
    """Read an image (C, I, J, K): uint8, int16, uint16 or float32; UnderstudyError if broken, or not of 2 to 4 axes."""
    found = _loaded(file)
    picture = _picture(found, file)
    return replace(picture, array=picture.array.astype(_type(found), copy=False))


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, *S) with the numbers that the file stores."""
    picture = _picture(_loaded(file), file)
    if len(picture.array) != 1:
        raise UnderstudyError(
            f"{file} has {len(picture.array)} channels, and a label map has one: give one class number per voxel"
        )
    return picture


def _loaded(file: Path) -> Any:
    try:
        found = nib.load(file)
    except _BROKEN as error:
        if not file.is_file():
            raise
        raise unreadable(file, "NIfTI", error) from error
    if not isinstance(found, nib.Nifti1Image | nib.Nifti2Image):
        raise UnderstudyError(f"{file} should be NIfTI and is {type(found).__name__}: convert it")
    if not 2 <= len(found.shape) <= 4 or min(found.shape) < 1 or found.dataobj.dtype.fields is not None:
        raise UnderstudyError(
            f"{file} has the shape {found.shape} of {found.dataobj.dtype}; numbers in 2, 3 or 4 axes (channels "
            "last) were expected"
        )
    if not np.isfinite(found.affine).all() or abs(np.linalg.det(found.affine[:3, :3])) < 1e-12:
        raise UnderstudyError(f"{file} has an affine that cannot be inverted: repair its header")
    return found


def _placed(found: Any) -> bool:
    return bool(found.header["sform_code"] or found.header["qform_code"])


def _picture(found: Any, file: Path) -> DecodedFile:
    """Voxels (C, I, J, K), as the file scales them."""
    try:
        voxels = np.asanyarray(found.dataobj)
    except _BROKEN as error:
        raise unreadable(file, "NIfTI", error) from error
    while voxels.ndim < 4:
        voxels = voxels[..., None]
    return DecodedFile(np.moveaxis(voxels, -1, 0), affine=found.affine, placed=_placed(found))


def _type(found: Any) -> str:
    slope, inter = found.dataobj.slope, found.dataobj.inter
    return storable(found.dataobj.dtype if (slope, inter) == (1, 0) else np.dtype("float64"))
