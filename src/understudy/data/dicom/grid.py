"""Grid: where the voxels of a DICOM series lie; what pixels, SEG and RTSTRUCT agree on.

Arrays are (C, I, J, K): i runs along a row of pixels (column index), j down a column (row index), k across slices.
**Source** for the affine: DICOM PS3.3, C.7.6.2.1.1, equation C.7.6.2.1-1, with x and y turned from DICOM's left and
posterior to right and anterior.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """The voxels of one series, sorted by geometry.

    Attributes:
        affine: (4, 4), indices (i, j, k, 1) to millimetres right, anterior, superior.
        size: (I, J, K).
        frame_of_reference: UID, for finding what refers to it; never written.
        instances: for each k, the SOP instance UID and the frame number (from 1) of that slice; never written.
    """

    affine: np.ndarray
    size: tuple[int, int, int]
    frame_of_reference: str
    instances: tuple[tuple[str, int], ...]
