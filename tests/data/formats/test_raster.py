"""PNG and JPEG: the bits that were written are the bits that are read; what is broken says so, in every format."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.png import SIGNATURE, read_deep, scanned

RANDOM = np.random.default_rng(0)
COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG colour type by number of channels


def write_png(file: Path, array: np.ndarray, bits: int, filters: tuple[int, ...] = (0,)) -> None:
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
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", body[:50]) + chunk(b"IDAT", body[50:]) + chunk(b"IEND", b"")
    file.write_bytes(SIGNATURE + parts)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_depth_and_channel_count_keeps_its_bits(tmp_path: Path, bits: int, channels: int) -> None:
    array = RANDOM.integers(0, 2**bits, (9, 7, channels))
    write_png(tmp_path / "a.png", array, bits, (0, 1, 2, 3, 4))
    head, image = formats.header(tmp_path / "a.png"), formats.image(tmp_path / "a.png").array
    assert image.dtype == f"uint{bits}"
    assert (head.channels, head.size, head.dtype) == (channels, (9, 7), image.dtype.name)
    assert np.array_equal(image, np.moveaxis(array, -1, 0))


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_each_filter(tmp_path: Path, kind: int) -> None:
    few = RANDOM.integers(0, 4, (20, 20, 3))  # few values, so that predictors tie
    for array in (RANDOM.integers(0, 65536, (6, 5, 3)), few, few * 256):
        write_png(tmp_path / "a.png", array, 16, (kind,))
        assert np.array_equal(read_deep(tmp_path / "a.png", scanned(tmp_path / "a.png")), np.moveaxis(array, -1, 0))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_numbers_in_label_maps_and_stretched_in_images(tmp_path: Path, bits: int) -> None:
    array = RANDOM.integers(0, 2**bits, (9, 7, 1))
    write_png(tmp_path / "a.png", array, bits)
    assert np.array_equal(formats.labels(tmp_path / "a.png").array, array[..., 0])
    assert np.array_equal(formats.image(tmp_path / "a.png").array[0], array[..., 0] * (255 // (2**bits - 1)))


def test_a_palette_keeps_indices_in_label_maps_and_gives_colours_in_images(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 4, (9, 7)).astype(np.uint8)
    picture = Image.new("P", (7, 9))
    picture.putdata(array.reshape(-1).tolist())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(formats.labels(tmp_path / "a.png").array, array)
    image = formats.image(tmp_path / "a.png").array
    assert image.shape == (3, 9, 7)
    assert np.array_equal(image[:, array == 3][:, 0], [9, 8, 7])


def test_a_deep_grey_label_map(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.array([[[0], [300]]]), 16)
    assert formats.labels(tmp_path / "a.png").array.tolist() == [[0, 300]]


def test_a_label_map_stored_as_equal_colours(tmp_path: Path) -> None:
    grey = RANDOM.integers(0, 2, (9, 7, 1)).repeat(3, 2)
    write_png(tmp_path / "a.png", grey, 8)
    write_png(tmp_path / "b.png", grey * 1000, 16)
    assert np.array_equal(formats.labels(tmp_path / "a.png").array, grey[..., 0])
    assert np.array_equal(formats.labels(tmp_path / "b.png").array, grey[..., 0] * 1000)
    grey[0, 0, 1] ^= 1
    write_png(tmp_path / "a.png", grey, 8)
    with pytest.raises(UnderstudyError, match="channels that differ"):
        formats.labels(tmp_path / "a.png")


def test_jpeg(tmp_path: Path) -> None:
    Image.new("L", (16, 8), 77).save(tmp_path / "a.JPG", "JPEG")
    assert formats.header(tmp_path / "a.JPG").size == (8, 16)
    assert np.abs(formats.image(tmp_path / "a.JPG").array.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "deep.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("keep", [0, 5, 30, 0.4, 0.8])
def test_what_is_cut_short_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    file = tmp_path / name
    array = RANDOM.integers(0, 255, (40, 30, 3)).astype(np.uint8)
    if name == "deep.png":
        write_png(file, array.astype(int) * 256, 16)
    else:
        Image.fromarray(array).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(UnderstudyError, match="cannot be read as one"):
        formats.image(file)


def test_a_flipped_bit_in_a_deep_png_is_noticed(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RANDOM.integers(0, 65536, (9, 7, 3)), 16)
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[60] ^= 1
    (tmp_path / "a.png").write_bytes(bytes(content))
    with pytest.raises(UnderstudyError, match="wrong checksum"):
        formats.image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nii", "a.nii.gz"])
def test_text_under_a_picture_s_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a text, and a long one, that is neither a picture nor a volume. " * 20)
    for read in (formats.header, formats.image, formats.labels):
        with pytest.raises(UnderstudyError, match="cannot be read as one"):
            read(tmp_path / name)


def test_an_unknown_ending(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(b"BM")
    with pytest.raises(UnderstudyError, match="is of a kind that is not read"):
        formats.image(tmp_path / "a.bmp")
    assert formats.stem(Path("x/a.nii.gz")) == "x/a"
    assert formats.stem(Path("x/a.b.PNG")) == "x/a.b"
