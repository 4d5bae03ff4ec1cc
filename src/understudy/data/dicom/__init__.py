"""DICOM: a study's files become volumes on grids, and SEG and RTSTRUCT become label maps on the grid of their series."""
