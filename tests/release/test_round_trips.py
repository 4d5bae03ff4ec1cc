"""What a form stores is what an import reads: pixels, labels, spacing, orientation and classes, in 2D and 3D."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES
from understudy.release.formats import FORMS

Cases = Callable[..., Cohort]
SCHEME = "0=background,1=tumour,2=small cyst"
TABLE = {"table": "table.csv", "subject": "subject_id", "classes": ("ill",)}
FILES = {"images": "images", "labels": "labels", "contrasts": ("t1=_0000", "flair=_0001"), **TABLE}
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {  # the source, the folder and its options
    "nifti": ("folder", "nifti", {**FILES, "label_scheme": SCHEME}),
    "png": ("folder", "png", {**FILES, "label_scheme": SCHEME}),
    "nnunet": ("nnunet", "nnunet/Dataset001_Synthetic", {"one_image_per_subject": True}),
    "nnunet with classes": (
        "folder",
        "nnunet",
        {
            **FILES,
            "images": "Dataset001_Synthetic/imagesTr",
            "labels": "Dataset001_Synthetic/labelsTr",
            "label_scheme": SCHEME,
        },
    ),
    "bids": ("bids", "bids", {"channels": ("T1w", "FLAIR"), "labels_in": "derivatives/labels", "classes": ("ill",)}),
    "dicom": (
        "dicom",
        "dicom",
        {
            "series": ("t1=^MR t1$", "flair=^MR flair$"),
            "labels": "seg",
            "label_scheme": SCHEME,
            "table": "table.csv",
            "match": "study",
            "classes": ("ill",),
        },
    ),
}
VALUES = {"uint8": (0, 255), "int16": (-900, 3000), "uint16": (0, 60000), "float32": (-1, 1)}
NOT_HELD = {("png", "int16"), ("png", "float32"), ("dicom", "float32")}


def in_order(cohort: Cohort) -> list[int]:
    """Rows in an order that does not depend on names."""
    assert cohort.images is not None
    return sorted(range(len(cohort)), key=lambda i: np.asarray(cohort.images[i], np.float64).tobytes())


@pytest.mark.parametrize("size", [(12, 10), (5, 12, 10)], ids=["2D", "3D"])
@pytest.mark.parametrize("dtype", list(VALUES))
@pytest.mark.parametrize("way", list(WAYS))
def test_an_import_of_the_form_is_the_cohort(cases: Cases, tmp_path: Path, way: str, dtype: str, size: Any) -> None:
    form = way.split()[0]
    given = cases(size=size, dtype=dtype, bounds=VALUES[dtype], channels=("t1", "flair"))
    if (form, dtype) in NOT_HELD or (form == "png" and len(size) == 3):
        with pytest.raises(UsageError, match=f"--format {form} holds .*: choose nifti"):
            FORMS[form].refuse(given)
        return
    (tmp_path / "bundle").mkdir()
    FORMS[form].write(tmp_path / "bundle", given)
    source, folder, options = WAYS[way]
    key = {"key": tmp_path / "key", "split": "train=1"}
    made = SOURCES[source].options(**options, **key)
    read = Cohort.open(import_cohort(source, tmp_path / "bundle" / folder, tmp_path / "read", made))
    ours, theirs = in_order(given), in_order(read)
    assert read.size == given.size and [c.name for c in read.encoding.channels] == (
        ["T1w", "FLAIR"] if form == "bids" else ["t1", "flair"]
    )
    assert read.images is not None and given.images is not None and read.labels is not None
    assert np.array_equal(read.images[theirs], given.images[ours])
    assert np.array_equal(read.labels[:][theirs], given.labels[:][ours])  # type: ignore[index]
    assert read.scheme == given.scheme
    if form != "png":  # which says nothing of places
        assert np.allclose([read.spacing_mm(i) for i in theirs], [given.spacing_mm(i) for i in ours])
        first = read.affine(theirs[0])
        sizes = given.spacing_mm(ours[0]) or ()
        assert first is not None and np.allclose(first[:3, 2], [-sizes[-1], 0, 0])  # columns run to the left
        assert np.allclose(first[:3, 1], [0, -sizes[-2], 0])  # rows to posterior
    if "classes" in options:
        assert np.array_equal(read.class_matrix(np.array(theirs)), given.class_matrix(np.array(ours)), equal_nan=True)


def test_an_import_of_digital_x_rays_is_the_cohort(cases: Cases, tmp_path: Path) -> None:
    given = cases(dtype="uint16", bounds=(0, 4000), channels=("xray",), modality="DX")
    (tmp_path / "bundle").mkdir()
    FORMS["dicom"].write(tmp_path / "bundle", given)
    made = SOURCES["dicom"].options(
        series=("xray=^DX xray$",), labels="seg", label_scheme=SCHEME, key=tmp_path / "key", split="train=1"
    )
    read = Cohort.open(import_cohort("dicom", tmp_path / "bundle" / "dicom", tmp_path / "read", made))
    ours, theirs = in_order(given), in_order(read)
    assert read.images is not None and given.images is not None and read.labels is not None
    assert np.array_equal(read.images[theirs], given.images[ours]) and read.modality == "DX"
    assert np.array_equal(read.labels[:][theirs], given.labels[:][ours])  # type: ignore[index]
    assert np.allclose([read.spacing_mm(i) for i in theirs], [given.spacing_mm(i) for i in ours])
