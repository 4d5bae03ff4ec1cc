"""NIfTI: one stated orientation, an affine that follows, types and scaling kept; what is broken says so."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data import formats

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


def test_five_axes_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 2, 2), np.uint8), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(UnderstudyError, match=r"numbers in 2, 3 or 4 axes"):
        formats.image(tmp_path / "a.nii")
