"""PNG with 16 bits and 2 to 4 channels, which Pillow would cut to 8 bits.

**Source**: ISO/IEC 15948 (PNG), clause 9 (filters None, Sub, Up, Average, Paeth) and clause 11.2.2 (IHDR).
**Differs**: neither interlaced files nor ancillary chunks (gamma, transparency) are handled; interlaced ones are
refused.
**Checked** in tests/data/test_png.py (all five filters against the array that was written; cut files; wrong checksums).
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 4: 2, 6: 4}  # by colour type


@dataclass(frozen=True)
class DeepHeader:
    """IHDR of a 16-bit PNG with several channels."""

    width: int
    height: int
    channels: int
    interlaced: bool


def depth(file: Path) -> tuple[int, bool]:
    """Return (bits per sample, whether it is grey without alpha) of a PNG; (8, True) where it is none."""
    with file.open("rb") as handle:
        start = handle.read(26)
    return (start[24], start[25] == 0) if len(start) == 26 and start.startswith(SIGNATURE) else (8, True)


def read_header(file: Path) -> DeepHeader | None:
    """Return the header of a 16-bit PNG with several channels, or None for any other file."""
    with file.open("rb") as handle:
        start = handle.read(29)
    if len(start) < 29 or not start.startswith(SIGNATURE) or start[12:16] != b"IHDR":
        return None
    width, height, bits, colour, _, _, interlace = struct.unpack(">IIBBBBB", start[16:29])
    if bits != 16 or colour not in _CHANNELS:
        return None
    return DeepHeader(width, height, _CHANNELS[colour], interlace != 0)


def read(file: Path) -> np.ndarray:
    """Read a 16-bit PNG with several channels as uint16 (C, H, W).

    Raises:
        UnderstudyError: it is cut short, damaged or interlaced.
    """
    head = read_header(file)
    if head is None or head.interlaced:
        raise UnderstudyError(
            f"{file} should be a 16-bit colour PNG without interlacing: save it again without interlacing"
        )
    bytes_per_pixel = 2 * head.channels
    stride = head.width * bytes_per_pixel
    try:
        data = zlib.decompress(b"".join(_image_data(file.read_bytes())))
        if len(data) != head.height * (stride + 1):
            raise ValueError(f"{head.height * (stride + 1)} bytes expected, found {len(data)}")
        rows = np.frombuffer(data, np.uint8).reshape(head.height, stride + 1)
        pixels = _unfiltered(rows, bytes_per_pixel)
    except (ValueError, struct.error, zlib.error) as error:
        raise UnderstudyError(
            f"{file} should be a PNG image and cannot be read as one ({error}): it is cut short or damaged; "
            "replace or remove it"
        ) from error
    values = pixels.view(">u2").astype(np.uint16).reshape(head.height, head.width, head.channels)
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
    """Undo Average (half of left and above) or Paeth (the one of left, above, corner nearest to left + above -
    corner).
    """
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
