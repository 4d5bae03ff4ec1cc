"""A SEG has a segment a class, and the same bytes each time; that highdicom opens it is shown in benchmarks/clients."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.release.formats import dicom_seg
from understudy.release.formats.dicom_instance import SyntheticSlice, instance


def bytes_of(given: Cohort, i: int) -> tuple[Any, bytes]:
    made, file = dicom_seg.segmentation(given, i, [instance(SyntheticSlice(given, i, 0, 0, 8, False))]), BytesIO()
    made.save_as(file, enforce_file_format=True)
    return made, file.getvalue()


def test_segments_and_bytes(cases: Callable[..., Cohort], capfd: pytest.CaptureFixture[str]) -> None:
    given = cases()
    (made, first), (_, second) = bytes_of(given, 1), bytes_of(given, 1)
    assert first == second and made.SyntheticData == "YES" and made.ContentDate == "19700101"
    assert [item.SegmentLabel for item in made.SegmentSequence] == ["tumour", "small cyst"]
    empty, _ = bytes_of(given, 0)
    assert not empty.pixel_array.any() and capfd.readouterr() == ("", "")


def test_a_projection_has_no_thickness(cases: Callable[..., Cohort]) -> None:
    made, _ = bytes_of(cases(modality="DX"), 1)
    assert made.PatientOrientation == ["L", "F"] and "FrameOfReferenceUID" not in made
    assert "PixelMeasuresSequence" not in made.SharedFunctionalGroupsSequence[0]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"pip install 'understudy\[dicom\]'"):
        dicom_seg.highdicom()
