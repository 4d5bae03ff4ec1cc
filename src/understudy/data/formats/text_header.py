"""The text headers of MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr), read before SimpleITK sees the file.

A header's sizes, type, encoding and data file are checked here, within bounds, so that nothing is allocated on the word
of a header that lies, and so that what SimpleITK passes over without a word (units, slopes, kinds of values, checksums)
is honoured or refused by name. A data file must lie beside the header or below it: names that lead elsewhere, lists
and patterns of files are refused.
**Source**: https://itk.org/Wiki/ITK/MetaIO/Documentation and https://teem.sourceforge.net/nrrd/format.html.
**Differs**: a field that stands twice is refused; text and hex encodings and bzip2 are not read.
**Checked** in tests/data/formats/test_text_header.py and test_hostile_volumes.py.
"""

import re
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePosixPath

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import INFLATED, LONGER, refuse_large, refuse_odd, refuse_short, unreadable

LONGEST = 2**20  # bytes of a header
BLOCK = 2**20
META, NRRD = "MetaImage", "NRRD"
META_TYPES = {
    "CHAR": "int8", "UCHAR": "uint8", "SHORT": "int16", "USHORT": "uint16", "INT": "int32", "UINT": "uint32",
    "LONG_LONG": "int64", "ULONG_LONG": "uint64", "FLOAT": "float32", "DOUBLE": "float64",
}  # fmt: skip
META_FIELDS = {"Rotation": "TransformMatrix", "Orientation": "TransformMatrix", "Position": "Offset",
               "Origin": "Offset", "ElementByteOrderMSB": "BinaryDataByteOrderMSB"}  # fmt: skip
NRRD_FIELDS = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}
NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "int8"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "uint8"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "int16"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "uint16"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "int32"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "uint32"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64",
                     "int64_t"), "int64"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "uint64"),
    "float": "float32",
    "double": "float64",
}  # fmt: skip
DOMAIN = ("domain", "space", "time", "???", "none")
RANGE = ("list", "vector", "covariant-vector", "2-vector", "3-vector", "4-vector", "3-color", "4-color", "rgb-color",
         "rgba-color", "scalar", "stub")  # fmt: skip
SPACES = {
    f"{long}{end}"
    for long in ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior")
    for end in ("", "-time")
} | {f"{short}{end}" for short in ("ras", "las", "lps") for end in ("", "t")}
UNITS = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "millimeters": 1.0, "millimetres": 1.0, "": 1.0, "?": 1.0,
         "???": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001, "\u00b5m": 0.001, "\u03bcm": 0.001, "micron": 0.001,
         "microns": 0.001, "nm": 1e-6}  # fmt: skip
CONVERTED = "other units of length are converted to mm"
FRAME = "a measurement frame is passed over"
NO_SIZE = "the voxel size is not in the file: 1 mm is taken"


