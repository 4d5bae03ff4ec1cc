"""PNG and JPEG through Pillow: 1, 8 and 16 bits, 1 to 4 channels.

PNG with 16 bits and 2 to 4 channels is decoded here, since Pillow would halve it to 8 bits.
**Source**: ISO/IEC 15948 (PNG), clause 9 (filters None, Sub, Up, Average, Paeth) and clause 11.2.2 (IHDR).
**Differs** from plain Pillow, which also stretches 2- and 4-bit grey: a label map keeps the numbers that the file
stores (palette indices, 0/1 of a 1-bit mask, 0..15 of 4-bit grey). As images, 1-, 2- and 4-bit grey are stretched to
0..255 and a palette gives its colours. Interlaced 16-bit colour is refused; ancillary chunks (gamma) are ignored.
**Checked** in tests/data/formats/test_raster.py (exact bits of every depth and channel count; all five filters; cut
files; wrong checksums; text called PNG).
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import DecodedFile, Header, storable, unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEEP_CHANNELS = {2: 3, 4: 2, 6: 4}  # by colour type


def _grey_bits(file: Path) -> int:
    """Bits per sample of a grey PNG without alpha; 8 of any other file."""
    with file.open("rb") as handle:
        start = handle.read(26)
    return start[24] if len(start) == 26 and start.startswith(SIGNATURE) and start[25] == 0 else 8


def _deep_header(file: Path) -> Header | None:
    """The header of a 16-bit PNG with several channels; None of any other file."""
    if file.suffix.lower() != ".png":
        return None
    with file.open("rb") as handle:
        start = handle.read(29)
    if len(start) < 29 or not start.startswith(SIGNATURE) or start[12:16] != b"IHDR":
        return None
    width, height, bits, colour = struct.unpack(">IIBB", start[16:26])
    channels = _DEEP_CHANNELS.get(colour) if bits == 16 else None
    return Header(channels, (height, width), "uint16") if channels else None


def read_deep(file: Path) -> np.ndarray:
    """Read a 16-bit PNG with several channels as uint16 (C, H, W); UnderstudyError if damaged or interlaced."""
    head, content = _deep_header(file), file.read_bytes()
    if head is None or content[28]:
        raise UnderstudyError(
            f"{file} should be a 16-bit colour PNG without interlacing: save it again without interlacing"
        )
    height, width = head.stored
    stride = width * 2 * head.channels
    try:
        data = zlib.decompress(b"".join(_image_data(content)))
        if len(data) != height * (stride + 1):
            raise ValueError(f"{height * (stride + 1)} bytes expected, found {len(data)}")
        pixels = _unfiltered(np.frombuffer(data, np.uint8).reshape(height, stride + 1), 2 * head.channels)
    except (ValueError, struct.error, zlib.error) as error:
        raise UnderstudyError(
            f"{file} should be a PNG image and cannot be read as one ({error}): it is cut short or damaged; "
            "replace or remove it"
        ) from error
    values = pixels.view(">u2").astype(np.uint16).reshape(height, width, head.channels)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _image_data(content: bytes) -> list[bytes]:
    parts: list[bytes] = []
    position = len(SIGNATURE)
    while True:
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        body = content[position + 8 : position + 8 + length]
        check = struct.unpack(">I", content[position + 8 + length : position + 12 + length])[0]
        if zlib.crc32(kind + body) != check:
            raise ValueError("wrong checksum")
        if kind == b"IEND":
            return parts
        if kind == b"IDAT":
            parts.append(body)
        position += 12 + length


def _unfiltered(rows: np.ndarray, step: int) -> np.ndarray:
    out = np.zeros((len(rows), rows.shape[1] - 1), np.uint8)
    above = np.zeros(rows.shape[1] - 1, np.uint8)
    for y, row in enumerate(rows):
        kind, line = int(row[0]), row[1:]
        if kind == 0:
            out[y] = line
        elif kind == 1:  # Sub: running sum modulo 256 of each byte of the pixel
            out[y] = np.cumsum(line.reshape(-1, step), 0, dtype=np.uint8).reshape(-1)
        elif kind == 2:  # Up
            out[y] = line + above
        elif kind in (3, 4):
            out[y] = _sequential(line.tolist(), above.tolist(), step, average=kind == 3)
        else:
            raise ValueError(f"unknown filter {kind}")
        above = out[y]
    return out


def _sequential(line: list[int], above: list[int], step: int, average: bool) -> list[int]:
    """Undo Average (half of left and above) or Paeth (of left, above, corner the nearest to left + above - corner)."""
    for x in range(len(line)):
        left = line[x - step] if x >= step else 0
        up = above[x]
        if average:
            guess = (left + up) >> 1
        else:
            corner = above[x - step] if x >= step else 0
            to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            guess = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
        line[x] = (line[x] + guess) & 255
    return line


_CHANNELS = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "F": 1, "LA": 2, "RGB": 3, "P": 3, "RGBA": 4, "CMYK": 4}
_TYPES = {"I;16": "uint16", "I;16B": "uint16", "I": "float32", "F": "float32"}
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def header(file: Path) -> Header:
    """Return channels, size and type; nothing is decoded."""
    if deep := _deep_header(file):
        return deep
    with _opened(file) as picture:
        return Header(_CHANNELS[picture.mode], (picture.height, picture.width), _TYPES.get(picture.mode, "uint8"))


def image(file: Path) -> DecodedFile:
    """Read an image as (C, H, W), uint8, uint16 or float32; UnderstudyError where it is no whole PNG or JPEG."""
    if _deep_header(file):
        return DecodedFile(read_deep(file))
    with _opened(file) as picture:
        mode = "RGB" if picture.mode == "P" else "L" if picture.mode == "1" else None
        array = np.asarray(picture.convert(mode) if mode else picture)
    return DecodedFile(_channels_first(array.astype(storable(array.dtype), copy=False)))


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, H, W) with the numbers that the file stores; UnderstudyError if broken or in colour."""
    if _deep_header(file):
        return DecodedFile(one_channel(read_deep(file), file)[None])
    with _opened(file) as picture:
        bits, array = _grey_bits(file), np.asarray(picture)
    if bits in (2, 4):
        array = array // (255 // (2**bits - 1))
    array = _channels_first(array.astype(np.uint8) if array.dtype == bool else array)
    return DecodedFile(one_channel(array, file)[None])


def one_channel(array: np.ndarray, file: Path) -> np.ndarray:
    """Return (H, W) from (C, H, W) whose channels are equal; UnderstudyError where they are not."""
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
        why = "unknown content" if isinstance(error, Image.UnidentifiedImageError) else error
        raise unreadable(file, "PNG or JPEG", why) from error
