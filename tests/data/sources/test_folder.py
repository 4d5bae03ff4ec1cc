"""import folder: what comes over, and everything that is refused in one sentence that leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]


def test_pixels_and_label_maps_are_those_of_the_files(pictures: Path, bring: Bring) -> None:
    cohort = bring(subject=None, table=None, one_image_per_subject=True, split="train=1")
    stored = {image.tobytes(): labels for image, labels in zip(cohort.images, cohort.labels, strict=True)}
    for file in (pictures / "images").iterdir():
        image = np.moveaxis(np.asarray(Image.open(file)), -1, 0)
        assert np.array_equal(stored[image.tobytes()], np.asarray(Image.open(pictures / "masks" / file.name)))
    assert len(cohort) == 24
    assert cohort.scheme is not None
    assert cohort.scheme.to_text() == "0=background,1=lesion"
    assert [(c.name, c.low, c.high) for c in cohort.encoding.channels] == [
        (n, 0, 255) for n in ("red", "green", "blue")
    ]


def test_images_alone_and_label_maps_alone(bring: Bring) -> None:
    images = bring(labels=None, out="images")
    assert images.labels is None
    assert images.label_source is None
    labels = bring(images=None, out="labels")
    assert labels.images is None
    assert labels.encoding.channels == ()
    assert len(labels) == len(images) == 24


def test_a_scheme_maps_values_and_names_them(pictures: Path, bring: Bring) -> None:
    for file in (pictures / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(file)).astype(np.uint8) * 255).save(file)
    cohort = bring(label_scheme="0=background,255=tumour")
    assert cohort.scheme is not None
    assert cohort.scheme.names == ("background", "tumour")
    assert np.unique(cohort.labels).tolist() == [0, 1]


def test_class_columns_numeric_text_and_missing(bring: Bring) -> None:
    cohort = bring(classes=("grade", "kind"))
    assert cohort.classes == ("grade", "kind=benign", "kind=malignant")
    matrix = cohort.class_matrix()
    assert np.isnan(matrix[:, 0]).sum() == 2
    assert set(matrix[:, 1]) == {0.0, 1.0}
    assert np.array_equal(matrix[:, 1] + matrix[:, 2], np.ones(24))


def test_a_published_split_is_taken(bring: Bring) -> None:
    cohort = bring(split_column="split")
    assert {name: len(cohort.rows(name)) for name in ("train", "validation", "control", "test")} == {
        "train": 8, "validation": 8, "control": 0, "test": 8}  # fmt: skip


def test_grey_stored_in_colour_becomes_one_channel_when_one_is_named(
    pictures: Path, bring: Bring, refused: Refused
) -> None:
    for file in (pictures / "images").iterdir():
        Image.open(file).convert("L").convert("RGB").save(file)
    assert bring(channels=("xray",)).encoding.image_channels == 1
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(
        pictures / "images" / "Jones-4_0.png"
    )
    refused("channels that differ, and --channels names one", channels=("xray",), out="again")


def test_nifti_volumes_keep_spacing_and_are_cut_on_demand(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    random, affine = np.random.default_rng(0), np.diag([1.5, 2.0, 3.0, 1.0])
    for i in range(4):
        save_nifti(tmp_path / "v" / "a" / f"{i}.nii.gz", random.integers(-900, 900, (6, 5, 4)).astype(np.int16), affine)
        save_nifti(tmp_path / "v" / "b" / f"{i}.nii", random.integers(0, 3, (6, 5, 4)).astype(np.uint8), affine)
    options = {"images": "a", "labels": "b", "one_image_per_subject": True}
    whole = bring(tmp_path / "v", out="whole", **options)
    assert whole.size == (4, 5, 6)
    assert whole.encoding.dtype == "int16"
    assert whole.spacing_mm(0) == (3.0, 2.0, 1.5)
    slices = bring(tmp_path / "v", out="slices", dims=2, **options)
    assert len(slices) == 16
    assert slices.column("slice_index").tolist() == ["0", "1", "2", "3"] * 4
    assert slices.spacing_mm(0) == (2.0, 1.5)
    assert np.array_equal(np.asarray(slices.labels).reshape(4, 4, 5, 6), whole.labels)


def test_brains_with_tissue_maps(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    """As of ADNI: skull-stripped T1, tissue maps as float by name, visits of one subject on one side of the split."""
    names = [f"{site:03d}_S_{n:04d}_{visit}" for n, site in enumerate((2, 2, 5, 9)) for visit in ("bl", "m12")]
    for k, name in enumerate(names):
        tissue = np.zeros((8, 8, 6), np.float32)
        tissue[2:6, 2:6, 1:5] = np.random.default_rng(k).integers(1, 4, (4, 4, 4))
        save_nifti(tmp_path / "adni" / "images" / f"{name}.nii.gz", np.where(tissue > 0, 100 * tissue + k, 0))
        save_nifti(tmp_path / "adni" / "labels" / f"{name}.nii.gz", tissue)
    cohort = bring(
        tmp_path / "adni",
        **{"images": "images", "labels": "labels", "subject_pattern": r"^\d{3}_S_\d{4}", "channels": ("T1",)},
        **{"label_scheme": "0=background,1=CSF,2=GM,3=WM", "size": (6, 4, 4), "split": "train=0.75,test=0.25"},
    )
    assert cohort.scheme is not None and cohort.scheme.names == ("background", "CSF", "GM", "WM")
    assert cohort.size == (6, 4, 4) and len(cohort) == 8 and len(cohort.subjects()) == 4
    assert (
        set(np.unique(cohort.labels)) == {0, 1, 2, 3} and sorted(cohort.column("split")) == ["test"] * 2 + ["train"] * 6
    )
    assert all(np.corrcoef(np.asarray(cohort.labels).ravel(), np.asarray(cohort.images).ravel())[0, 1:] > 0.8)


def test_values_without_a_gap_need_no_scheme(pictures: Path, bring: Bring) -> None:
    for file in (pictures / "masks").iterdir():
        Image.fromarray(np.random.default_rng(0).integers(0, 4, (12, 16)).astype(np.uint8)).save(file)
    cohort = bring()
    assert cohort.scheme is not None
    assert cohort.scheme.to_text() == "0=background,1=class1,2=class2,3=class3"


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


def test_images_given_as_label_maps(pictures: Path, refused: Refused) -> None:
    (pictures / "copies").mkdir()
    for file in (pictures / "images").iterdir():
        (pictures / "copies" / file.name).write_bytes(file.read_bytes())
    refused("channels that differ, and a label map has one channel", labels="copies")


def test_a_label_outside_the_scheme(refused: Refused) -> None:
    refused(r"holds the values \[1\], which the label scheme", label_scheme="0=background,255=tumour")


@pytest.mark.parametrize("scheme", ["0:background", "0=a,0=b", "=a", ""])
def test_a_scheme_that_is_none(refused: Refused, scheme: str) -> None:
    if scheme:
        refused("label scheme", label_scheme=scheme)
    else:
        refused("--label-scheme, --label-column and --label-suffix need --labels", labels=None, label_scheme="0=a")


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
    refused("lies 5 mm away .5 voxels", tmp_path / "v", **options)


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
    refused(r"should be a PNG, JPEG, BMP or WEBP image and cannot be read as one \(unknown content\)")
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


def test_a_subject_in_two_splits(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-0_0.png,Jones-0,Training", "Jones-0_0.png,Jones-0,test")
    refused(r"1 subject\(s\) lie in several", split_column="split")


def test_an_unknown_or_blank_published_split(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Training", "fold3")
    refused("names the split 'fold3', which is not known", split_column="split")
    rewrite(pictures / "table.csv", "fold3", "")
    refused("names the split '', which is not known", split_column="split")


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
    refused("a table was expected, and the table .*list.csv is not there", table="list.csv")
    refused("a table is needed", table=None, classes=("grade",), subject=None, one_image_per_subject=True)


def test_the_subject_as_a_class(refused: Refused) -> None:
    refused("a cohort holds no names", classes=("subject",))


def test_duplicate_rows(pictures: Path, refused: Refused) -> None:
    rewrite(pictures / "table.csv", "Jones-5_1.png", "Jones-5_0.png")
    refused("rows 12 and 13 of .* name the same file")
