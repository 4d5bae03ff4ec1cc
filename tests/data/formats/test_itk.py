"""MetaImage and NRRD: what SimpleITK reads, in one stated orientation; what it passes over is said or refused."""

import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats import itk
from understudy.data.formats.decoded import ALPHA
from understudy.data.formats.nrrd import FRAME
from understudy.data.formats.text_header import CONVERTED, NO_SIZE
from understudy.data.geometry import SHEARED

RANDOM = np.random.default_rng(0)
WORLD = RANDOM.integers(-500, 500, (4, 5, 6)).astype(np.int16)  # by superior, posterior, left, as a cohort stores it
HOME = np.array([[0, 0, -1.5, 40], [0, -2.0, 0, 30], [3.0, 0, 0, -20], [0, 0, 0, 1]])  # (d, h, w, 1) -> R, A, S
CUBE = RANDOM.integers(-90, 90, (4, 5, 6)).astype(np.int16)  # k, j, i, as SimpleITK has arrays
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
META = (
    b"ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementSpacing = 1 2 3\nElementType = MET_SHORT\n"
    b"%sElementDataFile = LOCAL\n"
)
NRRD = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 4\nencoding: raw\nendian: little\n%s\n"
PLACED = b"space: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n"


def saved(file: Path, array: np.ndarray, affine: np.ndarray | None = None, packed: bool = False) -> Path:
    """Write an array (k, j, i), (k, j, i, c) or (j, i) with an affine (i, j, k, 1) -> right, anterior, superior."""
    picture = SimpleITK.GetImageFromArray(array, isVector=array.ndim == 4)
    if affine is not None:
        lps = LPS @ affine
        sizes = np.sqrt((lps[:3, :3] ** 2).sum(0))
        picture.SetSpacing(sizes.tolist())
        picture.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
        picture.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(picture, str(file), packed)
    return file


def written(file: Path, text: bytes, more: bytes = b"", body: bytes | None = None) -> Path:
    file.write_bytes(text % more + (CUBE.tobytes() if body is None else body))
    return file


