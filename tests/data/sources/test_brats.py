"""import brats: the names of every year, which contrasts, which labels, whose visits, which slices."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.data.sources.brats import subject_of

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
RANDOM = np.random.default_rng(0)
YEARS = {
    "2015": ("brats_2013_pat{:04d}_1/{}.nii.gz", ("t1", "t1c", "t2", "flair"), (0, 1, 2, 3, 4)),
    "2017": ("Brats17_CBICA_AA{}_1/Brats17_CBICA_AA{}_1_{}.nii.gz", ("t1", "t1ce", "t2", "flair"), (0, 1, 2, 4)),
    "2020": ("BraTS20_Training_{:03d}/BraTS20_Training_{:03d}_{}.nii", ("t1", "t1ce", "t2", "flair"), (0, 1, 2, 4)),
    "2021": ("BraTS2021_{:05d}/BraTS2021_{:05d}_{}.nii.gz", ("t1", "t1ce", "t2", "flair"), (0, 1, 2, 4)),
    "2023": ("BraTS-GLI-{:05d}-000/BraTS-GLI-{:05d}-000-{}.nii.gz", ("t1n", "t1c", "t2w", "t2f"), (0, 1, 2, 3)),
    "flat": ("all/BraTS20_Training_{:03d}_{}.nii.gz", ("t1", "t1ce", "t2", "flair"), (0, 1, 2, 4)),
}


def tree(root: Path, year: str, save: SaveNifti, cases: int = 2, shape: tuple[int, ...] = (12, 10, 6)) -> Path:
    """A BraTS tree of a year: contrast c of case i is filled with 10 (c + 1) + i but for a dark voxel."""
    pattern, contrasts, values = YEARS[year]
    for i in range(cases):
        for c, contrast in enumerate((*contrasts, "seg")):
            array = np.full(shape, 10 * (c + 1) + i, np.int16)
            array[0, 0, 0] = 0
            if contrast == "seg":
                array = RANDOM.choice(values, shape).astype(np.uint8)
            numbers = [i] * (pattern.count("{") - 1)
            save(root / pattern.format(*numbers, contrast), array, np.diag([-1, -1, 1, 1]))
    return root


@pytest.mark.parametrize("year", YEARS)
def test_every_year(tmp_path: Path, bring: Bring, save_nifti: SaveNifti, year: str) -> None:
    root = tree(tmp_path / "brats", year, save_nifti)
    cohort = bring(root, "brats", dims=3, split="train=1")
    assert len(cohort) == len(cohort.subjects()) == 2
    assert [c.name for c in cohort.encoding.channels] == ["T1", "T1c", "T2", "FLAIR"]
    assert cohort.scheme is not None
    assert cohort.scheme.source_values == YEARS[year][2]
    assert cohort.scheme.names[-1] == "enhancing"
    assert (cohort.modality, cohort.size) == ("MR", (6, 10, 12))
    images = np.asarray(cohort.images)
    assert sorted(images[:, :, 0, 0, 1].tolist()) == [[10, 20, 30, 40], [11, 21, 31, 41]]
    assert set(np.unique(cohort.labels)) == set(range(len(YEARS[year][2])))


def test_one_patient_s_visits_are_one_subject(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    for visit in ("00001-000", "00001-001", "00002-000"):
        name = f"BraTS-GLI-{visit}"
        save_nifti(tmp_path / "brats" / name / f"{name}-t1n.nii.gz", np.arange(480, dtype=np.int16).reshape(12, 10, 4))
    cohort = bring(tmp_path / "brats", "brats", dims=3, split="train=0.5,test=0.5")
    assert (len(cohort), len(cohort.subjects()), cohort.scheme) == (3, 2, None)
    names = ("brats_tcia_pat101_0001", "Brats18_TCIA01_131_1", "BraTS20_Training_001")
    assert [subject_of(name) for name in names] == [
        "brats_tcia_pat101", "Brats18_TCIA01_131", "BraTS20_Training_001"]  # fmt: skip


def test_contrasts_that_all_have_and_those_named(
    tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti
) -> None:
    root = tree(tmp_path / "brats", "2020", save_nifti)
    (root / "BraTS20_Training_001" / "BraTS20_Training_001_t2.nii").unlink()
    common = bring(root, "brats", dims=3, split="train=1", out="common")
    assert [c.name for c in common.encoding.channels] == ["T1", "T1c", "FLAIR"]
    assert common.preprocessing["contrasts_not_in_every_case"] == ["T2"]
    named = bring(root, "brats", dims=3, split="train=1", channels=("flair", "t1"), out="named")
    assert [c.name for c in named.encoding.channels] == ["FLAIR", "T1"]
    refused("BraTS20_Training_001 has no t2", root, source="brats", channels=("t2",))
    refused("names 'adc', and the contrasts of BraTS are", root, source="brats", channels=("adc",))


def head(cases: int, root: Path, save: SaveNifti, contrasts: tuple[str, ...] = ("t1", "flair")) -> Path:
    """Volumes 240 x 240 x 5 whose slices 1, 2, 3 are bright enough for Akbar's rule, slices 0 and 4 are not."""
    for i in range(cases):
        for contrast in (*contrasts, "seg"):
            array = np.zeros((240, 240, 5), np.int16)
            array[50:170, 50:170, 1:4] = 1000 if contrast == "t1" else 700
            array[100, 100, 2] = 2000
            if contrast == "seg":
                array = (array == 2000).astype(np.uint8) * np.uint8(4)
            name = f"BraTS20_Training_{i:03d}"
            save(root / name / f"{name}_{contrast}.nii.gz", array, np.diag([-1, -1, 1, 1]))
    return root


