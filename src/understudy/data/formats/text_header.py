"""What the text headers of MetaImage (metaimage.py) and NRRD (nrrd.py) share: fields, checks, and the data file.

A header's sizes, type, encoding and data file are checked before SimpleITK sees the file, within bounds, so that
nothing is allocated on the word of a header that lies, and so that what SimpleITK passes over without a word (units,
slopes, kinds of values, numbers that are none, checksums) is honoured or refused by name. A data file must lie beside
the header or below it: names that lead elsewhere, lists and patterns of files are refused.
**Differs** from both formats: a field that stands twice is refused.
**Checked** in tests/data/formats/test_text_header.py and test_hostile_volumes.py.
"""

import re
import zlib
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path, PurePosixPath

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import INFLATED, LONGER, refuse_large, refuse_short, unreadable
from understudy.data.geometry import LARGEST

BLOCK = 2**20  # bytes read at once
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
UNITS = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0, "millimetres": 1.0, "": 1.0, "?": 1.0,
         "???": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "\u00b5m": 0.001, "\u03bcm": 0.001, "micron": 0.001,
         "microns": 0.001, "nm": 1e-6}  # fmt: skip
CONVERTED = "other units of length are converted to mm"
NO_SIZE = "the voxel size is not in the file: 1 mm is taken"