def by_itk(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """SimpleITK's own voxels (k, j, i) and affine, right, anterior, superior."""
    picture = SimpleITK.ReadImage(str(file))
    points = [picture.TransformIndexToPhysicalPoint(p) for p in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    affine = np.eye(4)
    affine[:3, 3] = points[0]
    affine[:3, :3] = (np.array(points[1:]) - points[0]).T
    return SimpleITK.GetArrayFromImage(picture), LPS @ affine


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_all_48_orientations_are_one_picture(
    tmp_path: Path, ending: str, order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    array, affine = WORLD.transpose(order), HOME[:, [*order, 3]].copy()
    for axis in range(3):
        if flips[axis] < 0:
            array = np.flip(array, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    file = saved(tmp_path / f"a{ending}", array.transpose(2, 1, 0), affine)
    voxels, expected = by_itk(file)
    found = itk.image(file)
    assert np.array_equal(found.array[0], voxels.transpose(2, 1, 0))
    assert found.affine is not None
    assert np.allclose(found.affine, expected, atol=1e-6)
    assert np.allclose(expected, affine)
    picture = formats.image(file)
    assert np.array_equal(picture.array, WORLD[None])
    assert picture.affine is not None
    assert np.allclose(picture.affine, HOME)
    assert picture.spacing_mm == pytest.approx((3.0, 2.0, 1.5))
    assert formats.header(file).size == (4, 5, 6)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr", "A.MHA", "A.NRRD"])
@pytest.mark.parametrize("dtype", [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"
])  # fmt: skip
def test_every_type_is_as_simpleitk_has_it(tmp_path: Path, packed: bool, name: str, dtype: str) -> None:
    array = (np.abs(CUBE) if dtype[0] == "u" else CUBE).astype(dtype)
    saved(tmp_path / name.lower(), array, packed=packed).rename(tmp_path / name)
    head, found, drawn = (read(tmp_path / name) for read in (itk.header, itk.image, itk.labels))
    assert np.array_equal(found.array[0], array.transpose(2, 1, 0))
    assert found.array.dtype == head.dtype
    assert head.source_dtype == ("" if head.dtype == dtype else dtype)
    assert drawn.array.dtype == dtype
    assert np.array_equal(drawn.array[0], array.transpose(2, 1, 0))
    assert head.placed
    assert found.remarks == ()
    data = itk.data_file(tmp_path / name)
    assert (data is None) == (name.lower() in ("a.mha", "a.nrrd"))
    assert data is None or data.parent == tmp_path


def test_big_endian(tmp_path: Path) -> None:
    body = CUBE.astype(">i2").tobytes()
    meta = written(tmp_path / "a.mha", META, b"BinaryDataByteOrderMSB = True\n", body)
    nrrd = written(tmp_path / "a.nrrd", NRRD.replace(b"little", b"big"), PLACED, body)
    for file in (meta, nrrd):
        assert np.array_equal(itk.image(file).array[0], CUBE.transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_several_numbers_for_a_voxel_are_channels(tmp_path: Path, name: str) -> None:
    file = saved(tmp_path / name, np.stack([CUBE, -CUBE], -1), HOME[:, [2, 1, 0, 3]])
    assert itk.header(file).channels == 2
    assert np.array_equal(itk.image(file).array, np.stack([CUBE, -CUBE]).transpose(0, 3, 2, 1))
    with pytest.raises(UnderstudyError, match="2 channels"):
        itk.labels(file)


@pytest.mark.parametrize("last", [False, True])
def test_a_list_axis_first_or_last(tmp_path: Path, last: bool) -> None:
    space = b"space: RAS\nspace directions: none (1,0,0) (0,2,0) (0,0,3)\nkinds: list domain domain domain\n"
    text, body = NRRD.replace(b"dimension: 3", b"dimension: 4"), np.stack([CUBE, -CUBE], -1).tobytes()
    text = text.replace(b"6 5 4", b"6 5 4 2" if last else b"2 6 5 4")
    if last:
        space = b"space: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,3) none\nkinds: domain domain domain list\n"
        body = np.stack([CUBE, -CUBE]).tobytes()
    file = written(tmp_path / "a.nrrd", text, space, body)
    assert np.array_equal(itk.image(file).array, np.stack([CUBE, -CUBE]).transpose(0, 3, 2, 1))


def test_alpha(tmp_path: Path) -> None:
    space = b"space: RAS\nspace directions: none (1,0,0) (0,2,0) (0,0,3)\nkinds: RGBA-color domain domain domain\n"
    text = NRRD.replace(b"dimension: 3", b"dimension: 4").replace(b"6 5 4", b"4 6 5 4").replace(b"short", b"uchar")
    colours = RANDOM.integers(0, 256, (4, 5, 6, 4)).astype(np.uint8)
    with pytest.raises(UnderstudyError, match="alpha"):
        itk.image(written(tmp_path / "a.nrrd", text, space, colours.tobytes()))
    colours[..., 3] = 255
    file = written(tmp_path / "a.nrrd", text, space, colours.tobytes())
    assert itk.header(file).channels == 3
    assert np.array_equal(itk.image(file).array, colours.transpose(3, 2, 1, 0)[:3])
    assert itk.image(file).remarks == (ALPHA,)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_a_picture(tmp_path: Path, name: str) -> None:
    picture = SimpleITK.GetImageFromArray(CUBE[0])
    picture.SetSpacing((0.5, 0.25))
    SimpleITK.WriteImage(picture, str(tmp_path / name))
    found, head = formats.image(tmp_path / name), formats.header(tmp_path / name)
    assert np.array_equal(found.array, CUBE[:1])
    assert found.array.flags.c_contiguous
    assert found.spacing_mm == (0.25, 0.5)
    assert (found.affine, found.placed, head.size, head.affine, head.placed) == (None, True, (5, 6), None, True)
    assert np.array_equal(formats.labels(tmp_path / name).array, CUBE[0])
    picture.SetDirection((-1, 0, 0, 1))
    SimpleITK.WriteImage(picture, str(tmp_path / name))
    assert itk.image(tmp_path / name).remarks == (itk.TURNED_PICTURE,)


@pytest.mark.parametrize(("space", "placed", "signs"), [
    (b"space: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n", True, (1, 1, 1)),
    (b"space: left-anterior-superior\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n", True, (-1, 1, 1)),
    (b"space: LPS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n", True, (-1, -1, 1)),
    (b"space: scanner-xyz\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n", False, None),
    (b"space dimension: 3\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n", False, None),
    (b"space: RAS\n", False, None),
    (b"spacings: 1 2 3\n", False, None),
])  # fmt: skip
def test_spaces(tmp_path: Path, space: bytes, placed: bool, signs: tuple[int, ...] | None) -> None:
    file = written(tmp_path / "a.nrrd", NRRD, space)
    found = itk.image(file)
    assert itk.header(file).placed == found.placed == placed
    assert found.affine is not None
    if signs:
        assert np.allclose(found.affine.diagonal()[:3], np.array(signs) * (1, 2, 3))
    assert (NO_SIZE in found.remarks) == (space == b"space: RAS\n")


def test_a_metaimage_without_matrix_and_offset_has_no_place(tmp_path: Path) -> None:
    assert not itk.header(written(tmp_path / "a.mha", META)).placed
    assert itk.header(written(tmp_path / "a.mha", META, b"Offset = 0 0 0\n")).placed
    assert formats.image(written(tmp_path / "a.mha", META)).spacing_mm == (3.0, 2.0, 1.0)


def test_units_shear_and_frames_are_told(tmp_path: Path) -> None:
    file = written(tmp_path / "a.nrrd", NRRD, PLACED + b'space units: "m" "m" "m"\n')
    found = itk.image(file)
    assert found.affine is not None
    assert np.allclose(found.affine.diagonal()[:3], (1000, 2000, 3000))
    assert found.remarks == (CONVERTED,)
    frame = b"measurement frame: (1,0,0) (0,1,0) (0,0,1)\n"
    assert itk.image(written(tmp_path / "a.nrrd", NRRD, PLACED + frame)).remarks == (FRAME,)
    slanted = PLACED.replace(b"(0,2,0)", b"(1,2,0)")
    assert itk.image(written(tmp_path / "a.nrrd", NRRD, slanted)).remarks == (SHEARED,)


def test_axes_that_cannot_be(tmp_path: Path) -> None:
    for space in (PLACED.replace(b"(0,2,0)", b"(1,0,0)"), PLACED.replace(b"(0,2,0)", b"(0,1e30,0)")):
        with pytest.raises(UnderstudyError, match=r"cannot be (inverted|read)"):
            itk.header(written(tmp_path / "a.nrrd", NRRD, space))
    with pytest.raises(UnderstudyError, match="voxel sizes that cannot be"):
        itk.header(written(tmp_path / "a.mha", META.replace(b"1 2 3", b"1 0 3")))


def test_a_later_axis_of_length_1_does_not_count(tmp_path: Path) -> None:
    text = META.replace(b"NDims = 3", b"NDims = 4").replace(b"6 5 4", b"6 5 4 1").replace(b"1 2 3", b"1 2 3 1")
    found = itk.image(written(tmp_path / "a.mha", text))
    assert np.array_equal(found.array[0], CUBE.transpose(2, 1, 0))
    assert found.affine is not None
    assert np.allclose(found.affine.diagonal(), (-1, -2, 3, 1))


def test_whole_numbers_too_large_for_an_image(tmp_path: Path) -> None:
    big = np.full((2, 2, 2), 2**24 + 1, np.int64)
    file = saved(tmp_path / "a.nrrd", big)
    with pytest.raises(UnderstudyError, match="16,777,216 exactly"):
        itk.image(file)
    assert np.array_equal(itk.labels(file).array[0], big)


def test_without_simpleitk_a_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "a.mha", META)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(UnderstudyError, match=r"pip install 'understudy\[itk\]'"):
        formats.header(file)


def test_nothing_reaches_the_screen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "a.mha", META.replace(b"1 2 3", b"1 0 3"))
    for read in (itk.header, itk.image):
        with pytest.raises(UnderstudyError):
            read(file)
    os.write(2, b"but this does")
    assert capfd.readouterr().err == "but this does"


def test_a_wrong_checksum_is_seen(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.mha", CUBE, packed=True)
    content = bytearray(file.read_bytes())
    content[-1] ^= 255
    file.write_bytes(content)
    SimpleITK.ReadImage(str(file))  # takes it without a word
    with pytest.raises(UnderstudyError, match="incorrect data check"):
        itk.image(file)


def test_what_has_no_data_file(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"")
    (tmp_path / "a.mhd").write_bytes(b"nonsense")
    assert [itk.data_file(tmp_path / name) for name in ("a.nii", "a.mhd", "none.mhd")] == [None] * 3


def test_a_volume_and_its_label_map_come_in(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.nrrd", (CUBE > 0).astype(np.uint8), HOME[:, [2, 1, 0, 3]])
    assert np.array_equal(formats.labels(file).array, CUBE > 0)


def test_what_itk_says_has_no_place_in_memory() -> None:
    error = RuntimeError("Exception in x\n/a/b.cxx:1:\nITK ERROR: NrrdImageIO(0x5652250402b0): no spacing")
    assert itk._reason(error) == "NrrdImageIO: no spacing"
