"""Where voxels lie: two pictures compared in voxels of each axis, before any turning; the plane that was scanned."""

import itertools

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.geometry import (
    AXES,
    HALFWAY,
    bare,
    halfway,
    moved_onto,
    onto,
    refuse_elsewhere,
    scanned_plane,
    turned,
    turned_size,
    voxels_apart,
)

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("shift", "says"), [(0.04, False), (0.4, True), (0.6, None)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_places_are_compared_in_voxels_of_each_axis(axis: int, shift: float, says: bool | None) -> None:
    affine = np.diag([0.5, 2, 5, 1])
    moved = affine.copy()
    moved[axis, 3] = affine[axis, axis] * shift
    if says is not None:
        assert refuse_elsewhere(affine, moved, (5, 6, 7), "mask.nii") is says
        return
    with pytest.raises(
        UnderstudyError, match=rf"mask.nii lies {affine[axis, axis] * shift:.3g} mm away \(0.6 voxels\)"
    ):
        refuse_elsewhere(affine, moved, (5, 6, 7), "mask.nii")


def test_a_turn_about_the_first_voxel_shows_at_the_far_corner_only() -> None:
    tilted = np.eye(4)
    tilted[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    refuse_elsewhere(np.eye(4), tilted, (4, 4, 4), "x")
    with pytest.raises(UnderstudyError, match="x lies"):
        refuse_elsewhere(np.eye(4), tilted, (50, 50, 50), "x")
    assert not refuse_elsewhere(None, tilted, (50, 50, 50), "x")  # not known: nothing to compare


def test_a_label_map_written_without_a_header_is_told_apart_from_one_that_lies_elsewhere() -> None:
    home = np.diag([-1.2, -1, 1.5, 1])
    home[:3, 3] = 100
    with pytest.raises(UnderstudyError, match="has no geometry of its own.*copy the image's header"):
        refuse_elsewhere(home, np.diag([-1.0, -1, 1, 1]), (5, 6, 7), "x", bare(np.diag([-1.0, -1, 1, 1])))
    with pytest.raises(UnderstudyError, match="resample"):
        refuse_elsewhere(home, np.diag([2.0, 2, 2, 1]), (5, 6, 7), "x")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_picture_stored_in_another_order_is_put_on_the_axes_of_the_first(order: tuple[int, ...]) -> None:
    array = RANDOM.integers(0, 99, (1, 4, 5, 6))
    tilt = np.radians(44.9)  # near 45 degrees the nearest axis of the body may change between two files of one place
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    affine[:3, :3] *= [0.5, 2, 5]
    stored, other = array.transpose(0, *(axis + 1 for axis in order)), affine[:, [*order, 3]].copy()
    for axis in range(3):
        stored = np.flip(stored, axis + 1)
        other[:, 3] += other[:, axis] * (stored.shape[axis + 1] - 1)
        other[:, axis] *= -1
    back, where = moved_onto(affine, stored, other)
    assert np.array_equal(back, array)
    assert np.allclose(where, affine)
    assert voxels_apart(affine, where, (4, 5, 6)) < 1e-9
    assert onto(affine, np.diag([1.0, 1, 1, 1])) is None


@pytest.mark.parametrize("plane", list(AXES))
def test_a_plane_is_the_last_two_axes(plane: str) -> None:
    array = RANDOM.integers(0, 99, (1, 4, 5, 6))  # left to right, back to front, bottom to top
    out, affine, spacing = turned(array, np.diag([2.0, 3, 4, 1]), plane)
    expected = {
        "axial": array[0, ::-1, ::-1].transpose(2, 1, 0),
        "coronal": array[0, ::-1, ::-1, ::-1].transpose(1, 2, 0),
        "sagittal": array[0, ::-1, ::-1, ::-1].transpose(0, 2, 1),
    }[plane]
    assert np.array_equal(out[0], expected)
    assert spacing == {"axial": (4, 3, 2), "coronal": (3, 4, 2), "sagittal": (2, 4, 3)}[plane]
    assert turned_size((4, 5, 6), np.diag([2.0, 3, 4, 1]), plane) == expected.shape
    assert affine is not None
    assert np.allclose(np.sqrt((affine[:3, :3] ** 2).sum(0)), spacing)


@pytest.mark.parametrize(("spacing", "plane"), [
    ((4.4, 0.7, 0.7), "sagittal"), ((0.7, 5, 0.7), "coronal"), ((0.5, 0.5, 3), "axial"), ((1, 1, 1.4), None),
])  # fmt: skip
def test_the_plane_that_was_scanned(spacing: tuple[float, ...], plane: str | None) -> None:
    assert scanned_plane(np.diag([*spacing, 1]), (9, 9, 9)) == plane
    assert scanned_plane(None, (9, 9)) is None


@pytest.mark.parametrize(("degrees", "told"), [(0, False), (35, False), (44, True), (46, True), (55, False)])
def test_axes_halfway_between_two(degrees: float, told: bool) -> None:
    tilt = np.deg2rad(degrees)
    affine = np.diag([0.5, 2, 5, 1])
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    assert halfway(turn @ affine) == ((HALFWAY,) if told else ())
