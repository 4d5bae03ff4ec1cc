"""import msd: pairs that dataset.json lists, channels in one file, paths that lead out."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.data.sources.msd import SHARED

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
PLAIN: dict[str, Any] = {"source": "msd", "one_image_per_subject": True, "split": "train=1"}


def tree(root: Path, save: SaveNifti, channels: int = 2, **more: Any) -> Path:
    """Three cases; channel c of case i is filled with 100 c + i."""
    for i in range(3):
        image = np.stack([np.full((6, 5, 4), 100 * c + i, np.int16) for c in range(channels)], -1)
        save(root / "imagesTr" / f"brain_{i}.nii.gz", image if channels > 1 else image[..., 0])
        save(root / "labelsTr" / f"brain_{i}.nii.gz", np.full((6, 5, 4), i, np.uint8))
    listed = [{"image": f"./imagesTr/brain_{i}.nii.gz", "label": f"./labelsTr/brain_{i}.nii.gz"} for i in range(3)]
    told = {
        "modality": {str(c): f"C{c}" for c in range(channels)}, "labels": {"0": "background", "1": "a", "2": "b"},
        "numTraining": 3, "numTest": 0, "training": listed, "test": [],
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(told | more))
    return root


def test_channels_of_one_file(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    cohort = bring(tree(tmp_path / "d", save_nifti), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["C0", "C1"]
    assert cohort.scheme is not None and cohort.scheme.names == ("background", "a", "b")
    assert sorted(np.asarray(cohort.images)[:, :, 0, 0, 0].tolist()) == [[0, 100], [1, 101], [2, 102]]


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_that_are_chosen(tmp_path: Path, bring: Bring, save_nifti: SaveNifti, channels: int) -> None:
    cohort = bring(tree(tmp_path / "d", save_nifti, channels), channels=("c1", "C0"), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["C1", "C0"]
    assert sorted(np.asarray(cohort.images)[:, :, 0, 0, 0].tolist()) == [[100, 0], [101, 1], [102, 2]]


def test_more_channels_than_are_read(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    refused("dataset.json has 6 channels, .* choose with --channels", tree(tmp_path / "d", save_nifti, 6), **PLAIN)


def test_volumes_of_one_channel_and_subjects_by_pattern(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    given = PLAIN | {"one_image_per_subject": False}
    cohort = bring(tree(tmp_path / "d", save_nifti, 1), subject_pattern=r"^brain_\d", **given)
    assert len(cohort.subjects()) == 3


def test_what_is_passed_over(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, test=["./imagesTs/brain_9.nii.gz"])
    for name in ("imagesTs/brain_9.nii.gz", "imagesTr/brain_8.nii.gz", "imagesTr/._brain_0.nii.gz"):
        save_nifti(root / name, np.zeros((6, 5, 4), np.int16))
    assert bring(root, **PLAIN).preprocessing["passed_over"] == {
        "hidden files and folders": 1,
        "pictures that dataset.json does not list": 1,
        "test images, which have no label maps": 1,
    }


@pytest.mark.parametrize(("training", "says"), [
    ([], "should list its cases under training"),
    ("x", "should list its cases under training"),
    (["./imagesTr/brain_0.nii.gz"], "should list its cases under training"),
    ([{"image": "./imagesTr/brain_0.nii.gz"}], "case 1 of .*, label should be the name of a file"),
    ([{"image": 7, "label": "a"}], "image should be the name of a file, and is '7'"),
    ([{"image": "/etc/passwd", "label": "a"}], "must be named by a relative path"),
    ([{"image": "../../x.nii", "label": "a"}], "without '..'"),
    ([{"image": "imagesTr\\brain_0.nii.gz", "label": "a"}], "write / in place of"),
    ([{"image": "./imagesTr/brain_7.nii.gz", "label": "a"}], "there is no such picture below"),
    ([{"image": "./imagesTr/brain_0.nii.gz", "label": "./labelsTr/brain_0.nii.gz"}] * 2, "lists the image .* twice"),
])  # fmt: skip
def test_lists_that_cannot_be(
    tmp_path: Path, refused: Refused, save_nifti: SaveNifti, training: Any, says: str
) -> None:
    refused(says, tree(tmp_path / "d", save_nifti, training=training), **PLAIN)


def test_what_does_not_fit(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    refused("must be said in one way", root, source="msd")
    refused("has 2 channel.s., and the data set says 1", tree(root, save_nifti, modality={"0": "T1"}), **PLAIN)
    tree(root, save_nifti)
    outside = save_nifti(tmp_path / "away.nii.gz", np.zeros((6, 5, 4, 2), np.int16))
    (root / "imagesTr" / "brain_1.nii.gz").unlink()
    os.symlink(outside, root / "imagesTr" / "brain_1.nii.gz")
    refused("leads out of", root, **PLAIN)
    (root / "imagesTr" / "brain_1.nii.gz").unlink()
    os.symlink("gone", root / "imagesTr" / "brain_1.nii.gz")
    refused("symbolic links that lead nowhere", root, **PLAIN)
    (root / "dataset.json").unlink()
    refused("has no file dataset.json", root, **PLAIN)


def test_one_label_map_of_several_cases_is_told(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    listed = [{"image": f"imagesTr/brain_{i}.nii.gz", "label": "labelsTr/brain_0.nii.gz"} for i in range(3)]
    cohort = bring(tree(tmp_path / "d", save_nifti, training=listed), **PLAIN)
    assert cohort.preprocessing["remarks"][SHARED] == 2
