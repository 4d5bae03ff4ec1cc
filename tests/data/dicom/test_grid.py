"""Grid: DICOM's axes and those of a cohort differ in two signs."""

import numpy as np

from understudy.data.dicom.grid import Grid
from understudy.data.geometry import LPS_TO_RAS


def test_left_and_posterior_become_right_and_anterior() -> None:
    grid = Grid(LPS_TO_RAS @ np.eye(4), (2, 3, 4), "1.2", ())
    assert (grid.affine @ [1, 2, 3, 1]).tolist() == [-1, -2, 3, 1]
    assert np.array_equal(LPS_TO_RAS @ LPS_TO_RAS, np.eye(4))
