"""DICOM studies are read back, also without a class, and damage is one sentence; imports: test_round_trips.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.release.formats.dicom import FORM

Cases = Callable[..., Cohort]


def test_studies_and_series(cases: Cases, tmp_path: Path) -> None:
    given = cases(size=(4, 12, 10), channels=("t1", "flair"), dtype="int16", bounds=(-100, 100), modality="CT")
    FORM.write(tmp_path, given)
    files = sorted((tmp_path / "dicom" / "case-000002").rglob("*.dcm"))
    read = [pydicom.dcmread(file) for file in files]
    assert len(files) == 9 and {one.SyntheticData for one in read} == {"YES"}
    assert len({one.StudyInstanceUID for one in read}) == 1 and len({one.SeriesInstanceUID for one in read}) == 3
    assert len({one.SOPInstanceUID for one in read}) == 9 and len({one.FrameOfReferenceUID for one in read}) == 1
    assert FORM.read(tmp_path).id == given.id


def test_a_scheme_of_the_background_alone_needs_no_seg(cases: Cases, tmp_path: Path) -> None:
    given = cases(scheme=LabelScheme(("background",), (0,)), n=1)
    FORM.write(tmp_path, given)
    assert not list(tmp_path.rglob("labels.dcm")) and FORM.read(tmp_path).id == given.id


def test_values_beyond_16_bits_are_refused(cases: Cases) -> None:
    for name, change in (
        ("fractions", {"dtype": "float32", "bounds": (0, 1)}),
        ("wide", {"dtype": "int32", "bounds": (-1000, 60000)}),
        ("beyond", {"dtype": "int32", "bounds": (0, 70000)}),
    ):
        with pytest.raises(UsageError, match="--format dicom holds whole numbers of 16 bits"):
            FORM.refuse(cases(name, **change))  # type: ignore[arg-type]


def test_each_damage_is_told_in_a_sentence(cases: Cases, tmp_path: Path) -> None:
    FORM.write(tmp_path, cases())
    seg = tmp_path / "dicom" / "case-000002" / "labels.dcm"
    image, other = seg.parent / "series-0" / "000001.dcm", tmp_path / "dicom" / "case-000003" / "labels.dcm"
    kept = {file: file.read_bytes() for file in (seg, image)}

    def changed(file: Path, **values: Any) -> None:
        dataset = pydicom.dcmread(file)
        for name, value in values.items():
            setattr(dataset, name, value)
        dataset.save_as(file)

    for change, says in (
        (lambda: seg.unlink(), "labels.dcm should be a DICOM file"),
        (lambda: seg.write_bytes(kept[seg][:900]), "labels.dcm(: a SEG is| should be a DICOM file)"),
        (lambda: seg.write_bytes(other.read_bytes()), "labels.dcm should be a DICOM file"),
        (lambda: seg.write_bytes(kept[image]), "labels.dcm: a SEG is BINARY"),
        (lambda: changed(image, Rows=6), "its pixels are not of the size"),
        (lambda: changed(image, PixelData=bytes(240)), "does not have the hash"),
        (lambda: changed(image, BitsAllocated=12), "should be a DICOM file"),
    ):
        with np.errstate(all="ignore"):
            change()
        with pytest.raises(UnderstudyError, match=says):
            FORM.read(tmp_path)
        for file, content in kept.items():
            file.write_bytes(content)
