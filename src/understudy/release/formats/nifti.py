"""NIfTI: ``nifti/images/case-000001_0000.nii.gz``, a file a channel, ``nifti/labels/case-000001.nii.gz``, a table.

Arrays (D, H, W) run to superior, posterior and left (data/geometry.py); files store left, posterior, superior, and say
so in sform and qform (code 1, scanner), with the first voxel at 0. A slice is a volume of one axial slice, 1 mm thick.
A spacing that is not known is 1 with the unit "unknown"; one that is known is in mm. The same cohort gives the same
bytes.
**Source**: NIfTI-1.1 (nifti1.h). **Checked** in tests/release/formats/test_nifti.py; by SimpleITK, MONAI and TorchIO
(docs/clients.md).
"""

import gzip
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np

from understudy.core.cohort import Cohort
from understudy.release.formats.form import Form
from understudy.release.formats.read_back import (
    DESCRIPTION,
    TABLE,
    CaseFiles,
    case_names,
    first_files,
    numbered_files,
    read_files,
    stored_type,
    write_description,
    write_table,
)

ENDING = ".nii.gz"


class NiftiForm:
    """Store a cohort as NIfTI files."""

    folder = "nifti"
    suffixes = frozenset({".json", ".csv", ".gz"})
    table = "nifti/cases.csv"
    pictures = "nifti/**/*.nii.gz"
    media_type = "application/gzip"
    holds = "NIfTI, `images/CASE_0000.nii.gz` (a file a channel) and `labels/CASE.nii.gz`, and `table.csv`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse values that no type of image files holds."""
        stored_type(cohort, "nifti")

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write images, label maps and the table."""
        write_description(cohort, bundle / self.folder)
        write_table(cohort, bundle / self.folder, "file", first_files(cohort, ENDING))
        write_volumes(self, bundle, cohort)

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        return case_names(self.files, cohort) | {f"{self.folder}/{name}" for name in (*DESCRIPTION, TABLE)}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles:
        """Return the files of case i."""
        folder = bundle / self.folder
        return numbered_files(folder / "images", folder / "labels", ENDING, channels, i)

    def read(self, bundle: Path) -> Cohort:
        """Read images and label maps back."""
        return read_files(bundle / self.folder, partial(self.files, bundle))


def write_volumes(form: Form, bundle: Path, cohort: Cohort) -> None:
    """Write the images and label maps of all cases to the NIfTI files of a form."""
    kept, channels = stored_type(cohort, form.folder), [channel.name for channel in cohort.encoding.channels]
    for i in range(len(cohort)):
        files = form.files(bundle, channels, i)
        assert files is not None
        if cohort.images is not None:
            for file, channel in zip(files.images, cohort.images[i], strict=True):
                write_nifti(file, channel.astype(kept), cohort.spacing_mm(i))
        if cohort.labels is not None:
            write_nifti(files.label, cohort.labels[i], cohort.spacing_mm(i))


def write_nifti(file: Path, array: np.ndarray, spacing: tuple[float, ...] | None) -> None:
    """Write an array (H, W) or (D, H, W) as a volume left, posterior, superior; a spacing in mm, or None.

    The folder is made where it is not there.
    """
    sizes = (spacing or (1.0,) * array.ndim)[::-1]
    right, anterior, superior = (-sizes[0], -sizes[1], sizes[2] if array.ndim == 3 else 1.0)
    affine = np.diag([right, anterior, superior, 1.0])
    volume = nib.Nifti1Image(array.T if array.ndim == 3 else array.T[..., None], affine)
    volume.set_sform(affine, "scanner")
    volume.set_qform(affine, "scanner")
    volume.header.set_xyzt_units("mm" if spacing else "unknown")
    volume.header["descrip"] = b"understudy: synthetic"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(volume.to_bytes(), mtime=0))


FORM = NiftiForm()
