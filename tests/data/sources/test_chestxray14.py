"""import chestxray14: findings as classes, the published test patients, parts of the archive, tables that are wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.data import formats
from understudy.data.formats.picture import OPAQUE
from understudy.data.sources import SOURCES
from understudy.data.sources import chestxray14 as source
from understudy.data.sources.case_files import GREY
from understudy.data.sources.chestxray14 import ChestXray14Options

Bring, Refused = Callable[..., Cohort], Callable[..., str]
PLAIN: dict[str, Any] = {"source": "chestxray14", "size": 8, "split": "train=0.5,validation=0.25,control=0.25"}
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
PATIENTS, EACH = 8, 2


def row(patient: int, visit: int, findings: str) -> str:
    return f"{patient:08d}_{visit:03d}.png,{findings},{visit},{patient},58,M,PA,2682,2749,0.143,0.143"


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """Eight patients with two x-rays each in two folders, the last two of them for testing; as NIH names all files."""
    root, rows, lists = tmp_path / "NIH", [HEADER], (["train_val_list.txt"], ["test_list.txt"])
    for patient in range(1, PATIENTS + 1):
        folder = root / f"images_{1 + patient % 2:03d}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for visit in range(EACH):
            findings = ("No Finding", "Hernia", "Effusion|Pleural_Thickening")[patient % 3]
            rows.append(row(patient, visit, findings))
            lists[int(patient > PATIENTS - 2)].append(f"{patient:08d}_{visit:03d}.png")
            grey = np.random.default_rng(patient).integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(grey).save(folder / f"{patient:08d}_{visit:03d}.png")
    (root / "Data_Entry_2017.csv").write_text("\n".join(rows) + "\n")
    for name, *names in lists:
        (root / name).write_text("\n".join(names) + ("\n" if name.startswith("test") else ""))
    (root / "BBox_List_2017.csv").write_text("Image Index,Finding Label\n")
    return root


def edited(root: Path, old: str, new: str, file: str = "Data_Entry_2017.csv") -> Path:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    return root


def test_findings_splits_and_pseudonyms(nih: Path, bring: Bring) -> None:
    cohort = bring(nih, **PLAIN)
    assert cohort.classes == source.FINDINGS and len(cohort) == PATIENTS * EACH and cohort.labels is None
    kinds = {
        "".join(cohort.column(finding)[n] for finding in source.FINDINGS): cohort.column("split")[n]
        for n in range(len(cohort))
    }
    assert set(kinds) == {"0" * 14, "0" * 13 + "1", "00100000000010"}
    splits = {split: int((cohort.column("split") == split).sum()) for split in cohort.column("split")}
    assert splits == {"train": 6, "validation": 4, "control": 2, "test": 4}
    assert cohort.preprocessing["passed_over"] == {"files that end in .csv": 1}
    assert (cohort.preprocessing["table"], cohort.preprocessing["split_by"]) == (
        "Data_Entry_2017.csv", "published lists",
    )  # fmt: skip
    assert "0000" not in "".join(cohort.column("subject_id")) and len(cohort.subjects()) == PATIENTS


def test_the_published_test_patients_are_those_of_the_list(nih: Path) -> None:
    found = SOURCES["chestxray14"].listing(nih, ChestXray14Options(size=(8,)))
    assert {item.subject for item in found.items if item.split == "test"} == {"patient-7", "patient-8"}
    own = SOURCES["chestxray14"].listing(nih, ChestXray14Options(size=(8,), own_split=True))
    assert {item.split for item in own.items} == {""} and own.notes["split_by"] == "fractions"


def test_chosen_findings_come_in_the_one_order(nih: Path, bring: Bring) -> None:
    cohort = bring(nih, classes=("Hernia", "Effusion"), **PLAIN)
    assert cohort.classes == ("Effusion", "Hernia")
    for wrong in (("Flu",), ("Hernia", "Hernia")):
        with pytest.raises(ValueError, match="findings are Atelectasis"):
            ChestXray14Options(classes=wrong)


def test_listing_opens_no_picture(nih: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a picture was opened")

    for name in ("header", "stored_image", "_reader"):
        monkeypatch.setattr(formats, name, opened)
    for file in nih.rglob("*.png"):
        file.write_bytes(b"")
    assert len(SOURCES["chestxray14"].listing(nih, ChestXray14Options(size=(8,))).items) == PATIENTS * EACH


def test_colour_that_is_grey(nih: Path, bring: Bring, refused: Refused) -> None:
    """As some files of the archive: grey in RGBA, and in a palette."""
    files = sorted(nih.rglob("*.png"))
    before = bring(nih, **PLAIN)
    with Image.open(files[0]) as grey, Image.open(files[1]) as other:
        grey.convert("RGBA").save(files[0])
        other.convert("P").save(files[1])
    after = bring(nih, out="colour", **PLAIN)
    assert np.array_equal(np.asarray(before.images), np.asarray(after.images))
    assert after.preprocessing["remarks"] == {GREY: 2, OPAQUE: 1}
    Image.new("RGB", (16, 16), (9, 8, 7)).save(files[2])
    refused("uint8 in 3 channel.*grey or with equal colours", nih, out="third", **PLAIN)
    Image.fromarray(np.full((16, 16), 900, np.uint16)).save(files[2])
    refused("uint16 in 1 channel", nih, out="third", **PLAIN)


def test_a_part_of_the_archive(nih: Path, bring: Bring, refused: Refused) -> None:
    for file in (nih / "images_001").rglob("*.png"):  # of patients 2, 4, 6, 8
        file.unlink()
    Image.new("L", (16, 16)).save(nih / "images_002" / "images" / "other.png")
    edited(nih, "00000001_001.png\n", "", "train_val_list.txt")
    cohort = bring(nih, **PLAIN)
    over = cohort.preprocessing["passed_over"]
    assert (over[source.MISSING], over[source.UNLISTED], over[source.IN_NO_LIST]) == (8, 1, 1) and len(cohort) == 7
    edited(nih, "00000007", "00000099", "test_list.txt")
    found = SOURCES["chestxray14"].listing(nih, ChestXray14Options(size=(8,)))
    assert found.remarks == {source.NO_TEST: 1} and len(found.items) == 5
    Image.new("L", (16, 16)).save(nih / "00000001_000.png")
    refused("00000001_000.png and .* have one name", nih, **PLAIN)
    for file in nih.rglob("0*.png"):
        file.unlink()
    refused("none of 16 pictures that .* names is to be imported: 1 pictures are there", nih, **PLAIN)


def test_the_newer_table_is_read_first(nih: Path, bring: Bring) -> None:
    newer = (nih / "Data_Entry_2017.csv").read_text().replace("Gender", "Sex").replace("y],\n", "y]\n")
    (nih / "Data_Entry_2017_v2020.csv").write_text(newer.replace("No Finding", "Mass"))
    cohort = bring(nih, **PLAIN)
    assert cohort.preprocessing["table"] == "Data_Entry_2017_v2020.csv" and "1" in cohort.column("Mass")


@pytest.mark.parametrize(("old", "new", "says"), [
    ("Finding Labels", "Labels", "has no column 'Finding Labels'"),
    ("Patient ID", "Patient", "has no column 'Patient ID'"),
    ("Image Index", "Image", "has no column 'Image Index'"),
    ("Hernia", "Hernia|Broken rib", "row 2 of .* has the findings 'Hernia|Broken rib'"),
    ("Hernia", "No Finding|Hernia", "or No Finding alone were expected"),
    ("Hernia", "Hernia|Hernia", "'Hernia|Hernia'"),
    ("Hernia", "", "has the findings ''"),
    ("00000002_001", "00000002_000", "rows 4 and 5 of .* name the same file"),
    ("00000002_001", "../00000002_001", "by a relative path below the folder of images"),
    ("0,2,58", "0,unknown,58", "says no subject in 1 of 16 places"),
    ("0,7,58", "0,1,58", "1 patient.s. of .* stand in test_list.txt and in train_val_list.txt"),
    ("0,7,58,M", "0,7,58,,M", "row 14 of .* has 12 fields"),
])  # fmt: skip
def test_tables_that_are_wrong(nih: Path, refused: Refused, old: str, new: str, says: str) -> None:
    refused(says, edited(nih, old, new), **PLAIN)


def test_lists_that_are_wrong(nih: Path, bring: Bring, refused: Refused) -> None:
    edited(nih, "00000007_000.png", "00000007_000.png\n00000001_000.png", "test_list.txt")
    refused("1 patient.s. of .* stand in test_list.txt", nih, **PLAIN)
    (nih / "test_list.txt").write_bytes(b"\xff\xfe0")
    refused("test_list.txt should be text with one file name a line", nih, **PLAIN)
    (nih / "test_list.txt").unlink()
    refused("one of the two published lists, and test_list.txt is not there", nih, **PLAIN)
    assert "test" not in bring(nih, own_split=True, **PLAIN).column("split")
    (nih / "train_val_list.txt").unlink()
    assert bring(nih, out="none", **PLAIN).preprocessing["split_by"] == "fractions"
    (nih / "Data_Entry_2017.csv").unlink()
    refused("a table was expected", nih, **PLAIN)
    refused("give --size", nih, **PLAIN | {"size": None})
