"""Which image belongs to which label map, subject and split, and what has no partner."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort

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
    ("folder", "says"), [("images", "names .Jones-3_1.png., and there is no such picture"), ("masks", "has no label map")]
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
