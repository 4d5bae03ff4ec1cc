"""The text header of MetaImage: what it says, and what is refused."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.formats.metaimage import metaimage_header
from understudy.data.formats.text_header import CONVERTED, NO_SIZE, TextHeader

META = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nElementType = MET_SHORT\nElementSpacing = 1 1 1\n"
BODY = bytes(range(48))


def read(folder: Path, more: str = "", data: str = "LOCAL", body: bytes = BODY, text: str = META) -> TextHeader:
    content = f"{text}{more}ElementDataFile = {data}\n".encode() + body
    (folder / "a.mha").write_bytes(content)
    return metaimage_header(content, folder / "a.mha")


def test_a_header(tmp_path: Path) -> None:
    found = read(tmp_path, "Comment = any: thing = at all\n")
    assert (found.kind, found.axes, found.size, found.channels) == ("MetaImage", (2, 3, 4), (2, 3, 4), 1)
    assert (found.dtype, found.bytes, found.alpha, found.placed, found.factor) == ("int16", 48, False, False, 1.0)
    assert (found.data, found.zipped, found.remarks) == (tmp_path / "a.mha", False, ())
    assert found.data.read_bytes()[found.start :] == BODY


@pytest.mark.parametrize("name", ["TransformMatrix", "Rotation", "Orientation"])
def test_a_matrix_or_an_offset_places_a_volume(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"{name} = 1 0 0 0 1 0 0 0 1\n").placed
    assert read(tmp_path, "Position = 0 0 0\n").placed


def test_other_spellings(tmp_path: Path) -> None:
    assert read(tmp_path, text=META.replace(" = ", " : ").replace("\n", "\r\n")).axes == (2, 3, 4)
    assert read(tmp_path, text=META.replace("ElementSpacing = 1 1 1\n", "")).remarks == (NO_SIZE,)
    assert read(tmp_path, text=META.replace("SHORT", "USHORT_ARRAY")).dtype == "uint16"


def test_where_the_voxels_begin(tmp_path: Path) -> None:
    found = read(tmp_path, "HeaderSize = -1\n", body=b"junk" + BODY)
    assert found.data.read_bytes()[found.start :] == BODY
    (tmp_path / "a.raw").write_bytes(b"junk" + BODY)
    found = read(tmp_path, "HeaderSize = 4\n", "a.raw", b"")
    assert (found.data, found.start) == (tmp_path / "a.raw", 4)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("m", 1000), ("cm", 10), ("um", 0.001), ("\u00b5m", 0.001)])
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    found = read(tmp_path, f"DistanceUnits = {unit}\n")
    assert found.factor == factor
    assert found.remarks == ((CONVERTED,) if factor != 1 else ())


@pytest.mark.parametrize(("more", "says"), [
    ("NDims = 3\n", "says 'NDims' twice"),
    ("CompressedData = maybe\n", "neither True nor False"),
    ("ElementByteOrderMSB = maybe\n", "neither True nor False"),
    ("BinaryData = False\n", "BinaryData 'False'"),
    ("ElementToIntensityFunctionSlope = 2\n", "scales its values"),
    ("ElementToIntensityFunctionOffset = -1000\n", "scales its values"),
    ("ElementNumberOfChannels = 2 3\n", "one number was expected"),
    ("ElementNumberOfChannels = 0\n", "in all are read"),
    ("HeaderSize = -2\n", "HeaderSize"),
    ("HeaderSize = 7\n", "HeaderSize"),
    ("Offset = nan 0 0\n", "expected as Offset"),
    ("TransformMatrix = 1 0 0 1\n", "expected as TransformMatrix"),
    ("DistanceUnits = parsec\n", "unit of length"),
    ("no equals sign\n", "NAME = VALUE"),
])  # fmt: skip
def test_what_a_metaimage_may_not_say(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        read(tmp_path, more)


@pytest.mark.parametrize("kind", ["MET_LONG", "MET_STRING", ""])
def test_types_that_are_not_read(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnderstudyError, match="holds numbers of the type"):
        read(tmp_path, text=META.replace("MET_SHORT", kind))


def test_a_time_series_is_refused_in_plain_words(tmp_path: Path) -> None:
    text = META.replace("NDims = 3", "NDims = 4").replace("1 1 1", "1 1 1 1")
    with pytest.raises(UnderstudyError, match="a time series"):
        read(tmp_path, text=text.replace("2 3 4", "2 3 2 2"))
    assert read(tmp_path, text=text.replace("2 3 4", "2 3 4 1")).size == (2, 3, 4)
