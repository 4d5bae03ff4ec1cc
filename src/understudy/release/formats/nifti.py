"""NIfTI: ``nifti/images/case-000001_0000.nii.gz``, a file a channel, ``nifti/labels/case-000001.nii.gz``, a table.

Arrays (D, H, W) run to superior, posterior and left (data/geometry.py); files store left, posterior, superior, and say
so in sform and qform (code 1, scanner), with the first voxel at 0. A slice is a volume of one axial slice, 1 mm thick. A
spacing that is not known is 1 with the unit "unknown"; one that is known is in mm. The same cohort gives the same bytes.
**Source**: NIfTI-1.1 (nifti1.h). **Checked** in tests/release/formats/test_nifti.py; read by dcm2niix, SimpleITK, MONAI
and TorchIO in benchmarks/clients (docs/clients.md).
"""

import csv
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.manifest import CohortManifest
from understudy.data.formats import image as read_image
from understudy.data.formats import labels as read_labels
from understudy.release.formats.read_back import case_name, read_back, stored_type, write_description

ENDING = ".nii.gz"
TABLE = "table.csv"


class NiftiForm:
    """Store a cohort as NIfTI files."""

    folder = "nifti"
    suffixes = frozenset({".json", ".csv", ".gz"})

    def refuse(self, cohort: Cohort) -> None:
        """Refuse values that no type of image files holds."""
        stored_type(cohort, "nifti")

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write images, label maps and the table."""
        folder, kept = bundle / self.folder, stored_type(cohort, "nifti")
        write_description(cohort, folder)
        write_table(cohort, folder, ENDING)
        for i in range(len(cohort)):
            write_case(cohort, i, kept, folder / "images", folder / "labels", case_name(i))

    def read(self, bundle: Path) -> Cohort:
        """Read images and label maps back."""
        return read_cases(bundle / self.folder, bundle / self.folder / "images", bundle / self.folder / "labels")


def write_case(cohort: Cohort, i: int, kept: np.dtype, images: Path, labels: Path, name: str) -> None:
    """Write a case, a file a channel and its label map, to two folders, which are made where they are not there."""
    if cohort.images is not None:
        images.mkdir(exist_ok=True)
        for c, channel in enumerate(cohort.images[i]):
            write_nifti(images / f"{name}_{c:04d}{ENDING}", channel.astype(kept), cohort.spacing_mm(i))
    if cohort.labels is not None:
        labels.mkdir(exist_ok=True)
        write_nifti(labels / f"{name}{ENDING}", cohort.labels[i], cohort.spacing_mm(i))


def read_cases(described: Path, images: Path, labels: Path) -> Cohort:
    """Read back what :func:`write_case` wrote."""

    def image(manifest: CohortManifest, i: int, c: int) -> np.ndarray:
        return read_nifti(images / f"{case_name(i)}_{c:04d}{ENDING}")

    def label(manifest: CohortManifest, i: int) -> np.ndarray:
        return read_nifti(labels / f"{case_name(i)}{ENDING}", as_labels=True)

    return read_back(described, image, label)


def write_nifti(file: Path, array: np.ndarray, spacing: tuple[float, ...] | None) -> None:
    """Write an array (H, W) or (D, H, W) as a volume left, posterior, superior; a spacing in mm, or None."""
    sizes = (spacing or (1.0,) * array.ndim)[::-1]
    right, anterior, superior = (-sizes[0], -sizes[1], sizes[2] if array.ndim == 3 else 1.0)
    affine = np.diag([right, anterior, superior, 1.0])
    volume = nib.Nifti1Image(array.T if array.ndim == 3 else array.T[..., None], affine)
    volume.set_sform(affine, "scanner")
    volume.set_qform(affine, "scanner")
    volume.header.set_xyzt_units("mm" if spacing else "unknown")
    volume.header["descrip"] = b"understudy: synthetic"
    file.write_bytes(gzip.compress(volume.to_bytes(), mtime=0))


def read_nifti(file: Path, as_labels: bool = False) -> np.ndarray:
    """Read what :func:`write_nifti` wrote."""
    return read_labels(file).array if as_labels else read_image(file).array[0]


def write_table(cohort: Cohort, folder: Path, ending: str) -> None:
    """Write the case table with the name of each case's first file below images, or below labels without images."""
    first = "_0000" if cohort.images is not None else ""
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow(["file", "case_id", "subject_id", "spacing", *cohort.classes])
        for i in range(len(cohort)):
            told = [cohort.entry(name, i) for name in ("case_id", "subject_id", "spacing", *cohort.classes)]
            rows.writerow([f"{case_name(i)}{first}{ending}", *told])


FORM = NiftiForm()
