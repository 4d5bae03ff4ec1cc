"""Files become the cohort again, or one sentence says what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.release.formats.nifti import FORM, write_nifti
from understudy.release.formats.read_back import stored_type, whole_range

Cases = Callable[..., Cohort]


@pytest.fixture
def bundle(cases: Cases, tmp_path: Path) -> Path:
    (tmp_path / "made").mkdir()
    FORM.write(tmp_path / "made", cases(dtype="int16", bounds=(-5, 5)))
    return tmp_path / "made"


def test_the_arrays_stay_open_and_the_folder_is_the_bundles(bundle: Path, tmp_path: Path) -> None:
    read = FORM.read(bundle)
    assert read.path == bundle / "nifti" and read.images is not None
    assert not Path(read.images.filename).exists() and read.images[2].std() > 1


def test_each_damage_is_told_in_a_sentence(bundle: Path) -> None:
    label, image = (bundle / "nifti" / part for part in ("labels/case-000002.nii.gz", "images/case-000003_0000.nii.gz"))
    whole = label.read_bytes()
    for change, says in (
        (lambda: label.unlink(), "case-000002 cannot be read"),
        (lambda: label.write_bytes(whole[:40]), "case-000002.nii.gz should be a NIfTI image"),
        (lambda: write_nifti(label, np.zeros((4, 4), np.uint8), None), r"should be of the size \(12, 10\)"),
        (lambda: write_nifti(label, np.zeros((12, 10), np.uint8), None), "labels.npy does not have the hash"),
        (lambda: write_nifti(label, np.full((12, 10), 9, np.uint8), None), "labels.npy does not have the hash"),
        (lambda: write_nifti(image, np.full((12, 10), 1e9, np.float32), None), "images.npy does not have the hash"),
        (lambda: (bundle / "nifti" / "cases.csv").write_text("x\n"), "there is no column"),
    ):
        change()
        with pytest.raises(UnderstudyError, match=says):
            FORM.read(bundle)
        label.write_bytes(whole)
    (bundle / "nifti" / "cohort.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(UnderstudyError, match="is not the description of a cohort"):
        FORM.read(bundle)
    with pytest.raises(UnderstudyError, match="a cohort was expected in .*elsewhere"):
        FORM.read(bundle / "elsewhere")


def test_types_and_ranges(cases: Cases) -> None:
    for dtype, kept in (("uint8", "uint8"), ("int8", "int16"), ("int32", "float32"), ("float16", "float32")):
        assert stored_type(cases(f"as-{dtype}", dtype=dtype, bounds=(0, 100)), "nifti") == kept
    with pytest.raises(UsageError, match="--format nifti holds finite numbers as float32, and values of .*float64"):
        stored_type(cases("exact", dtype="float64", bounds=(0, 1)), "nifti")
    endless = cases("endless", dtype="float32")
    assert endless.images is not None
    images = np.load(endless.path / "images.npy")
    images[2, 0, 3, 3] = np.inf
    np.save(endless.path / "images.npy", images)
    with pytest.raises(UsageError, match="values of endless, float32, are none or would change: choose --format"):
        stored_type(Cohort.open(endless.path), "nifti")
    assert whole_range(cases("signed", dtype="int16", bounds=(-7, 7))) == (-7, 7)
    assert whole_range(cases("fractions", dtype="float32", bounds=(0, 1))) is None
    assert whole_range(cases("none", channels=())) == (0, 0)
