"""NIfTI in 2D and 3D (and 4D with channels last): signed integers and floats, spacing, affine, one stated orientation.

Array axes are put into the order (D, H, W) = towards superior, posterior, left, the nearest such order without
resampling: an axial slice then displays upright with the patient's right on the left, as radiologists look at it. An
axis of length 1 makes a picture 2D. The affine maps array indices (d, h, w, 1) to NIfTI's millimetres (right, anterior,
superior).
**Differs** from nibabel's canonical order (right, anterior, superior first to last), which displays lying on its side.
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
from understudy.data.formats.raster import DecodedFile, Header, storable, unreadable

AXES = ("S", "P", "L")
_BROKEN = (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile, ImageFileError, HeaderDataError)


def header(file: Path) -> Header:
    """Return channels, size (D, H, W) or (H, W) and type, without the voxels."""
    found = _loaded(file)
    volume = np.array((*found.shape, 1)[:3])
    size = volume[np.argsort(_turn(found.affine)[:, 0])]
    channels = found.shape[3] if len(found.shape) == 4 else 1
    return Header(channels, tuple(size[_kept(size)].tolist()), _type(found))


def image(file: Path) -> DecodedFile:
    """Read an image as (C, *S), uint8, int16, uint16 or float32; UnderstudyError if broken, or not of 2 to 4 axes."""
    found = _loaded(file)
    picture = _picture(found, file)
    return replace(picture, array=picture.array.astype(_type(found), copy=False))


def labels(file: Path) -> DecodedFile:
    """Read a label map as (*S) with the numbers that the file stores."""
    picture = _picture(_loaded(file), file)
    if len(picture.array) != 1:
        raise UnderstudyError(
            f"{file} has {len(picture.array)} channels, and a label map has one: give one class number per voxel"
        )
    return replace(picture, array=picture.array[0])


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


def _turn(affine: np.ndarray) -> np.ndarray:
    return nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(AXES))


def _picture(found: Any, file: Path) -> DecodedFile:
    """Voxels (C, *S) in the stated order, as the file scales them."""
    try:
        voxels = np.asanyarray(found.dataobj)
    except _BROKEN as error:
        raise unreadable(file, "NIfTI", error) from error
    while voxels.ndim < 4:
        voxels = voxels[..., None]
    turn = _turn(found.affine)
    array = nib.orientations.apply_orientation(voxels, turn)
    affine = found.affine @ nib.orientations.inv_ornt_aff(turn, voxels.shape[:3])
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    keep = _kept(array.shape[:3])
    if len(keep) == 2:  # the axis of length 1 goes to the front, so that 2D indices are (0, h, w)
        first = next(axis for axis in range(3) if axis not in keep)
        array = np.moveaxis(array, first, 0)[0]
        affine = affine[:, [first, *keep, 3]]
    return DecodedFile(np.ascontiguousarray(np.moveaxis(array, -1, 0)), tuple(spacing[keep].tolist()), affine)


def _kept(size: np.ndarray | tuple[int, ...]) -> list[int]:
    """The axes that stay: two of three where one has length 1."""
    single = [axis for axis in range(3) if size[axis] == 1]
    return [axis for axis in range(3) if axis not in single[:1]]


def _type(found: Any) -> str:
    slope, inter = found.dataobj.slope, found.dataobj.inter
    return storable(found.dataobj.dtype if (slope, inter) == (1, 0) else np.dtype("float64"))
