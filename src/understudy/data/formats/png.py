"""PNG and JPEG: 1, 8 and 16 bits, 1 to 4 channels, through Pillow; 16-bit colour PNG through formats/png16.py.

**Differs** from plain Pillow, which halves 16-bit colour to 8 bits without a word and stretches 2- and 4-bit grey: a
label map keeps the numbers that the file stores (palette indices, 0/1 of a 1-bit mask, 0..15 of 4-bit grey), and 16
bits stay 16. As images, 1-, 2- and 4-bit grey are stretched to 0..255 and a palette gives its colours.
**Checked** in tests/data/test_png.py (exact bits of every depth and channel count; truncated files; text called PNG).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data.formats import png16
from understudy.data.formats.picture import Header, Picture, storable

_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "F": 1, "LA": 2, "RGB": 3, "P": 3, "RGBA": 4, "CMYK": 4}
_TYPES = {"I;16": "uint16", "I;16B": "uint16", "I": "float32", "F": "float32"}
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def header(file: Path) -> Header:
    """Return channels, size and type; nothing is decoded."""
    deep = png16.read_header(file) if file.suffix.lower() == ".png" else None
    if deep is not None:
        return Header(deep.channels, (deep.height, deep.width), "uint16")
    with _opened(file) as picture:
        return Header(_CHANNELS[picture.mode], (picture.height, picture.width), _TYPES.get(picture.mode, "uint8"))


def image(file: Path) -> Picture:
    """Read an image as (C, H, W), uint8, uint16 or float32.

    Raises:
        UnderstudyError: it is not a PNG or JPEG, or is cut short.
    """
    if file.suffix.lower() == ".png" and png16.read_header(file) is not None:
        return Picture(png16.read(file))
    with _opened(file) as picture:
        mode = "RGB" if picture.mode == "P" else "L" if picture.mode == "1" else None
        array = np.asarray(picture.convert(mode) if mode else picture)
    return Picture(_channels_first(array.astype(storable(array.dtype), copy=False)))


def labels(file: Path) -> Picture:
    """Read a label map as (H, W) with the numbers that the file stores.

    Raises:
        UnderstudyError: it has several channels that differ, or is not a PNG or JPEG, or is cut short.
    """
    if file.suffix.lower() == ".png" and png16.read_header(file) is not None:
        return Picture(one_channel(png16.read(file), file))
    with _opened(file) as picture:
        bits, grey = png16.depth(file) if picture.format == "PNG" else (8, True)
        array = np.asarray(picture)
    if grey and bits in (2, 4):
        array = array // (255 // (2**bits - 1))
    return Picture(one_channel(_channels_first(array.astype(np.uint8) if array.dtype == bool else array), file))


def one_channel(array: np.ndarray, file: Path) -> np.ndarray:
    """Return (H, W) from (C, H, W) whose channels are equal.

    Raises:
        UnderstudyError: they are not: a label map has one channel.
    """
    if (array != array[:1]).any():
        raise UnderstudyError(
            f"{file} has {len(array)} channels that differ, and a label map has one channel of class numbers: "
            "save it as grey or palette image"
        )
    return array[0]


def _channels_first(array: np.ndarray) -> np.ndarray:
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG", "JPEG"]) as picture:
                if picture.mode not in _CHANNELS:
                    raise UnderstudyError(
                        f"{file} has the pixel mode {picture.mode}, which is not read: save it as grey or RGB"
                    )
                yield picture
    except (*_BROKEN, Image.DecompressionBombWarning) as error:
        if not file.is_file():
            raise
        raise UnderstudyError(
            f"{file} should be a PNG or JPEG image and cannot be read as one ({_why(error)}): "
            "it is cut short, damaged or something else; replace or remove it"
        ) from error


def _why(error: BaseException) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "unknown content"
    return " ".join(str(error).split()) or type(error).__name__
