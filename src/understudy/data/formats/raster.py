"""PNG, JPEG, BMP and WEBP through Pillow: 1 to 16 bits, 1 or 3 channels, as their headers say.

The content decides which of the four it is, not the name. 16-bit PNG with several channels is decoded in png.py, since
Pillow would halve it to 8 bits. Of a JPEG with several pictures (MPO, as phones write them) the first is read.
**Differs** from plain Pillow, which also stretches 2- and 4-bit grey: a label map keeps the numbers that the file
stores (palette indices, 0/1 of a 1-bit mask, 0..15 of 4-bit grey), and a colour that a palette or a tRNS chunk makes
see-through keeps its number. As images, 1-, 2- and 4-bit grey are stretched to 0..255 and a palette gives its colours.
Gamma and colour profiles are not applied. Refused by name: ink colours (CMYK, YCCK), JPEG of 12 bits, animations.
**Checked** in tests/data/formats/test_raster.py (exact bits of every depth and channel count; orientations; alpha) and
test_hostile_pictures.py.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import DecodedFile, Header, unreadable
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
from understudy.data.formats.png import PngFile, is_png, read_deep, scanned

CHANNELS = {"1": 1, "L": 1, "LA": 1, "I;16": 1, "RGB": 3, "RGBA": 3, "P": 3}
KINDS = ["PNG", "JPEG", "BMP", "WEBP"]
ORIENTATION = 274
_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, AssertionError, MemoryError, struct.error, Image.DecompressionBombError, Warning),
)


@dataclass(frozen=True)
class _Opened:
    """A picture whose header is read: Pillow's, what its PNG chunks say (None of other formats), its orientation."""

    picture: Image.Image
    png: PngFile | None
    orientation: int
    remarks: tuple[str, ...]

    @property
    def deep(self) -> bool:
        return self.png is not None and self.png.deep

    @property
    def channels(self) -> int:
        """Channels of the image, alpha not counted; Pillow names the mode of 16-bit grey with alpha otherwise."""
        if self.png is not None and self.deep:
            return 1 if self.png.colour == 4 else 3
        return CHANNELS[self.picture.mode]

    @property
    def bits(self) -> int:
        """Bits of a grey pixel."""
        return self.png.bits if self.png and self.picture.mode in ("1", "L") else 1 if self.picture.mode == "1" else 8


def header(file: Path) -> Header:
    """Return channels, size and type; nothing is decoded."""
    with _opened(file) as opened:
        picture = opened.picture
        size = upright_size((picture.height, picture.width), opened.orientation)
        return Header(opened.channels, size, "uint16" if opened.deep or picture.mode == "I;16" else "uint8")


