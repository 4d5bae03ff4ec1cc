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
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from understudy.core.errors import UnderstudyError
from understudy.data.formats.raster import DecodedFile, Header, storable

AXES = ("S", "P", "L")
_BROKEN = (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile, ImageFileError, HeaderDataError)


def header(file: Path) -> Header:
    """Return channels, size (D, H, W) or (H, W) and type, without the voxels."""
    found = _loaded(file)
    volume = tuple(found.shape[:3]) + (1,) * (3 - len(found.shape[:3]))
    turn = _turn(found.affine)
    size = tuple(int(volume[int(axis)]) for axis in np.argsort(turn[:, 0]))
    return Header(found.shape[3] if len(found.shape) == 4 else 1, _squeezed(size), _type(found))


def image(file: Path) -> DecodedFile:
    """Read an image as (C, *S), in uint8, int16, uint16 or float32.

    Raises:
        UnderstudyError: it is not NIfTI, is cut short, or has more than four axes.
    """
    array, affine = _turned(file)
    picture = _picture(array, affine)
    return DecodedFile(picture.array.astype(_type(_loaded(file)), copy=False), picture.spacing_mm, picture.affine)


def labels(file: Path) -> DecodedFile:
    """Read a label map as (*S) with the numbers that the file stores."""
    array, affine = _turned(file)
    picture = _picture(array, affine)
    if len(picture.array) != 1:
        raise UnderstudyError(
            f"{file} has {len(picture.array)} channels, and a label map has one: give one class number per voxel"
        )
    return DecodedFile(picture.array[0], picture.spacing_mm, picture.affine)


def _loaded(file: Path) -> Any:
    try:
        found = nib.load(file)
    except _BROKEN as error:
        if not file.is_file():
            raise
        raise _broken(file, error) from error
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


def _turned(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (D, H, W, C) in the stated order and their affine."""
    found = _loaded(file)
    try:
        voxels = np.asanyarray(found.dataobj)
    except _BROKEN as error:
        raise _broken(file, error) from error
    while voxels.ndim < 4:
        voxels = voxels[..., None]
    turn = _turn(found.affine)
    turned = nib.orientations.apply_orientation(voxels, turn)
    affine = found.affine @ nib.orientations.inv_ornt_aff(turn, voxels.shape[:3])
    return turned, affine


def _turn(affine: np.ndarray) -> np.ndarray:
    return nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(AXES))


def _picture(array: np.ndarray, affine: np.ndarray) -> DecodedFile:
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    keep = _kept(array.shape[:3])
    if len(keep) == 2:  # the axis of length 1 goes to the front, so that 2D indices are (0, h, w)
        first = next(axis for axis in range(3) if axis not in keep)
        array = np.moveaxis(array, first, 0)[0]
        affine = affine[:, [first, *keep, 3]]
    return DecodedFile(
        np.ascontiguousarray(np.moveaxis(array, -1, 0)), tuple(float(spacing[axis]) for axis in keep), affine
    )


def _kept(size: tuple[int, ...]) -> list[int]:
    """The axes that stay: two of three where one has length 1."""
    single = [axis for axis in range(3) if size[axis] == 1]
    return [axis for axis in range(3) if axis != single[0]] if single else [0, 1, 2]


def _squeezed(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size[axis] for axis in _kept(size))


def _type(found: Any) -> str:
    slope, inter = found.dataobj.slope, found.dataobj.inter
    return storable(found.dataobj.dtype if (slope, inter) == (1, 0) else np.dtype("float64"))


def _broken(file: Path, error: BaseException) -> UnderstudyError:
    why = " ".join(str(error).split()) or type(error).__name__
    return UnderstudyError(
        f"{file} should be a NIfTI image and cannot be read as one ({why}): it is cut short, damaged or "
        "something else; replace or remove it"
    )
