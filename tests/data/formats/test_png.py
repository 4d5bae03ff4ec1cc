"""PNG chunk by chunk: 16-bit colour under every filter, and what a file claims, held against what it has."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.png import is_png, read_deep, scanned

RANDOM = np.random.default_rng(0)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4), (2, 1, 0), (4, 3, 1)])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_each_filter(tmp_path: Path, write_png: Callable[..., None], channels: int, kinds: tuple[int, ...]) -> None:
    few = RANDOM.integers(0, 4, (20, 20, channels))  # few values, so that predictors tie
    for array in (RANDOM.integers(0, 65536, (6, 5, channels)), few, few * 256, few[:1], few[:, :1]):
        write_png(tmp_path / "a.png", array, 16, kinds)
        assert np.array_equal(read_deep(tmp_path / "a.png", scanned(tmp_path / "a.png")), np.moveaxis(array, -1, 0))


def test_more_rows_than_are_decoded_at_once(tmp_path: Path, write_png: Callable[..., None]) -> None:
    array = RANDOM.integers(0, 65536, (600, 9, 3))
    write_png(tmp_path / "a.png", array, 16, (4, 2, 3, 1))
    assert np.array_equal(read_deep(tmp_path / "a.png", scanned(tmp_path / "a.png")), np.moveaxis(array, -1, 0))


def test_what_a_file_claims(tmp_path: Path, write_png: Callable[..., None]) -> None:
    array = np.zeros((4, 6, 3))
    write_png(tmp_path / "a.png", array, 16, more=chunk(b"tRNS", bytes(6)))
    png = scanned(tmp_path / "a.png", check=True)
    assert (png.size, png.bits, png.colour, png.interlaced, png.deep) == ((4, 6), 16, 2, False, True)
    assert (png.transparent, png.may_turn, len(png.data)) == (bytes(6), False, 2)
    write_png(tmp_path / "a.png", array, 8, more=chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0"))
    png = scanned(tmp_path / "a.png")
    assert (png.bits, png.deep, png.transparent, png.may_turn) == (8, False, None, True)
    assert is_png(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    assert not is_png(tmp_path / "b.png")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_flipped_bit_is_noticed(tmp_path: Path, write_png: Callable[..., None], bits: int) -> None:
    write_png(tmp_path / "a.png", RANDOM.integers(0, 256, (9, 7, 3)), bits)
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[60] ^= 1
    (tmp_path / "a.png").write_bytes(bytes(content))
    assert formats.header(tmp_path / "a.png").size == (9, 7)
    for read in (formats.image, formats.labels):
        with pytest.raises(UnderstudyError, match="wrong checksum"):
            read(tmp_path / "a.png")


def test_a_size_that_the_file_cannot_hold_is_refused_by_the_header(
    tmp_path: Path, write_png: Callable[..., None]
) -> None:
    write_png(tmp_path / "a.png", np.zeros((9, 7, 3)), 16)
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[16:24] = struct.pack(">II", 7000, 7000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(bytes(content))
    with pytest.raises(UnderstudyError, match="7000 x 7000 pixels, and only"):
        formats.header(tmp_path / "a.png")
