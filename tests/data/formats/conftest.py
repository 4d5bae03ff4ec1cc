"""Encoders of the tests' own, which owe nothing to the readers."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG colour type by number of channels


def encode_png(file: Path, array: np.ndarray, bits: int, filters: tuple[int, ...] = (0,), more: bytes = b"") -> None:
    """Write (H, W, C) as PNG by the standard, with the given filters in turn: an encoder of the test's own."""
    height, width, channels = array.shape
    if bits == 16:
        rows = array.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = array.astype(np.uint8).reshape(height, -1)
    else:
        wide = np.unpackbits(array.astype(np.uint8).reshape(height, width, 1), axis=2)[:, :, 8 - bits :]
        rows = np.packbits(wide.reshape(height, -1), axis=1)
    step, above, data = max(1, bits * channels // 8), np.zeros(rows.shape[1], np.int64), b""
    for y, row in enumerate(rows.astype(np.int64)):
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], above[:-step]
        guess = left + above - corner
        distance = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.choose(distance.argmin(0), [left, above, corner])
        kind = filters[y % len(filters)]
        predicted = [0, left, above, (left + above) // 2, paeth][kind]
        data += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, bits, COLOUR[channels], 0, 0, 0)
    body = zlib.compress(data)
    parts = chunk(b"IHDR", head) + more + chunk(b"IDAT", body[:50]) + chunk(b"IDAT", body[50:]) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.fixture
def write_png() -> Callable[..., None]:
    """The encoder: (file, array (H, W, C), bits, filters in turn, further chunks)."""
    return encode_png
