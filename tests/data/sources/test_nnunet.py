"""import nnunet: channels in files of their own, both versions of dataset.json, the test split, what does not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.data.sources import nnunet
from understudy.data.sources.nnunet import UNLABELLED
from understudy.data.split import assigned

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
TOLD = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "tumour": 1}, "numTraining": 3}
PLAIN: dict[str, Any] = {"source": "nnunet", "one_image_per_subject": True, "split": "train=1"}


def tree(root: Path, save: SaveNifti, parts: tuple[str, ...] = ("Tr",), ending: str = ".nii.gz") -> Path:
    """Three cases a part; channel c of case i is filled with 100 c + i, and its label map has i + 1 voxels of 1."""
    for part in parts:
        for i in range(3):
            label = np.zeros((6, 5, 4), np.uint8)
            label.flat[: i + 1] = 1
            for c in range(2):
                image = np.full((6, 5, 4), 100 * c + i, np.int16)
                save(root / f"images{part}" / f"case{part}_{i}_{c:04d}{ending}", image)
            save(root / f"labels{part}" / f"case{part}_{i}{ending}", label)
    return say(root)


def say(root: Path, **more: Any) -> Path:
    (root / "dataset.json").write_text(json.dumps(TOLD | more))
    return root


def test_two_channels_and_the_scheme(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    cohort = bring(tree(tmp_path / "d", save_nifti), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["T1", "T2"]
    assert cohort.scheme is not None and cohort.scheme.to_text() == "0=background,1=tumour"
    found = sorted(
        (images[:, 0, 0, 0].tolist(), int(labels.sum())) for images, labels in zip(*pictures(cohort), strict=True)
    )
    assert found == [([0, 100], 1), ([1, 101], 2), ([2, 102], 3)]
    assert cohort.preprocessing.get("passed_over", {}) == {}


def pictures(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(cohort.images), np.asarray(cohort.labels)


def test_the_first_version(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    told = {"modality": {"0": "T1", "1": "T2"}, "labels": {"0": "background", "1": "tumour"}, "training": []}
    (root / "dataset.json").write_text(json.dumps(told))
    cohort = bring(root, **PLAIN)
    assert cohort.scheme is not None and cohort.scheme.names == ("background", "tumour")


def test_one_channel_is_chosen(tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    cohort = bring(root, channels=("t2",), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["T2"]
    assert sorted(pictures(cohort)[0][:, 0, 0, 0, 0].tolist()) == [100, 101, 102]
    refused("--channels names 'ADC', and dataset.json has T1, T2", root, channels=("ADC",), **PLAIN)


def test_a_test_split_with_label_maps_and_one_without(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, ("Tr", "Ts"))
    cohort = bring(root, **PLAIN)
    assert sorted(cohort.column("split").tolist()) == ["test"] * 3 + ["train"] * 3
    for file in (root / "labelsTs").iterdir():
        file.unlink()
    (root / "labelsTs").rmdir()
    cohort = bring(root, out="train", **PLAIN)
    assert len(cohort) == 3 and cohort.preprocessing["passed_over"] == {UNLABELLED: 6}


def test_pictures_in_two_dimensions_and_any_ending(tmp_path: Path, bring: Bring) -> None:
    root = tmp_path / "d"
    for i in range(3):
        for folder, name in (("imagesTr", f"c{i}_0000.PNG"), ("labelsTr", f"c{i}.png")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12) % 2 * (i + 1) // 2).save(
                root / folder / name
            )
    say(root, channel_names={"0": "grey"}, file_ending=".png")
    assert bring(root, **PLAIN).size == (10, 12)


def test_subjects_by_a_pattern(tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    given = PLAIN | {"one_image_per_subject": False}
    assert len(bring(root, subject_pattern="^case", **given).subjects()) == 1
    refused("must be said in one way", root, **given)


def test_what_dataset_json_says_otherwise_is_told(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = say(tree(tmp_path / "d", save_nifti), numTraining=5, labels={"background": 0, "tumour": 1, "ignore": 2})
    (root / "notes").mkdir()
    (root / "notes" / "p.png").write_bytes(b"")
    (root / "imagesTr" / "caseTr_0_0002.nii.gz").write_bytes(b"")
    (root / "imagesTr" / "caseTr_0.json").write_text("{}")
    cohort = bring(root, **PLAIN)
    remarks = cohort.preprocessing["remarks"]
    assert (remarks[nnunet.MISCOUNTED], remarks[nnunet.IGNORED]) == (2, 1)
    assert cohort.preprocessing["passed_over"] == {
        "files that end in .json": 1,
        "pictures outside imagesTr, labelsTr, imagesTs and labelsTs": 1,
        "pictures that are of no channel of dataset.json": 1,
    }


def test_what_is_refused(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    regions = {"background": 0, "whole": [1, 2]}
    refused("regions of several label values", say(root, labels=regions), **PLAIN)
    refused("holds the values", root, **PLAIN, label_scheme="0=background,7=whole")
    refused("names files under 'dataset'", say(root, dataset={"a": {}}), **PLAIN)
    refused("'c' of channel 2|lack a contrast", say(root, channel_names={"0": "a", "1": "b", "2": "c"}), **PLAIN)
    say(root)
    (root / "labelsTr" / "caseTr_1.nii.gz").unlink()
    refused(
        r"1 case\(s\) of imagesTr and labelsTr have an image or a label map only, the first is 'caseTr_1'",
        root,
        **PLAIN,
    )
    (root / "imagesTr" / "caseTr_1_0001.nii.gz").unlink()
    refused("1 of 3 cases lack a contrast, the first is 'caseTr_1' without channel 1", root, **PLAIN)
    for file in (root / "labelsTr").iterdir():
        file.unlink()
    (root / "labelsTr").rmdir()
    refused("has no folder imagesTr or none labelsTr", root, **PLAIN)


def test_a_subject_of_the_test_split_is_in_it_with_all_cases(tmp_path: Path, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, ("Tr", "Ts"))
    for name in ("labelsTs/caseTs_2.nii.gz", "imagesTs/caseTs_2_0000.nii.gz", "imagesTs/caseTs_2_0001.nii.gz"):
        (root / name).unlink()
    found = nnunet.listing(root, nnunet.DescribedOptions(subject_pattern=r"\d+$"))
    assert assigned(found.items, "train=0.8,test=0.2", 0) == {"0": "test", "1": "test", "2": "train"}


def test_a_channel_that_is_missing(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    (root / "imagesTr" / "caseTr_1_0001.nii.gz").unlink()
    refused("lack a contrast, .* without channel 1: .* out of dataset.json", path=root, **PLAIN)
