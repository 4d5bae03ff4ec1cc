"""Which image belongs to which label map, subject and split; what has no partner; what is counted as left out."""

import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.data import identity
from understudy.data.listing import Listing
from understudy.data.sources import SOURCES, matching
from understudy.data.sources import walk as walking
from understudy.data.sources.folder_options import FolderOptions
from understudy.data.sources.pairs import pairs

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]


def test_subject_from_a_pattern(bring: Bring) -> None:
    by_pattern = bring(subject=None, table=None, subject_pattern=r"^(Jones-\d+)_", out="pattern")
    by_column = bring(out="column")
    assert by_pattern.column("subject_id").tolist() == by_column.column("subject_id").tolist()
    assert len(by_pattern.subjects()) == 12


def test_one_institution_is_left_out_for_the_test(bring: Bring) -> None:
    cohort = bring(leave_out="kind = malignant", classes=("kind",))
    tested = cohort.column("split") == "test"
    assert tested.any() and np.array_equal(tested, cohort.column("kind=malignant") == "1")
    assert {len(cohort.rows(name)) > 0 for name in ("train", "validation", "control")} == {True}


def test_a_table_names_label_maps_and_a_selection(pictures: Path, bring: Bring) -> None:
    (pictures / "masks" / "Jones-0_0.png").rename(pictures / "masks" / "other.png")
    (pictures / "few.csv").write_text(
        "file,mask,subject\nJones-0_0.png,other.png,a\nJones-1_0.png,Jones-1_0.png,b\nJones-2_1.png,Jones-2_1.png,c\n"
    )
    cohort = bring(table="few.csv", label_column="mask", split="train=1")
    assert len(cohort) == 3
    assert cohort.preprocessing["files_passed_over_by_table"] == 21


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("folder", "says"),
    [("images", "names .Jones-3_1.png., and there is no such picture"), ("masks", "has no label map")],
)
def test_a_partner_is_missing(pictures: Path, refused: Refused, folder: str, says: str) -> None:
    (pictures / folder / "Jones-3_1.png").unlink()
    refused(says)


def test_an_image_without_mask_where_no_table_is(pictures: Path, refused: Refused) -> None:
    (pictures / "masks" / "Jones-3_1.png").unlink()
    refused(r"1 image\(s\) have no label map.*leave out --labels", table=None, subject=None, one_image_per_subject=True)


def test_two_pictures_of_one_name(pictures: Path, refused: Refused) -> None:
    Image.open(pictures / "images" / "Jones-3_1.png").save(pictures / "images" / "Jones-3_1.tif")
    refused("have one name but for the ending")


def test_leaving_out_what_is_not_there_or_no_column(refused: Refused) -> None:
    refused("no row of .* says kind=unknown: correct --leave-out", leave_out="kind=unknown")
    refused("has no column 'place'", leave_out="place=north")
    refused("a table is needed", table=None, leave_out="kind=a", subject=None, one_image_per_subject=True)


def test_no_subject_named_or_two_ways(refused: Refused) -> None:
    refused("found 0 of them", subject=None)
    refused("found 2 of them", one_image_per_subject=True)


