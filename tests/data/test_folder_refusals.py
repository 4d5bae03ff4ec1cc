"""import folder: each thing that must be refused, in one sentence, with nothing left behind."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from understudy.core.cohort import Cohort
from understudy.data.sources.pairs import FolderOptions

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_missing_and_empty_folders(tmp_path: Path, refused: Refused) -> None:
    refused("there is none: correct the path", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused("is empty: there is nothing to import", tmp_path / "empty")
    refused("there is none: correct --images", images="imgs")


def test_a_folder_without_pictures(pictures: Path, refused: Refused) -> None:
    (pictures / "notes").mkdir()
    (pictures / "notes" / "readme.txt").write_text("nothing")
    refused("holds no picture", images="notes")


def test_no_images_and_no_labels_named(refused: Refused) -> None:
    refused("needs --images, --labels or both", images=None, labels=None)


@pytest.mark.parametrize(
    ("folder", "says"), [("images", r"1 label map\(s\) have no image"), ("masks", "has no label map")]
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


def test_image_and_mask_of_unlike_shape(pictures: Path, refused: Refused) -> None:
    Image.new("1", (15, 12)).save(pictures / "masks" / "Jones-5_0.png")
    refused("12 x 16 and its label map .* is 12 x 15: they must have the same size")


def test_pictures_of_unlike_sizes_without_a_size(pictures: Path, bring: Bring, refused: Refused) -> None:
    Image.new("RGB", (20, 20), 9).save(pictures / "images" / "Jones-5_0.png")
    Image.new("1", (20, 20)).save(pictures / "masks" / "Jones-5_0.png")
    refused("differ in size.*give --size")
    refused("cannot be padded to 14 x 18", size=(14, 18), fit="pad")
    assert bring(size=(8,)).size == (8, 8)


def test_images_of_unlike_channels(pictures: Path, refused: Refused) -> None:
    Image.new("L", (16, 12), 9).save(pictures / "images" / "Jones-5_0.png")
    refused(r"1 channel\(s\) and .* has 3")


def test_a_0_255_mask_without_scheme_names_the_option(pictures: Path, refused: Refused) -> None:
    for file in (pictures / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(file)).astype(np.uint8) * 255).save(file)
    refused("hold the values 0, 255, and what they mean is not said.*--label-scheme 0=background,255=class1")


def test_images_given_as_label_maps(refused: Refused) -> None:
    refused("channels that differ, and a label map has one channel", labels="images")


def test_a_label_outside_the_scheme(refused: Refused) -> None:
    refused(r"holds the values \[1\], which the label scheme", label_scheme="0=background,255=tumour")


@pytest.mark.parametrize("scheme", ["0:background", "0=a,0=b", "=a", ""])
def test_a_scheme_that_is_none(refused: Refused, scheme: str) -> None:
    if scheme:
        refused("label scheme", label_scheme=scheme)
    else:
        refused("--label-scheme and --label-column need --labels", labels=None, label_scheme="0=a")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_an_image(tmp_path: Path, refused: Refused, save_nifti: SaveNifti, bad: float) -> None:
    for i in range(4):
        array = np.ones((6, 5, 4), np.float32)
        array[1, 1, 1] = bad if i == 2 else 0
        save_nifti(tmp_path / "v" / f"{i}.nii", array)
    refused("2.nii holds 1 NaN or infinite", tmp_path / "v", images=".", one_image_per_subject=True, split="train=1")


def test_a_label_map_of_fractions(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    save_nifti(tmp_path / "v" / "0.nii", np.full((6, 5, 4), 0.5, np.float32))
    refused("not whole numbers", tmp_path / "v", labels=".", one_image_per_subject=True, split="train=1")


def test_image_and_label_map_in_different_places(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    moved = np.eye(4)
    moved[0, 3] = 5
    save_nifti(tmp_path / "v" / "a" / "0.nii", np.arange(120, dtype=np.int16).reshape(6, 5, 4))
    save_nifti(tmp_path / "v" / "b" / "0.nii", np.ones((6, 5, 4), np.uint8), moved)
    options = {
        "images": "a",
        "labels": "b",
        "one_image_per_subject": True,
        "split": "train=1",
        "label_scheme": "0=a,1=b",
    }
    refused("lies 5 mm away", tmp_path / "v", **options)


def test_pictures_and_volumes_together(pictures: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    save_nifti(pictures / "images" / "volume.nii", np.zeros((6, 5, 4), np.uint8))
    refused(
        "2D pictures and volumes", table=None, subject=None, labels=None, one_image_per_subject=True, channels=("a",)
    )


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9])
def test_a_truncated_png(pictures: Path, refused: Refused, cut: float) -> None:
    file = pictures / "images" / "Jones-5_0.png"
    content = file.read_bytes()
    file.write_bytes(content[: int(cut * len(content))])
    refused("cannot be read as one")


def test_text_called_png(pictures: Path, refused: Refused) -> None:
    (pictures / "images" / "Jones-5_0.png").write_text("this is no picture")
    refused(r"should be a PNG or JPEG image and cannot be read as one \(unknown content\)")
    (pictures / "masks" / "Jones-5_0.png").write_text("")
    refused("cannot be read as one")


@pytest.mark.parametrize("name", ["0.nii", "0.nii.gz"])
@pytest.mark.parametrize("cut", [0.0, 0.2, 0.9])
def test_a_truncated_nifti(tmp_path: Path, refused: Refused, save_nifti: SaveNifti, name: str, cut: float) -> None:
    random = np.random.default_rng(0)
    file = save_nifti(tmp_path / "v" / name, random.integers(0, 99, (16, 15, 14)).astype(np.int16))
    content = file.read_bytes()
    file.write_bytes(content[: int(cut * len(content))])
    refused("should be a NIfTI image", tmp_path / "v", images=".", one_image_per_subject=True, split="train=1")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "..", "a\\b.png"])
def test_path_traversal_in_the_table(pictures: Path, refused: Refused, name: str) -> None:
    Image.new("RGB", (16, 12)).save(pictures / "secret.png")
    rewrite(pictures / "table.csv", "Jones-5_0.png", name)
    refused("must be named by a relative path")


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_that_leaves_the_source(tmp_path: Path, pictures: Path, refused: Refused, folder: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.new("RGB", (16, 12)).save(outside / "secret.png")
    if folder:
        os.symlink(outside, pictures / "elsewhere")
        refused("leads out of", images="elsewhere")
    else:
        file = pictures / "images" / "Jones-5_0.png"
        file.unlink()
        os.symlink(outside / "secret.png", file)
        refused("leads out of .* through a symbolic link")


def test_a_subject_in_two_splits(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-0_0.png,Jones-0,Training", "Jones-0_0.png,Jones-0,test")
    refused(r"1 subject\(s\) lie in several", split_column="split")


def test_an_unknown_or_blank_published_split(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Training", "fold3")
    refused("names the split 'fold3', which is not known", split_column="split")
    rewrite(pictures / "table.csv", "fold3", "")
    refused("names the split '', which is not known", split_column="split")


def test_leaving_out_what_is_not_there_or_no_column(refused: Refused) -> None:
    refused("no row of .* says kind=unknown: correct --leave-out", leave_out="kind=unknown")
    refused("has no column 'place'", leave_out="place=north")
    refused("a table is needed", table=None, leave_out="kind=a", subject=None, one_image_per_subject=True)


@pytest.mark.parametrize(("settings", "says"), [
    ({"leave_out": "kind"}, "COLUMN=VALUE"), ({"leave_out": "=north"}, "COLUMN=VALUE"),
    ({"leave_out": "kind=a", "split_column": "split"}, "give one of them"),
])  # fmt: skip
def test_leaving_out_that_is_not_said_well(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FolderOptions(**settings)


def test_no_subject_named_or_two_ways(refused: Refused) -> None:
    refused("found 0 of them", subject=None)
    refused("found 2 of them", one_image_per_subject=True)


def test_a_blank_subject(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_0.png,Jones-5", "Jones-5_0.png,")
    refused("the table has no subject for Jones-5_0.png")


def test_a_pattern_that_is_none_or_finds_nothing(refused: Refused) -> None:
    refused("not a regular expression", subject=None, table=None, subject_pattern="(")
    refused("finds no subject in", subject=None, table=None, subject_pattern="Smith")


@pytest.mark.parametrize(("split", "says"), [
    ("train=0.5,validation=0.1,control=0.1,test=0.3", r"3 subject\(s\) are too few"),
    ("train=0.5", "must sum to 1"), ("train=0.5,exam=0.5", "--split names each of"),
    ("train=1,train=0", "--split names"),
    ("train=x", "--split names"), ("", "--split names"),
])  # fmt: skip
def test_splits_that_cannot_be(pictures: Path, refused: Refused, split: str, says: str) -> None:
    (pictures / "table.csv").write_text("file,subject\nJones-0_0.png,a\nJones-1_0.png,b\nJones-2_1.png,c\n")
    refused(says, split=split)


def test_unknown_columns_and_a_missing_table(refused: Refused) -> None:
    refused("has no column 'patient'; it has file, subject", subject="patient")
    refused("has no column 'tumour'", classes=("tumour",))
    refused("has no column 'fold'", split_column="fold")
    refused("a table was expected at", table="list.csv")
    refused("a table is needed", table=None, classes=("grade",), subject=None, one_image_per_subject=True)


def test_the_subject_as_a_class(refused: Refused) -> None:
    refused("a cohort holds no names", classes=("subject",))


def test_duplicate_rows(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_1.png", "Jones-5_0.png")
    refused("rows 12 and 13 of .* name the same file")


def test_a_row_that_names_no_such_picture(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_1.png", "Smith.png")
    refused("names 'Smith.png', and there is no such picture")


def test_settings_that_cannot_be() -> None:
    sizes = ({"size": (2,)}, {"size": (1, 2, 3, 4)})
    for wrong in (*sizes, {"channels": ("a", "a")}, {"fit": "squash"}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            FolderOptions.model_validate(wrong)
