"""NIfTI: one stated orientation, an affine that follows, types and scaling kept; what is broken says so."""

import gzip
import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats import nifti
from understudy.data.formats.decoded import ALPHA, LONGER
from understudy.data.formats.nifti_affine import UNIT_SFORM

RANDOM = np.random.default_rng(0)
WORLD = RANDOM.integers(-500, 500, (4, 5, 6)).astype(np.int16)  # by superior, posterior, left, as a cohort stores it
HOME = np.array([[0, 0, -1.5, 40], [0, -2.0, 0, 30], [3.0, 0, 0, -20], [0, 0, 0, 1]])  # (d, h, w, 1) -> R, A, S


def stored(file: Path, order: tuple[int, ...], flips: tuple[int, ...]) -> Path:
    """Save WORLD with its axes permuted and flipped, and the affine that says so."""
    array, affine = WORLD.transpose(order), HOME[:, [*order, 3]].copy()
    for axis in range(3):
        if flips[axis] < 0:
            array = np.flip(array, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), affine), file)
    return file


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_all_48_orientations_are_one_picture(tmp_path: Path, order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    file = stored(tmp_path / "a.nii", order, flips)
    picture, head = formats.image(file), formats.header(file)
    assert np.array_equal(picture.array, WORLD[None])
    assert picture.affine is not None
    assert np.allclose(picture.affine, HOME)
    assert picture.spacing_mm == pytest.approx((3.0, 2.0, 1.5))
    assert (head.channels, head.size, head.dtype) == (1, (4, 5, 6), "int16")
    assert np.array_equal(formats.labels(file).array, WORLD)


@pytest.mark.parametrize(("dtype", "kept"), [
    ("uint8", "uint8"), ("int8", "int16"), ("int16", "int16"), ("uint16", "uint16"), ("int32", "float32"),
    ("float32", "float32"), ("float64", "float32"),
])  # fmt: skip
def test_types(tmp_path: Path, dtype: str, kept: str) -> None:
    array = np.array([[[0, 1], [100, 101]]], dtype=dtype) - (3 if dtype[0] != "u" else 0)
    nib.save(nib.Nifti1Image(array.astype(dtype), np.diag([-1, -1, 1, 1])), tmp_path / "a.nii.gz")
    picture, head = formats.image(tmp_path / "a.nii.gz"), formats.header(tmp_path / "a.nii.gz")
    assert (picture.array.dtype.name, head.dtype) == (kept, kept)
    assert sorted(picture.array.ravel()) == sorted(array.ravel())


def test_scaling_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    image.header.set_slope_inter(0.5, -1)
    image.to_filename(tmp_path / "a.nii")
    raw = nib.load(tmp_path / "a.nii")
    expected = np.sort(np.asarray(raw.dataobj).ravel())
    picture = formats.image(tmp_path / "a.nii")
    assert picture.array.dtype == np.float32
    assert np.allclose(np.sort(picture.array.ravel()), expected)
    assert formats.header(tmp_path / "a.nii").dtype == "float32"


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 1, 5), (1, 6, 5)])
def test_two_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = RANDOM.integers(0, 9, shape).astype(np.uint8)
    nib.save(nib.Nifti1Image(array, np.diag([-2, -3, 4, 1])), tmp_path / "a.nii")
    picture = formats.image(tmp_path / "a.nii")
    assert picture.array.shape == (1, *formats.header(tmp_path / "a.nii").size)
    assert picture.array.shape == (1, 5, 6)
    assert np.array_equal(picture.array[0], array.squeeze().T)
    assert picture.affine is not None
    steps = np.sqrt((picture.affine[:3, 1:3] ** 2).sum(0))
    assert picture.spacing_mm == pytest.approx(tuple(steps))


def test_channels_last(tmp_path: Path) -> None:
    array = RANDOM.integers(0, 9, (6, 5, 4, 2)).astype(np.uint8)
    nib.save(nib.Nifti1Image(array, np.diag([-1, -1, 1, 1])), tmp_path / "a.nii")
    assert formats.header(tmp_path / "a.nii").channels == 2
    assert np.array_equal(formats.image(tmp_path / "a.nii").array, array.transpose(3, 2, 1, 0))
    with pytest.raises(UnderstudyError, match="has 2 channels, and a label map has one"):
        formats.labels(tmp_path / "a.nii")


def test_an_affine_that_cannot_be(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None)
    image.header["sform_code"], image.header["srow_x"] = 1, [0, 0, 0, 0]
    image.to_filename(tmp_path / "a.nii")
    with pytest.raises(UnderstudyError, match="cannot be inverted"):
        formats.header(tmp_path / "a.nii")