@dataclass(frozen=True)
class TextHeader:
    """What a text header says.

    Attributes:
        kind: MetaImage or NRRD.
        axes: lengths of all spatial axes, the fastest first.
        channels: numbers side by side for each voxel.
        dtype: their type, as NumPy calls it.
        alpha: the fourth channel is an alpha channel.
        placed: whether a volume's file says where it lies in the body; True of a picture, which lies nowhere.
        factor: millimetres in the file's unit of length.
        data: the file that holds the voxels: a file beside the header, or the header's own.
        start: where they begin in it.
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


def text_header(file: Path) -> TextHeader:
    """Read and check a text header; MetaImage or NRRD by the first bytes.

    Raises:
        UnderstudyError: it is neither, is damaged, claims more than there is, or holds what is not read.
    """
    with file.open("rb") as stream:
        start = stream.read(LONGEST)
    found = _nrrd(start, file) if start[:4] == b"NRRD" else _meta(start, file)
    needed, size = found.bytes, found.data.stat().st_size
    if found.start < 0:
        found = _at_end(found, size - needed)
    refuse_short(file, found.kind, needed, max(size - found.start, 0) * (INFLATED if found.zipped else 1))
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


def _at_end(found: TextHeader, start: int) -> TextHeader:
    """A header whose voxels are the last bytes of their file."""
    if found.zipped or start < 0:
        raise unreadable(found.data, found.kind, "its voxels should be the last bytes of the file, and are not there")
    return TextHeader(**{**vars(found), "start": start})


# MetaImage: lines of NAME = VALUE, of which ElementDataFile is the last


def _meta(text: bytes, file: Path) -> TextHeader:
    fields, end = _meta_fields(text, file)
    for name, right in (("ObjectType", "Image"), ("BinaryData", "True")):
        if fields.get(name, right) != right:
            raise UnderstudyError(f"{file} is a MetaImage with {name} {fields[name][:30]!r}; {right} is read")
    for name, none in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if _numbers(fields.get(name, str(none)), file, META) != (none,):
            raise UnderstudyError(f"{file} scales its values ({name}), which is not read: save the scaled values")
    axes = _whole(fields.get("DimSize", ""), file, META)
    _refuse_axes(axes, file)
    if _whole(fields.get("NDims", ""), file, META) != (len(axes),):
        raise unreadable(file, META, "NDims does not count the numbers of DimSize")
    (channels,) = _one(_whole(fields.get("ElementNumberOfChannels", "1"), file, META), file, META)
    dtype = META_TYPES.get(fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY"))
    refuse_large(file, (*axes, *([channels] if channels != 1 else [])))
    if dtype is None:
        raise _other_type(fields.get("ElementType", ""), META_TYPES, file)
    (skipped,) = _one(_whole(fields.get("HeaderSize", "0"), file, META), file, META)
    name, zipped = fields["ElementDataFile"], _true(fields.get("CompressedData", "False"), file)
    local = name.upper() == "LOCAL"
    if skipped < -1 or (skipped > 0 and (local or zipped)):
        raise unreadable(file, META, f"HeaderSize says {skipped}")
    factor, said = _unit({fields.get("DistanceUnits", "").lower()}, file)
    if "ElementSpacing" not in fields and "ElementSize" not in fields:
        said += (NO_SIZE,)
    placed = len(axes) == 2 or bool({"TransformMatrix", "Offset"} & fields.keys())
    data = file if local else beside(file, name)
    return TextHeader(
        META, axes, channels, dtype, False, placed, factor, data, end if local and not skipped else skipped, zipped,
        said,
    )  # fmt: skip


def _meta_fields(text: bytes, file: Path) -> tuple[dict[str, str], int]:
    """Fields by their first name, and where the header ends."""
    fields: dict[str, str] = {}
    at = 0
    while "ElementDataFile" not in fields:
        end = text.find(b"\n", at)
        line = _line(text[at : end if end >= 0 else len(text)], file, META)
        match = re.fullmatch(r"\s*(\w+)\s*[=:]\s*(.*?)\s*", line)
        if match is None or (end < 0 and match[1] != "ElementDataFile"):
            raise unreadable(file, META, "its header has no line ElementDataFile, or lines that are no NAME = VALUE")
        _put(fields, META_FIELDS.get(match[1], match[1]), match[2], file, META)
        at = end + 1 if end >= 0 else len(text)
    return fields, at


def _true(text: str, file: Path) -> bool:
    if text not in ("True", "False"):
        raise unreadable(file, META, f"True or False was expected, and {text[:30]!r} is there")
    return text == "True"


# NRRD: lines of NAME: VALUE up to an empty one


def _nrrd(text: bytes, file: Path) -> TextHeader:
    fields, end = _nrrd_fields(text, file)
    sizes = _whole(fields.get("sizes", ""), file, NRRD)
    if _whole(fields.get("dimension", ""), file, NRRD) != (len(sizes),):
        raise unreadable(file, NRRD, "dimension does not count the numbers of sizes")
    refuse_large(file, sizes)
    kinds = fields.get("kinds", " ".join(["???"] * len(sizes))).lower().split()
    across = [i for i, kind in enumerate(kinds) if kind not in DOMAIN]
    odd = [kinds[i] for i in across if kinds[i] not in RANGE]
    if odd or len(kinds) != len(sizes) or len(across) > 1:
        raise UnderstudyError(
            f"{file} has axes of the kinds {' '.join(kinds)[:80]!r}; those of space and one of channels (a list, a "
            "vector or colours) are read"
        )
    axes = tuple(size for i, size in enumerate(sizes) if i not in across)
    _refuse_axes(axes, file)
    dtype = NRRD_TYPES.get(fields.get("type", "").lower())
    if dtype is None:
        raise _other_type(fields.get("type", ""), NRRD_TYPES, file)
    name, encoding = fields.get("data file"), fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise UnderstudyError(f"{file} has the encoding {encoding[:30]!r}; raw and gzip are read: save it as one")
    zipped = encoding != "raw"
    start = _nrrd_start(fields, end if name is None else 0, zipped, file)
    factor, said = _nrrd_unit(fields, file)
    if "measurement frame" in fields:
        said += (FRAME,)
    if not {"space directions", "spacings"} & fields.keys():
        said += (NO_SIZE,)
    placed = len(axes) == 2 or (fields.get("space", "").lower() in SPACES and "space directions" in fields)
    channels, alpha = (sizes[across[0]], kinds[across[0]] == "rgba-color") if across else (1, False)
    data = file if name is None else beside(file, name)
    return TextHeader(NRRD, axes, channels, dtype, alpha, placed, factor, data, start, zipped, said)


def _nrrd_fields(text: bytes, file: Path) -> tuple[dict[str, str], int]:
    """Fields in lower case, and where the header ends: after an empty line, or with the file."""
    fields: dict[str, str] = {}
    at, first = 0, True
    while at < len(text):
        end = text.find(b"\n", at)
        line, at = _line(text[at : end if end >= 0 else len(text)], file, NRRD), end + 1 if end >= 0 else len(text)
        if first and not re.fullmatch(r"NRRD000[1-5]", line):
            raise unreadable(file, NRRD, f"its first line is {line[:30]!r}")
        if not line.strip():
            return fields, at
        if not first and line[0] != "#" and ":=" not in line:
            name, colon, value = line.partition(":")
            if not colon:
                raise unreadable(file, NRRD, "its header has lines that are no NAME: VALUE")
            name = name.strip().lower()
            _put(fields, NRRD_FIELDS.get(name, name), value.strip(), file, NRRD)
        first = False
    if "data file" not in fields:
        raise unreadable(file, NRRD, "its header does not end")
    return fields, at


def _nrrd_start(fields: dict[str, str], end: int, zipped: bool, file: Path) -> int:
    (lines,) = _one(_whole(fields.get("line skip", "0"), file, NRRD), file, NRRD)
    (skipped,) = _one(_whole(fields.get("byte skip", "0"), file, NRRD), file, NRRD)
    if lines or skipped < -1 or (skipped and zipped):
        raise UnderstudyError(f"{file} skips lines, or bytes of compressed data, before its voxels: save it without")
    return -1 if skipped == -1 else end + skipped


def _nrrd_unit(fields: dict[str, str], file: Path) -> tuple[float, tuple[str, ...]]:
    """The unit of the space, or of its axes; units of axes that are no lengths (values) say nothing."""
    named = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    return _unit({unit.lower() for unit in named} - ({""} if any(named) else set()), file)


# both


def beside(file: Path, name: str) -> Path:
    """Return the file that a header names, which must lie beside the header or below it.

    Raises:
        UnderstudyError: the name leads elsewhere, is a list or a pattern, or no regular file has it.
    """
    path, folder = PurePosixPath(name), file.parent
    if not name or len(name) > 255 or not name.isprintable() or name.upper().split()[0] == "LIST" or "%" in name:
        raise UnderstudyError(f"{file} names several files, or none, that hold its voxels: save it with one data file")
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match(r"\w:", name):
        raise UnderstudyError(
            f"{file} names a data file that leads out of its folder, which is not followed: put the two side by side"
        )
    data = folder / path
    if not data.exists():
        raise UnderstudyError(f"{file} names the data file {name[:100]!r} beside it, and there is none: add it")
    if not data.resolve().is_relative_to(folder.resolve()) or data.samefile(file):
        raise UnderstudyError(
            f"{file} names a data file that is a link out of its folder, or the header itself: put the voxels beside it"
        )
    refuse_odd(data)
    return data


def _line(line: bytes, file: Path, kind: str) -> str:
    """A line of a header; bytes that are no UTF-8 stay, escaped."""
    if b"\0" in line:
        raise unreadable(file, kind, "its header is no text")
    return line.rstrip(b"\r").decode("utf-8", "surrogateescape")


def _put(fields: dict[str, str], name: str, value: str, file: Path, kind: str) -> None:
    if name in fields:
        raise unreadable(file, kind, f"its header says {name[:30]!r} twice")
    fields[name] = value


def _whole(text: str, file: Path, kind: str) -> tuple[int, ...]:
    words = text.split()
    if not words or len(words) > 16 or not all(re.fullmatch(r"[+-]?\d{1,18}", word, re.ASCII) for word in words):
        raise unreadable(file, kind, f"whole numbers were expected in its header, and {text[:30]!r} is there")
    return tuple(map(int, words))


def _numbers(text: str, file: Path, kind: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split()))
    except ValueError as error:
        raise unreadable(file, kind, error) from error


def _one(numbers: tuple[int, ...], file: Path, kind: str) -> tuple[int]:
    if len(numbers) != 1:
        raise unreadable(file, kind, "its header has several numbers where one was expected")
    return (numbers[0],)


def _refuse_axes(sizes: tuple[int, ...], file: Path) -> None:
    refuse_large(file, sizes)
    if len(sizes) < 2 or max(sizes[3:], default=1) > 1:
        raise UnderstudyError(
            f"{file} has {len(sizes)} axes (a time series, or no image); pictures of 2 and volumes of 3 axes are read: "
            "give one volume of it"
        )


def _unit(named: set[str], file: Path) -> tuple[float, tuple[str, ...]]:
    factors = {UNITS.get(name.strip()) for name in named} or {1.0}
    factor = factors.pop()
    if factor is None or factors:
        raise UnderstudyError(f"{file} has a unit of length that is not known, or several: save it in mm")
    return factor, (CONVERTED,) if factor != 1 else ()


def _other_type(name: str, known: dict[str, str], file: Path) -> UnderstudyError:
    return UnderstudyError(f"{file} holds numbers of the type {name[:40]!r}; read are {', '.join(known.values())}")
