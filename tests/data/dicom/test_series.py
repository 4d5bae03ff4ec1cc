"""Series: sorted by geometry; missing, doubled, tilted, crossed slices; several volumes in one series."""

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.data.dicom import series
from understudy.data.dicom.instance import read
from understudy.data.dicom.pixels import decoded
from understudy.data.dicom.series import Volume, volumes
from understudy.data.geometry import NO_THICKNESS


def sorted_in(folder: Path) -> tuple[list[Volume], Counter[str]]:
    return volumes([read(file, "it") for file in sorted(folder.rglob("*.dcm"))])


def test_places_count_and_not_names_or_numbers(tmp_path: Path, made: ModuleType) -> None:
    voxels = made.series(tmp_path, slices=7)
    (volume,), _ = sorted_in(tmp_path)
    assert np.array_equal(decoded(volume).array[0], voxels.transpose(2, 1, 0))
    assert volume.grid is not None and volume.grid.size == (8, 6, 7)
    names = [one.instance.file.name for one in volume.slices]
    assert names != sorted(names)


def test_the_affine_of_a_turned_series(tmp_path: Path, made: ModuleType) -> None:
    angle = 0.4
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([0, 0, -1])
    normal = np.cross(row, column)
    made.series(tmp_path, step=(-2.5 * normal).tolist(), ImageOrientationPatient=[*row, *column])
    (volume,), _ = sorted_in(tmp_path)
    assert volume.grid is not None
    lps = np.diag([-1, -1, 1, 1]) @ volume.grid.affine
    assert lps[:3, 0] == pytest.approx(1.5 * row) and lps[:3, 1] == pytest.approx(2 * column)
    assert lps[:3, 2] == pytest.approx(2.5 * normal)
    assert lps[:3, 3] == pytest.approx(np.array([-4, 5, 6]) - 4 * 2.5 * normal)


@pytest.mark.parametrize(("slices", "skip"), [(6, (2,)), (12, (5, 6)), (4, (1,))])
def test_missing_slices(tmp_path: Path, made: ModuleType, slices: int, skip: tuple[int, ...]) -> None:
    made.series(tmp_path, slices=slices, skip=skip)
    (volume,), _ = sorted_in(tmp_path)
    assert volume.problem == series.MISSING and volume.grid is None


@pytest.mark.parametrize(("off", "problem"), [(0.1, ""), (0.4, series.MISSING)])
def test_a_slice_off_its_place(tmp_path: Path, made: ModuleType, off: float, problem: str) -> None:
    made.series(tmp_path, slices=5, skip=(2,), name="a")
    made.file(tmp_path / "x.dcm", SeriesInstanceUID=made.uid("a"), ImagePositionPatient=[-4, 5, 12 + off])
    (volume,), _ = sorted_in(tmp_path)
    assert volume.problem == problem


def test_slices_that_drift_aside(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=5, skip=(2,), name="a")
    made.file(tmp_path / "x.dcm", SeriesInstanceUID=made.uid("a"), ImagePositionPatient=[-1, 5, 12])
    (volume,), _ = sorted_in(tmp_path)
    assert volume.problem == series.DRIFT


def test_a_tilted_gantry_keeps_its_true_affine(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, step=(0, 0.8, 3))
    (volume,), _ = sorted_in(tmp_path)
    assert volume.remarks == (series.TILT,) and volume.grid is not None
    assert volume.grid.affine[:3, 2] == pytest.approx([0, -0.8, 3])


@pytest.mark.parametrize(("mark", "values"), [
    ("EchoTime", (10, 90)), ("TemporalPositionIdentifier", (2, 1)), ("AcquisitionNumber", (1, 2)),
    ("DiffusionBValue", (0, 1000)), ("TriggerTime", (5, 700)), ("ImageType", ("M", "P")),
    ("AcquisitionTime", ("101010", "101011")),
])  # fmt: skip
def test_volumes_in_one_place_are_told_apart(tmp_path: Path, made: ModuleType, mark: str, values: Any) -> None:
    arrays = []
    for n, value in enumerate(values):
        own = {mark: value, "SeriesInstanceUID": made.uid("one")}
        arrays.append(made.series(tmp_path, name=f"s{n}", seed=n, **own))
    found, _ = sorted_in(tmp_path)
    assert [(one.part, one.parts, one.problem) for one in found] == [(0, 2, ""), (1, 2, "")]
    first = arrays[1] if mark == "TemporalPositionIdentifier" else arrays[0]
    assert np.array_equal(decoded(found[0]).array[0], first.transpose(2, 1, 0))


