"""TIFF: one page, 1 to 4 channels, any depth, through tifffile; compressions that it leaves to others through Pillow (8
bits a channel, or one channel).

**Differs**: a file of several pages is refused (one page is one picture; volumes come as NIfTI).
**Checked** in tests/data/formats/test_tiff.py (exact bits; several pages; cut files).
"""

import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from tifffile import TiffFileError

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import DecodedFile, Header, storable, unreadable
from understudy.data.formats.raster import one_channel

_BROKEN = OSError, ValueError, LookupError, TypeError, struct.error, TiffFileError, Image.DecompressionBombError


def header(file: Path) -> Header:
    """Return channels, size and type; nothing is decoded."""
    try:
        with tifffile.TiffFile(file) as tiff:
            page = _page(tiff, file)
            channels, height, width = _layout(page.shape, page.axes, file)
            return Header(channels, (height, width), storable(page.dtype or np.dtype("uint8")))
    except _BROKEN as error:
        raise unreadable(file, "TIFF", error) from error


def image(file: Path) -> DecodedFile:
    """Read an image as (C, H, W), uint8, int16, uint16 or float32; UnderstudyError if broken, or of several pages."""
    array = _read(file)
    if array.dtype == bool:
        return DecodedFile(array.astype(np.uint8) * np.uint8(255))
    return DecodedFile(array.astype(storable(array.dtype), copy=False))


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, H, W) with the numbers that the file stores."""
    array = one_channel(_read(file), file)
    return DecodedFile((array.astype(np.uint8) if array.dtype == bool else array)[None])


def _read(file: Path) -> np.ndarray:
    try:
        with tifffile.TiffFile(file) as tiff:
            page = _page(tiff, file)
            channels, height, width = _layout(page.shape, page.axes, file)
            if int(page.compression) in (1, 8, 32773, 32946):  # none, deflate, packbits: tifffile alone reads them
                array, axes = page.asarray(), page.axes
            else:
                array, axes = _through_pillow(file, channels, page.bitspersample), "YXS"
        array = array.reshape(height, width, channels) if axes != "SYX" else np.moveaxis(array, 0, -1)
    except _BROKEN as error:
        raise unreadable(file, "TIFF", error) from error
    return np.ascontiguousarray(np.moveaxis(array, -1, 0))


def _page(tiff: tifffile.TiffFile, file: Path) -> tifffile.TiffPage:
    if len(tiff.pages) != 1:
        raise UnderstudyError(
            f"{file} has {len(tiff.pages)} pages, and a picture is one page: give one file per page, or NIfTI"
        )
    return tiff.pages[0]


def _layout(shape: tuple[int, ...], axes: str, file: Path) -> tuple[int, int, int]:
    sizes = dict(zip(axes, shape, strict=True))
    channels = sizes.get("S", 1)
    if set(axes) - set("YXS") or not 1 <= channels <= 4:
        raise UnderstudyError(f"{file} has the axes {axes} {shape}; a picture of 1 to 4 channels was expected")
    return channels, sizes["Y"], sizes["X"]


def _through_pillow(file: Path, channels: int, bits: int) -> np.ndarray:
    if channels > 1 and bits != 8:
        raise UnderstudyError(
            f"{file} has {bits} bits in {channels} channels under a compression that is not read: save it "
            "uncompressed or with deflate"
        )
    with Image.open(file, formats=["TIFF"]) as picture:
        return np.asarray(picture)
