"""The contract of sources, over the menu: what is listed is what is read, twice the same; other options are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from understudy.data.sources import SOURCES

SaveNifti = Callable[..., Path]


def volume(seed: int, most: int = 900) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most, (12, 10, 6)).astype(np.int16)


def nnunet(root: Path, save: SaveNifti) -> tuple[Path, dict[str, Any]]:
    for case in range(2):
        for channel in range(2):
            save(root / "imagesTr" / f"case_{case}_{channel:04d}.nii.gz", volume(case * 2 + channel))
        save(root / "labelsTr" / f"case_{case}.nii.gz", volume(case, 2).astype(np.uint8))
    told = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "tumour": 1}, "numTraining": 2}
    (root / "dataset.json").write_text(json.dumps(told))
    return root, {"one_image_per_subject": True}


def msd(root: Path, save: SaveNifti) -> tuple[Path, dict[str, Any]]:
    for case in range(2):
        both = np.stack([volume(case), volume(case + 9)], -1)
        save(root / "imagesTr" / f"brain_{case}.nii.gz", both)
        save(root / "labelsTr" / f"brain_{case}.nii.gz", volume(case, 2).astype(np.uint8))
    pairs = [{"image": f"./imagesTr/brain_{i}.nii.gz", "label": f"./labelsTr/brain_{i}.nii.gz"} for i in range(2)]
    told = {"modality": {"0": "T1", "1": "T2"}, "labels": {"0": "background", "1": "tumour"}, "training": pairs}
    (root / "dataset.json").write_text(json.dumps(told))
    return root, {"subject_pattern": r"brain_\d+"}


def bids(root: Path, save: SaveNifti) -> tuple[Path, dict[str, Any]]:
    for i in range(2):
        for suffix in ("T1w", "FLAIR"):
            save(root / f"sub-0{i}" / "anat" / f"sub-0{i}_{suffix}.nii.gz", volume(i + len(suffix)))
        below = root / "derivatives" / "lesions" / f"sub-0{i}" / "anat"
        save(below / f"sub-0{i}_dseg.nii.gz", volume(i, 2).astype(np.uint8))
    (root / "derivatives" / "lesions" / "dseg.tsv").write_text("index\tname\n0\tbackground\n1\tlesion\n")
    return root, {}


def isles(root: Path, save: SaveNifti) -> tuple[Path, dict[str, Any]]:
    for i in range(2):
        for suffix, most in (("dwi", 900), ("adc", 900), ("FLAIR", 900), ("msk", 2)):
            save(root / f"sub-strokecase000{i}_ses-0001_{suffix}.nii.gz", volume(i, most))
    return root, {"channels": ("dwi", "adc", "flair")}


def chestxray14(root: Path, save: SaveNifti) -> tuple[Path, dict[str, Any]]:
    root.mkdir()
    for i in range(2):
        Image.fromarray(volume(i, 255)[..., 0].astype(np.uint8)).save(root / f"{i}.png")
    (root / "Data_Entry_2017.csv").write_text(
        "Image Index,Finding Labels,Patient ID\n0.png,No Finding,1\n1.png,Mass,2\n"
    )
    return root, {"size": (16,)}


LAYOUTS = {"nnunet": nnunet, "msd": msd, "bids": bids, "isles": isles, "chestxray14": chestxray14}
UNLABELLED = {"chestxray14"}


@pytest.fixture
def example(
    pictures: Path, tmp_path: Path, save_nifti: SaveNifti, made: ModuleType, annotated: ModuleType
) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Return a small folder in the layout of a source, and the options that it needs."""

    def go(source: str) -> tuple[Path, dict[str, Any]]:
        if source == "folder":
            return pictures, {"images": "images", "labels": "masks", "table": "table.csv", "subject": "subject"}
        if source == "dicom":
            for n in range(2):
                own = {"StudyInstanceUID": made.uid("study", n), "PatientID": f"P{n}"}
                annotated.study(tmp_path / "dicom" / str(n), made, n, **own)
            return tmp_path / "dicom", {"labels": "seg"}
        if source == "phantom":
            return Path(), {"subjects": 2, "slices": 3, "size": (16,)}
        if source in LAYOUTS:
            return LAYOUTS[source](tmp_path / source, save_nifti)
        random = np.random.default_rng(0)
        for case in ("BraTS20_Training_001", "BraTS20_Training_002"):
            for name, most in (("t1", 900), ("t2", 900), ("seg", 2)):
                volume = random.integers(0, most, (12, 10, 6)).astype(np.int16)
                save_nifti(tmp_path / "brats" / case / f"{case}_{name}.nii", volume)
        return tmp_path / "brats", {"dims": 3}

    return go


@pytest.mark.parametrize("name", list(SOURCES))
def test_what_is_listed_is_what_is_read(name: str, example: Callable[[str], tuple[Path, dict[str, Any]]]) -> None:
    entry, (path, given) = SOURCES[name], example(name)
    found = entry.listing(path, entry.options(**given))
    assert len({item.name for item in found.items}) == len(found.items) > 1
    assert all(item.subject and list(item.classes) == list(found.classes) for item in found.items)
    for item in found.items:
        first, second = list(found.read(item)), list(found.read(item))
        assert len(first) == len(second) > 0
        for one, other in zip(first, second, strict=True):
            assert one.image is not None and np.array_equal(one.image, other.image)
            assert len(one.image) == len(found.channels) and one.image.dtype == np.dtype(found.dtype)
            assert one.image.shape[1:] == one.size and len(one.size) == found.dims
            assert found.size is None or one.size == found.size
            if name in UNLABELLED:
                assert one.labels is None and found.scheme is None
                continue
            assert one.labels is not None and other.labels is not None and found.scheme is not None
            assert np.array_equal(one.labels, other.labels) and one.labels.shape == one.size
            assert one.labels.dtype == np.uint8 and int(one.labels.max()) < len(found.scheme)


@pytest.mark.parametrize("name", list(SOURCES))
def test_the_options_of_a_source_describe_themselves_and_no_other(name: str) -> None:
    fields = SOURCES[name].options.model_fields
    assert all(field.description and "\n" not in field.description for field in fields.values())
    assert SOURCES[name].example and all(f"import {name}" in line for line in SOURCES[name].example)
    foreign = {option for entry in SOURCES.values() for option in entry.options.model_fields} - set(fields)
    for option in [*sorted(foreign), "colour"]:
        with pytest.raises(ValidationError, match=f"{option}\n  Extra inputs are not permitted"):
            SOURCES[name].options.model_validate({option: "x"})