CUBE = RANDOM.integers(-90, 90, (6, 5, 4)).astype(np.int16)
LPS = np.diag([-1.0, -2.0, 3.0, 1.0])


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII", "a.nii.GZ"])
@pytest.mark.parametrize("dtype", [
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"
])  # fmt: skip
def test_every_type_order_and_version_is_as_nibabel_has_it(
    tmp_path: Path, kind: Any, order: str, name: str, dtype: str
) -> None:
    array = (np.abs(CUBE) if dtype[0] == "u" else CUBE).astype(dtype)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(dtype)
    stored = kind(array, LPS, header)
    data = stored.to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.lower().endswith("gz") else data)
    found, head = nifti.image(tmp_path / name), nifti.header(tmp_path / name)
    assert np.array_equal(found.array[0], array)
    assert found.affine is not None
    assert np.array_equal(found.affine, stored.affine)
    assert found.array.dtype == head.dtype
    assert head.source_dtype == ("" if head.dtype == dtype else dtype)
    drawn = nifti.labels(tmp_path / name).array
    assert drawn.dtype == dtype
    assert np.array_equal(drawn[0], array)


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    data = nib.Nifti1Image(CUBE, LPS).to_bytes()
    (tmp_path / "a.nii").write_bytes(gzip.compress(data))
    (tmp_path / "b.nii.gz").write_bytes(data)
    for name in ("a.nii", "b.nii.gz"):
        assert np.array_equal(nifti.image(tmp_path / name).array[0], CUBE)


@pytest.mark.parametrize("more", [(1,), (1, 1), (1, 1, 1), (1, 1, 1, 1)])
def test_trailing_axes_of_length_1_do_not_count(tmp_path: Path, more: tuple[int, ...]) -> None:
    nib.save(nib.Nifti1Image(CUBE.reshape(*CUBE.shape, *more), LPS), tmp_path / "a.nii")
    assert nifti.header(tmp_path / "a.nii").stored == CUBE.shape
    assert np.array_equal(nifti.image(tmp_path / "a.nii").array[0], CUBE)
    assert np.array_equal(nifti.labels(tmp_path / "a.nii").array[0], CUBE)


@pytest.mark.parametrize("more", [(2,), (1, 2), (1, 2, 1), (1, 1, 2), (1, 1, 1, 2), (2, 1, 1)])
def test_one_longer_axis_is_the_channels(tmp_path: Path, more: tuple[int, ...]) -> None:
    both = np.stack([CUBE, -CUBE], -1)
    nib.save(nib.Nifti1Image(both.reshape(*CUBE.shape, *more), LPS), tmp_path / "a.nii")
    assert nifti.header(tmp_path / "a.nii").channels == 2
    assert np.array_equal(nifti.image(tmp_path / "a.nii").array, np.stack([CUBE, -CUBE]))


def test_two_longer_axes_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 2, 2), np.uint8), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UnderstudyError, match="one axis after the third"):
        formats.image(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("frames", "unit", "word"), [(9, "sec", "time series of 9"), (3, "sec", ""), (9, "unknown", "")]
)
def test_time(tmp_path: Path, frames: int, unit: str, word: str) -> None:
    stored = nib.Nifti1Image(np.zeros((4, 4, 4, frames), np.int16), LPS)
    stored.header.set_xyzt_units("mm", unit)
    nib.save(stored, tmp_path / "a.nii")
    if word:
        with pytest.raises(UnderstudyError, match=word):
            nifti.header(tmp_path / "a.nii")
        return
    assert nifti.header(tmp_path / "a.nii").channels == frames
    assert nifti.image(tmp_path / "a.nii").remarks == ((nifti.TIME_AXIS,) if unit == "sec" else ())


def raw(file: Path, code: int, bits: int, body: bytes, **fields: Any) -> Path:
    """Write a header for 2 x 3 x 4 voxels with these fields, and a body."""
    header = nib.Nifti1Header()
    header.set_data_shape((2, 3, 4))
    header["pixdim"][1:4] = (1, 2, 3)
    header.set_sform(LPS, 1)
    header["datatype"], header["bitpix"], header["vox_offset"], header["magic"] = code, bits, 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    file.write_bytes(header.binaryblock + bytes(4) + body)
    return file


