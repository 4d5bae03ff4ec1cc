"""Hostile PNG, JPEG, BMP, WEBP and TIFF files: one sentence, within bounds of memory and time, never another exception.

Every file is tried as header, image and label map. What comes through must agree with its header.
"""

import io
import os
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data import formats

GREY = (np.arange(12)[:, None] * 7 + np.arange(20) * 3).astype(np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY * 2], -1)
DEEP = COLOUR.astype(np.uint16) * 257
MOST_MEMORY = 200 * 2**20  # of Python and NumPy, for files of a few KB
EXIF = Image.Exif()
EXIF[274] = 6


def saved(array: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    """An array as a picture of Pillow's."""
    picture, out = Image.fromarray(array), io.BytesIO()
    (picture.convert(mode) if mode else picture).save(out, kind, **options)
    return out.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    """An array as a TIFF of tifffile's."""
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour: int, data: bytes, *more: bytes, interlaced: int = 0) -> bytes:
    """A PNG with any claim and any content."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def ifd(tags: dict[int, tuple[int, int, int]], data: bytes = b"", after: int = 0, count: int | None = None) -> bytes:
    """A little-endian TIFF with one directory of (type, number of values, value), and data at 8."""
    entries = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(tags.items()))
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return head + data + struct.pack("<H", len(tags) if count is None else count) + entries + struct.pack("<I", after)


def plain(width: int = 8, height: int = 8, **more: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    """The tags of a plain grey TIFF in one strip at 8; ``t259=(3, 1, 5)`` changes one."""
    tags = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    tags |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, 64)}
    return tags | {int(name[1:]): entry for name, entry in more.items()}


DEEP_PNG = png(20, 12, 16, 2, zlib.compress(b"".join(b"\x04" + row.astype(">u2").tobytes() for row in DEEP)))
VALID: dict[str, bytes] = {
    "grey.png": saved(GREY, "PNG"),
    "colour.png": saved(COLOUR, "PNG", exif=EXIF),
    "alpha.png": saved(COLOUR, "PNG", "RGBA"),
    "palette.png": saved(COLOUR, "PNG", "P", transparency=b"\xff" * 9),
    "bits.png": saved(GREY > 50, "PNG"),
    "deep.png": DEEP_PNG,
    "grey.jpg": saved(GREY, "JPEG"),
    "colour.jpg": saved(COLOUR, "JPEG", exif=EXIF, icc_profile=b"a profile" * 9),
    "progressive.jpg": saved(COLOUR, "JPEG", progressive=True),
    "grey.bmp": saved(GREY, "BMP"),
    "colour.bmp": saved(COLOUR, "BMP"),
    "palette.bmp": saved(COLOUR, "BMP", "P"),
    "bits.bmp": saved(GREY > 50, "BMP"),
    "lossless.webp": saved(COLOUR, "WEBP", lossless=True, exif=EXIF),
    "lossy.webp": saved(COLOUR, "WEBP"),
    "alpha.webp": saved(COLOUR, "WEBP", "RGBA", lossless=True),
    "plain.tif": tiff(GREY),
    "deep.tif": tiff(DEEP, byteorder=">", photometric="rgb"),
    "deflate.tif": tiff(DEEP, compression="zlib", predictor=2, photometric="rgb"),
    "planes.tif": tiff(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate", rowsperstrip=5),
    "tiles.tif": tiff(GREY.astype(np.float32), tile=(16, 16), bigtiff=True),
    "lzw.tif": saved(COLOUR, "TIFF", compression="tiff_lzw"),
    "palette.tif": saved(COLOUR, "TIFF", "P"),
    "group4.tif": saved(GREY > 50, "TIFF", compression="group4"),
    "jpeg.tif": saved(COLOUR, "TIFF", compression="jpeg"),
    "packbits.tif": saved(GREY, "TIFF", compression="packbits", tiffinfo={274: 6}),
    "zstd.tif": saved(GREY, "TIFF", compression="zstd"),
}


def tried(folder: Path, name: str, content: bytes) -> list[str]:
    """Read a file in all three ways; return what was said. Fails for anything but an answer or one sentence."""
    file, said = folder / name, []
    file.write_bytes(content)
    head = None
    for read in (formats.header, formats.image, formats.labels):
        try:
            found = read(file)
        except UnderstudyError as error:
            said.append(str(error))
            assert "\n" not in said[-1]
            assert str(file) in said[-1]
            continue
        if read is formats.header:
            head = found
        elif read is formats.image and head is not None:
            array = found.array
            assert (head.channels, head.size, head.dtype) == (len(array), array.shape[1:], array.dtype.name)
        assert head is not None, f"{name}: pixels without a header"
    return said


@pytest.mark.parametrize("name", VALID)
def test_the_files_that_are_broken_below_are_whole(tmp_path: Path, name: str) -> None:
    said = tried(tmp_path, name, VALID[name])
    assert len(said) <= 1, said  # at most the label map: in colour, lossy
    assert all("label" in sentence for sentence in said)


@pytest.mark.parametrize("name", VALID)
def test_cut_short_anywhere(tmp_path: Path, name: str) -> None:
    content = VALID[name]
    for keep in sorted({*range(0, min(64, len(content))), *range(64, len(content), max(1, len(content) // 40))}):
        tried(tmp_path, name, content[:keep])
    assert len(tried(tmp_path, name, content[: len(content) // 2])) >= 2  # the header alone may be whole


@pytest.mark.parametrize("name", VALID)
def test_damaged_at_random(tmp_path: Path, name: str) -> None:
    draw = random.Random(name)
    for _ in range(15):
        tried(tmp_path, name, damaged(VALID[name], draw))


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Change some bytes: single ones, a run of zeros, a large number, a piece taken out."""
    out = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(min(len(out), draw.choice((64, 400, 10**9))))
        out[at] = draw.choice((0, 1, 255, 127, 128, draw.randrange(256)))
    at = draw.randrange(len(out))
    match draw.randrange(6):
        case 0:
            out[at : at + 4] = bytes(4)
        case 1:
            out[at : at + 4] = b"\xff\xff\xff\x7f"
        case 2:
            del out[at : at + draw.randrange(20)]
    return bytes(out)


