"""import isles: names say what a file is, FLAIR comes onto the grid of DWI, small lesions are left out and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.data.sources import SOURCES, isles
from understudy.data.sources.isles import IslesOptions

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
SIZE = (6, 5, 4)
GRID = np.diag([-2.0, -2.0, 2.0, 1.0])
FINE = np.diag([-1.0, -1.0, 4.0, 1.0])  # of FLAIR: finer in the plane, thicker across, beginning with the same corner
FINE[:3, 3] = (0.5, 0.5, 1.0)
PLAIN: dict[str, Any] = {"source": "isles", "split": "train=1"}


def archive(root: Path, save: SaveNifti, raw: str = "", flat: bool = False, cases: int = 3) -> Path:
    """Cases 1..n: DWI is 10 n, ADC 20 n, FLAIR runs from left to right, and the lesion of case n has n - 1 voxels."""
    for n in range(1, cases + 1):
        sub, name = f"sub-strokecase{n:04d}", f"sub-strokecase{n:04d}_ses-0001"
        at = {kind: root / raw / sub / "ses-0001" / kind for kind in ("dwi", "anat")}
        below = root / "derivatives" / sub / "ses-0001"
        if flat:
            at, below = dict.fromkeys(at, root), root
        save(at["dwi"] / f"{name}_dwi.nii.gz", np.full(SIZE, 10.0 * n), GRID)
        save(at["dwi"] / f"{name}_adc.nii.gz", np.full(SIZE, 20.0 * n), GRID)
        ramp = np.broadcast_to(np.arange(12.0)[:, None, None], (12, 10, 2))
        save(at["anat"] / f"{name}_FLAIR.nii.gz", np.ascontiguousarray(ramp), FINE)
        mask = np.zeros(SIZE)
        mask.flat[: n - 1] = 1
        save(below / f"{name}_msk.nii.gz", mask, GRID)
        (below / f"{name}_snp.txt").write_text("a snapshot")
    return root


@pytest.mark.parametrize("raw", ["", "rawdata", "flat"])
def test_cases_with_and_without_a_lesion(tmp_path: Path, bring: Bring, save_nifti: SaveNifti, raw: str) -> None:
    root = archive(tmp_path / "d", save_nifti, *(("", True) if raw == "flat" else (raw, False)))
    cohort = bring(root, **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["dwi", "adc"] and len(cohort.subjects()) == 3
    images, labels = np.asarray(cohort.images), np.asarray(cohort.labels)
    found = sorted((image[:, 0, 0, 0].tolist(), int(label.sum())) for image, label in zip(images, labels, strict=True))
    assert found == [([10, 20], 0), ([20, 40], 1), ([30, 60], 2)]
    assert cohort.scheme is not None and cohort.scheme.names == ("background", "lesion")
    assert cohort.preprocessing["passed_over"] == {isles.NOT_TAKEN: 3, "files that end in .txt": 3}
    assert "strokecase" not in str(cohort.preprocessing) + (cohort.path / "cases.csv").read_text()


def test_small_lesions_are_left_out_and_counted(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = archive(tmp_path / "d", save_nifti, cases=4)
    cohort = bring(root, minimum_lesion=2, **PLAIN)
    assert np.asarray(cohort.labels).sum() == 2 + 3 and len(cohort) == 2
    assert cohort.preprocessing["passed_over"][isles.SMALL] == 2


def test_flair_lies_on_the_grid_of_dwi(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    """A voxel of DWI covers two of FLAIR across: the ramp 0..11 becomes 0.5, 2.5 ... from patient right to left."""
    cohort = bring(archive(tmp_path / "d", save_nifti), channels=("flair", "DWI"), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["flair", "dwi"]
    image = np.asarray(cohort.images)[0]
    assert image.dtype == np.float32 and set(image[1].flat) <= {10, 20, 30}
    assert np.allclose(image[0], np.arange(0.5, 12, 2)[None, None, :])
    assert cohort.preprocessing["remarks"][isles.RESAMPLED] == 3 and cohort.preprocessing["files_read"] == 9


def test_flair_on_slices_of_another_plane(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = archive(tmp_path / "d", save_nifti)
    cohort = bring(root, channels=("dwi", "flair"), dims=2, plane="sagittal", **PLAIN)
    found = {int(cohort.column("slice_index")[n]): image[1] for n, image in enumerate(np.asarray(cohort.images))}
    assert sorted(found) == list(range(6)) and all(np.allclose(found[k], found[k].flat[0]) for k in found)
    assert sorted(float(image.flat[0]) for image in found.values()) == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]


def test_flair_that_lies_elsewhere_or_nowhere(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    root = archive(tmp_path / "d", save_nifti, flat=True)
    far = FINE.copy()
    far[0, 3] = 500
    save_nifti(root / "sub-strokecase0002_ses-0001_FLAIR.nii.gz", np.arange(240.0).reshape(12, 10, 2), far)
    refused("FLAIR.nii.gz lies elsewhere than .*_dwi.nii.gz", root, channels=("dwi", "flair"), **PLAIN)
    save_nifti(root / "sub-strokecase0002_ses-0001_FLAIR.nii.gz", np.zeros((12, 10)), FINE)
    refused("a volume of one channel that says so was expected", root, channels=("dwi", "flair"), **PLAIN)


def test_cases_that_lack_something_are_counted(tmp_path: Path, save_nifti: SaveNifti) -> None:
    root = archive(tmp_path / "d", save_nifti, flat=True, cases=4)
    (root / "sub-strokecase0001_ses-0001_adc.nii.gz").unlink()
    (root / "sub-strokecase0002_ses-0001_msk.nii.gz").unlink()
    save_nifti(root / "sub-strokecase0003_ses-0001_desc-b0_dwi.nii.gz", np.zeros(SIZE), GRID)
    found = SOURCES["isles"].listing(root, IslesOptions())
    assert [item.subject for item in found.items] == ["sub-strokecase0003", "sub-strokecase0004"]
    counts = (found.passed_over[why] for why in (isles.INCOMPLETE, isles.UNLABELLED, isles.NOT_TAKEN))
    assert tuple(counts) == (1, 1, 4 + 1)


def test_without_any_mask_images_alone(tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti) -> None:
    root = archive(tmp_path / "d", save_nifti, flat=True)
    for file in root.glob("*_msk.nii.gz"):
        file.unlink()
    cohort = bring(root, **PLAIN)
    assert cohort.labels is None and len(cohort) == 3
    refused("--minimum-lesion is about masks, and .* has none", root, minimum_lesion=5, **PLAIN)


def test_what_is_refused(tmp_path: Path, pictures: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    refused("holds no case of ISLES with dwi, adc", pictures, **PLAIN)
    root = archive(tmp_path / "d", save_nifti)
    refused("no lesion of 3 cases has 99 voxels", root, minimum_lesion=99, **PLAIN)
    for wrong in (("flair",), ("t1",), ("dwi", "DWI")):
        with pytest.raises(ValueError, match="channel"):
            IslesOptions(channels=wrong)
    own = root / "sub-strokecase0001" / "ses-0001"
    save_nifti(own / "dwi" / "sub-strokecase0001_ses-0001_adc.nii.gz", np.zeros((3, 3, 3)), GRID)
    refused("must have the same size", root, **PLAIN)
    save_nifti(own / "sub-strokecase0001_ses-0001_adc.nii.gz", np.zeros(SIZE), GRID)
    refused("are both the adc of one case", root, **PLAIN)