def test_colours(tmp_path: Path) -> None:
    colours = RANDOM.integers(0, 256, (24, 4)).astype(np.uint8)
    expected = [colours[:, c].reshape((2, 3, 4), order="F") for c in range(3)]
    file = raw(tmp_path / "a.nii", 128, 24, colours[:, :3].tobytes(), scl_slope=2)
    assert nifti.header(file).channels == 3
    assert np.array_equal(nifti.image(file).array, expected)
    with pytest.raises(UnderstudyError, match="3 channels"):
        nifti.labels(file)
    with pytest.raises(UnderstudyError, match="alpha channel"):
        nifti.image(raw(tmp_path / "b.nii", 2304, 32, colours.tobytes()))
    colours[:, 3] = 255
    picture = nifti.image(raw(tmp_path / "b.nii", 2304, 32, colours.tobytes()))
    assert np.array_equal(picture.array, expected)
    assert picture.remarks == (ALPHA,)
    assert nifti.header(tmp_path / "b.nii").channels == 3


@pytest.mark.parametrize(("code", "bits", "name"), [
    (32, 64, "complex64"), (1792, 128, "complex128"), (2048, 256, "complex256"), (1536, 128, "float128"),
    (1, 1, "binary"), (0, 0, "none"), (77, 16, "type number 77"),
])  # fmt: skip
def test_other_types_are_refused_by_name(tmp_path: Path, code: int, bits: int, name: str) -> None:
    for read in (nifti.header, nifti.image, nifti.labels):
        with pytest.raises(UnderstudyError, match=f"holds {name} numbers"):
            read(raw(tmp_path / "a.nii", code, bits, bytes(24 * 32)))


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_nothing_scales_nothing(tmp_path: Path, slope: float) -> None:
    file = raw(tmp_path / "a.nii", 4, 16, np.arange(24, dtype="<i2").tobytes(), scl_slope=slope, scl_inter=5)
    assert nifti.header(file).dtype == "int16"
    assert nifti.image(file).array.ravel(order="F").tolist() == list(range(24))


@pytest.mark.parametrize(("slope", "inter"), [(np.inf, 0), (-np.inf, 0), (1, np.nan), (2, np.inf)])
def test_a_scale_that_cannot_be(tmp_path: Path, slope: float, inter: float) -> None:
    file = raw(tmp_path / "a.nii", 4, 16, bytes(48), scl_slope=slope, scl_inter=inter)
    with pytest.raises(UnderstudyError, match="its values are scaled by"):
        nifti.header(file)


def test_whole_numbers_too_large_for_an_image(tmp_path: Path) -> None:
    big = np.full((2, 2, 2), 2**24 + 1, np.int32)
    nib.save(nib.Nifti1Image(big, LPS), tmp_path / "a.nii")
    with pytest.raises(UnderstudyError, match="16,777,216 exactly"):
        nifti.image(tmp_path / "a.nii")
    assert np.array_equal(nifti.labels(tmp_path / "a.nii").array[0], big)


def test_labels_near_whole_numbers_are_rounded_and_told(tmp_path: Path) -> None:
    drawn = np.array([0, 0.99998, 2.00003, 1], np.float32).reshape(2, 2, 1)
    nib.save(nib.Nifti1Image(drawn, LPS), tmp_path / "a.nii")
    found = formats.stored_labels(tmp_path / "a.nii")
    assert sorted(found.array.ravel()) == [0, 1, 1, 2]
    assert found.remarks == (formats.ROUNDED,)
    nib.save(nib.Nifti1Image(np.rint(drawn), LPS), tmp_path / "a.nii")
    assert formats.stored_labels(tmp_path / "a.nii").remarks == ()


def test_two_forms_are_told(tmp_path: Path) -> None:
    unit = {f"srow_{name}": row for name, row in zip("xyz", np.diag([-1.0, -1, 1, 1]), strict=False)}
    file = raw(tmp_path / "a.nii", 2, 8, bytes(24), **unit)
    assert nifti.image(file).remarks == (UNIT_SFORM,)


def test_a_header_is_read_without_the_voxels(tmp_path: Path) -> None:
    data = gzip.compress(nib.Nifti1Image(RANDOM.integers(0, 2**15, (64, 64, 64)).astype(np.int16), LPS).to_bytes())
    (tmp_path / "a.nii.gz").write_bytes(data[:100_000])
    assert nifti.header(tmp_path / "a.nii.gz").stored == (64, 64, 64)
    with pytest.raises(UnderstudyError, match="cannot be read as one"):
        nifti.image(tmp_path / "a.nii.gz")


def test_what_follows_the_voxels_is_told(tmp_path: Path) -> None:
    file = raw(tmp_path / "a.nii", 2, 8, bytes(24 + 7))
    assert nifti.image(file).remarks == (LONGER,)
