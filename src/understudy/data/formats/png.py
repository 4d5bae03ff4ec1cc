"""PNG files chunk by chunk: what a file claims, whether it is whole, and 16-bit pixels of several channels.

Pillow halves 16-bit colour to 8 bits, so it is decoded here, block by block of rows in bounded memory. The filters
Average and Paeth need the byte to the left; a block is walked along its diagonals, on which no pixel needs another.
**Source**: ISO/IEC 15948 (PNG), clauses 5.3 (chunks), 9 (filters None, Sub, Up, Average, Paeth), 11.2.2 (IHDR).
**Differs**: 16-bit colour that is interlaced is refused.
**Checked** in tests/data/formats/test_png.py (all five filters against an encoder of the test's own; cut files, wrong
checksums, lying sizes, a bomb) and test_hostile_pictures.py.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import INFLATED, unreadable
from understudy.data.formats.picture import refuse_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # values per pixel by colour type
BLOCK = 256  # rows that are decoded at once, fewer of a wide picture
BLOCK_PIXELS = 2**21
PIECE = 2**20


@dataclass(frozen=True)
class PngFile:
    """What a PNG file claims.

    Attributes:
        size: (H, W).
        bits: per sample.
        colour: colour type: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
        interlaced: Adam7.
        transparent: content of the tRNS chunk; the colour (or the palette's alpha) that is see-through.
        may_turn: whether there is a chunk that may hold an orientation: EXIF, or a text that holds it.
        data: (offset, length) of the content of each IDAT chunk.
    """

    size: tuple[int, int]
    bits: int
    colour: int
    interlaced: bool
    transparent: bytes | None
    may_turn: bool
    data: tuple[tuple[int, int], ...]

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits in several channels."""
        return self.bits == 16 and SAMPLES[self.colour] > 1


def is_png(file: Path) -> bool:
    """Tell a PNG file by its first bytes."""
    with file.open("rb") as handle:
        return handle.read(8) == SIGNATURE


def scanned(file: Path, check: bool = False) -> PngFile:
    """Read what a PNG file claims, with all checksums where ``check``; nothing is decoded.

    Raises:
        UnderstudyError: it is cut short, damaged, animated, too large, or has too few bytes for its size.
    """
    try:
        with file.open("rb") as handle:
            return _scanned(file, handle, check)
    except (ValueError, struct.error) as error:
        raise unreadable(file, "PNG", error) from error


def _scanned(file: Path, handle: BinaryIO, check: bool) -> PngFile:
    seen: dict[bytes, bytes] = {}
    data: list[tuple[int, int]] = []
    may_turn = False
    for kind, offset, length, start in _chunks(handle, file.stat().st_size, check):
        if kind == b"IDAT":
            data.append((offset, length))
        elif kind in (b"IHDR", b"tRNS", b"acTL"):
            seen.setdefault(kind, start)
        may_turn |= kind == b"eXIf" or start.startswith((b"Raw profile type", b"XML:com.adobe.xmp"))
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", seen[b"IHDR"][:13])
    if colour not in SAMPLES or bits not in (1, 2, 4, 8, 16):
        raise ValueError(f"colour type {colour} with {bits} bits")
    frames = struct.unpack(">I", seen[b"acTL"][:4])[0] if b"acTL" in seen else 1
    if frames > 1:
        raise UnderstudyError(f"{file} has {frames} frames (animated PNG), and a picture is one: save one per file")
    refuse_size(file, SAMPLES[colour], (height, width), max(1, bits // 8))
    held = sum(length for _, length in data)
    if height * (1 + (width * SAMPLES[colour] * bits + 7) // 8) > INFLATED * (held + 64):
        raise ValueError(f"{height} x {width} pixels, and only {held} bytes")
    return PngFile((height, width), bits, colour, bool(interlaced), seen.get(b"tRNS"), may_turn, tuple(data))


def _chunks(handle: BinaryIO, total: int, check: bool) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Each chunk's kind, offset and length of its content, and the content's start."""
    if handle.read(8) != SIGNATURE:
        raise ValueError("no PNG signature")
    at, first = 8, True
    while True:
        handle.seek(at)
        length, kind = struct.unpack(">I4s", handle.read(8))
        if at + 12 + length > total:
            raise ValueError("it ends within a chunk")
        if first != (kind == b"IHDR") or (first and length != 13):
            raise ValueError("it does not start with one whole IHDR chunk")
        start, left = handle.read(min(length, 1024)), max(0, length - 1024)
        if check:
            checksum = zlib.crc32(start, zlib.crc32(kind))
            while left > 0:
                piece = handle.read(min(left, PIECE))
                checksum, left = zlib.crc32(piece, checksum), left - len(piece)
            if struct.unpack(">I", handle.read(4))[0] != checksum:
                raise ValueError("wrong checksum")
        if kind == b"IEND":
            return
        yield kind, at + 8, length, start
        at, first = at + 12 + length, False


def read_deep(file: Path, png: PngFile) -> np.ndarray:
    """Read 16-bit pixels of several channels as uint16 (C, H, W), alpha the last; UnderstudyError where damaged."""
    if png.interlaced:
        raise UnderstudyError(f"{file} is a 16-bit colour PNG with interlacing: save it again without interlacing")
    (height, width), channels = png.size, SAMPLES[png.colour]
    step, stride = 2 * channels, 2 * channels * width
    out = np.empty((channels, height, width), np.uint16)
    above, done = np.zeros(stride, np.uint8), 0
    try:
        for block in _blocks(file, png, stride + 1):
            rows = np.frombuffer(block, np.uint8).reshape(-1, stride + 1)
            pixels = _unfiltered(rows, above, step)
            above = pixels[-1]
            values = pixels.view(">u2").reshape(len(rows), width, channels)
            out[:, done : done + len(rows)] = np.moveaxis(values, -1, 0)
            done += len(rows)
    except (ValueError, zlib.error) as error:
        raise unreadable(file, "PNG", error) from error
    return out


def _blocks(file: Path, png: PngFile, row: int) -> Iterator[bytes]:
    """The decompressed rows, some at a time, in bounded memory."""
    engine, held, left = zlib.decompressobj(), bytearray(), png.size[0]
    most = max(1, min(BLOCK, BLOCK_PIXELS // png.size[1]))
    for piece in _pieces(file, png):
        while left:
            held += engine.decompress(piece, min(most, left) * row - len(held))
            piece = engine.unconsumed_tail
            if len(held) == min(most, left) * row:
                yield bytes(held)
                left -= len(held) // row
                held.clear()
            elif not piece:
                break
    if left:
        raise ValueError(f"{left} rows of pixels are missing")


def _pieces(file: Path, png: PngFile) -> Iterator[bytes]:
    with file.open("rb") as handle:
        for offset, length in png.data:
            handle.seek(offset)
            for start in range(0, length, PIECE):
                yield handle.read(min(PIECE, length - start))


def _unfiltered(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Undo the filters of rows (R, 1 + bytes), the first byte naming the filter; ``above`` is the row before them."""
    kinds, lines = rows[:, 0], rows[:, 1:]
    if kinds.max() > 4:
        raise ValueError(f"unknown filter {kinds.max()}")
    if kinds.max() < 3:
        return _without_left_and_up(kinds, lines, above, step)
    count, width = len(rows), lines.shape[1] // step
    grid = np.zeros((count + width + 1, count + 1, step), np.int16)  # diagonal (1 + x + y), row y (0: above), byte
    grid[1 : width + 1, 0] = above.reshape(width, step)
    for y, line in enumerate(lines, start=1):
        grid[y + 1 : y + 1 + width, y] = line.reshape(width, step)
    for diagonal in range(2, count + width + 1):
        first, stop = max(1, diagonal - width), min(count, diagonal - 1) + 1
        here, left = grid[diagonal, first:stop], grid[diagonal - 1, first:stop]
        up, corner = grid[diagonal - 1, first - 1 : stop - 1], grid[diagonal - 2, first - 1 : stop - 1]
        to_left, to_up, to_corner = np.abs(up - corner), np.abs(left - corner), np.abs(left + up - 2 * corner)
        paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
        here += np.choose(kinds[first - 1 : stop - 1, None], (np.int16(0), left, up, (left + up) >> 1, paeth))
        here &= 255
    return np.stack([grid[y + 1 : y + 1 + width, y].astype(np.uint8).reshape(-1) for y in range(1, count + 1)])


def _without_left_and_up(kinds: np.ndarray, lines: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Undo None, Sub (a running sum of each byte of the pixel) and Up, row by row."""
    out = np.empty_like(lines)
    for y, (kind, line) in enumerate(zip(kinds, lines, strict=True)):
        out[y] = line
        if kind == 1:
            out[y] = np.cumsum(line.reshape(-1, step), 0, dtype=np.uint8).reshape(-1)
        elif kind == 2:
            out[y] += above
        above = out[y]
    return out
