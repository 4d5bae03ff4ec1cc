"""import dicom: studies become cases, by geometry; subjects, channels, label maps and classes; what is left out."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom.survey import survey
from understudy.data.listing import Listing, Reading
from understudy.data.sources.dicom import DicomOptions, listing

Bring = Callable[..., Cohort]
Refused = Callable[..., str]


def readings(path: Path, **options: Any) -> tuple[Listing, list[Reading]]:
    found = listing(path, DicomOptions(**options))
    return found, [reading for item in found.items for reading in found.read(item)]


@pytest.fixture
def studies(tmp_path: Path, made: ModuleType) -> Path:
    """Twelve subjects with one CT study of five slices each."""
    for n in range(12):
        own = {"PatientID": f"P{n}", "StudyInstanceUID": made.uid("study", n), "StudyDate": f"202001{n + 1:02d}"}
        made.series(tmp_path / "in" / f"Jones{n}", name=f"series{n}", seed=n, **own)
    return tmp_path / "in"


def test_voxels_spacing_and_places(tmp_path: Path, made: ModuleType) -> None:
    voxels = made.series(tmp_path / "in", RescaleSlope=1, RescaleIntercept=-1000, BitsStored=12, HighBit=11)
    found, (reading,) = readings(tmp_path / "in")
    assert (found.dims, found.size, found.modality, found.channels) == (3, (5, 6, 8), "CT", ("image",))
    assert reading.image is not None and reading.affine is not None
    expected = voxels - 1000  # upwards; rows go to the back, columns to the left
    assert reading.image.dtype == np.int16 and np.array_equal(reading.image[0], expected)
    assert reading.spacing_mm == pytest.approx((3, 2, 1.5))
    assert reading.affine @ [0, 0, 0, 1] == pytest.approx([4, -5, 6, 1])


def test_a_cohort(bring: Bring, studies: Path) -> None:
    cohort = bring(studies, "dicom")
    assert len(cohort) == 12 and len(cohort.subjects()) == 12 and cohort.size == (5, 6, 8)


def test_two_studies_of_a_person_are_two_cases_of_one_subject(tmp_path: Path, made: ModuleType) -> None:
    for n in range(2):
        made.series(tmp_path / "in", name=f"s{n}", StudyInstanceUID=made.uid("study", n), PatientID=" P1 ")
    found, _ = readings(tmp_path / "in")
    assert [item.subject for item in found.items] == ["P1", "P1"]
    assert len({item.name for item in found.items}) == 2


@pytest.mark.parametrize("name", ["", "NA", "anonymous", "0000", "-"])
def test_nobody_is_no_subject(tmp_path: Path, made: ModuleType, name: str) -> None:
    made.series(tmp_path / "in" / "a", PatientID=name)
    with pytest.raises(UnderstudyError, match="1 of 1 studies have no PatientID.*--subject study"):
        readings(tmp_path / "in")
    assert readings(tmp_path / "in", subject="study")[0].items
    assert readings(tmp_path / "in", subject="folder")[0].items[0].subject == "a"


def test_several_series_are_refused_by_kind_and_chosen_by_pattern(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in", name="t1", SeriesDescription="AX T1 Smith", Modality="MR")
    made.series(tmp_path / "in", name="t2", SeriesDescription="AX T2 Smith", Modality="MR", seed=1)
    with pytest.raises(
        UnderstudyError, match=r"several series of a study fit; found MR 8 x 6 x 5 \(1.5 x 2 mm\)"
    ) as told:
        readings(tmp_path / "in")
    assert "Smith" not in str(told.value)
    with pytest.raises(UnderstudyError, match="AX T1 Smith"):
        readings(tmp_path / "in", show_descriptions=True)
    found, (reading,) = readings(tmp_path / "in", series=("second=T2", "first=t1"))
    assert found.channels == ("second", "first") and reading.image is not None and len(reading.image) == 2
    with pytest.raises(UnderstudyError, match="no series of a study fits"):
        readings(tmp_path / "in", series=("a=FLAIR",))


def test_a_channel_on_another_grid_is_resampled_and_told(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in", name="t1", SeriesDescription="T1")
    made.series(tmp_path / "in", name="t2", SeriesDescription="T2", slices=9, step=(0, 0, 1.5))
    _, (reading,) = readings(tmp_path / "in", series=("t1=T1", "t2=T2"))
    assert reading.image is not None and reading.image.shape == (2, 5, 6, 8)
    assert any("resampled" in remark for remark in reading.remarks)
    made.series(tmp_path / "in", name="t3", SeriesDescription="T3", FrameOfReferenceUID="1.2.3")
    with pytest.raises(UnderstudyError, match="do not share a frame of reference"):
        readings(tmp_path / "in", series=("t1=T1", "t3=T3"))
    _, (reading,) = readings(tmp_path / "in", series=("t1=T1", "t3=T3"), same_grid=True)
    assert reading.image is not None and np.array_equal(reading.image[0], reading.image[1])


def test_studies_that_do_not_fit_are_passed_over_on_request(tmp_path: Path, made: ModuleType) -> None:
    for n in range(3):
        own = {"PatientID": f"P{n}", "StudyInstanceUID": made.uid("study", n)}
        made.series(tmp_path / "in", name=f"s{n}", skip=(2,) if n == 1 else (), **own)
    with pytest.raises(
        UnderstudyError, match="1 of 3 studies do not fit .the first is study . of 3, in .*: 1 because slices"
    ):
        readings(tmp_path / "in")
    with pytest.raises(UnderstudyError, match=f"the first is study . of 3, .* .{tmp_path / 'in'}.*: 1 because"):
        readings(tmp_path / "in", name_files=True)
    found, _ = readings(tmp_path / "in", skip_unfit=True)
    assert len(found.items) == 2
    assert found.passed_over == {"studies that do not fit: slices are missing or lie at uneven distances": 1}


def test_what_is_no_image_is_counted(tmp_path: Path, made: ModuleType, studies: Path) -> None:
    made.file(studies / "report", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None)
    (studies / "notes.txt").write_text("hello")
    (studies / "again").symlink_to(studies)
    first = next(studies.glob("Jones3/*"))
    (studies / "Jones3" / "copy.dcm").write_bytes(first.read_bytes())
    own = {"PatientID": "P0", "StudyInstanceUID": made.uid("study", 0)}
    made.file(studies / "scout", SeriesInstanceUID="1.2.3.1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **own)
    made.file(studies / "screen", SeriesInstanceUID="1.2.3.2", ImagePositionPatient=None, **own)
    found = listing(studies, DicomOptions())
    assert found.passed_over == {
        "structured reports": 1,
        "slices of localizers (scouts)": 1,
        "pictures without a place in the body, beside volumes (screen captures, x-rays)": 1,
        "files that are no DICOM": 1,
        "links to folders, links that lead out of the folder or nowhere, pipes and devices": 1,
        "second copies of a file": 1,
    }


def test_only_other_kinds_are_refused_by_name(tmp_path: Path, made: ModuleType) -> None:
    made.file(tmp_path / "in" / "a", SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1", PixelData=None)
    with pytest.raises(UnderstudyError, match=r"it holds none; it holds 1 waveforms \(such as ECG\)"):
        listing(tmp_path / "in", DicomOptions())


@pytest.fixture
def xrays(tmp_path: Path, made: ModuleType) -> Path:
    """Six people with two x-rays each, and a table of diagnoses by PatientID."""
    rows = ["PatientID,ill,name"]
    for n in range(6):
        for view in range(2):
            picture = np.random.default_rng(2 * n + view).integers(0, 4096, (7, 9)).astype(np.uint16)
            made.file(tmp_path / "in" / f"{n}{view}.dcm", picture, **{
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR",
                "PhotometricInterpretation": "MONOCHROME1",
                "BitsStored": 12, "HighBit": 11, "ImagePositionPatient": None, "ImageOrientationPatient": None,
                "PatientID": f"P{n}", "StudyInstanceUID": made.uid("study", n), "SeriesInstanceUID": made.uid(n, view),
                "SOPInstanceUID": made.uid(n, view, "sop"),
            })  # fmt: skip
        rows.append(f"P{n},{n % 2},Meyer {n}")
    (tmp_path / "in" / "t.csv").write_text("\n".join([*rows, "P9,1,Nobody"]) + "\n")
    return tmp_path / "in"


def test_xrays_with_classes_of_a_table(bring: Bring, xrays: Path) -> None:
    found, all_read = readings(xrays, table="t.csv", match="patient", classes=("ill",))
    assert (len(found.items), found.dims, found.modality, found.classes) == (12, 2, "CR", ("ill",))
    assert found.passed_over == {"rows of the table that no image matches": 1}
    images = [reading.image[0] for reading in all_read if reading.image is not None]
    assert images[0].dtype == np.int16
    stored = np.random.default_rng(0).integers(0, 4096, (7, 9))
    assert sum(np.array_equal(image, 4095 - stored) for image in images) == 1
    assert any("MONOCHROME1" in remark for remark in all_read[0].remarks)
    cohort = bring(xrays, "dicom", table="t.csv", match="patient", classes=("ill",))
    assert len(cohort) == 12 and len(cohort.subjects()) == 6


def test_tables_that_do_not_fit(xrays: Path) -> None:
    with pytest.raises(UsageError, match="no column 'StudyInstanceUID'"):
        listing(xrays, DicomOptions(table="t.csv", match="study", classes=("ill",)))
    (xrays / "t.csv").write_text("PatientID,ill\nP1,0\nP1,1\n")
    with pytest.raises(UnderstudyError, match="row 3 of the table has no PatientID, or another row's"):
        listing(xrays, DicomOptions(table="t.csv", match="patient", classes=("ill",)))
    (xrays / "t.csv").write_text("PatientID,ill\nQ1,0\n")
    with pytest.raises(UnderstudyError, match="none of the 1 rows of the table matches one of the 12 cases"):
        listing(xrays, DicomOptions(table="t.csv", match="patient", classes=("ill",)))


def test_segmentations_are_label_maps(tmp_path: Path, annotated: ModuleType, made: ModuleType) -> None:
    grid = annotated.grid_of(annotated.affine_of(spacing=(1.5, 2, 3)), (8, 6, 5))
    images = annotated.series(grid)
    drawn = np.zeros((5, 6, 8), np.uint8)
    drawn[1:3, 2:4, 3:6], drawn[4, 0, 0] = 1, 2
    for k, image in enumerate(images):
        image.PixelData = np.full((6, 8), k, np.uint16).tobytes()
        image["PixelData"].VR = "OW"
        made.save(tmp_path / "in" / f"{9 - k}", image)
    annotated.seg(images, drawn, labels={1: "Tumour of Meyer", 2: "liver"}).save_as(tmp_path / "in" / "seg")
    found, (reading,) = readings(tmp_path / "in", labels="seg", label_scheme="0=background,5=LIVER")
    assert found.scheme is not None and found.scheme.names == ("background", "LIVER")
    assert reading.labels is not None and reading.image is not None
    assert np.argwhere(reading.labels).shape == (1, 3)
    place = tuple(np.argwhere(reading.labels)[0])
    assert reading.image[0][place] == 4
    found, (reading,) = readings(tmp_path / "in", labels="seg")
    assert found.scheme is not None and found.scheme.names == ("background", "class1", "class2")
    assert reading.labels is not None and np.bincount(reading.labels.ravel()).tolist() == [227, 1, 12]
    assert reading.stored_axes == "RAS"
    with pytest.raises(
        UnderstudyError, match="no structure set .RTSTRUCT. refers to its series .there are SEGs: --labels seg."
    ):
        readings(tmp_path / "in", labels="rtstruct")
    assert "segmentations (--labels takes them)" in readings(tmp_path / "in")[0].passed_over


@pytest.mark.parametrize(("options", "says"), [
    ({"series": ("a",)}, "NAME=PATTERN"),
    ({"series": ("a=(",)}, "not a regular expression"),
    ({"rule": "akbar"}, "akbar"),
])  # fmt: skip
def test_requests_that_cannot_be_right(tmp_path: Path, made: ModuleType, options: dict[str, Any], says: str) -> None:
    made.series(tmp_path / "in")
    with pytest.raises(UsageError, match=says):
        listing(tmp_path / "in", DicomOptions(**options))


@pytest.mark.parametrize("options", [
    {"series": ("a=b",), "channels": ("c",)}, {"table": "t"}, {"classes": ("c",)}, {"overlap": "last"},
])  # fmt: skip
def test_options_that_do_not_go_together(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give|leave"):
        DicomOptions(**options)


def test_files_are_named_on_request_only(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in" / "Meyer")
    file = made.file(tmp_path / "in" / "Meyer" / "cut")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UnderstudyError, match=r"file 1 of 6 \(in the order") as told:
        listing(tmp_path / "in", DicomOptions())
    assert "Meyer" not in str(told.value)
    with pytest.raises(UnderstudyError, match="Meyer/cut"):
        listing(tmp_path / "in", DicomOptions(name_files=True))


def test_messages_change_nothing_that_is_written(bring: Bring, studies: Path) -> None:
    one = bring(studies, "dicom", "one")
    two = bring(studies, "dicom", "two", name_files=True, show_descriptions=True)
    assert (one.path / "cohort.json").read_bytes() == (two.path / "cohort.json").read_bytes()


def test_many_files_take_linear_time_and_little_memory(tmp_path: Path, made: ModuleType) -> None:
    own = {"PatientID": "ID00000", "StudyInstanceUID": "1.2.3000", "SeriesInstanceUID": "1.3.3000"}
    place = {"SOPInstanceUID": "1.4.300000", "ImagePositionPatient": ["0", "0", "0000"]}
    plain = made.file(tmp_path / "plain", **own, **place).read_bytes()
    (tmp_path / "in").mkdir()
    for n, place in enumerate(np.random.default_rng(0).permutation(1000).tolist()):
        study, k = divmod(place, 50)
        content = plain.replace(b"ID00000", f"ID{study:05d}".encode()).replace(b"0\\0\\0000", f"0\\0\\{k:04d}".encode())
        for first in (2, 3):
            content = content.replace(f"1.{first}.3000".encode(), f"1.{first}.{3000 + study}".encode())
        content = content.replace(b"1.4.300000", f"1.4.{300000 + place}".encode())
        (tmp_path / "in" / f"{n:05d}").write_bytes(content)
    few, many = tmp_path / "few", tmp_path / "in"
    few.mkdir()
    for file in sorted(many.iterdir())[:250]:
        (few / file.name).hardlink_to(file)
    seconds = []
    for folder in (few, many):
        start = time.process_time()
        found = (
            listing(folder, DicomOptions(skip_unfit=True, subject="study")) if folder == many else survey(few, False)
        )
        seconds.append(time.process_time() - start)
    assert isinstance(found, Listing) and len(found.items) == 20 and seconds[1] < 10 * seconds[0]
    tracemalloc.start()
    for item in found.items[:3]:
        for reading in found.read(item):
            assert reading.size == (50, 6, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