def test_slices_by_akbar_s_rule(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    cohort = bring(head(2, tmp_path / "b", save_nifti), "brats", split="train=1")
    assert cohort.column("slice_index").tolist() == ["1", "2", "3"] * 2
    assert (cohort.size, cohort.encoding.dtype) == ((256, 256), "uint8")
    image = np.asarray(cohort.images)[1]
    assert image[0, 8 + 60, 8 + 60] == round(1000 / 2000 * 255)
    assert image[0, 8 + 100, 8 + 100] == 255
    assert not image[:, :8].any()
    assert np.asarray(cohort.labels)[1].sum() == np.asarray(cohort.labels)[1, 108, 108] == 3
    assert cohort.preprocessing["slices_judged_by"] == "T1"
    assert cohort.column("original_size")[0] == "240 240"


def test_without_t1_the_first_contrast_judges_and_the_manifest_says_so(
    tmp_path: Path, bring: Bring, save_nifti: SaveNifti
) -> None:
    cohort = bring(head(1, tmp_path / "b", save_nifti, ("flair", "t2")), "brats", split="train=1", size=(64,))
    assert cohort.preprocessing["slices_judged_by"] == "T2"
    assert (cohort.size, len(cohort)) == ((64, 64), 3)


def test_other_rules_keep_intensities(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = head(1, tmp_path / "b", save_nifti)
    tumour = bring(root, "brats", split="train=1", rule="tumour", size=(240,))
    assert tumour.column("slice_index").tolist() == ["2"]
    assert np.asarray(tumour.images).max() == 2000
    assert len(bring(root, "brats", split="train=1", rule="all", out="all")) == 5


def test_names_of_the_first_years(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    for i in range(2):
        for c, name in enumerate(("XX.O.MR_T1", "XX.O.MR_T1c", "XX.O.MR_T2", "XX.O.MR_Flair", "_3more.XX.O.OT")):
            stem = f"VSD.Brain.{name}.{540 + c}" if not name.startswith("_") else f"VSD.Brain{name}.{540 + c}"
            array = np.full((6, 5, 4), 4 if name.endswith("OT") else 10 * c, np.int16)
            array[0, 0, 0] = 0
            save_nifti(
                tmp_path / "b" / "HGG" / f"brats_2013_pat000{i}_1" / stem / f"{stem}.nii",
                array + np.int16(i) * (array > 9),
            )
    cohort = bring(tmp_path / "b", "brats", dims=3, split="train=1", channels=("T1c", "FLAIR"))
    assert cohort.scheme is not None and cohort.scheme.to_text().endswith("4=enhancing")
    assert sorted(np.asarray(cohort.images)[:, :, 1, 1, 1].tolist()) == [[10, 30], [11, 31]]
    assert (len(cohort.subjects()), int(np.asarray(cohort.labels).max())) == (2, 4)


def test_case_355_upper_case_and_what_is_left_out(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "brats", "2020", save_nifti, cases=3)
    first, second, third = (root / f"BraTS20_Training_{i:03d}" for i in range(3))
    (first / "BraTS20_Training_000_seg.nii").rename(first / "W39_1998.09.19_Segm.nii")
    for file in list(second.iterdir()):
        file.rename(file.with_name(file.name.upper()))
    for name in ("._BraTS20_Training_002_t1.nii", "notes.txt", "preview.png", "BraTS20_Training_002_adc.nii"):
        (third / name).write_bytes(b"")
    (root / "name_mapping.csv").write_text("Grade,id")
    (third / "BraTS20_Training_002_t2.nii").unlink()
    cohort = bring(root, "brats", dims=3, split="train=1")
    assert [c.name for c in cohort.encoding.channels] == ["T1", "T1c", "FLAIR"] and len(cohort) == 3
    assert cohort.preprocessing["passed_over"] == {
        "files that end in .csv": 1, "files that end in .txt": 1, "hidden files and folders": 1,
        "pictures that are no contrast of BraTS": 2, "volumes of contrasts that not every case has": 2,
    }  # fmt: skip


def test_links_in_a_brats_tree(tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "brats", "2020", save_nifti)
    (root / "store").mkdir()
    (root / "BraTS20_Training_001").rename(root / "store" / "BraTS20_Training_001")
    (root / "HGG").symlink_to(root / "store")
    given = {"source": "brats", "dims": 3, "split": "train=1"}
    refused("are one folder, through a symbolic link", root, **given)
    (root / "HGG").unlink()
    assert len(bring(root, **given)) == 2
    (root / "BraTS20_Training_000" / "BraTS20_Training_000_t1.nii").unlink()
    (root / "BraTS20_Training_000" / "BraTS20_Training_000_t1.nii").symlink_to("gone")
    refused("symbolic links that lead nowhere", root, **given)


# -- refusals --------------------------------------------------------------------------------------------------------


def test_what_brats_refuses(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    root = head(2, tmp_path / "b", save_nifti)
    first, second = (root / f"BraTS20_Training_{i:03d}" for i in range(2))
    refused("--rule akbar needs volumes scaled by their maximum", root, source="brats", intensity="percentile")
    one = {"source": "brats", "split": "train=1", "dims": 3}
    save_nifti(first / "BraTS20_Training_000_t1.nii", np.zeros((240, 240, 5), np.int16))
    refused("are the T1 of one case", root, **one)
    (first / "BraTS20_Training_000_t1.nii").unlink()
    (second / "BraTS20_Training_001_seg.nii.gz").unlink()
    refused("1 of 2 cases have no seg file, the first is BraTS20_Training_001", root, **one)
    save_nifti(second / "BraTS20_Training_001_seg.nii.gz", np.zeros((240, 240, 6), np.uint8))
    refused("they must have the same size", root, **one)
    save_nifti(second / "BraTS20_Training_001_seg.nii.gz", np.full((240, 240, 5), 9, np.uint8), np.diag([-1, -1, 1, 1]))
    refused(r"holds the values \[9\]", root, **one)


def test_a_folder_without_brats_cases(pictures: Path, refused: Refused) -> None:
    refused("holds no BraTS case", pictures, source="brats")


def test_volumes_with_negative_values_and_akbar_s_rule(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    save_nifti(tmp_path / "b" / "case1" / "t1.nii", np.arange(-99, 381, dtype=np.int16).reshape(12, 10, 4))
    refused("scaling by the maximum needs values from 0 up", tmp_path / "b", source="brats", split="train=1")


def test_a_rule_that_keeps_no_slice(tmp_path: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    save_nifti(tmp_path / "b" / "case1" / "t1.nii", np.arange(480, dtype=np.int16).reshape(12, 10, 4))
    refused("the rule akbar keeps none of the slices", tmp_path / "b", source="brats", split="train=1")