def test_two_marks_together(tmp_path: Path, made: ModuleType) -> None:
    for n in range(4):
        own = {"EchoTime": n % 2, "TemporalPositionIdentifier": n // 2, "SeriesInstanceUID": made.uid("one")}
        made.series(tmp_path, name=f"s{n}", seed=n, **own)
    found, _ = sorted_in(tmp_path)
    assert len(found) == 4 and not any(one.problem for one in found)


def test_by_instance_numbers_at_last(tmp_path: Path, made: ModuleType) -> None:
    for n in range(10):
        place = {"ImagePositionPatient": [0, 0, 3 * (n % 5)], "InstanceNumber": n, "SOPInstanceUID": made.uid(n)}
        made.file(tmp_path / f"{n}.dcm", np.full((6, 8), n, np.int16), **place)
    found, _ = sorted_in(tmp_path)
    assert [decoded(one).array[0, 0, 0].tolist() for one in found] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_a_doubled_slice(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, name="a")
    made.file(tmp_path / "x.dcm", SeriesInstanceUID=made.uid("a"), ImagePositionPatient=[-4, 5, 12])
    (volume,), _ = sorted_in(tmp_path)
    assert volume.problem == series.TWICE


def test_copies_of_files_are_passed_over(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path)
    (tmp_path / "again.dcm").write_bytes((tmp_path / "series-001.dcm").read_bytes())
    (volume,), passed = sorted_in(tmp_path)
    assert passed == {series.COPIES: 1} and len(volume.slices) == 5


def test_localizers_and_crossed_planes(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, name="a")
    made.file(tmp_path / "x.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID=made.uid("a"))
    for n, plane in enumerate(([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])):
        made.series(tmp_path, 3, plane and [3 * float(v) for v in np.cross(plane[:3], plane[3:])],
                    name=f"p{n}", SeriesInstanceUID=made.uid("three"), ImageOrientationPatient=plane)  # fmt: skip
    found, passed = sorted_in(tmp_path)
    assert len(found) == 1 and passed == {series.LOCALIZERS: 1, series.CROSSED: 9}


def test_sizes_and_spacings_are_stacks_of_their_own(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, name="a", SeriesInstanceUID=made.uid("one"))
    made.series(tmp_path, name="b", SeriesInstanceUID=made.uid("one"), PixelSpacing=[1, 1])
    found, _ = sorted_in(tmp_path)
    assert [len(one.slices) for one in found] == [5, 5]


def test_one_slice_is_a_picture(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=1)
    (volume,), _ = sorted_in(tmp_path)
    assert decoded(volume).turned().array.shape == (1, 6, 8)


def test_pictures_without_a_place_stay_apart(tmp_path: Path, made: ModuleType) -> None:
    for n in range(3):
        made.file(tmp_path / f"{n}.dcm", ImagePositionPatient=None, SOPInstanceUID=made.uid(n))
    found, _ = sorted_in(tmp_path)
    assert [one.stored for one in found] == [(6, 8)] * 3 and found[0].grid is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_enhanced_frames_are_sorted_and_scaled(tmp_path: Path, made: ModuleType, order: tuple[int, ...]) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (4, 6, 8)).astype(np.int16)
    made.save(tmp_path / "a.dcm", made.enhanced(voxels, order=order))
    (volume,), _ = sorted_in(tmp_path)
    expected = voxels + np.arange(4)[:, None, None]
    assert np.array_equal(decoded(volume).array[0], expected.transpose(2, 1, 0))
    assert volume.grid is not None and volume.grid.affine[2, 2] == 3
    assert volume.grid.instances == tuple((volume.first.sop, order.index(k) + 1) for k in range(4))


def test_enhanced_stacks_of_times(tmp_path: Path, made: ModuleType) -> None:
    voxels = np.random.default_rng(0).integers(0, 99, (6, 6, 8)).astype(np.int16)
    made.save(tmp_path / "a.dcm", made.enhanced(voxels, stacks=2, order=(5, 0, 4, 1, 3, 2)))
    found, _ = sorted_in(tmp_path)
    assert len(found) == 2
    expected = 2 * voxels[3:] + np.arange(3)[:, None, None]
    assert np.array_equal(decoded(found[1]).array[0], expected.transpose(2, 1, 0))


@pytest.mark.parametrize("thickness", [None, "1e200", "1e-200"])
def test_the_thickness_of_a_single_slice_that_cannot_be_is_not_known(
    tmp_path: Path, made: ModuleType, thickness: str | None
) -> None:
    made.series(tmp_path, slices=1, SliceThickness=thickness)
    (volume,), _ = sorted_in(tmp_path)
    assert volume.remarks == (NO_THICKNESS,)
    assert decoded(volume).turned().spacing_mm == (2, 1.5)


def test_slices_that_are_stacked_within_their_plane(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=4, step=[1000, 0, 0.02])
    (volume,), _ = sorted_in(tmp_path)
    assert volume.problem == series.DRIFT and volume.grid is None


def test_each_file_of_one_uid_is_read_once(tmp_path: Path, made: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    made.series(tmp_path, slices=12, SOPInstanceUID="1.2.3")
    read_files = []
    monkeypatch.setattr(series, "_digest", lambda one: read_files.append(one.file) or one.file.name)
    (volume,), passed = sorted_in(tmp_path)
    assert len(read_files) == len(volume.slices) == 12 and not passed
