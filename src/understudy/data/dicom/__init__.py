"""DICOM: files of a study become volumes on grids; SEG and RTSTRUCT become label maps on the grid of their series."""
