"""The table of a DICOM folder: rows by patient, study, instance or file; no entry is quoted."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom.instance import read
from understudy.data.dicom.series import volumes
from understudy.data.dicom.study import Study, StudyCase
from understudy.data.dicom.table import NO_IMAGE, NO_ROW, Match, rows_of


@pytest.fixture
def cases(tmp_path: Path, made: ModuleType) -> list[StudyCase]:
    """Three pictures of three people."""
    out = []
    for n in range(3):
        own = {"PatientID": f"P{n}", "StudyInstanceUID": f"1.2.{n}", "SOPInstanceUID": f"1.3.{n}"}
        file = made.file(tmp_path / "a" / f"{n}.dcm", ImagePositionPatient=None, **own)
        (found,), _ = volumes([read(file, "it")])
        out.append(StudyCase(Study(f"study {n}", f"P{n}", f"1.2.{n}", (found,)), (found,)))
    return out


@pytest.mark.parametrize(("match", "column", "keys"), [
    ("patient", "PatientID", ("P2", "P0", "P9")), ("study", "StudyInstanceUID", ("1.2.2", "1.2.0", "1.9")),
    ("instance", "SOPInstanceUID", ("1.3.2", "1.3.0", "1")), ("file", "file", ("./a/2.dcm", "a//0.dcm", "a/3.dcm")),
])  # fmt: skip
def test_rows(tmp_path: Path, cases: list[StudyCase], match: Match, column: str, keys: tuple[str, ...]) -> None:
    (tmp_path / "t.csv").write_text(f"{column},ill\n" + "".join(f"{key},{n}\n" for n, key in enumerate(keys)) + "\n,\n")
    passed: Counter[str] = Counter()
    kept, rows = rows_of(cases, tmp_path, tmp_path / "t.csv", match, ("ill",), passed)
    assert [one.study.subject for one in kept] == ["P0", "P2"] and [row["ill"] for row in rows] == ["1", "0"]
    assert passed == {NO_ROW: 1, NO_IMAGE: 1}


@pytest.mark.parametrize(("text", "says"), [
    ("PatientID,ill\nP0,1\nP0,2\n", "row 3 of the table has no PatientID, or another row's"),
    ("PatientID,ill\n,1\n", "row 2 of the table"), ("Meyer,ill\nP0,1\n", "no column 'PatientID'"),
    ("PatientID,ill\nP0,1,Meyer\n", "more or fewer fields"), ("PatientID,ill\n", "no rows"),
    ("PatientID,bad\nP0,1\n", "'ill'"), ("P0,Meyer,Meyer\n", "no column"),
    ("PatientID;ill\nP0;1\n", "separated by semicolons"), ("PatientID\till\nP0\t1\n", "separated by tabs"),
    ("sep=;\nPatientID;ill\n", "begins with a line sep="), ("PatientID,ill,ill\nP0,1,1\n", "two columns of one name"),
    ("PatientID,ill\nMeyer,1\n", "none of the 1 rows"), ("PatientID,ill\nP0,\"1\n", "should be a CSV table"),
])  # fmt: skip
def test_refused(tmp_path: Path, cases: list[StudyCase], text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnderstudyError, match=says) as told:
        rows_of(cases, tmp_path, tmp_path / "t.csv", "patient", ("ill",), Counter())
    assert "Meyer" not in str(told.value) and "P0" not in str(told.value)


def test_no_table(tmp_path: Path, cases: list[StudyCase]) -> None:
    assert rows_of(cases, tmp_path, None, "file", (), Counter()) == (cases, [])
    with pytest.raises(UsageError, match="a table was expected"):
        rows_of(cases, tmp_path, tmp_path / "t.csv", "file", (), Counter())


def test_two_rows_for_one_case(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path, slices=2)
    (found,), _ = volumes([read(file, "it") for file in sorted(tmp_path.glob("*.dcm"))])
    (tmp_path / "t.csv").write_text("file,ill\nseries-000.dcm,1\nseries-001.dcm,0\n")
    with pytest.raises(UnderstudyError, match="2 rows of the table name the files of one case"):
        rows_of(
            [StudyCase(Study("s", "P", "1", (found,)), (found,))],
            tmp_path,
            tmp_path / "t.csv",
            "file",
            ("ill",),
            Counter(),
        )
