"""TIFF: one page of 1 to 4 channels, as its tags say: photometric interpretation, palette, alpha, orientation.

tifffile reads the tags, and tiff_segments.py the pixels. Read are grey (min-is-white turned round, in label maps too:
what a viewer shows), RGB, palettes and the YCbCr of JPEG; integers of 8 to 64 bits, unsigned ones of 1, 2, 4 and 12,
floats of 16 to 64. As images, 1-, 2- and 4-bit grey are stretched to 0..255; 12 bits keep their numbers.
Refused by name: CMYK, CIELAB, raw sensor data, complex numbers, several pages (one page is one picture; volumes come as
NIfTI), compressions that libtiff does not undo, and in label maps JPEG. Pages that are marked as smaller copies, and
SubIFDs, are no pages.
**Source**: TIFF 6.0.
**Checked** in tests/data/formats/test_tiff.py (against Pillow and tifffile) and test_hostile_pictures.py.
"""

import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from tifffile import TiffFileError

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import DecodedFile, Header, as_kept, storable, unreadable
from understudy.data.formats.picture import (
    OPAQUE,
    PROFILE,
    TURNED,
    coloured,
    colours,
    foreign_profile,
    one_channel,
    refuse_lossy,
    refuse_see_through,
    refuse_size,
    upright,
    upright_size,
)
from understudy.data.formats.tiff_segments import (
    CCITT,
    COMPRESSIONS,
    FILL_ORDER,
    JPEG,
    PREDICTED,
    TiffPixels,
    read_pixels,
)

WHITE, GREY, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6  # photometric interpretations
ALPHA = 1, 2  # kinds of extra samples
WIDTHS = {"u": (1, 2, 4, 8, 12, 16, 32, 64), "i": (8, 16, 32, 64), "f": (16, 32, 64)}  # bits that are read
INVERTED = "grey TIFF pictures that count from white (min-is-white) are turned round: bright is bright"
SMALLER = "smaller copies inside a TIFF are not read"
UNSURE = (
    "1-bit TIFF label maps written by tifffile are marked min-is-white whatever they hold: the stored numbers are taken"
)
MEANT = (  # tags that say what pixels mean and where they are
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293),
    *(317, 320, 322, 323, 324, 325, 338, 339, 347, 530, 32997, 32998),
)
MOST_PAGES = 64  # looked at
_BROKEN = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, SyntaxError),
    *(AssertionError, MemoryError, EOFError, struct.error, TiffFileError, Image.DecompressionBombError),
)


@dataclass(frozen=True)
class _Page:
    """What the tags of the one page say, checked."""

    pixels: TiffPixels
    photometric: int
    alpha: bool
    orientation: int
    palette: np.ndarray | None
    software: str
    remarks: tuple[str, ...]

    @property
    def channels(self) -> int:
        return 3 if self.photometric == PALETTE else self.pixels.samples - self.alpha

    @property
    def unsure(self) -> bool:
        """Whether min-is-white may be no more than tifffile's default for boolean arrays, which it does not turn."""
        return self.photometric == WHITE and self.pixels.bits == 1 and self.software.startswith("tifffile")


def header(file: Path) -> Header:
    """Return channels, size and type; nothing is decoded."""
    with _opened(file) as (_, page):
        size = upright_size(page.pixels.size, page.orientation)
        kind = np.dtype("uint8") if page.photometric == PALETTE else page.pixels.dtype
        stored = storable(kind)
        return Header(page.channels, size, stored, source_dtype="" if kind == stored else kind.name)


def image(file: Path) -> DecodedFile:
    """Read an image as (C, H, W), uint8, int16, uint16 or float32, without alpha.

    Raises:
        UnderstudyError: it is broken, has several pages, is see-through, or of a kind that is not read.
    """
    with _opened(file) as (handle, page):
        array, remarks = _numbers(file, handle, page, page.photometric == WHITE)
    if page.palette is not None:
        array = coloured(array, page.palette, file)
    elif page.pixels.bits < 8:
        array = array * np.uint8(255 // (2**page.pixels.bits - 1))
    return DecodedFile(upright(as_kept(array, file), page.orientation), remarks=remarks)


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, H, W) with the numbers that a viewer shows, and the colours of a palette.

    The one exception is told as a remark, ``UNSURE``: what the two values mean must be named by the user.

    Raises:
        UnderstudyError: as for an image; or it is compressed as JPEG, or in colour.
    """
    with _opened(file) as (handle, page):
        if page.pixels.compression == JPEG:
            refuse_lossy(file, "JPEG")
        array, remarks = _numbers(file, handle, page, page.photometric == WHITE and not page.unsure)
    remarks = (*remarks, UNSURE) if page.unsure else remarks
    array = one_channel(array, file)
    found = colours(array, page.palette, file) if page.palette is not None else None
    remarks = tuple(remark for remark in remarks if remark != PROFILE)
    return DecodedFile(upright(array, page.orientation), remarks=remarks, colours=found)


def _numbers(
    file: Path, handle: tifffile.FileHandle, page: _Page, inverted: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers (C, H, W) that the file stores, without alpha, turned round if asked, and what to tell of them."""
    array = read_pixels(handle, page.pixels)
    remarks = page.remarks
    if page.alpha:
        full = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max if page.pixels.bits >= 8 else 0
        refuse_see_through(file, bool((array[-1] == full).all()))
        array, remarks = array[:-1], (*remarks, OPAQUE)
    if inverted:
        array = array.dtype.type(2**page.pixels.bits - 1) - array
        remarks = (*remarks, INVERTED)
    return array, remarks


