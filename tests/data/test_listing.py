"""What a source hands over: sizes, and two pictures of one case that lie in different places."""

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.listing import Reading, refuse_elsewhere, size_text


def test_the_size_of_a_reading_is_that_of_its_image_else_of_its_label_map() -> None:
    image, labels = np.zeros((3, 4, 5), np.uint8), np.zeros((6, 7), np.uint8)
    assert [Reading(*pair).size for pair in ((image, None), (None, labels), (None, None))] == [(4, 5), (6, 7), ()]
    assert size_text((4, 5)) == "4 x 5"


@pytest.mark.parametrize(("shift", "apart"), [(0.9, False), (1.1, True)])
def test_corners_within_a_voxel_are_one_place(shift: float, apart: bool) -> None:
    affine = np.diag([2.0, 2, 2, 1])
    moved = affine.copy()
    moved[0, 3] = 2 * shift
    if not apart:
        refuse_elsewhere(affine, moved, (5, 6, 7), "mask.nii")
        return
    with pytest.raises(UnderstudyError, match="mask.nii lies 2.2 mm away"):
        refuse_elsewhere(affine, moved, (5, 6, 7), "mask.nii")


def test_a_turn_about_the_first_voxel_shows_at_the_far_corner_only() -> None:
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    refuse_elsewhere(np.eye(4), turned, (5, 5, 5), "x")
    with pytest.raises(UnderstudyError, match="x lies"):
        refuse_elsewhere(np.eye(4), turned, (50, 50, 50), "x")
    refuse_elsewhere(None, turned, (50, 50, 50), "x")  # not known: nothing to compare