BLANK = zlib.compress(bytes(9 * 8))  # 8 x 8 grey
ZEROS = zlib.compress(bytes(2**28), 9)  # 256 MiB in 260 KB
FULL = VALID["plain.tif"]
JPG = VALID["colour.jpg"]
BMP = VALID["colour.bmp"]
WEBP = VALID["lossless.webp"]


def frame(marker: int, bits: int = 8, height: int = 8, width: int = 8, parts: int = 1) -> bytes:
    """A JPEG of nothing but a frame header."""
    body = struct.pack(">BHHB", bits, height, width, parts) + b"\1\x11\0" * parts
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body + b"\xff\xd9"


def patched(content: bytes, at: int, form: str, *values: int) -> bytes:
    """Some bytes replaced."""
    new = struct.pack(form, *values)
    return content[:at] + new + content[at + len(new) :]


def segment(marker: bytes, body: bytes) -> bytes:
    """A JPEG with a segment after its start."""
    return JPG[:2] + b"\xff" + marker + struct.pack(">H", 2 + len(body)) + body + JPG[2:]


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    """A WEBP container of these chunks."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in parts)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def big_tiff(offset: int, tags: int = 0) -> bytes:
    """A BigTIFF header with this offset of its directory."""
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset) + struct.pack("<Q", tags)


def strip(data: bytes, compression: int, width: int = 8, height: int = 8, **more: tuple[int, int, int]) -> bytes:
    """A grey TIFF with this strip."""
    tags = plain(width, height, t259=(3, 1, compression), t279=(4, 1, len(data)), **more)
    return ifd(tags, data)


HOSTILE: dict[str, bytes] = {
    # of no kind
    "nothing.{}": b"",
    "one.{}": b"\0",
    "zeros.{}": bytes(3000),
    "text.{}": b"a text that is no picture\n" * 40,
    "page.{}": b"<!doctype html><html><body>404 not found</body></html>" * 9,
    "nifti.{}": struct.pack("<i", 348) + bytes(400),
    # PNG
    "signature.png": b"\x89PNG\r\n\x1a\n",
    "huge.png": png(100_000, 100_000, 8, 0, BLANK),
    "huge-deep.png": png(100_000, 100_000, 16, 2, BLANK),
    "wide.png": png(2**31 - 1, 1, 8, 0, BLANK),
    "wider.png": png(2**32 - 1, 2**32 - 1, 16, 6, BLANK),
    "limit.png": png(60_000, 60_000, 1, 0, BLANK),
    "hollow.png": png(8_000, 8_000, 8, 0, BLANK),
    "hollow-deep.png": png(8_000, 8_000, 16, 2, BLANK),
    "no-width.png": png(0, 8, 8, 0, BLANK),
    "no-height.png": png(8, 0, 8, 0, BLANK),
    "no-height-deep.png": png(8, 0, 16, 2, BLANK),
    "three-bits.png": png(8, 8, 3, 0, BLANK),
    "colour-five.png": png(8, 8, 8, 5, BLANK),
    "interlace-two.png": png(8, 8, 8, 0, BLANK, interlaced=2),
    "interlaced-deep.png": png(8, 8, 16, 2, BLANK, interlaced=1),
    "short.png": png(8, 8, 8, 0, zlib.compress(bytes(40))),
    "short-deep.png": png(8, 8, 16, 2, zlib.compress(bytes(300))),
    "bad-filter.png": png(8, 8, 8, 0, zlib.compress(b"\x09" * 72)),
    "bad-filter-deep.png": png(8, 8, 16, 2, zlib.compress(b"\x09" * 8 * 49)),
    "no-zlib.png": png(8, 8, 8, 0, b"no zlib here"),
    "no-zlib-deep.png": png(8, 8, 16, 2, b"no zlib here"),
    "empty-data.png": png(8, 8, 8, 0, b""),
    "empty-data-deep.png": png(8, 8, 16, 6, b""),
    "no-palette.png": png(8, 8, 8, 3, BLANK),
    "beyond-palette.png": png(8, 8, 8, 3, zlib.compress(b"\0\7\7\7\7\7\7\7\7" * 8), chunk(b"PLTE", bytes(6))),
    "empty-palette.png": png(8, 8, 8, 3, BLANK, chunk(b"PLTE", b"")),
    "frames.png": png(8, 8, 8, 0, BLANK, chunk(b"acTL", struct.pack(">II", 5, 0))),
    "many-frames.png": png(8, 8, 8, 0, BLANK, chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))),
    "odd-frames.png": png(8, 8, 8, 0, BLANK, chunk(b"acTL", b"\0")),
    "bad-exif.png": png(8, 8, 8, 0, BLANK, chunk(b"eXIf", b"II*\0\xff\xff\xff\xff" + bytes(30))),
    "two-heads.png": png(8, 8, 8, 0, BLANK, chunk(b"IHDR", bytes(13))),
    "short-head.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(12)) + chunk(b"IEND", b""),
    "no-head.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", BLANK) + chunk(b"IEND", b""),
    "no-end.png": png(8, 8, 8, 0, BLANK)[:-12],
    "long-chunk.png": patched(png(8, 8, 8, 0, BLANK), 33, ">I", 2**31 - 1),
    "longest-chunk.png": patched(DEEP_PNG, 33, ">I", 2**32 - 1),
    "head-checksum.png": patched(png(8, 8, 8, 0, BLANK), 29, ">I", 7),
    "checksum.png": patched(png(8, 8, 8, 0, BLANK), 33 + 8 + len(BLANK), ">I", 7),
    "text-bomb.png": png(8, 8, 8, 0, BLANK, chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + ZEROS)),
    "profile-bomb.png": png(8, 8, 8, 0, BLANK, chunk(b"iCCP", b"x\0\0" + ZEROS)),
    # JPEG
    "start.jpg": b"\xff\xd8",
    "start-end.jpg": b"\xff\xd8\xff\xd9",
    "largest.jpg": frame(0xC0, height=65535, width=65535),
    "large.jpg": frame(0xC0, height=30_000, width=30_000, parts=3),
    "no-height.jpg": frame(0xC0, height=0),
    "no-width.jpg": frame(0xC0, width=0),
    "no-parts.jpg": frame(0xC0, parts=0),
    "two-parts.jpg": frame(0xC0, parts=2),
    "nine-parts.jpg": frame(0xC0, parts=9),
    "twelve.jpg": frame(0xC1, bits=12),
    "sixteen.jpg": frame(0xC3, bits=16),
    "lossless.jpg": frame(0xC3),
    "arithmetic.jpg": frame(0xC9),
    "no-data.jpg": frame(0xC0),
    "long-length.jpg": patched(JPG, 4, ">H", 65535),
    "ink.jpg": saved(np.zeros((8, 8, 4), np.uint8), "JPEG", "CMYK"),
    "exif-nowhere.jpg": segment(b"\xe1", b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(20)),
    "exif-short.jpg": segment(b"\xe1", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20)),
    # BMP
    "start.bmp": b"BM",
    "huge.bmp": patched(BMP, 18, "<ii", 100_000, 100_000),
    "widest.bmp": patched(BMP, 18, "<ii", 2**31 - 1, 2**31 - 1),
    "hollow.bmp": patched(BMP, 18, "<ii", 8_000, 8_000),
    "no-width.bmp": patched(BMP, 18, "<ii", 0, 12),
    "no-height.bmp": patched(BMP, 18, "<ii", 20, 0),
    "negative.bmp": patched(BMP, 18, "<ii", -20, 12),
    "lowest.bmp": patched(BMP, 18, "<ii", 20, -(2**31)),
    "three-bits.bmp": patched(BMP, 28, "<H", 3),
    "compression.bmp": patched(BMP, 30, "<I", 9),
    "jpeg-inside.bmp": patched(BMP, 30, "<I", 4),
    "pixels-nowhere.bmp": patched(BMP, 10, "<I", 2**32 - 1),
    "no-head.bmp": patched(BMP, 14, "<I", 0),
    "long-head.bmp": patched(BMP, 14, "<I", 2**31),
    "colours.bmp": patched(VALID["palette.bmp"], 46, "<I", 2**31 - 1),
    "run-length.bmp": patched(patched(VALID["palette.bmp"], 30, "<I", 1), 18, "<ii", 8_000, 8_000),
    # WEBP
    "start.webp": b"RIFF\x10\0\0\0WEBP",
    "length.webp": patched(WEBP, 4, "<I", 2**32 - 1),
    "no-length.webp": patched(WEBP, 4, "<I", 0),
    "canvas.webp": riff((b"VP8X", struct.pack("<I", 0) + b"\xff" * 6), (b"VP8L", bytes(20))),
    "animated.webp": saved(COLOUR, "WEBP", save_all=True, append_images=[Image.new("RGB", (20, 12))]),
    "no-pixels.webp": riff((b"EXIF", bytes(20))),
    "long-chunk.webp": patched(WEBP, 16, "<I", 2**32 - 1),
    "largest.webp": riff((b"VP8L", b"\x2f" + struct.pack("<I", 0x0FFFFFFF) + bytes(30))),
    # TIFF
    "start.tif": b"II*\0",
    "huge.tif": ifd(plain(100_000, 100_000)),
    "widest.tif": ifd(plain(2**32 - 1, 2**32 - 1)),
    "hollow.tif": ifd(plain(8_000, 8_000), bytes(64)),
    "hollow-deflate.tif": strip(zlib.compress(bytes(64)), 8, 8_000, 8_000),
    "hollow-zstd.tif": strip(bytes(64), 50000, 8_000, 8_000),
    "one-strip-zstd.tif": strip(bytes(64), 50000, 9_000, 9_000),
    "one-strip-fax.tif": strip(bytes(64), 4, 9_000, 9_000, t258=(3, 1, 1)),
    "no-width.tif": ifd(plain(0, 8), bytes(64)),
    "no-height.tif": ifd(plain(8, 0), bytes(64)),
    "no-rows.tif": ifd(plain(t278=(4, 1, 0)), bytes(64)),
    "nowhere.tif": struct.pack("<2sHI", b"II", 42, 2**32 - 1),
    "no-directory.tif": struct.pack("<2sHI", b"II", 42, 0) + bytes(50),
    "many-tags.tif": ifd(plain(), bytes(64), count=65535),
    "no-tags.tif": ifd({}, bytes(64)),
    "two-pages.tif": tiff(np.zeros((2, 8, 8), np.uint8), photometric="minisblack"),
    "many-pages.tif": tiff(np.zeros((100, 8, 8), np.uint8), photometric="minisblack"),
    "to-and-fro.tif": ifd(plain(), bytes(64), 72 + 6 + 12 * 9) + ifd(plain(), after=72)[8:],
    "strip-nowhere.tif": ifd(plain(t273=(4, 1, 2**31)), bytes(64)),
    "strip-too-long.tif": ifd(plain(t279=(4, 1, 2**31)), bytes(64)),
    "strip-empty.tif": ifd(plain(t279=(4, 1, 0)), bytes(64)),
    "strip-at-start.tif": ifd(plain(t273=(4, 1, 0)), bytes(64)),
    "strip-short.tif": ifd(plain(t279=(4, 1, 63)), bytes(64)),
    "strips-missing.tif": ifd(plain(t278=(4, 1, 2)), bytes(64)),
    "strips-claimed.tif": ifd(plain(t273=(4, 2**30, 8), t279=(4, 2**30, 8)), bytes(64)),
    "no-strips.tif": ifd({tag: entry for tag, entry in plain().items() if tag not in (273, 279)}, bytes(64)),
    "no-photometric.tif": ifd({tag: entry for tag, entry in plain().items() if tag != 262}, bytes(64)),
    "width-is-text.tif": ifd(plain(t256=(2, 4, 0x383838)), bytes(64)),
    "width-is-nan.tif": ifd(plain(t256=(11, 1, 0x7FC00000)), bytes(64)),
    "width-is-negative.tif": ifd(plain(t256=(9, 1, 2**32 - 8)), bytes(64)),
    "height-is-rational.tif": ifd(plain(t257=(5, 1, 16)), bytes(64)),
    "orientation-damaged.tif": ifd(plain(t274=(77, 1, 6)), bytes(64)),
    "bits-3.tif": ifd(plain(t258=(3, 1, 3)), bytes(64)),
    "bits-24.tif": ifd(plain(t258=(3, 1, 24)), bytes(64)),
    "bits-many.tif": ifd(plain(t258=(3, 1, 65535)), bytes(64)),
    "bits-0.tif": ifd(plain(t258=(3, 1, 0)), bytes(64)),
    "samples-0.tif": ifd(plain(t277=(3, 1, 0)), bytes(64)),
    "samples-9.tif": ifd(plain(t277=(3, 1, 9)), bytes(64)),
    "samples-many.tif": ifd(plain(t277=(3, 1, 65535)), bytes(64)),
    "complex.tif": tiff(np.zeros((8, 8), np.complex64)),
    "complex-ints.tif": ifd(plain(t339=(3, 1, 5), t258=(3, 1, 32)), bytes(256)),
    "format-9.tif": ifd(plain(t339=(3, 1, 9)), bytes(64)),
    "predictor-9.tif": ifd(plain(t317=(3, 1, 9)), bytes(64)),
    "predictor-uncompressed.tif": ifd(plain(t317=(3, 1, 2)), bytes(64)),
    "predictor-of-floats.tif": ifd(plain(t317=(3, 1, 3)), bytes(64)),
    "deep.tif": ifd(plain(t32997=(4, 1, 5)), bytes(320)),
    "tile-0.tif": ifd(plain(t322=(4, 1, 0), t323=(4, 1, 0), t324=(4, 1, 8), t325=(4, 1, 64)), bytes(64)),
    "tile-huge.tif": ifd(plain(t322=(4, 1, 2**31), t323=(4, 1, 2**31), t324=(4, 1, 8), t325=(4, 1, 64)), bytes(64)),
    "tiles-of-one.tif": ifd(plain(9000, 9000, t322=(4, 1, 1), t323=(4, 1, 1), t324=(4, 1, 8), t325=(4, 1, 1))),
    **{f"photometric-{p}.tif": ifd(plain(t262=(3, 1, p)), bytes(64)) for p in (4, 5, 6, 8, 9, 10, 32803, 34892, 999)},
    **{f"compression-{c}.tif": strip(bytes(64), c) for c in (6, 9, 34712, 33003, 34887, 50001, 50002, 34892, 7777)},
    **{f"garbage-{c}.tif": strip(b"\xa5\x5a\xff\x00garbage" * 5, c) for c in (5, 7, 8, 32946, 34925, 50000)},
    "fax-of-bytes.tif": strip(bytes(64), 4),
    "jpeg-of-floats.tif": strip(bytes(64), 7, t258=(3, 1, 32), t339=(3, 1, 3)),
    "no-palette.tif": ifd(plain(t262=(3, 1, 3)), bytes(64)),
    "short-palette.tif": ifd(plain(t262=(3, 1, 3), t320=(3, 6, 8)), bytes(64)),
    "long-palette.tif": ifd(plain(t262=(3, 1, 3), t320=(3, 2**30, 8)), bytes(64)),
    "big-nowhere.tif": big_tiff(2**63),
    "big-tags.tif": big_tiff(16, 2**60),
    "imagej.tif": tiff(np.zeros((3, 8, 8), np.uint8), imagej=True),
}
ENDINGS = "png", "jpg", "bmp", "webp", "tif"
ALL = {name.format(end): content for name, content in HOSTILE.items() for end in (ENDINGS if "{}" in name else ("",))}


@pytest.mark.parametrize("name", ALL)
def test_hostile_files_are_refused(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    tracemalloc.start()
    start = time.monotonic()
    try:
        said = tried(tmp_path, name, ALL[name])
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert len(said) >= 2, "neither refused as an image nor as a label map"
    assert time.monotonic() - start < 10
    assert capfd.readouterr() == ("", "")


def test_there_are_more_than_a_hundred() -> None:
    assert len(ALL) > 150


LENIENT = {  # read within bounds, as viewers do, or refused: pictures that carry more than they claim, odd fields
    "bomb.png": png(8, 8, 8, 0, ZEROS),
    "bomb-deep.png": png(8, 8, 16, 2, ZEROS),
    "bomb.tif": strip(ZEROS, 8),
    "overlapping.tif": strip(bytes(64), 1, t278=(4, 1, 8)),
    "loop.tif": ifd(plain(), bytes(64), 72),
    "profile.png": png(8, 8, 8, 0, BLANK, chunk(b"tEXt", b"note\0" + bytes(2**20))),
    "odd-palette.png": png(8, 8, 8, 3, BLANK, chunk(b"PLTE", bytes(7))),
    "no-length.jpg": patched(JPG, 4, ">H", 0),
    "other.tif": b"II\x55\0" + FULL[4:],
    **{f"garbage-{c}.tif": strip(b"\xa5\x5a" * 9, c, t258=(3, 1, 1)) for c in (2, 3, 4)},
}


@pytest.mark.parametrize("name", LENIENT)
def test_bombs_and_odd_fields_stay_small(tmp_path: Path, name: str) -> None:
    tracemalloc.start()
    try:
        tried(tmp_path, name, LENIENT[name])
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_a_black_deep_png_of_the_largest_size_takes_no_more_than_its_pixels(tmp_path: Path) -> None:
    engine = zlib.compressobj(9)
    row = bytes(1 + 5000 * 6)
    data = b"".join(engine.compress(row) for _ in range(5000)) + engine.flush()
    (tmp_path / "a.png").write_bytes(png(5000, 5000, 16, 2, data))
    tracemalloc.start()
    try:
        assert formats.image(tmp_path / "a.png").array.shape == (3, 5000, 5000)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * 5000 * 5000 * 6
    finally:
        tracemalloc.stop()


SCRIPT = """
import resource, sys
from pathlib import Path
from understudy.core.errors import UnderstudyError
from understudy.data import formats
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**30, held + 2**30))
for file in sorted(Path(sys.argv[1]).iterdir()):
    for read in (formats.header, formats.image, formats.labels):
        try:
            read(file)
        except UnderstudyError:
            pass
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def test_all_of_them_in_one_process_take_little_memory(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, content in {**ALL, **LENIENT}.items():
        (tmp_path / "in" / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "in")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < 400 * 1024, "KiB at the peak, the imports counted"


def test_pipes_devices_and_folders_are_never_waited_on(tmp_path: Path) -> None:
    for end in ENDINGS:
        os.mkfifo(tmp_path / f"pipe.{end}")
        (tmp_path / f"device.{end}").symlink_to("/dev/zero")
        (tmp_path / f"folder.{end}").mkdir()
    for file in tmp_path.iterdir():
        with pytest.raises(UnderstudyError, match="no regular file"):
            formats.header(file)
