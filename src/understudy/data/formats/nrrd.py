"""The text header of NRRD (.nrrd, .nhdr): lines NAME: VALUE up to an empty one, or up to the end of a detached header.

Integers of 8 to 64 bits, float and double are read, raw or gzip, with one data file; up to one axis is no axis of space
but of channels, wherever it stands. Other encodings, and kinds such as complex, HSV-color or 3D-matrix, are refused by
name. A measurement frame is passed over, with a remark.
**Source**: https://teem.sourceforge.net/nrrd/format.html.
**Checked** in tests/data/formats/test_nrrd.py and test_hostile_volumes.py.
"""

import re
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import refuse_large
from understudy.data.formats.text_header import NO_SIZE, Fields, TextHeader, beside, located

KIND = "NRRD"
TYPES = {
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
SAME = {
    "datafile": "data file",
    "byteskip": "byte skip",
    "lineskip": "line skip",
    "measurementframe": "measurement frame",
}
DOMAIN = (
    "domain",
    "space",
    "time",
    "???",
    "none",
)  # kinds of axes of space; a time axis is refused where longer than 1
RANGE = (
    "list",
    "vector",
    "covariant-vector",
    "2-vector",
    "3-vector",
    "4-vector",
    "3-color",
    "4-color",
    "rgb-color",
    "rgba-color",
    "scalar",
    "stub",
)  # kinds of axes of channels
SPACES = {
    f"{space}{end}"
    for space in ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior")
    for end in ("", "-time")
} | {f"{space}{end}" for space in ("ras", "las", "lps") for end in ("", "t")}  # fmt: skip
FRAME = "a measurement frame is passed over"


def nrrd_header(text: bytes, file: Path) -> TextHeader:
    """Read and check a header at the beginning of ``text``.

    Raises:
        UnderstudyError: it is damaged, claims more than there is, or holds what is not read.
    """
    fields, end = _fields(text, file)
    sizes = fields.whole("sizes")
    if fields.whole("dimension") != (len(sizes),):
        raise fields.broken("dimension does not count the numbers of sizes")
    refuse_large(file, sizes)
    kinds = _kinds(fields, len(sizes))
    across = next((i for i, kind in enumerate(kinds) if kind in RANGE), None)
    along = [i for i in range(len(sizes)) if i != across]
    axes = tuple(sizes[i] for i in along)
    fields.refuse_axes(axes)
    _refuse_geometry(fields, along, len(sizes))
    named = set(re.findall(r'"([^"]*)"', fields.text.get("space units", fields.text.get("units", ""))))
    factor, said = fields.factor(named - {""})
    sized = {"space directions", "spacings"} & fields.text.keys()
    name, zipped = fields.text.get("data file"), _zipped(fields)
    found = TextHeader(
        kind=KIND,
        axes=axes,
        channels=1 if across is None else sizes[across],
        dtype=fields.type(fields.text.get("type", "").lower(), TYPES),
        alpha=across is not None and kinds[across] == "rgba-color",
        placed=len(axes) == 2 or (fields.text.get("space", "").lower() in SPACES and "space directions" in sized),
        factor=factor,
        data=file if name is None else beside(file, name),
        start=_start(fields, end if name is None else 0, zipped),
        zipped=zipped,
        remarks=(*said, *([] if sized else [NO_SIZE]), *([FRAME] if "measurement frame" in fields.text else [])),
    )
    return located(found, file)


def _fields(text: bytes, file: Path) -> tuple[Fields, int]:
    """Fields in lower case, and where the header ends."""
    fields, at = Fields(file, KIND), 0
    lines = 0
    while at < len(text):
        end = text.find(b"\n", at)
        line, at = fields.line(text[at : end if end >= 0 else len(text)]), end + 1 if end >= 0 else len(text)
        lines += 1
        if not line.strip():
            return fields, at
        if lines == 1:
            if not re.fullmatch(r"NRRD000[1-5]", line):
                raise fields.broken(f"its first line is {line[:30]!r}")
        elif line[0] != "#" and ":=" not in line:
            name, colon, value = line.partition(":")
            if not colon:
                raise fields.broken("its header has lines that are no NAME: VALUE")
            fields.put(SAME.get(name.strip().lower(), name.strip().lower()), value)
    if "data file" not in fields.text:
        raise fields.broken("its header does not end")
    return fields, at


def _kinds(fields: Fields, count: int) -> list[str]:
    """The kind of each axis: at most one is of channels."""
    kinds = fields.text.get("kinds", " ".join(["???"] * count)).lower().split()
    known = all(kind in (*DOMAIN, *RANGE) for kind in kinds)
    if not known or len(kinds) != count or sum(kind in RANGE for kind in kinds) > 1:
        raise UnderstudyError(
            f"{fields.file} has axes of the kinds {' '.join(kinds)[:80]!r}; those of space and one of channels (a "
            "list, a vector or colours) are read"
        )
    return kinds


def _refuse_geometry(fields: Fields, along: list[int], count: int) -> None:
    """Refuse directions, an origin and spacings that are no numbers, or not one for each axis of space."""
    vectors = re.findall(r"none|\([^()]*\)", fields.text.get("space directions", ""))
    if "space directions" in fields.text and len(vectors) != count:
        raise fields.broken("it has not one of space directions for each axis")
    for i in along if vectors else []:
        fields.real("space directions", _words(vectors[i]), len(along))
    if "space origin" in fields.text:
        fields.real("space origin", _words(fields.text["space origin"]), len(along))
    if "spacings" in fields.text:
        words = fields.text["spacings"].split()
        fields.real("spacings", [words[i] for i in along] if len(words) == count else [], len(along))


def _words(vector: str) -> list[str]:
    return vector.strip("()").replace(",", " ").split()


def _zipped(fields: Fields) -> bool:
    encoding = fields.text.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise UnderstudyError(
            f"{fields.file} has the encoding {encoding[:30]!r}; raw and gzip are read: save it as one"
        )
    return encoding != "raw"


def _start(fields: Fields, end: int, zipped: bool) -> int:
    """Where the voxels begin; -1 for the end of the file less the voxels."""
    lines, skipped = fields.one("line skip", "0"), fields.one("byte skip", "0")
    if lines or skipped < -1 or (skipped and zipped):
        raise UnderstudyError(
            f"{fields.file} skips lines, or bytes of compressed data, before its voxels: save it without"
        )
    return -1 if skipped == -1 else end + skipped
