"""TIFF pixels: every compression, depth, byte order, predictor, tile and plane gives the numbers that were written."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.tiff_segments import TiffPixels, unpacked

RANDOM = np.random.default_rng(0)
CODES = {"none": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "tiff_deflate": 32946, "packbits": 32773}
CODES |= {"lzma": 34925, "zstd": 50000}


def encoded(data: bytes, row: int, compression: str) -> bytes:
    """Bytes under a compression, as libtiff writes them, in one strip."""
    if compression == "none":
        return data
    out = io.BytesIO()
    rows = len(data) // row
    Image.frombytes("L", (row, rows), data).save(out, "TIFF", compression=compression, tiffinfo={278: rows})
    out.seek(0)
    with tifffile.TiffFile(out) as tiff:
        page = tiff.pages[0]
        return out.getvalue()[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]]


def packed(array: np.ndarray, bits: int) -> bytes:
    """Numbers (H, W) of a few bits, packed row by row, the highest bit first."""
    ones = (array[..., None].astype(np.int64) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(ones.reshape(len(array), -1).astype(np.uint8), axis=1).tobytes()


def write(
    file: Path, data: bytes, size: tuple[int, int], bits: int, compression: str = "none", **tags: tuple[int, int]
) -> None:
    """A grey TIFF of one strip out of bytes, big-endian; ``t262=(3, 0)`` sets a tag."""
    body = encoded(data, len(data) // size[0], compression)
    entries = {256: (4, size[1]), 257: (4, size[0]), 258: (3, bits), 259: (3, CODES[compression]), 262: (3, 1)}
    entries |= {273: (4, 8), 277: (3, 1), 278: (4, size[0]), 279: (4, len(body))}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    out = struct.pack(">2sHI", b"MM", 42, 8 + len(body)) + body + struct.pack(">H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        out += struct.pack(">HHI", tag, kind, 1) + (
            struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
        )
    file.write_bytes(out + bytes(4))


@pytest.mark.parametrize("compression", CODES)
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16, 32])
def test_few_and_many_bits_under_every_compression(tmp_path: Path, bits: int, compression: str) -> None:
    array = RANDOM.integers(0, 2 ** min(bits, 24), (13, 11))
    data = array.astype(">u4").tobytes() if bits == 32 else packed(array, bits)
    write(tmp_path / "a.tif", data, array.shape, bits, compression)
    assert np.array_equal(formats.labels(tmp_path / "a.tif").array, array)
    image = formats.image(tmp_path / "a.tif").array[0]
    assert np.array_equal(image, array * (255 // (2**bits - 1)) if bits < 8 else array)
    assert formats.header(tmp_path / "a.tif").dtype == image.dtype.name


@pytest.mark.parametrize("compression", ["none", "tiff_lzw", "zstd"])
@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_min_is_white_is_turned_round(tmp_path: Path, bits: int, compression: str) -> None:
    array = RANDOM.integers(0, 2**bits, (9, 7))
    write(tmp_path / "a.tif", packed(2**bits - 1 - array, bits), array.shape, bits, compression, t262=(3, 0))
    found = formats.labels(tmp_path / "a.tif")
    assert np.array_equal(found.array, array)
    assert any("min-is-white" in remark for remark in found.remarks)


def test_bits_from_the_lowest(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 2, (9, 16))
    reversed_bits = np.packbits(array.astype(np.uint8), axis=1, bitorder="little").tobytes()
    write(tmp_path / "a.tif", reversed_bits, array.shape, 1, t266=(3, 2))
    assert np.array_equal(formats.labels(tmp_path / "a.tif").array, array)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(tmp_path: Path, compression: str) -> None:
    array = np.add.outer(np.arange(61), np.arange(77)) % 30 > 12
    Image.fromarray(array).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(formats.labels(tmp_path / "a.tif").array, array)


def test_damaged_fax_data(tmp_path: Path) -> None:
    array = np.add.outer(np.arange(61), np.arange(77)) % 30 > 12
    Image.fromarray(array).save(tmp_path / "a.tif", compression="group4")
    content = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    (tmp_path / "a.tif").write_bytes(content[: offset + 30] + b"\x02" * 20 + content[offset + 50 :])
    with pytest.raises(UnderstudyError, match="no whole CCITT fax data"):
        formats.labels(tmp_path / "a.tif")


def write_tags(file: Path, data: bytes, tags: dict[int, Sequence[int]]) -> None:
    """A little-endian TIFF of data at 8 and tags, each value 32 bits (16 for those that must be)."""
    entries, beyond, place = b"", b"", 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        kind = 3 if tag in (258, 259, 262, 277, 530) else 4
        body = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        entries += struct.pack("<HHI", tag, kind, len(values))
        entries += body.ljust(4, b"\0") if len(body) <= 4 else struct.pack("<I", place + len(beyond))
        beyond += body if len(body) > 4 else b""
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    file.write_bytes(head + data + struct.pack("<H", len(tags)) + entries + bytes(4) + beyond)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("tile", [(16, 32), None])
def test_jpeg_tiles_and_strips(tmp_path: Path, tile: tuple[int, int] | None, subsampling: tuple[int, int]) -> None:
    """Each tile is a JPEG of its own, which Pillow reads."""
    parts, shape = [], (16, 32)
    whole = np.zeros((40, 32 if tile is None else 50, 3), np.uint8)
    expected = np.zeros((48, 64 if tile else 32, 3), np.uint8)
    for y in range(0, 48, 16):
        for x in range(0, expected.shape[1], 32):
            smooth = np.add.outer(np.arange(16) * 5 + y, np.arange(32) * 4 + x) % 256
            out = io.BytesIO()
            picture = Image.fromarray(np.stack([smooth, 255 - smooth, smooth // 2], -1).astype(np.uint8))
            if tile is None and y == 32:
                picture, shape = picture.crop((0, 0, 32, 8)), (8, 32)
            picture.save(out, "JPEG", subsampling={(1, 1): 0, (2, 1): 1, (2, 2): 2}[subsampling])
            parts.append(out.getvalue())
            expected[y : y + shape[0], x : x + 32] = np.asarray(Image.open(out))
    sizes = [len(part) for part in parts]
    starts = [8 + sum(sizes[:k]) for k in range(len(parts))]
    chunks = {322: (32,), 323: (16,), 324: starts, 325: sizes} if tile else {273: starts, 278: (16,), 279: sizes}
    plain = {256: (whole.shape[1],), 257: (40,), 258: (8, 8, 8), 259: (7,), 262: (6,), 277: (3,), 530: subsampling}
    write_tags(tmp_path / "a.tif", b"".join(parts), {**plain, **chunks})
    image = np.moveaxis(formats.image(tmp_path / "a.tif").array, 0, -1)
    assert np.array_equal(image, expected[:40, : whole.shape[1]])


LAYOUTS = {
    "strips": {"rowsperstrip": 5},
    "one strip": {},
    "tiles": {"tile": (16, 32)},
    "planes": {"planarconfig": "separate", "rowsperstrip": 4},
    "planes of tiles": {"planarconfig": "separate", "tile": (16, 16)},
    "predictor": {"predictor": True, "compression": "zlib"},
    "tiles, predictor": {"predictor": True, "compression": "zlib", "tile": (16, 16)},
    "planes, predictor": {"predictor": True, "compression": "zlib", "planarconfig": "separate"},
    "packed": {"compression": "zlib", "rowsperstrip": 7},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "kept"), [
    ("uint8", "uint8"), ("uint16", "uint16"), ("int8", "int16"), ("int16", "int16"), ("int32", "float32"),
    ("uint32", "float32"), ("int64", "float32"), ("uint64", "float32"),
    ("float16", "float32"), ("float32", "float32"), ("float64", "float32"),
])  # fmt: skip
def test_every_type_and_layout(tmp_path: Path, dtype: str, kept: str, layout: str) -> None:
    options = dict(LAYOUTS[layout])
    if dtype[:5] == "float" or dtype[-2:] == "64":
        options.pop("predictor", None)  # tifffile writes none
    array = (RANDOM.random((29, 37, 3)) * 250 - (100 if dtype[0] in "if" else 0)).astype(dtype)
    stored = np.moveaxis(array, -1, 0) if "planarconfig" in options else array
    file = tmp_path / "a.tif"
    for order, big in (("<", False), (">", False), ("<", True), (">", True)):
        tifffile.imwrite(file, stored, photometric="rgb", byteorder=order, bigtiff=big, **options)
        assert np.array_equal(formats.image(file).array, np.moveaxis(array, -1, 0).astype(kept))
        head = formats.header(file)
        assert (head.channels, head.size, head.dtype) == (3, (29, 37), kept)


@pytest.mark.parametrize("compression", ["tiff_adobe_deflate", "tiff_lzw", "zstd"])
@pytest.mark.parametrize("predictor", [2, 3])
def test_predictors_as_libtiff_writes_them(tmp_path: Path, compression: str, predictor: int) -> None:
    array = RANDOM.random((40, 30)).astype(np.float32) if predictor == 3 else RANDOM.integers(0, 255, (40, 30, 3))
    array = array if predictor == 3 else array.astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.tif", compression=compression, tiffinfo={317: predictor})
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].predictor == predictor
    expected = array[None] if predictor == 3 else np.moveaxis(array, -1, 0)
    assert np.array_equal(formats.image(tmp_path / "a.tif").array, expected)


def test_floats_whose_bits_were_subtracted(tmp_path: Path) -> None:
    """Predictor 2 of floats: libtiff takes differences of their bits."""
    array = RANDOM.normal(size=(40, 30)).astype(np.float32)
    Image.fromarray(array).save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={317: 2})
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tif")), array)
    assert np.array_equal(formats.image(tmp_path / "a.tif").array[0], array)


def test_floats_of_another_width_and_order(tmp_path: Path) -> None:
    """Predictor 3 by its definition: bytes by rank, highest first, then differences."""
    for dtype in ("<f2", "<f4", "<f8"):
        array = RANDOM.random((3, 4, 2)).astype(dtype)
        ranks = np.moveaxis(array.reshape(3, 8).astype(">" + dtype[1:]).view(np.uint8).reshape(3, 8, -1), 2, 1)
        flat = np.ascontiguousarray(ranks).reshape(3, -1, 2)
        coded = np.diff(flat, axis=1, prepend=np.zeros((3, 1, 2), np.uint8)).astype(np.uint8)
        bits = array.dtype.itemsize * 8
        page = TiffPixels((3, 4), 2, bits, "f", False, False, (3, 4), False, 1, 3, (8,), (1,))
        assert np.array_equal(unpacked(coded.tobytes(), page, 3), array)


def test_a_strip_that_is_too_short_is_never_filled(tmp_path: Path) -> None:
    for compression in CODES:
        write(tmp_path / "a.tif", bytes(13 * 11), (13, 11), 8, compression, t257=(4, 14), t278=(4, 14))
        with pytest.raises(UnderstudyError, match="cannot be read as one"):
            formats.image(tmp_path / "a.tif")