def test_a_blank_subject(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_0.png,Jones-5", "Jones-5_0.png,")
    refused(r"the column .subject. of .* says no subject in 1 of 24 places \(a blank\)")


def test_a_pattern_that_is_none_or_finds_nothing(refused: Refused) -> None:
    refused("not a regular expression", subject=None, table=None, subject_pattern="(")
    refused("finds no subject in", subject=None, table=None, subject_pattern="Smith")


def test_a_row_that_names_no_such_picture(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_1.png", "Smith.png")
    refused("names 'Smith.png', and there is no such picture")


def listed(path: Path, **options: Any) -> Listing:
    return SOURCES["folder"].listing(path, FolderOptions(**options))


def test_what_is_passed_over_is_counted_by_reason(pictures: Path) -> None:
    (pictures / "few.csv").write_text("file,subject\nJones-0_0.png,a\n\nJones-1_0.png,b\n\n")
    for name in ("Thumbs.db", ".DS_Store", "notes.txt"):
        (pictures / "images" / name).write_text("")
    Image.new("1", (16, 12)).save(pictures / "masks" / "of nobody.png")
    found = listed(pictures, images="images", labels="masks", table="few.csv", subject="subject")
    assert found.passed_over == {
        "blank lines of the table": 2, "files that end in .db": 1, "files that end in .txt": 1, walking.HIDDEN: 1,
        "images that no row of the table names": 22, "label maps that no row of the table names": 23,
    }  # fmt: skip
    assert found.notes["files_passed_over_by_table"] == 22
    alone = listed(pictures, images="images", table="few.csv", subject="subject")
    assert alone.passed_over["images that no row of the table names"] == 22
    maps = listed(pictures, labels="masks", table="few.csv", subject="subject")
    assert maps.passed_over["label maps that no row of the table names"] == 23
    assert maps.notes["files_passed_over_by_table"] == 23


def test_one_folder_in_the_other_and_a_table_among_pictures(pictures: Path) -> None:
    (pictures / "images" / "masks").symlink_to(pictures / "masks")
    (pictures / "images" / "t.csv").write_bytes((pictures / "table.csv").read_bytes())
    given = {"images": "images", "labels": "images/masks", "table": "images/t.csv", "subject": "subject"}
    found = listed(pictures, **given)
    assert len(found.items) == 24 and found.passed_over == {}


def test_names_of_one_file_in_several_forms(pictures: Path) -> None:
    for folder in ("images", "masks"):
        file = pictures / folder / "Jones-5_0.png"
        file.rename(pictures / folder / unicodedata.normalize("NFD", "J\u00f6nes.png"))
    (pictures / "few.csv").write_text("file,subject\n./J\u00f6nes.png,a\n.//Jones-1_0.png,b\n")
    found = listed(pictures, images="images", labels="masks", table="few.csv", subject="subject")
    assert [item.name for item in found.items] == ["J\u00f6nes", "Jones-1_0"]
    assert all(file.exists() for item in found.items for file in item.files)


@pytest.mark.parametrize(("name", "says"), [
    ("JONES-5_1.PNG", "there is 'Jones-5_1.png', which differs in capitals only"),
    ("Jones-5_1", "there is 'Jones-5_1.png': write the ending too"),
    ("images/Jones-5_1.png", "names are paths below that folder"),
])  # fmt: skip
def test_a_name_that_is_nearly_there(pictures: Path, refused: Refused, name: str, says: str) -> None:
    rewrite(pictures / "table.csv", "Jones-5_1.png", name)
    refused(f"there is no such picture: .*{says}")


def test_label_maps_that_are_not_there_or_named_twice(pictures: Path, refused: Refused) -> None:
    rows = "file,mask,subject\nJones-0_0.png,{},a\nJones-1_0.png,Jones-1_0.png,b\n"
    given = {"table": "few.csv", "label_column": "mask"}
    for name, says in (
        ("", "fill it in, or remove the row"),
        ("JONES-1_0.png", "differs in capitals"),
        ("x\\y", "write /"),
    ):
        (pictures / "few.csv").write_text(rows.format(name))
        refused(says, **given)
    (pictures / "few.csv").write_text(rows.format("Jones-1_0.png"))
    found = listed(pictures, images="images", labels="masks", subject="subject", **given)
    assert found.remarks == {"label maps that several rows of the table name": 1}


def test_subjects_that_look_alike_are_told_and_kept(pictures: Path) -> None:
    rows = [f"Jones-{i}_0.png,{name}\n" for i, name in enumerate(("007", "7", "P1", "p1", "x"))]
    (pictures / "few.csv").write_text("file,subject\n" + "".join(rows))
    found = listed(pictures, images="images", table="few.csv", subject="subject")
    assert len({item.subject for item in found.items}) == 5 and found.remarks == {identity.ALIKE: 4}


@pytest.mark.parametrize("suffix", ["_mask", "-Seg"])
def test_a_suffix_of_all_label_maps(pictures: Path, refused: Refused, suffix: str) -> None:
    for file in (pictures / "masks").iterdir():
        file.rename(file.with_name(f"{file.stem}{suffix}.png"))
    plain = {"images": "images", "labels": "masks", "one_image_per_subject": True}
    found = listed(pictures, **plain)
    assert all(item.labels and item.labels.stem == f"{item.name}{suffix}" for item in found.items)
    assert found.remarks == {matching.BY_SUFFIX: 24} and listed(pictures, label_suffix=suffix, **plain).remarks == {}
    table = listed(pictures, images="images", labels="masks", table="table.csv", subject="subject")
    assert len(table.items) == 24 and table.remarks == {matching.BY_SUFFIX: 24}
    file = pictures / "masks" / f"Jones-0_0{suffix}.png"
    file.rename(file.with_name("Jones-0_0_roi.png"))
    refused("--label-suffix or, in a table, --label-column", table=None, subject=None, one_image_per_subject=True)


def test_images_and_label_maps_in_one_folder(pictures: Path, refused: Refused) -> None:
    for file in (pictures / "masks").iterdir():
        file.rename(pictures / "images" / f"{file.stem}_mask.png")
    plain = {"images": "images", "labels": "images", "subject_pattern": r"^Jones-\d+"}
    found = listed(pictures, label_suffix="_mask", **plain)
    assert len(found.items) == 24 and found.passed_over == {}
    assert all(item.images[0].stem == item.name for item in found.items)
    refused("are one folder", labels="images", label_suffix=None)


def volumes(root: Path, save: SaveNifti, names: dict[str, int]) -> Path:
    for name, value in names.items():
        save(root / name, np.full((6, 5, 4), value, np.int16))
    return root


def test_contrasts_in_files_of_their_own(tmp_path: Path, save_nifti: SaveNifti) -> None:
    names = {f"im/p{i}_{c:04d}.nii.gz": 10 * i + c for i in range(3) for c in range(2)}
    root = volumes(tmp_path, save_nifti, names | {f"se/p{i}.nii": 1 for i in range(3)})
    plain = {"images": "im", "one_image_per_subject": True}
    named = listed(root, contrasts=("second=_0001", "first=_0000"), **plain)
    assert named.channels == ("second", "first") and named.remarks == {}
    for i, item in enumerate(named.items):
        (reading,) = named.read(item)
        assert reading.image is not None and reading.image[:, 0, 0, 0].tolist() == [10 * i + 1, 10 * i]
    unasked = listed(root, labels="se", label_scheme="0=a,1=b", **plain)
    assert unasked.channels == ("channel0", "channel1") and unasked.remarks == {matching.BY_NUMBER: 3}
    assert [item.subject for item in unasked.items] == ["p0", "p1", "p2"]
    (root / "im" / "p1_0001.nii.gz").unlink()
    with pytest.raises(UnderstudyError, match="--contrasts NAME=_0000,NAME=_0001"):
        listed(root, labels="se", **plain)
    with pytest.raises(UnderstudyError, match="1 of 3 cases lack a contrast, the first is 'p1' without second"):
        listed(root, contrasts=("first=_0000", "second=_0001"), **plain)


def test_a_folder_a_patient_with_a_file_a_contrast(tmp_path: Path, save_nifti: SaveNifti) -> None:
    names = {f"pat{i}/{name}.nii": i for i in range(3) for name in ("t1", "flair", "seg", "localizer")}
    root = volumes(tmp_path, save_nifti, names)
    plain: dict[str, Any] = {
        "images": ".", "labels": ".", "contrasts": ("T1=t1", "FLAIR=flair"), "label_suffix": "seg",
        "one_image_per_subject": True, "label_scheme": "0=a,1=b,2=c",
    }  # fmt: skip
    found = listed(root, **plain)
    assert [item.name for item in found.items] == ["pat0", "pat1", "pat2"] and found.channels == ("T1", "FLAIR")
    assert found.passed_over == {"pictures that are of no contrast": 3}
    assert [item.labels and item.labels.name for item in found.items] == ["seg.nii"] * 3
    (root / "t.csv").write_text("file,who\npat0,a\npat2/t1.nii,b\n")
    by_table = listed(root, **plain | {"table": "t.csv", "subject": "who", "one_image_per_subject": False})
    assert [(item.name, item.subject) for item in by_table.items] == [("pat0", "a"), ("pat2", "b")]
    (root / "t.csv").write_text("file,who\npat0/t1.nii,a\npat0/flair.nii,b\n")
    with pytest.raises(UnderstudyError, match="rows 2 and 3 of .* name the same case 'pat0'"):
        listed(root, **plain | {"table": "t.csv", "subject": "who", "one_image_per_subject": False})


def test_a_contrast_of_several_channels(tmp_path: Path, save_nifti: SaveNifti) -> None:
    save_nifti(tmp_path / "p_a.nii", np.zeros((6, 5, 4, 2), np.int16))
    save_nifti(tmp_path / "p_b.nii", np.zeros((6, 5, 4), np.int16))
    with pytest.raises(UnderstudyError, match="has 2 channels, and a file of one contrast has one"):
        listed(tmp_path, images=".", contrasts=("A=_a", "B=_b"), one_image_per_subject=True)


def test_links_that_lead_nowhere_matter_where_they_are_read(pictures: Path, refused: Refused) -> None:
    (pictures / "images" / "Jones-5_1.png").unlink()
    (pictures / "images" / "Jones-5_1.png").symlink_to("gone")
    refused("lead nowhere, the first is .*Jones-5_1.png")
    (pictures / "few.csv").write_text("file,subject\nJones-1_0.png,b\n")
    assert len(listed(pictures, images="images", table="few.csv", subject="subject").items) == 1


def test_twenty_thousand_rows_by_any_option_are_linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matching alone: files are empty, and no header is read."""
    for folder in ("im", "se"):
        (tmp_path / folder).mkdir()
        for i in range(8000):
            (tmp_path / folder / f"{folder}{i}.png").write_bytes(b"")
    options = FolderOptions(images="im", labels="se", table="t.csv", label_column="mask", subject="who")

    def seconds(rows: int) -> float:
        lines = [f"im{i}.png,se{i}.png,{i // 10}\n" for i in range(rows)]
        (tmp_path / "t.csv").write_text("file,mask,who\n" + "".join(lines))
        start = time.process_time()
        assert len(pairs(tmp_path, options).items) == rows
        return time.process_time() - start

    few, many = seconds(1000), seconds(8000)
    assert many < 10 * few + 0.5  # a square would be 64 times


def test_suffixes_that_no_file_has(pictures: Path) -> None:
    plain: dict[str, Any] = {"images": "images", "labels": "masks", "one_image_per_subject": True}
    with pytest.raises(UnderstudyError, match="none of 24 label maps has a name that ends with '_mask'"):
        listed(pictures, label_suffix="_mask", **plain)
    with pytest.raises(UnderstudyError, match="none of 24 names ends with _0000, _0001, .* correct --contrasts"):
        listed(pictures, contrasts=("A=_0000", "B=_0001"), **plain)
