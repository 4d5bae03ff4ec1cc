"""The text header of NRRD: what it says, and what is refused."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.formats.nrrd import FRAME, nrrd_header
from understudy.data.formats.text_header import CONVERTED, NO_SIZE, TextHeader

NRRD = "NRRD0005\n# comment\ntype: int16\ndimension: 3\nsizes: 2 3 4\nendian: little\nkey:=any: thing\n"
SPACE = "space: RAS\nspace directions: (1,0,0) (0, 2, 0) (0,0,3)\nspace origin: (0,0,0)\n"
BODY = bytes(range(48))


def read(folder: Path, more: str = "encoding: raw\n", body: bytes = BODY, text: str = NRRD) -> TextHeader:
    content = f"{text}{more}\n".encode() + body
    (folder / "a.nrrd").write_bytes(content)
    return nrrd_header(content, folder / "a.nrrd")


def test_a_header(tmp_path: Path) -> None:
    found = read(tmp_path, f"encoding: raw\n{SPACE}")
    assert (found.kind, found.axes, found.size, found.channels) == ("NRRD", (2, 3, 4), (2, 3, 4), 1)
    assert (found.dtype, found.bytes, found.alpha, found.placed, found.factor) == ("int16", 48, False, True, 1.0)
    assert (found.data, found.zipped, found.remarks) == (tmp_path / "a.nrrd", False, ())
    assert found.data.read_bytes()[found.start :] == BODY


def test_other_spellings(tmp_path: Path) -> None:
    assert read(tmp_path, "Encoding: RAW\r\n\r", text=NRRD.replace("\n", "\r\n")).axes == (2, 3, 4)
    assert read(tmp_path, "encoding: gz\n").zipped
    assert read(tmp_path).remarks == (NO_SIZE,)
    assert read(tmp_path, "encoding: raw\nspacings: 1 1 1\nmeasurement frame: none\n").remarks == (FRAME,)


@pytest.mark.parametrize(("kind", "alpha"), [("list", False), ("vector", False), ("RGBA-color", True)])
@pytest.mark.parametrize("last", [False, True])
def test_an_axis_of_channels(tmp_path: Path, kind: str, alpha: bool, last: bool) -> None:
    sizes, kinds, spacings = "2 4 3 1", f"{kind} domain domain space", "nan 1 1 1"
    if last:
        sizes, kinds, spacings = "4 3 1 2", f"domain domain space {kind}", "1 1 1 nan"
    text = NRRD.replace("dimension: 3", "dimension: 4").replace("2 3 4", sizes)
    found = read(tmp_path, f"encoding: raw\nkinds: {kinds}\nspacings: {spacings}\n", text=text)
    assert (found.axes, found.channels, found.alpha) == ((4, 3, 1), 2, alpha)


def test_where_the_voxels_begin(tmp_path: Path) -> None:
    for more in ("byte skip: 4\n", "byteskip: -1\n"):
        found = read(tmp_path, f"encoding: raw\n{more}", b"junk" + BODY)
        assert found.data.read_bytes()[found.start :] == BODY
    (tmp_path / "a.raw").write_bytes(BODY)
    found = read(tmp_path, "encoding: raw\ndata file: a.raw\n", b"")
    assert (found.data, found.start) == (tmp_path / "a.raw", 0)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("m", 1000), ("cm", 10), ("um", 0.001), ("\u00b5m", 0.001)])
def test_units(tmp_path: Path, unit: str, factor: float) -> None:
    found = read(tmp_path, f'encoding: raw\n{SPACE}space units: "{unit}" "{unit}" "{unit}"\n')
    assert found.factor == factor
    assert found.remarks == ((CONVERTED,) if factor != 1 else ())


@pytest.mark.parametrize("units", ['"mm" "mm" "m"', '"furlong" "furlong" "furlong"'])
def test_units_that_are_not_known(tmp_path: Path, units: str) -> None:
    with pytest.raises(UnderstudyError, match="unit of length"):
        read(tmp_path, f"encoding: raw\nspace units: {units}\n")


@pytest.mark.parametrize(("more", "says"), [
    ("", "encoding ''"),
    ("encoding: ascii\n", "encoding 'ascii'"),
    ("encoding: bzip2\n", "encoding 'bzip2'"),
    ("encoding: raw\nline skip: 1\n", "skips lines"),
    ("encoding: gzip\nbyte skip: 1\n", "skips lines"),
    ("encoding: raw\nsizes: 2 3 4\n", "says 'sizes' twice"),
    ("encoding: raw\nkinds: complex domain domain\n", "axes of the kinds"),
    ("encoding: raw\nkinds: HSV-color domain domain\n", "axes of the kinds"),
    ("encoding: raw\nkinds: domain domain\n", "axes of the kinds"),
    ("encoding: raw\nkinds: list list domain\n", "axes of the kinds"),
    ("encoding: raw\nnonsense\n", "NAME: VALUE"),
])  # fmt: skip
def test_what_a_nrrd_may_not_say(tmp_path: Path, more: str, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        read(tmp_path, more)


@pytest.mark.parametrize("geometry", [
    "space directions: (1,0,0) (0,2,0)", "space directions: none (0,2,0) (0,0,3)", "space origin: (nan,0,0)",
    "space directions: (1e300,0,0) (0,2,0) (0,0,3)", "space directions: (0x1,0,0) (0,2,0) (0,0,3)", "spacings: 1 1",
    "space origin: (1_0,0,0)", "spacings: 1 1 inf", "space origin: (1,0)",
])  # fmt: skip
def test_geometry_that_is_none(tmp_path: Path, geometry: str) -> None:
    with pytest.raises(UnderstudyError, match="were expected as|for each axis"):
        read(tmp_path, f"encoding: raw\n{geometry}\n")
