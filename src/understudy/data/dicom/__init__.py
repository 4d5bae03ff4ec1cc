"""DICOM: files of a study become volumes on grids, SEG and RTSTRUCT become label maps on the grid of their series."""

import understudy.data.formats  # noqa: F401  (first: its menu holds formats/dicom.py, which reads through this)