@contextmanager
def _opened(file: Path) -> Iterator[tuple[tifffile.FileHandle, _Page]]:
    try:
        with _heard(), tifffile.TiffFile(file) as tiff:
            one, others = _full_page(tiff, file)
            page = _checked(one, file, tiff.byteorder == ">")
            if others:
                page = _Page(**{**vars(page), "remarks": (*page.remarks, SMALLER)})
            page.pixels.refuse_lies(tiff.filehandle.size)
            yield tiff.filehandle, page
    except _BROKEN as error:
        raise unreadable(file, "TIFF", error) from error


class _Complaints(logging.Handler):
    """What tifffile writes to the log instead of raising it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[None]:
    """Keep tifffile's log off the screen, and refuse a file of which it passed over a tag that says what pixels mean.

    Raises:
        ValueError: at the end, unless another error came first.
    """
    log, complaints = logging.getLogger("tifffile"), _Complaints()
    log.addHandler(complaints)
    log.propagate, kept_propagate = False, log.propagate
    try:
        yield
    finally:
        log.removeHandler(complaints)
        log.propagate = kept_propagate
    for tag in MEANT:
        if any(f"TiffTag {tag} " in said for said in complaints.said):
            raise ValueError(f"its tag {tag}, which says what pixels mean, is damaged")


def _full_page(tiff: tifffile.TiffFile, file: Path) -> tuple[tifffile.TiffPage, int]:
    """The one page that is not a smaller copy of another, and how many of those there are."""
    count = len(tiff.pages)
    pages = [tiff.pages[index] for index in range(count)] if count <= MOST_PAGES else []
    full = [page for page in pages if not page.subfiletype & 1]
    count = max([len(full) if pages else count, *(_hidden(page) for page in full[:1])])
    if count != 1:
        raise UnderstudyError(f"{file} has {count} pages, and a picture is one page: give one file per page, or NIfTI")
    return full[0], len(pages) - 1


def _hidden(page: tifffile.TiffPage) -> int:
    """How many planes ImageJ, tifffile or MetaMorph put behind the one page that has tags; 1 where they did not."""
    said = str(page.description)[:4096]
    written = re.search(r"^images=(\d+)", said, re.M) if said.startswith("ImageJ=") else None
    cut = re.search(r'"shape": \[(\d+).*"truncated": true', said)
    planes = page.tags[33629].count if 33629 in page.tags else 1
    return max(planes, *(int(found[1]) if found else 1 for found in (written, cut)))


def _checked(page: tifffile.TiffPage, file: Path, big: bool) -> _Page:
    """Read the tags that say what pixels mean; what is not read is refused by its name."""
    photometric = page.tags.valueof(262)
    _refuse_colours(page, file, photometric)
    pixels = _pixels(page, _kind(page, file, photometric), big)
    refuse_size(file, pixels.samples, pixels.size, pixels.dtype.itemsize)
    refuse_size(file, pixels.contiguous, pixels.chunk, pixels.dtype.itemsize)
    extra = [int(sample) for sample in page.extrasamples or ()]
    alpha = bool(extra) and extra[-1] in ALPHA
    channels = pixels.samples - alpha
    single = photometric in (WHITE, PALETTE)
    if not 1 <= channels <= (1 if single else 4) or any(sample in ALPHA for sample in extra[:-1]):
        raise _not_read(file, f"{pixels.samples} samples a pixel", "a picture of 1 to 4 channels was expected")
    turn = page.tags.valueof(274)
    turn = turn if isinstance(turn, int) and 2 <= turn <= 8 else 1
    profile = foreign_profile(page.tags.valueof(34675))
    remarks = (*([TURNED] if turn > 1 else []), *([PROFILE] if profile else []))
    palette = _palette(page.tags.valueof(320), pixels.bits) if photometric == PALETTE else None
    return _Page(pixels, photometric, alpha, turn, palette, str(page.software), remarks)


def _refuse_colours(page: tifffile.TiffPage, file: Path, photometric: object) -> None:
    """Refuse compressions and colours that are not read, or that no two viewers show alike."""
    compression = int(page.compression)
    if compression not in COMPRESSIONS:
        name = getattr(page.compression, "name", compression)
        raise _not_read(file, f"the compression {name}", "save it uncompressed, or with deflate or LZW")
    if photometric not in (WHITE, GREY, RGB, PALETTE, YCBCR):
        name = "missing" if photometric is None else getattr(page.photometric, "name", photometric)
        raise _not_read(file, f"the photometric interpretation {name}", "save it as grey, RGB or palette")
    if photometric == YCBCR and compression != JPEG:
        raise _not_read(file, "the photometric interpretation YCBCR outside JPEG", "save it as grey or RGB")
    plain = photometric in (GREY, RGB, YCBCR) and page.samplesperpixel == (1 if photometric == GREY else 3)
    if compression == JPEG and (not plain or page.planarconfig == 2):
        raise _not_read(file, "such pixels under JPEG", "save it as grey or RGB, or without JPEG")


def _kind(page: tifffile.TiffPage, file: Path, photometric: object) -> str:
    """Return NumPy's letter of the type of the values; types that are not read are refused."""
    samples, bits, compression = page.samplesperpixel, page.bitspersample, int(page.compression)
    kind = {1: "u", 2: "i", 3: "f", 4: "u"}.get(page.sampleformat, "complex")
    if bits not in WIDTHS.get(kind, ()) or (samples > 1 and bits < 8) or (compression in CCITT and bits != 1):
        raise _not_read(file, f"{samples} samples of {bits} bits ({kind})", "save it as 8 or 16 bits, or 32-bit float")
    if (photometric in (WHITE, PALETTE, YCBCR) and kind != "u") or (compression == JPEG and (kind, bits) != ("u", 8)):
        raise _not_read(file, f"{bits} bits ({kind}) under such a photometric interpretation or JPEG", "save it plain")
    if page.predictor not in (1, 2, 3) or (page.predictor == 3) > (kind == "f") or (page.predictor == 2 and bits % 8):
        raise _not_read(file, f"the predictor {page.predictor}", "save it without predictor")
    if page.predictor != 1 and compression not in PREDICTED:  # libtiff passes it over there, and tifffile does not
        raise _not_read(file, f"the predictor {page.predictor} under such a compression", "save it without predictor")
    if page.imagedepth != 1 or page.tiledepth != 1:
        raise _not_read(file, f"{page.imagedepth} planes in depth", "give one file per page, or NIfTI")
    return kind


