"""Survey: every file below a folder is an image, an annotation, or counted."""

import os
from pathlib import Path
from types import ModuleType

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.survey import LINKS, NO_DICOM, survey


def test_kinds_are_counted(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in" / "b", slices=3)
    made.file(tmp_path / "in" / "seg", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    made.file(tmp_path / "in" / "report", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None)
    made.file(tmp_path / "in" / "bare", PixelData=None, SeriesInstanceUID="1.2.3")
    (tmp_path / "in" / "notes").write_text("hello")
    (tmp_path / "in" / "t.csv").write_text("hello")
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    found = survey(tmp_path / "in", False, tmp_path / "in" / "t.csv")
    assert (len(found.images), len(found.annotations)) == (3, 1)
    assert found.passed_over == {"structured reports": 1, "DICOM files without pixels": 1, NO_DICOM: 1, LINKS: 1}
    assert found.images[0].where == "file 1 of 8 (in the order of their paths; --name-files says which)" or (
        found.images[0].where.startswith("file ")
    )


def test_a_slice_cut_before_its_pixels_is_no_file_to_pass_over(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=3)
    last = sorted(tmp_path.iterdir())[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: whole.index(b"\xe0\x7f\x10\x00")])
    with pytest.raises(UnderstudyError, match="file 3 of 3 .*it has no pixels, and other files of its series have"):
        survey(tmp_path, False)


def test_a_media_directory_is_known_by_its_file_meta_information(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=2)
    directory = made.dataset(PixelData=None)
    del directory.SOPClassUID, directory.SOPInstanceUID
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    made.save(tmp_path / "DICOMDIR", directory)
    assert survey(tmp_path, False).passed_over == {"media directories (DICOMDIR)": 1}


def test_a_link_to_a_file_inside_is_read_once_more(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in", slices=2)
    (tmp_path / "in" / "z").symlink_to(tmp_path / "in" / "series-000.dcm")
    assert len(survey(tmp_path / "in", False).images) == 3


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    with pytest.raises(UnderstudyError, match="it holds none; it holds 1 files that are no DICOM"):
        survey(tmp_path, False)


def test_what_cannot_be_opened_is_refused_and_not_left_out(
    tmp_path: Path, made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.series(tmp_path / "Meyer", slices=2)
    real = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("Meyer"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    def locked(self: Path, *told: object) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", closed)
        with pytest.raises(UnderstudyError, match="cannot be opened") as of_folder:
            survey(tmp_path, False)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", locked)
        with pytest.raises(UnderstudyError, match="file 1 of 2") as of_file:
            survey(tmp_path, False)
    assert "Meyer" not in str(of_folder.value) + str(of_file.value)
