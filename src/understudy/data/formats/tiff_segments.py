"""The pixels of one TIFF page: each strip or tile decompressed in bounded memory, unpacked and put in its place.

The compressions are undone by libtiff, as Pillow brings it along: a strip or tile is handed over as a small TIFF of its
own. What it means (bits, byte order, predictor, tiles, planes) is read here, in one way under every compression.
**Source**: TIFF 6.0 (sections 2, 14, 15); Adobe Photoshop TIFF Technical Note 3 (predictor 3).
**Differs** from tifffile, which leaves most compressions to a package that understudy does not need, and from Pillow,
which reads few kinds of pixels. A strip that is missing or too short is refused, never filled.
**Checked** in tests/data/formats/test_tiff_segments.py, test_tiff.py (both libraries) and test_hostile_pictures.py.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import BinaryIO

import numpy as np
from PIL import Image

from understudy.data.formats.decoded import INFLATED
from understudy.data.formats.stderr import kept_from_screen

CCITT = 2, 3, 4
JPEG = 7
FILL_ORDER = 266  # tag that is passed on where it says that bits come lowest first
PREDICTED = 5, 8, 32946, 34925, 50000  # compressions before which a predictor may have been applied
COMPRESSIONS = {  # those read, and how many bytes one byte can become; 0: any number
    **{1: 1, 2: 0, 3: 0, 4: 0, 5: 4096, 7: 4096, 8: INFLATED},
    **{32773: 128, 32946: INFLATED, 34925: 0, 50000: 0},
}
NO_CODE = b"\x02" * 64  # put after fax data: no code of them, so that data which end too early are noticed
MOST_SEGMENTS = 2**17
MOST_AREA = 80_000_000  # bytes of a strip or tile, decompressed; Pillow warns of a little more


@dataclass(frozen=True)
class TiffPixels:
    """How the pixels of a page are stored.

    Attributes:
        size: (H, W).
        samples: values per pixel.
        bits: per sample: 1, 2, 4, 8, 12, 16, 32 or 64.
        kind: NumPy's letter: u, i or f.
        big: big-endian.
        planar: each sample in a plane of its own.
        chunk: (rows, columns) of a strip or tile.
        tiled: whether chunks are tiles, which are whole even at the edges.
        compression: TIFF tag 259, one of ``COMPRESSIONS``.
        predictor: 1 none, 2 horizontal differences, 3 of floating point.
        offsets, counts: place and length in bytes of each strip or tile.
        options: further tags that a compression needs: tag -> (TIFF type, number of values, bytes, little-endian).
    """

    size: tuple[int, int]
    samples: int
    bits: int
    kind: str
    big: bool
    planar: bool
    chunk: tuple[int, int]
    tiled: bool
    compression: int
    predictor: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    options: Mapping[int, tuple[int, int, bytes]] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values, in the machine's byte order; 1 to 4 bits are uint8, 12 are uint16."""
        return np.dtype(f"{self.kind}{max(1, self.bits // 8 + (self.bits == 12))}")

    @property
    def contiguous(self) -> int:
        """Samples of one pixel that lie side by side."""
        return 1 if self.planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a strip or tile."""
        return (self.chunk[1] * self.contiguous * self.bits + 7) // 8

    @property
    def grid(self) -> tuple[int, int]:
        """Chunks down and across."""
        return ceil(self.size[0] / self.chunk[0]), ceil(self.size[1] / self.chunk[1])

    def refuse_lies(self, total: int) -> None:
        """Raise ValueError where strips or tiles are not all there, within a file of so many bytes."""
        planes = self.samples if self.planar else 1
        wanted = planes * self.grid[0] * self.grid[1]
        if wanted > MOST_SEGMENTS:
            raise ValueError(f"it is cut into {wanted} strips or tiles, and at most {MOST_SEGMENTS} are read")
        if len(self.offsets) != wanted or len(self.counts) != wanted:
            raise ValueError(f"{wanted} strips or tiles belong to its size, and {len(self.offsets)} are there")
        ends = [offset + count for offset, count in zip(self.offsets, self.counts, strict=True)]
        if min(self.offsets) < 8 or min(self.counts) < 1 or max(ends) > total:
            raise ValueError("a strip or tile is empty or lies outside the file")
        growth, least = COMPRESSIONS[self.compression], self.size[0] * self.size[1] * self.samples * self.bits // 8
        area = self.chunk[0] * (self.chunk[1] if self.compression in (*CCITT, JPEG) else self.row_bytes)
        if self.compression != 1 and area > MOST_AREA:
            raise ValueError(f"a compressed strip or tile of {area:,} bytes, and at most {MOST_AREA:,} are read of one")
        if growth and least > growth * total:
            raise ValueError(f"{self.size[0]} x {self.size[1]} pixels, and the file has only {total} bytes")


def read_pixels(handle: BinaryIO, page: TiffPixels) -> np.ndarray:
    """Read the samples (C, H, W) of a page as stored; ValueError or OSError where they are not whole."""
    (height, width), (rows, columns), (down, across) = page.size, page.chunk, page.grid
    planes = page.samples if page.planar else 1
    out = np.empty((planes, height, width, page.contiguous), page.dtype)
    for index, (offset, count) in enumerate(zip(page.offsets, page.counts, strict=True)):
        plane, place = divmod(index, down * across)
        y, x = place // across * rows, place % across * columns
        there = rows if page.tiled else min(rows, height - y)
        handle.seek(offset)
        values = unpacked(decompressed(handle.read(count), page, there), page, there)
        out[plane, y : y + rows, x : x + columns] = values[: height - y, : width - x]
    return np.ascontiguousarray(out[..., 0] if page.planar else np.moveaxis(out[0], -1, 0))


def decompressed(data: bytes, page: TiffPixels, rows: int) -> bytes:
    """Return the bytes of so many rows of a strip or tile, exactly; ValueError or OSError where they are too few."""
    size = rows * page.row_bytes
    if page.compression == 1 and FILL_ORDER not in page.options:
        if len(data) < size:
            raise ValueError(f"a strip or tile has {len(data)} bytes of {size}")
        return data[:size]
    shape, bits, samples, colour = (rows, page.row_bytes), 8, 1, 1
    if page.compression in CCITT:
        shape, bits, data = (rows, page.chunk[1]), 1, data + NO_CODE
    if page.compression == JPEG:
        shape, samples = (rows, page.chunk[1]), page.contiguous
        colour = struct.unpack("<H", page.options[262][2][:2])[0]
    with _libtiff(), Image.open(io.BytesIO(_alone(data, page, shape, bits, samples, colour)), formats=["TIFF"]) as part:
        found = part.tobytes()
    if len(found) != size:
        raise ValueError(f"a strip or tile has {len(found)} bytes of {size}")
    return found


def _alone(data: bytes, page: TiffPixels, shape: tuple[int, int], bits: int, samples: int, colour: int) -> bytes:
    """One strip or tile as a TIFF file of its own, little-endian, in one strip."""
    tags = {
        **{tag: (4, 1, struct.pack("<I", value)) for tag, value in {256: shape[1], 257: shape[0]}.items()},
        258: (3, samples, struct.pack("<H", bits) * samples),
        **{tag: (3, 1, struct.pack("<H", value)) for tag, value in {259: page.compression, 277: samples}.items()},
        **{tag: (4, 1, struct.pack("<I", value)) for tag, value in {273: 8, 278: shape[0], 279: len(data)}.items()},
        **page.options,
        262: (3, 1, struct.pack("<H", colour)),
    }
    body = b"".join(value for _, _, value in tags.values() if len(value) > 4)
    place = 8 + len(data)
    entries = b""
    for tag, (kind, count, value) in sorted(tags.items()):
        entries += struct.pack("<HHI", tag, kind, count)
        entries += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", place + _before(tags, tag))
    start = struct.pack("<2sHI", b"II", 42, place + len(body))
    return start + data + body + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


def _before(tags: Mapping[int, tuple[int, int, bytes]], tag: int) -> int:
    """How many bytes of values stand before that of a tag."""
    names = list(tags)
    return sum(len(tags[name][2]) for name in names[: names.index(tag)] if len(tags[name][2]) > 4)


@contextmanager
def _libtiff() -> Iterator[None]:
    """Keep libtiff from writing to standard error; bad fax codes, which it only writes of, are raised."""
    with kept_from_screen() as said:
        yield
        said.seek(0)
        if b"Fax" in said.read(4096):
            raise ValueError("a strip or tile holds no whole CCITT fax data")


def unpacked(data: bytes, page: TiffPixels, rows: int) -> np.ndarray:
    """Return the values (rows, columns, samples side by side) of decompressed bytes, predictor undone."""
    shape = rows, page.chunk[1], page.contiguous
    lines = np.frombuffer(data, np.uint8).reshape(rows, -1)
    if page.predictor == 3:
        return _floats(lines, page).reshape(shape)
    if page.bits < 8:
        ones = np.unpackbits(lines, axis=1).reshape(rows, -1, page.bits)
        weights = 1 << np.arange(page.bits - 1, -1, -1, dtype=np.uint8)
        values = (ones * weights).sum(-1, dtype=np.uint8)
    elif page.bits == 12:
        values = _twelve(lines)
    else:
        stored = page.dtype.newbyteorder(">") if page.big else page.dtype.newbyteorder("<")
        values = lines.view(stored).astype(page.dtype)
    values = values[:, : shape[1] * shape[2]].reshape(shape)
    if page.predictor == 2:  # differences of the stored bits, those of floats too
        bits = np.dtype(f"u{page.dtype.itemsize}")
        return np.cumsum(values.view(bits), axis=1, dtype=bits).view(page.dtype)
    return values


def _twelve(lines: np.ndarray) -> np.ndarray:
    """Two values of 12 bits out of three bytes, the higher bits first."""
    padded = np.pad(lines, ((0, 0), (0, -lines.shape[1] % 3))).astype(np.uint16).reshape(len(lines), -1, 3)
    first, middle, last = padded[..., 0], padded[..., 1], padded[..., 2]
    return np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], -1).reshape(len(lines), -1)


def _floats(lines: np.ndarray, page: TiffPixels) -> np.ndarray:
    """Undo predictor 3: running sums over the bytes, which lie highest first, all of one rank together."""
    sums = np.cumsum(lines.reshape(len(lines), -1, page.contiguous), axis=1, dtype=np.uint8)
    ranks = sums.reshape(len(lines), page.dtype.itemsize, -1).swapaxes(1, 2)
    return np.ascontiguousarray(ranks).view(page.dtype.newbyteorder(">"))[..., 0].astype(page.dtype)
