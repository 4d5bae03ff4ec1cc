"""NIfTI-1 and NIfTI-2 in one file, plain or gzip by its first bytes, whatever its name: 2D and 3D, channels last.

Trailing axes of length 1 do not count; one axis after the third may be longer, and is the channels (the fourth, or the
fifth of vectors as ITK writes them). RGB24 is three channels, and so is RGBA32 if its alpha is one value all over.
Integers, float32 and float64 of either byte order, scaled by scl_slope and scl_inter (0 or NaN: not scaled); other
types are refused by name. Header extensions are passed over unread. What a header claims is held against the file's
length before anything is allocated. Where a volume lies: nifti_affine.py.
**Source**: NIfTI-1.1 and NIfTI-2 (nifti1.h, nifti2.h); header fields through nibabel.
**Differs** from nibabel: content counts, not the name; lengths are checked first; gzip checksums always are.
**Checked** in tests/data/formats/test_nifti.py (all 48 orientations give one array and one affine; types; scaling),
and test_hostile_volumes.py.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from math import isfinite, prod
from pathlib import Path

import nibabel as nib
import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import (
    ALPHA,
    INFLATED,
    LONGER,
    DecodedFile,
    Header,
    as_kept,
    refuse_large,
    refuse_short,
    storable,
    unreadable,
    without_alpha,
)
from understudy.data.formats.nifti_affine import NiftiPlace, placement

Stream = gzip.GzipFile | BufferedReader
KINDS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}  # by the header's length, its first number
FURTHEST = 2**28  # bytes before the voxels, header extensions counted
BLOCK = 2**20  # values scaled at once; bytes read at once after the voxels
TIMES = (8, 16, 24)  # codes of seconds, milliseconds, microseconds
FRAMES = 4  # most frames along a time axis that may be channels
TIME_AXIS = "the fourth axis of volumes has a unit of time and is taken as channels"


@dataclass(frozen=True)
class _Layout:
    """What a header says: spatial size, channels, type of one number, parts of a colour, where and how voxels lie."""

    size: tuple[int, ...]
    channels: int
    dtype: np.dtype
    parts: int  # numbers stored side by side for each voxel: 3 or 4 of a colour, else 1
    offset: int
    scale: tuple[float, float]  # slope, intercept
    place: NiftiPlace
    remarks: tuple[str, ...]

    @property
    def values(self) -> int:
        return prod(self.size) * self.channels * self.parts

    @property
    def scaled(self) -> bool:
        return self.scale[0] != 1 or self.scale[1] != 0


def header(file: Path) -> Header:
    """Return channels, stored size, type and affine, without the voxels."""
    with _opened(file) as stream:
        found = _layout(stream, file)
    kept = "float32" if found.scaled else storable(found.dtype)
    source = found.dtype.name if found.dtype.name != kept else ""
    channels = found.channels * min(found.parts, 3)
    return Header(channels, found.size, kept, found.place.affine, found.place.placed, source)


def image(file: Path) -> DecodedFile:
    """Read an image (C, I, J, K): uint8, int16, uint16 or float32; UnderstudyError if broken or of another kind."""
    found, numbers, remarks = _read(file)
    kept = _scaled(numbers, found.scale, np.dtype("float32")) if found.scaled else as_kept(numbers, file)
    array = _shaped(kept, found)
    if found.parts == 4:
        array, remarks = without_alpha(array, file), (*remarks, ALPHA)
    return DecodedFile(array, affine=found.place.affine, placed=found.place.placed, remarks=remarks)


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, I, J, K) with the numbers that the file stores, scaled as it says."""
    found, numbers, remarks = _read(file, most=1)
    if found.scaled:
        numbers = _scaled(numbers, found.scale, np.dtype("float64"))
    array = _shaped(numbers.astype(numbers.dtype.newbyteorder("="), copy=False), found)
    return DecodedFile(array, affine=found.place.affine, placed=found.place.placed, remarks=remarks)


@contextmanager
def _opened(file: Path) -> Iterator[Stream]:
    """Open a file, through gzip where its first bytes say so; what is wrong with the stream becomes a sentence."""
    with file.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        try:
            yield gzip.GzipFile(fileobj=plain, mode="rb") if zipped else plain
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise unreadable(file, "NIfTI", error) from error


def _layout(stream: Stream, file: Path) -> _Layout:
    """Read and check a header."""
    found = _header(stream.read(max(KINDS)), file)
    size, channels, remarks = _axes(found, file)
    dtype, parts = _type(found, file)
    if parts > 1 and channels > 1:
        raise UnderstudyError(f"{file} holds {channels} colour pictures, and an image is one: give one of them")
    refuse_large(file, (*size, *([channels * parts] if channels * parts > 1 else [])))
    place = placement(found, size, file)
    told = _Layout(
        size, channels, dtype, parts, _offset(found, file), _scale(found, parts, file), place, remarks + place.remarks
    )
    factor = INFLATED if isinstance(stream, gzip.GzipFile) else 1
    refuse_short(file, "NIfTI", told.offset + told.values * dtype.itemsize, file.stat().st_size * factor)
    return told


def _header(start: bytes, file: Path) -> nib.Nifti1Header:
    for length, kind in KINDS.items():
        for order in ("<", ">"):
            if start[:4] == np.array(length, f"{order}i4").tobytes() and len(start) >= length:
                found = kind(start[:length], endianness=order, check=False)
                _refuse_pair(found["magic"].item(), file)
                return found
    raise unreadable(file, "NIfTI", f"its first bytes are no header of {' or '.join(map(str, KINDS))} bytes")


