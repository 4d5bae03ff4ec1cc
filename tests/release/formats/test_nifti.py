"""NIfTI files say where voxels lie and in which unit, and the same cohort gives the same bytes."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.release.formats.nifti import FORM, write_nifti


@pytest.mark.parametrize("size", [(12, 10), (5, 12, 10)])
def test_axes_units_and_place(tmp_path: Path, size: tuple[int, ...]) -> None:
    array = np.arange(np.prod(size), dtype=np.int16).reshape(size)
    spacing = (1.5, 0.9, 0.8)[-len(size) :]
    write_nifti(tmp_path / "known.nii.gz", array, spacing)
    write_nifti(tmp_path / "unknown.nii.gz", array, None)
    known, unknown = (nib.load(tmp_path / f"{name}.nii.gz") for name in ("known", "unknown"))
    depth = spacing[0] if len(size) == 3 else 1
    assert nib.aff2axcodes(known.affine) == ("L", "P", "S")
    assert np.allclose(known.header.get_zooms(), (0.8, 0.9, depth))
    assert known.header.get_xyzt_units()[0] == "mm" and unknown.header.get_xyzt_units()[0] == "unknown"
    assert np.allclose(unknown.header.get_zooms(), 1) and known.get_data_dtype() == np.int16
    assert np.allclose(known.get_qform(), known.get_sform()) and known.header["sform_code"] == 1
    assert np.array_equal(np.asarray(known.dataobj).T.reshape(size), array)


def test_the_same_cohort_gives_the_same_bytes(cases: Callable[..., Cohort], tmp_path: Path) -> None:
    given = cases(channels=("t1", "flair"))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        FORM.write(tmp_path / name, given)
    files = sorted(file.relative_to(tmp_path / "first") for file in (tmp_path / "first").rglob("*.*"))
    assert len(files) == 12 and all(
        (tmp_path / "first" / f).read_bytes() == (tmp_path / "second" / f).read_bytes() for f in files
    )
    assert (tmp_path / "first" / "nifti" / "table.csv").read_text().splitlines()[:2] == [
        "file,case_id,subject_id,spacing,ill", "case-000001_0000.nii.gz,case-000001,case-000001,0.9 0.8,0"
    ]  # fmt: skip
