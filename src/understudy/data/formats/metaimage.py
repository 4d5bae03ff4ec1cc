"""The text header of MetaImage (.mha, .mhd): lines NAME = VALUE, of which ElementDataFile is the last.

Binary numbers of 8 to 64 bits are read, raw or compressed, with one data file. Values scaled by
ElementToIntensityFunction, and MET_LONG (4 or 8 bytes, by who wrote it), are refused by name.
**Source**: https://itk.org/Wiki/ITK/MetaIO/Documentation.
**Checked** in tests/data/formats/test_metaimage.py and test_hostile_volumes.py.
"""

import re
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import refuse_large
from understudy.data.formats.text_header import NO_SIZE, Fields, TextHeader, beside, located

KIND = "MetaImage"
TYPES = {
    "CHAR": "int8", "UCHAR": "uint8", "SHORT": "int16", "USHORT": "uint16", "INT": "int32", "UINT": "uint32",
    "LONG_LONG": "int64", "ULONG_LONG": "uint64", "FLOAT": "float32", "DOUBLE": "float64",
}  # fmt: skip
SAME = {"Rotation": "TransformMatrix", "Orientation": "TransformMatrix", "Position": "Offset", "Origin": "Offset",
        "ElementByteOrderMSB": "BinaryDataByteOrderMSB"}  # fmt: skip
NUMBERS = {"TransformMatrix": 2, "Offset": 1, "ElementSpacing": 1, "ElementSize": 1}  # and the power of NDims of each


def metaimage_header(text: bytes, file: Path) -> TextHeader:
    """Read and check a header at the beginning of ``text``.

    Raises:
        UnderstudyError: it is damaged, claims more than there is, or holds what is not read.
    """
    fields, end = _fields(text, file)
    _refuse_unread(fields)
    axes, channels = fields.whole("DimSize"), fields.one("ElementNumberOfChannels", "1")
    fields.refuse_axes(axes)
    refuse_large(file, (*axes, *([channels] if channels != 1 else [])))
    if fields.whole("NDims") != (len(axes),):
        raise fields.broken("NDims does not count the numbers of DimSize")
    for name in NUMBERS.keys() & fields.text.keys():
        fields.real(name, fields.text[name].split(), len(axes) ** NUMBERS[name])
    factor, said = fields.factor({fields.text.get("DistanceUnits", "")})
    skipped, zipped = fields.one("HeaderSize", "0"), fields.text.get("CompressedData") == "True"
    local = fields.text["ElementDataFile"].upper() == "LOCAL"
    if skipped < -1 or (skipped > 0 and (local or zipped)):
        raise fields.broken(f"HeaderSize says {skipped}")
    found = TextHeader(
        kind=KIND,
        axes=axes,
        channels=channels,
        dtype=fields.type(fields.text.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY"), TYPES),
        alpha=False,
        placed=len(axes) == 2 or bool({"TransformMatrix", "Offset"} & fields.text.keys()),
        factor=factor,
        data=file if local else beside(file, fields.text["ElementDataFile"]),
        start=end if local and not skipped else skipped,
        zipped=zipped,
        remarks=(*said, *([] if {"ElementSpacing", "ElementSize"} & fields.text.keys() else [NO_SIZE])),
    )
    return located(found, file)


def _fields(text: bytes, file: Path) -> tuple[Fields, int]:
    """Fields by their first name, and where the header ends."""
    fields, at = Fields(file, KIND), 0
    while "ElementDataFile" not in fields.text:
        end = text.find(b"\n", at)
        match = re.fullmatch(r"\s*(\w+)\s*[=:](.*)", fields.line(text[at : end if end >= 0 else len(text)]))
        if match is None or (end < 0 and match[1] != "ElementDataFile"):
            raise fields.broken("its header has no line ElementDataFile, or lines that are no NAME = VALUE")
        fields.put(SAME.get(match[1], match[1]), match[2])
        at = end + 1 if end >= 0 else len(text)
    return fields, at


def _refuse_unread(fields: Fields) -> None:
    """Refuse by name what SimpleITK would pass over, or read otherwise than the header says."""
    for name, right in (("ObjectType", "Image"), ("BinaryData", "True")):
        if fields.text.get(name, right) != right:
            raise UnderstudyError(f"{fields.file} has the {name} {fields.text[name][:30]!r}; {right} is read")
    for name, none in (("ElementToIntensityFunctionSlope", "1"), ("ElementToIntensityFunctionOffset", "0")):
        if fields.real(name, fields.text.get(name, none).split(), 1) != (float(none),):
            raise UnderstudyError(
                f"{fields.file} scales its values ({name}), which is not read: save the scaled values"
            )
    for name in ("CompressedData", "BinaryDataByteOrderMSB"):
        if fields.text.get(name, "False") not in ("True", "False"):
            raise fields.broken(f"{name} says neither True nor False")
