"""What every file format gives: a header (cheap), a decoded file, and the bounds within which anything is allocated.

**Checked** in tests/data/formats/test_decoded.py.
"""

import stat
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.geometry import turned, turned_size

MOST_VALUES = 2**29  # of one file, channels counted: 512 million, 2 GiB in float32 (a CT of 1,024 x 1,024 x 500)
MOST_SIDE = 65535
ALPHA = "an alpha channel that is the same all over is left out"
LONGER = "files go on after the voxels that their headers name: the rest is not read"
INFLATED = 1032  # bytes that deflate (gzip, zlib) makes of one at most
EXACT = 2**24  # whole numbers up to which float32 keeps each


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its pixels are read.

    Attributes:
        channels: C.
        stored: spatial size on the file's own axes: (H, W) of a picture, (I, J, K) of a volume.
        dtype: the type in which a cohort keeps its values (``storable``).
        affine: (4, 4), stored indices (i, j, k, 1) to millimetres right, anterior, superior; or None.
        placed: whether the file itself says where it lies; where False, an affine is the format's default.
        source_dtype: NumPy name of the type that the file stores, for the notes; blank where it is ``dtype``.
        displayed: whether every viewer shows the stored rows and columns as they are (DICOM), so that a picture without
            a place can be drawn on them.
    """

    channels: int
    stored: tuple[int, ...]
    dtype: str
    affine: np.ndarray | None = None
    placed: bool = True
    source_dtype: str = ""
    displayed: bool = False

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial size in the stated order, axial."""
        return self.turned_size()

    def turned_size(self, plane: str = "axial") -> tuple[int, ...]:
        """Return the spatial size in the stated order of a plane."""
        return turned_size(self.stored, self.affine, plane)


@dataclass(frozen=True)
class DecodedFile:
    """A file's content.

    Attributes:
        array: image (C, *S); a label map is (1, *S) as decoded, and (*S) from ``formats.labels``.
        spacing_mm: per array axis, or None where the file does not say.
        affine: (4, 4), array indices to millimetres right, anterior, superior; or None. In 2D, d is 0.
        placed: as in :class:`Header`.
        remarks: what the reader decided and a user should know: whole phrases without names or numbers of the file,
            so that they can be counted over files, such as ``"sform and qform disagree: qform is used"``.
        colours: of a label map with a palette, the colour (red, green, blue) of each value that occurs; else None.
    """

    array: np.ndarray
    spacing_mm: tuple[float, ...] | None = None
    affine: np.ndarray | None = None
    placed: bool = True
    remarks: tuple[str, ...] = ()
    colours: dict[int, tuple[int, int, int]] | None = None

    def turned(self, plane: str = "axial") -> "DecodedFile":
        """Return it in the stated order of a plane; a picture without an affine stays as it is."""
        array, affine, spacing = turned(self.array, self.affine, plane)
        return replace(self, array=array, affine=affine if self.placed else None, spacing_mm=spacing or self.spacing_mm)


def storable(dtype: np.dtype) -> str:
    """Return the type in which a cohort keeps values of a file's type: uint8, int16, uint16 or float32.

    Byte order does not count. 8-bit signed becomes int16; 32-bit and longer integers and 64-bit floats become float32
    (exact to 16,777,216).
    """
    dtype = dtype.newbyteorder("=")
    if dtype == np.bool_ or dtype == np.uint8:
        return "uint8"
    if dtype in (np.dtype("int8"), np.dtype("int16")):
        return "int16"
    return "uint16" if dtype == np.uint16 else "float32"


def as_kept(array: np.ndarray, file: Path) -> np.ndarray:
    """Return values in the type in which a cohort keeps them (``storable``); what they are is not changed.

    Raises:
        UnderstudyError: complex numbers, whole numbers that float32 would round, or numbers that it does not reach.
    """
    if array.dtype.kind not in "buif":
        raise UnderstudyError(f"{file} holds values of type {array.dtype}, and whole or floating numbers are read")
    kind = storable(array.dtype)
    if array.dtype.kind in "iu" and kind == "float32" and array.size:
        refuse_rounded(array, file)
    with np.errstate(over="ignore", invalid="ignore"):
        out = array.astype(kind, copy=False)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and (np.isinf(out) & np.isfinite(array)).any():
        raise UnderstudyError(f"{file} holds numbers beyond 3.4e38, which float32 does not hold: rescale it")
    return out


def refuse_rounded(array: np.ndarray, file: Path | str) -> None:
    """Refuse whole numbers that float32 would round."""
    low, high = int(array.min()), int(array.max())
    if max(-low, high) > EXACT:
        raise UnderstudyError(
            f"{file} holds whole numbers from {low} to {high}, and an image keeps whole numbers up to {EXACT:,} "
            "exactly: rescale them, or store them as real numbers if they may be rounded"
        )


def without_alpha(array: np.ndarray, file: Path) -> np.ndarray:
    """Return red, green and blue of an image (4, *S) whose alpha is one value all over; the remark on it is ``ALPHA``.

    Raises:
        UnderstudyError: the alpha differs from place to place, so that it says something.
    """
    if array[3].min() != array[3].max():
        raise UnderstudyError(
            f"{file} has an alpha channel (transparency) that differs from place to place, and an image has none: save "
            "it without"
        )
    return array[:3]


def unreadable(file: Path | str, format_name: str, error: BaseException | str) -> UnderstudyError:
    """Return what to raise about a file that does not hold what its name says, because of this error."""
    why = " ".join(str(error).split()) or type(error).__name__
    return UnderstudyError(
        f"{file} should be a {format_name} image and cannot be read as one ({why}): it is cut short, damaged or "
        "something else; replace or remove it"
    )


def refuse_large(file: Path | str, size: tuple[int, ...]) -> None:
    """Refuse sizes, as a header claims them, that are 0 or less, or more than is ever read; nothing is allocated."""
    if not size or min(size) < 1 or max(size) > MOST_SIDE or prod(map(int, size)) > MOST_VALUES:
        raise UnderstudyError(
            f"{file} says that it is {' x '.join(map(str, size))}, and sides of 1 to {MOST_SIDE} with at most "
            f"{MOST_VALUES:,} values in all are read: it is damaged, or must be cut into smaller files"
        )


def refuse_short(file: Path, format_name: str, needed: int, there: int) -> None:
    """Refuse a header that claims more bytes than a file can hold (``there``), before anything is allocated."""
    if needed > there:
        raise unreadable(file, format_name, f"its header needs {needed:,} bytes, and at most {there:,} are there")


def refuse_odd(file: Path) -> None:
    """Refuse what is no regular file (a pipe, a device, a folder), which might never end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise UnderstudyError(f"{file} is no regular file (a pipe, a device or a folder): remove it")
