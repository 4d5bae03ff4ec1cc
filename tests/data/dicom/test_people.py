"""People: whose a study is; what is not known is nobody, and nobody is two people."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.instance import Instance, read
from understudy.data.dicom.people import ALIKE, SEVERAL, subjects


def instances(folder: Path, made: ModuleType, *people: dict[str, str]) -> list[Instance]:
    return [
        read(made.file(folder / f"f{n}" / "a.dcm", **{"StudyInstanceUID": made.uid(n), **person}), "it")
        for n, person in enumerate(people)
    ]


def test_one_person_whatever_the_form(tmp_path: Path, made: ModuleType) -> None:
    forms = ("\u00c5se", "A\u030ase", "\u00c5se  ", "B")
    found = [
        replace(one, subject=(form, "")) for one, form in zip(instances(tmp_path, made, *[{}] * 4), forms, strict=True)
    ]
    whose, told = subjects(found, "patient", tmp_path)
    assert len(set(whose.values())) == 2 and not told


def test_issuers_make_two_people_of_one_number(tmp_path: Path, made: ModuleType) -> None:
    here, there = {"PatientID": "7", "IssuerOfPatientID": "here"}, {"PatientID": "7", "IssuerOfPatientID": "there"}
    whose, _ = subjects(instances(tmp_path, made, here, there), "patient", tmp_path)
    assert len(set(whose.values())) == 2
    whose, _ = subjects(instances(tmp_path, made, here, there, {"PatientID": "7"}), "patient", tmp_path)
    assert len(set(whose.values())) == 1  # not known: one, so that no person is trained on and tested on


def test_what_looks_odd_is_told(tmp_path: Path, made: ModuleType) -> None:
    found = instances(
        tmp_path, made, {"PatientID": "007"}, {"PatientID": "7"}, {"PatientID": "7", "PatientName": "Else"}
    )
    whose, told = subjects(found, "patient", tmp_path)
    assert len(set(whose.values())) == 2 and told == {ALIKE: 2, SEVERAL: 1}


@pytest.mark.parametrize("name", ["", " ", "NA", "nan", "None", "ANONYMOUS", "anonymized", "000", "?", "-"])
def test_nobody(tmp_path: Path, made: ModuleType, name: str) -> None:
    found = instances(tmp_path, made, {"PatientID": name}, {"PatientID": "B"})
    with pytest.raises(UnderstudyError, match="1 of 2 studies have no PatientID"):
        subjects(found, "patient", tmp_path)
    assert len(set(subjects(found, "study", tmp_path)[0].values())) == 2
    assert set(subjects(found, "folder", tmp_path)[0].values()) == {"f0", "f1"}


def test_a_study_of_two_people(tmp_path: Path, made: ModuleType) -> None:
    found = instances(tmp_path, made, {"StudyInstanceUID": "1.2"}, {"StudyInstanceUID": "1.2", "PatientID": "B"})
    with pytest.raises(UnderstudyError, match="1 of 1 studies belong to more than one subject"):
        subjects(found, "patient", tmp_path)


def test_files_in_no_folder(tmp_path: Path, made: ModuleType) -> None:
    with pytest.raises(UnderstudyError, match="no folder of their own"):
        subjects([read(made.file(tmp_path / "a.dcm"), "it")], "folder", tmp_path)