@dataclass(frozen=True)
class TextHeader:
    """What a text header says.

    Attributes:
        kind: MetaImage or NRRD.
        axes: lengths of all spatial axes, the fastest first.
        channels: numbers for each voxel.
        dtype: their type, as NumPy calls it.
        alpha: the fourth channel is an alpha channel.
        placed: whether a volume's file says where it lies in the body; True of a picture, which lies nowhere.
        factor: millimetres in the file's unit of length.
        data: the file that holds the voxels: a file beside the header, or the header's own.
        start: where they begin in it; -1 where they are its last bytes.
        zipped: whether they are compressed there, as zlib or gzip.
        remarks: what was decided.
    """

    kind: str
    axes: tuple[int, ...]
    channels: int
    dtype: str
    alpha: bool
    placed: bool
    factor: float
    data: Path
    start: int
    zipped: bool
    remarks: tuple[str, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Lengths of the two or three axes that count: later ones have length 1."""
        return self.axes[:3]

    @property
    def bytes(self) -> int:
        """How many bytes the voxels take, not compressed."""
        return prod(self.axes) * self.channels * np.dtype(self.dtype).itemsize


class Fields:
    """The fields of one header by name, and the numbers in them; what is wrong is raised as UnderstudyError."""

    def __init__(self, file: Path, kind: str) -> None:
        self.file, self.kind = file, kind
        self.text: dict[str, str] = {}

    def broken(self, why: str) -> UnderstudyError:
        """Return what to raise about this file."""
        return unreadable(self.file, self.kind, why)

    def line(self, content: bytes) -> str:
        """Return a line of the header as text; bytes that are no UTF-8 stay, escaped."""
        if b"\0" in content:
            raise self.broken("its header is no text")
        return content.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def put(self, name: str, value: str) -> None:
        """Take a field, which may stand once."""
        if name in self.text:
            raise self.broken(f"its header says {name[:30]!r} twice")
        self.text[name] = value.strip()

    def whole(self, name: str, default: str = "") -> tuple[int, ...]:
        """Return the whole numbers of a field, 1 to 16."""
        words = self.text.get(name, default).split()
        if not 1 <= len(words) <= 16 or not all(map(WHOLE.fullmatch, words)):
            raise self.broken(f"whole numbers were expected as {name}, and {' '.join(words)[:30]!r} is there")
        return tuple(map(int, words))

    def one(self, name: str, default: str) -> int:
        """Return the one whole number of a field."""
        numbers = self.whole(name, default)
        if len(numbers) != 1:
            raise self.broken(f"one number was expected as {name}")
        return numbers[0]

    def real(self, name: str, words: list[str], count: int) -> tuple[float, ...]:
        """Return so many numbers in mm, or of a matrix; what else stands in their place is refused."""
        if len(words) != count or not all(NUMBER.fullmatch(word) and abs(float(word)) <= LARGEST for word in words):
            raise self.broken(f"{count} numbers, none of them beyond {LARGEST:g}, were expected as {name}")
        return tuple(map(float, words))

    def type(self, name: str, known: dict[str, str]) -> str:
        """Return the NumPy name of the numbers' type."""
        if name not in known:
            read = ", ".join(dict.fromkeys(known.values()))
            raise UnderstudyError(f"{self.file} holds numbers of the type {name[:40]!r}; read are {read}")
        return known[name]

    def factor(self, named: set[str]) -> tuple[float, tuple[str, ...]]:
        """Return the millimetres in the unit of length that these names stand for, and the remark on it."""
        factors = {UNITS.get(name.strip().lower()) for name in named} or {1.0}
        factor = factors.pop()
        if factor is None or factors:
            raise UnderstudyError(f"{self.file} has a unit of length that is not known, or several: save it in mm")
        return factor, (CONVERTED,) if factor != 1 else ()

    def refuse_axes(self, sizes: tuple[int, ...]) -> None:
        """Refuse spatial sizes that are no picture and no volume."""
        refuse_large(self.file, sizes)
        if len(sizes) < 2 or max(sizes[3:], default=1) > 1:
            raise UnderstudyError(
                f"{self.file} has {len(sizes)} axes (a time series, or no image); pictures of 2 and volumes of 3 axes "
                "are read: give one volume of it"
            )


def located(found: TextHeader, file: Path) -> TextHeader:
    """Return a header whose ``start`` is known; refuse one that claims more than its data file can hold."""
    size = found.data.stat().st_size
    if found.start < 0:
        if found.zipped or size < found.bytes:
            raise unreadable(file, found.kind, "its voxels should be the last bytes of its data, and are not there")
        found = replace(found, start=size - found.bytes)
    refuse_short(file, found.kind, found.bytes, max(size - found.start, 0) * (INFLATED if found.zipped else 1))
    return found


def refuse_damaged(found: TextHeader, file: Path) -> tuple[str, ...]:
    """Unpack compressed voxels once, block by block, keeping nothing: all must be there, and the checksum right.

    Returns the remark on data that go on after the voxels, if they do. SimpleITK takes a wrong checksum as right.
    """
    if not found.zipped:
        longer = found.data.stat().st_size > found.start + found.bytes
        return (LONGER,) if longer else ()
    engine, done = zlib.decompressobj(47), 0  # 47: zlib or gzip, by what comes first
    with found.data.open("rb") as stream:
        stream.seek(found.start)
        packed = stream.read(BLOCK)
        try:
            while packed and not engine.eof and done <= found.bytes:
                done += len(engine.decompress(packed, 4 * BLOCK))
                packed = engine.unconsumed_tail or stream.read(BLOCK)
        except zlib.error as error:
            raise unreadable(file, found.kind, error) from error
    if done < found.bytes or (done == found.bytes and not engine.eof):
        raise unreadable(file, found.kind, f"its data end after {done:,} of {found.bytes:,} bytes of voxels")
    return (LONGER,) if done > found.bytes else ()


def beside(file: Path, name: str) -> Path:
    """Return the file that a header names, which must lie beside the header or below it.

    Raises:
        UnderstudyError: the name leads elsewhere, is a list or a pattern, or no regular file has it.
    """
    name, folder = name.strip(), file.parent
    path = PurePosixPath(name)
    if (
        not 0 < len(name.encode(errors="replace")) < 256
        or not name.isprintable()
        or "%" in name
        or re.match(r"(?i)list(\s|$)", name)
    ):
        raise UnderstudyError(f"{file} names several files, or none, that hold its voxels: save it with one data file")
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match(r"\w:", name):
        raise UnderstudyError(
            f"{file} names a data file that leads out of its folder, which is not followed: put the two side by side"
        )
    data = folder / path
    if not data.is_file():
        raise UnderstudyError(f"{file} names the data file {name[:100]!r} beside it, and there is none: add it")
    if not data.resolve().is_relative_to(folder.resolve()) or data.samefile(file):
        raise UnderstudyError(
            f"{file} names a data file that is a link out of its folder, or the header itself: put the voxels beside it"
        )
    return data
