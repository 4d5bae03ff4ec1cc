"""import folder: what is read; what is refused stands in test_folder_refusals.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
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


def test_subject_from_a_pattern(bring: Bring) -> None:
    by_pattern = bring(subject=None, table=None, subject_pattern=r"^(Jones-\d+)_", out="pattern")
    by_column = bring(out="column")
    assert by_pattern.column("subject_id").tolist() == by_column.column("subject_id").tolist()
    assert len(by_pattern.subjects()) == 12


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


def test_values_without_a_gap_need_no_scheme(pictures: Path, bring: Bring) -> None:
    for file in (pictures / "masks").iterdir():
        Image.fromarray(np.random.default_rng(0).integers(0, 4, (12, 16)).astype(np.uint8)).save(file)
    cohort = bring()
    assert cohort.scheme is not None
    assert cohort.scheme.to_text() == "0=background,1=class1,2=class2,3=class3"