def image(file: Path) -> DecodedFile:
    """Read an image as (C, H, W), uint8 or uint16, without alpha.

    Raises:
        UnderstudyError: it is no whole picture of the four formats, or see-through in places.
    """
    with _opened(file, check=True) as opened:
        array, opaque = _numbers(file, opened)
        remarks = opened.remarks
        if opaque is None:
            opaque = _without_key(opened, array)
        if opaque is not None:
            refuse_see_through(file, opaque)
            remarks += (OPAQUE,)
        if opened.picture.mode == "P":
            array = coloured(array, _palette(opened.picture), file)
        elif opened.bits < 8:
            array = array * np.uint8(255 // (2**opened.bits - 1))
    return DecodedFile(upright(array, opened.orientation), remarks=remarks)


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, H, W) with the numbers that the file stores, and the colours of a palette.

    Raises:
        UnderstudyError: it is broken, lossy, in colour, or see-through in places.
    """
    with _opened(file, check=True) as opened:
        if opened.picture.format in ("JPEG", "MPO") or (opened.picture.format == "WEBP" and _lossy_webp(file)):
            refuse_lossy(file, "WEBP" if opened.picture.format == "WEBP" else "JPEG")
        array, opaque = _numbers(file, opened)
        remarks = opened.remarks
        if opaque is not None:
            refuse_see_through(file, opaque)
            remarks += (OPAQUE,)
        palette = colours(array, _palette(opened.picture), file) if opened.picture.mode == "P" else None
    array = upright(one_channel(array, file), opened.orientation)
    return DecodedFile(array, remarks=tuple(r for r in remarks if r != PROFILE), colours=palette)


def _numbers(file: Path, opened: _Opened) -> tuple[np.ndarray, bool | None]:
    """The numbers (C, H, W) that the file stores, without alpha, and whether all are opaque (None: has no alpha)."""
    if opened.deep and opened.png:
        array = read_deep(file, opened.png)
    else:
        array = np.asarray(opened.picture)
        array = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        array = array.astype(np.uint8) if array.dtype == bool else array
    if opened.picture.mode in ("1", "L") and 1 < opened.bits < 8:
        array = array // np.uint8(255 // (2**opened.bits - 1))
    if len(array) == opened.channels or opened.picture.mode == "P":
        return array, None
    return array[:-1], bool((array[-1] == np.iinfo(array.dtype).max).all())


def _without_key(opened: _Opened, array: np.ndarray) -> bool | None:
    """Whether no pixel has the colour that a tRNS chunk makes see-through; None without one."""
    key = opened.png.transparent if opened.png else None
    if key is None:
        return None
    if opened.picture.mode == "P":
        alpha = np.full(256, 255)
        alpha[: len(key)] = list(key[:256])
        return bool((alpha[array[0]] == 255).all())
    named = np.frombuffer(key[: 2 * len(array)], ">u2")
    return len(named) == len(array) and not bool((array == named[:, None, None]).all(0).any())


def _palette(picture: Image.Image) -> np.ndarray:
    return np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)


@contextmanager
def _opened(file: Path, check: bool = False) -> Iterator[_Opened]:
    """Open a picture, check what it claims, and turn what its reader raises into one sentence."""
    try:
        with warnings.catch_warnings():
            for kind in (UserWarning, Image.DecompressionBombWarning):
                warnings.simplefilter("error", kind)
            png = scanned(file, check) if is_png(file) else None
            with Image.open(file, formats=KINDS) as picture:
                _refuse_kind(file, picture)
                held = {"PNG": 2, "WEBP": 4}.get(str(picture.format), 1)  # bytes per value; WEBP keeps several copies
                refuse_size(file, len(picture.getbands()), (picture.height, picture.width), held)
                turn = _orientation(picture) if png is None or png.may_turn else 1
                profile = foreign_profile(picture.info.get("icc_profile"))
                remarks = (*([TURNED] if turn > 1 else []), *([PROFILE] if profile else []))
                yield _Opened(picture, png, turn, remarks)
    except Image.DecompressionBombWarning:
        raise UnderstudyError(
            f"{file} has more pixels than are read of one picture: cut it into smaller files"
        ) from None
    except _BROKEN as error:
        if not file.is_file():
            raise
        if "EXIF" in str(error):
            raise UnderstudyError(
                f"{file} has EXIF data that cannot be read ({' '.join(str(error).split())}), so that it is not known "
                "which way up it stands: turn it upright and save it without EXIF data"
            ) from error
        unknown = isinstance(error, Image.UnidentifiedImageError)
        why = (_odd_jpeg(file) or "unknown content") if unknown else error
        raise unreadable(file, "PNG, JPEG, BMP or WEBP", why) from error


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where it says nothing."""
    turn = picture.getexif().get(ORIENTATION, 1)
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _refuse_kind(file: Path, picture: Image.Image) -> None:
    if picture.mode == "CMYK":
        raise UnderstudyError(
            f"{file} is in ink colours (CMYK), which look different on every printer: save it as RGB or grey"
        )
    if picture.mode not in CHANNELS:
        raise UnderstudyError(f"{file} has the pixel mode {picture.mode}, which is not read: save it as grey or RGB")
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
        raise UnderstudyError(f"{file} has several frames (an animation), and a picture is one: save one per file")


def _lossy_webp(file: Path) -> bool:
    """Whether a WEBP file has a chunk of lossy pixels (``VP8 ``)."""
    with file.open("rb") as handle:
        handle.seek(12)
        while len(head := handle.read(8)) == 8:
            kind, length = struct.unpack("<4sI", head)
            if kind in (b"VP8 ", b"VP8L"):
                return bool(kind == b"VP8 ")
            handle.seek(length + length % 2, 1)
    return True


def _odd_jpeg(file: Path) -> str:
    """Name the kind of JPEG that Pillow does not know, by its frame header; blank of what is no JPEG."""
    with file.open("rb") as handle:
        if handle.read(2) != b"\xff\xd8":
            return ""
        while len(head := handle.read(4)) == 4 and head[0] == 0xFF:
            marker, length = struct.unpack(">xBH", head)
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                bits = handle.read(1)
                kind = "lossless" if marker in (0xC3, 0xC7, 0xCB, 0xCF) else "DCT"
                return f"a {kind} JPEG of {bits[0]} bits, and JPEG of 8 bits is read" if bits else ""
            handle.seek(max(0, length - 2), 1)
    return ""
