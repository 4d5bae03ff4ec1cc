"""Resampling: SimpleITK's filter, exact copies where grids coincide, a ramp in closed form."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import SimpleITK as sitk

from understudy.core.errors import UnderstudyError
from understudy.data.resampling import onto_grid, whole_steps

RANDOM = np.random.default_rng(0)


@dataclass(frozen=True)
class Here:
    affine: np.ndarray
    size: tuple[int, int, int]


def rotated(angles: tuple[float, float, float], spacing: tuple[float, ...], origin: tuple[float, ...]) -> np.ndarray:
    affine = np.eye(4)
    for axis, angle in enumerate(angles):
        turn, (a, b) = np.eye(3), [other for other in range(3) if other != axis]
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        affine[:3, :3] = affine[:3, :3] @ turn
    affine[:3, :3] *= np.array(spacing)
    affine[:3, 3] = origin
    return affine


def as_itk(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    """An image (i, j, k) in SimpleITK, whose arrays are (k, j, i); the space's sign is no matter."""
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def by_itk(array: np.ndarray, affine: np.ndarray, grid: Here, order: int, fill: float) -> np.ndarray:
    method = sitk.sitkLinear if order else sitk.sitkNearestNeighbor
    target = as_itk(np.zeros(grid.size, array.dtype), grid.affine)
    result = sitk.Resample(as_itk(array, affine), target, sitk.Transform(), method, fill, sitk.sitkUnknown)
    return sitk.GetArrayFromImage(result).transpose(2, 1, 0)


GRIDS = [
    (rotated((0, 0, 0), (1, 1, 1), (0, 0, 0)), rotated((0, 0, 0), (0.71, 1.31, 2.13), (-3.27, 1.13, -2.37))),
    (rotated((0.1, 0, 0), (0.9, 0.9, 3), (5, 6, 7)), rotated((0, 0, 0), (1, 1, 1), (2, 3, 4.03))),
    (rotated((0.3, -0.2, 0.5), (0.8, 1.1, 2.5), (-7, 3, 1)), rotated((-0.1, 0.4, 1.2), (1.3, 0.6, 1.9), (-4, 4, 2))),
    (
        rotated((0, 0, np.pi / 2), (1, 1.5, 2), (9, 0, 0)),
        rotated((0, np.pi / 2, 0), (1.13, 0.97, 1.03), (-2.1, -2.2, 13.3)),
    ),
]


@pytest.mark.parametrize("grids", GRIDS)
@pytest.mark.parametrize(("order", "dtype"), [(1, "float32"), (1, "int16"), (0, "uint8"), (0, "uint16")])
def test_as_simpleitk(grids: tuple[np.ndarray, np.ndarray], order: int, dtype: str) -> None:
    affine, grid = grids[0], Here(grids[1], (15, 13, 11))
    array = RANDOM.integers(0, 200, (14, 12, 10)).astype(dtype)
    ours = onto_grid(array[None], affine, grid, order, 7)[0]
    theirs = by_itk(array.astype(np.float64) if order else array, affine, grid, order, 7)
    assert ours.dtype == dtype and 0.03 < (theirs != 7).mean() < 1
    if dtype == "int16":  # SimpleITK cuts decimals off where it is given integers
        theirs = np.rint(theirs)
    assert np.allclose(ours, theirs, atol=1e-3, rtol=0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product((1, -1), repeat=3)))
def test_turned_grids_are_copied_bit_for_bit(order: tuple[int, ...], flips: tuple[int, ...]) -> None:
    array = RANDOM.normal(size=(2, 5, 6, 7)).astype(np.float32)
    affine = rotated((0.2, 0.3, -0.4), (0.7, 1.1, 3), (1, 2, 3))
    moved, there = array.transpose(0, *(axis + 1 for axis in order)), affine[:, [*order, 3]].copy()
    for axis in range(3):
        if flips[axis] < 0:
            moved = np.flip(moved, axis + 1)
            there[:, 3] += there[:, axis] * (moved.shape[axis + 1] - 1)
            there[:, axis] *= -1
    moved = moved.copy()
    moved[0, 0, 0, 0] = np.nan  # arithmetic would spread it
    grid = Here(affine, (5, 6, 7))
    back = onto_grid(moved, there, grid)
    assert np.array_equal(np.sort(back, None), np.sort(moved, None), equal_nan=True)
    assert np.isnan(back).sum() == 1 and np.array_equal(back[1], array[1])


def test_whole_shifts_crop_and_fill() -> None:
    array = np.arange(60).reshape(1, 3, 4, 5).astype(np.int16)
    affine = np.diag([1.0, 2, 3, 1])
    moved = affine.copy()
    moved[:3, 3] = [-1, 2, 6]  # one voxel before, one and two after
    result = onto_grid(array, affine, Here(moved, (3, 4, 5)), fill=-9)
    assert np.array_equal(result[0, 1:, :3, :3], array[0, :2, 1:, 2:])
    assert (result[0, 0] == -9).all() and (result[0, :, 3] == -9).all() and (result[0, ..., 3:] == -9).all()
    assert (onto_grid(array, affine, Here(affine + np.eye(4, k=3) * 100, (3, 4, 5)), fill=-9) == -9).all()


def test_a_ramp_stays_a_ramp() -> None:
    affine = rotated((0.3, 0.1, 0), (1, 2, 3), (-20, -20, -20))
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in (30, 20, 15)), indexing="ij"), -1)
    place = indices @ affine[:3, :3].T + affine[:3, 3]
    grid = Here(rotated((0, 0, 0.2), (0.5, 0.5, 0.5), (-5, -5, 5)), (6, 7, 8))
    target = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), -1)
    slope = np.array([1.0, -2, 0.5])
    expected = (target @ grid.affine[:3, :3].T + grid.affine[:3, 3]) @ slope
    assert np.allclose(onto_grid((place @ slope)[None], affine, grid)[0], expected)


def test_one_slice_and_the_last_voxel() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
    affine = np.eye(4)
    fine = np.diag([0.5, 0.5, 1, 1])
    fine[2, 3] = 0.4  # aside, within the slice
    result = onto_grid(array, affine, Here(fine, (5, 7, 1)), fill=99)
    assert np.array_equal(result[0, ::2, ::2], array[0]) and (result != 99).all()
    fine[2, 3] = 0.6
    assert (onto_grid(array, affine, Here(fine, (5, 7, 1)), fill=99) == 99).all()


def test_grids_that_are_almost_one_are_not_copied() -> None:
    step = np.eye(4)
    step[0, 0] += 1e-3 / 100
    assert whole_steps(step, (100, 5, 5)) is not None and whole_steps(step, (200, 5, 5)) is None
    step = np.eye(4)
    step[0, 1] = 1
    assert whole_steps(step, (5, 5, 5)) is None


@pytest.mark.parametrize("broken", [np.diag([1.0, 0, 1, 1]), np.diag([1.0, np.nan, 1, 1])])
def test_no_volume_is_refused(broken: np.ndarray) -> None:
    for affine, other in ((broken, np.eye(4)), (np.eye(4), broken)):
        with pytest.raises(UnderstudyError, match="no volume"):
            onto_grid(np.zeros((1, 2, 2, 2)), affine, Here(other, (2, 2, 2)))
