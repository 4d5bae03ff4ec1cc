"""Study: which volumes become channels, and what is said where they do not fit."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom import study
from understudy.data.dicom.instance import read
from understudy.data.dicom.series import volumes
from understudy.data.dicom.study import Study, choose, code, patterns, refuse_unfit


@pytest.fixture
def one(tmp_path: Path, made: ModuleType) -> Study:
    """A study of a T1, a series of two echoes, a T2 in another space, and a picture."""
    made.series(tmp_path, name="t1", SeriesDescription="T1 Meyer", Modality="MR")
    for echo in (1, 2):
        own = {"SeriesInstanceUID": made.uid("echoes"), "SeriesDescription": "ECHO Meyer", "EchoNumbers": echo}
        made.series(tmp_path, name=f"echo{echo}", Modality="MR", **own)
    made.series(tmp_path, name="t2", SeriesDescription="T2 Meyer", Modality="MEYER", FrameOfReferenceUID="1.2.3")
    made.file(tmp_path / "p.dcm", SeriesInstanceUID="1.2.4", SeriesDescription="capture", ImagePositionPatient=None)
    found, _ = volumes([read(file, "it") for file in sorted(tmp_path.rglob("*.dcm"))])
    return Study("study 1", "P1", "1.2", tuple(found))


@pytest.mark.parametrize(("given", "several", "cases", "reason"), [
    (("a=t1",), None, 1, ""), (("a=^MR T1",), None, 1, ""), (("a=echo",), None, 0, study.PARTS),
    (("a=echo",), "first", 1, ""), (("a=echo",), "all", 2, ""), (("a=t1", "b=echo"), "first", 1, ""),
    (("a=t1", "b=echo"), "all", 0, study.PARTS), (("a=t1", "b=t2"), None, 0, study.APART),
    (("a=FLAIR",), None, 0, study.NONE), (("a=T",), "all", 0, study.MANY), (("a=capture",), None, 1, ""),
    ((), None, 0, study.MANY),
])  # fmt: skip
def test_channels(one: Study, given: tuple[str, ...], several: study.Several | None, cases: int, reason: str) -> None:
    chosen, unfit = choose([one], patterns(given), several, False, Counter())
    assert len(chosen) == cases and unfit == ({reason: 1} if reason else {})
    assert all(len(case.channels) == max(len(given), 1) for case in chosen)


def test_series_that_no_channel_takes_are_counted(one: Study) -> None:
    passed_over: Counter[str] = Counter()
    chosen, _ = choose([one], patterns(("a=t1",)), "first", False, passed_over)
    assert passed_over[study.NOT_TAKEN] == len(one.volumes) - 1 and len(chosen) == 1


def test_a_grid_voxel_by_voxel(one: Study) -> None:
    chosen, unfit = choose([one], patterns(("a=t1", "b=t2")), None, True, Counter())
    assert len(chosen) == 1 and not unfit
    with pytest.raises(UnderstudyError, match="2 of 1 studies do not fit: "):
        refuse_unfit([one], chosen, Counter({"x": 2}), False)


def test_voxel_by_voxel_is_offered_for_series_of_one_size_only(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, name="t1", SeriesDescription="T1")
    made.series(tmp_path, slices=4, name="t2", SeriesDescription="T2", FrameOfReferenceUID="1.2.3")
    found, _ = volumes([read(file, "it") for file in sorted(tmp_path.rglob("*.dcm"))])
    one = Study("study 1", "P1", "1.2", tuple(found))
    assert choose([one], patterns(("a=t1", "b=t2")), None, False, Counter())[1] == {study.APART_SIZES: 1}


def test_pictures_are_never_channels_of_volumes(one: Study) -> None:
    assert choose([one], patterns(("a=t1", "b=capture")), None, True, Counter())[1] == {study.SIZES: 1}


def test_the_sentence_shows_no_description_and_no_unknown_modality(one: Study) -> None:
    with pytest.raises(UnderstudyError, match="2 of 1 studies do not fit .the first is study 1.: ") as told:
        refuse_unfit([one], [], Counter({"x": 2}), False)
    assert "Meyer" not in str(told.value) and "MEYER" not in str(told.value) and "OT 8 x 6 x 5" in str(told.value)
    with pytest.raises(UnderstudyError, match="MR T1 Meyer"):
        refuse_unfit([one], [], Counter({"x": 1}), True)
    assert {code(volume) for volume in one.volumes} == {"MR", "OT", "CT"}


@pytest.mark.parametrize("given", [("a",), ("=b",), ("a=",), ("a=b", "a=c"), ("a=(",)])
def test_patterns_that_are_none(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--series"):
        patterns(given)