def _pixels(page: tifffile.TiffPage, kind: str, big: bool) -> TiffPixels:
    """How the pixels are stored, out of the tags."""
    size = page.imagelength, page.imagewidth
    chunk = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, size[0]), size[1])
    options: dict[int, tuple[int, int, bytes]] = {}
    compression = int(page.compression)
    if page.fillorder != 1:
        options[FILL_ORDER] = (3, 1, struct.pack("<H", page.fillorder))
    for tag in (292, 293) if compression in CCITT else ():
        if page.tags.valueof(tag) is not None:
            options[tag] = (4, 1, struct.pack("<I", page.tags.valueof(tag)))
    if compression == JPEG:
        options[262] = (3, 1, struct.pack("<H", int(page.photometric)))
        if page.jpegtables:
            options[347] = (7, len(page.jpegtables), bytes(page.jpegtables))
        if page.photometric == YCBCR:
            options[530] = (3, 2, struct.pack("<2H", *(page.subsampling or (2, 2))))
    return TiffPixels(
        size,
        page.samplesperpixel,
        page.bitspersample,
        kind,
        big,
        page.planarconfig == 2 and page.samplesperpixel > 1,
        chunk,
        page.is_tiled,
        compression,
        page.predictor,
        tuple(page.dataoffsets),
        tuple(page.databytecounts),
        options,
    )


def _palette(table: tuple[int, ...], bits: int) -> np.ndarray:
    """Colours (N, 3), uint8; files that store 8 bits where TIFF has 16 are known by their small numbers, as libtiff."""
    entries = np.asarray(table, np.uint16).reshape(3, 2**bits).T
    return (entries >> 8 if entries.max() > 255 else entries).astype(np.uint8)


def _not_read(file: Path, what: str, cure: str) -> UnderstudyError:
    return UnderstudyError(f"{file} is a TIFF with {what}, which is not read: {cure}")