def _refuse_pair(magic: bytes, file: Path) -> None:
    """Refuse a header whose voxels are in a file of their own, and what is older than NIfTI."""
    if magic[:2] == b"ni" or not magic:
        what = "the header of a NIfTI pair" if magic else "an Analyze header, which does not say left from right,"
        raise UnderstudyError(f"{file} is {what} with voxels in a file .img: convert the two to one .nii file")
    if magic[:2] != b"n+":
        raise unreadable(file, "NIfTI", "its header lacks the word n+1 or n+2")


def _axes(found: nib.Nifti1Header, file: Path) -> tuple[tuple[int, ...], int, tuple[str, ...]]:
    """Spatial size (I, J, K), channels and remarks."""
    count = int(found["dim"][0])
    dims = [int(length) for length in found["dim"][1 : 1 + max(count, 0)]]
    if not 2 <= count <= 7:
        raise UnderstudyError(f"{file} says that it has {count} axes, and NIfTI images of 2 to 7 axes are read")
    refuse_large(file, tuple(dims))
    beyond = [length for length in dims[3:] if length > 1]
    if len(beyond) > 1:
        raise UnderstudyError(
            f"{file} has the axes {' x '.join(map(str, dims))}; one axis after the third is read, as channels: it is "
            "a time series of vectors or no image, so give one volume of it"
        )
    timed = dims[3:4] == beyond != [] and int(found["xyzt_units"]) & 0x38 in TIMES
    if timed and beyond[0] > FRAMES:
        raise UnderstudyError(
            f"{file} is a time series of {beyond[0]} volumes, and an image is one volume: give one of them, or their "
            "mean"
        )
    return (*dims[:3], 1)[:3], beyond[0] if beyond else 1, (TIME_AXIS,) if timed else ()


def _type(found: nib.Nifti1Header, file: Path) -> tuple[np.dtype, int]:
    """The type of one number in the file's byte order, and how many stand side by side for a voxel."""
    code, bits = int(found["datatype"]), int(found["bitpix"])
    known = code in nib.nifti1.data_type_codes.dtype
    name = nib.nifti1.data_type_codes.label[code] if known else f"type number {code}"
    dtype = nib.nifti1.data_type_codes.dtype[code] if known else np.dtype("V1")
    parts = len(dtype.names or "x")
    one = np.dtype("uint8") if dtype.names else dtype
    if one.kind not in "iuf" or one.itemsize > 8:
        raise UnderstudyError(
            f"{file} holds {name} numbers; integers, float32, float64, RGB24 and RGBA32 are read: save it as one"
        )
    if bits != dtype.itemsize * 8:
        raise unreadable(file, "NIfTI", f"datatype says {name}, and bitpix {bits} bits")
    return one.newbyteorder(found.endianness), parts


def _offset(found: nib.Nifti1Header, file: Path) -> int:
    """Where the voxels begin; 0 stands for right after the header."""
    offset, least = float(found["vox_offset"]), found.single_vox_offset
    if offset == 0:
        return int(least)
    if not least <= offset <= FURTHEST or offset % 1:
        raise unreadable(file, "NIfTI", f"its voxels begin at byte {offset:g}, where {least} to {FURTHEST:,} can be")
    return int(offset)


def _scale(found: nib.Nifti1Header, parts: int, file: Path) -> tuple[float, float]:
    """Slope and intercept; (1, 0) where the file is not scaled."""
    slope, inter = float(found["scl_slope"]), float(found["scl_inter"])
    if parts > 1 or slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not (isfinite(slope) and isfinite(inter)):
        raise unreadable(file, "NIfTI", f"its values are scaled by {slope:g} and {inter:g}")
    return slope, inter


def _read(file: Path, most: int | None = None) -> tuple[_Layout, np.ndarray, tuple[str, ...]]:
    """Read all numbers in one go, in the order and type of the file; the stream's end is checked where it is near."""
    with _opened(file) as stream:
        found = _layout(stream, file)
        channels = found.channels * found.parts
        if most is not None and channels > most:
            raise UnderstudyError(
                f"{file} has {channels} channels, and a label map has one: give one class number per voxel"
            )
        stream.seek(found.offset)
        numbers = np.empty(found.values, found.dtype)
        room, done = numbers.view(np.uint8).data, 0
        while done < len(room):
            step = stream.readinto(room[done : done + 16 * BLOCK])
            if not step:
                raise unreadable(file, "NIfTI", f"it ends after {done:,} of {len(room):,} bytes of voxels")
            done += step
        more = bool(stream.read(BLOCK))  # at the end of a gzip stream its checksum is checked
    return found, numbers, (*found.remarks, *([LONGER] if more else []))


def _scaled(numbers: np.ndarray, scale: tuple[float, float], dtype: np.dtype) -> np.ndarray:
    """Scale in double precision, block by block."""
    slope, inter = map(np.float64, scale)
    out = np.empty(numbers.size, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, and is refused as such
        for start in range(0, numbers.size, BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = numbers[part] * slope + inter
    return out


def _shaped(numbers: np.ndarray, found: _Layout) -> np.ndarray:
    """Numbers as (C, I, J, K): the first axis runs fastest; parts of a colour before it, channels after all."""
    if found.parts > 1:
        return numbers.reshape((found.parts, *found.size), order="F")
    return np.moveaxis(numbers.reshape((*found.size, found.channels), order="F"), -1, 0)
