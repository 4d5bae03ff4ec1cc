"""import bids: sessions as cases, label maps of derivatives, classes of participants; what is left out is counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.data.sources import SOURCES
from understudy.data.sources import bids as source
from understudy.data.sources.bids import BidsOptions

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
PLAIN: dict[str, Any] = {"source": "bids", "split": "train=1"}


def tree(
    root: Path, save: SaveNifti, sessions: tuple[str, ...] = ("",), labels: str = "derivatives/lesions", n: int = 3
) -> Path:
    """A few subjects: T1w of subject i is filled with i, FLAIR with 100 + i, and i + 1 voxels are of the lesion."""
    for i in range(n):
        for session in sessions:
            below = f"sub-{i}/{f'ses-{session}/' if session else ''}anat"
            name = f"sub-{i}{f'_ses-{session}' if session else ''}"
            for c, suffix in enumerate(("T1w", "FLAIR")):
                save(root / below / f"{name}_{suffix}.nii.gz", np.full((6, 5, 4), 100 * c + i, np.int16))
                (root / below / f"{name}_{suffix}.json").write_text("{}")
            label = np.zeros((6, 5, 4), np.uint8)
            label.flat[: i + 1] = 1
            save(root / labels / below / f"{name}_dseg.nii.gz", label)
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\n" + "".join(f"sub-{i}\t{40 + i}\tF\n" for i in range(n))
    )
    (root / "README").write_text("A data set.")
    return root


def test_channels_labels_and_subjects(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    cohort = bring(tree(tmp_path / "d", save_nifti), channels=("T1w", "FLAIR"), **PLAIN)
    assert [c.name for c in cohort.encoding.channels] == ["T1w", "FLAIR"] and len(cohort.subjects()) == 3
    images, labels = np.asarray(cohort.images), np.asarray(cohort.labels)
    found = sorted((image[:, 0, 0, 0].tolist(), int(label.sum())) for image, label in zip(images, labels, strict=True))
    assert found == [([0, 100], 1), ([1, 101], 2), ([2, 102], 3)]
    assert cohort.preprocessing["passed_over"] == {"files of other kinds": 1, "files that end in .json": 6}
    assert cohort.preprocessing["remarks"][source.ONE_FOLDER] == 3


def test_without_channels_those_that_all_sessions_have(tmp_path: Path, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, ("pre", "post"))
    save_nifti(root / "sub-1" / "ses-pre" / "anat" / "sub-1_ses-pre_T2w.nii.gz", np.zeros((6, 5, 4), np.int16))
    found = SOURCES["bids"].listing(root, BidsOptions())
    assert found.channels == ("FLAIR", "T1w") and len(found.items) == 6
    assert {item.subject for item in found.items} == {"sub-0", "sub-1", "sub-2"}
    assert found.passed_over[source.NOT_ASKED] == 1


def test_names_of_values_and_classes(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, n=5)
    (root / "derivatives" / "lesions" / "dseg.tsv").write_text("index\tname\n1\tstroke\n")
    cohort = bring(root, channels=("T1w",), classes=("age", "sex"), **PLAIN)
    assert cohort.scheme is not None and cohort.scheme.to_text() == "0=background,1=stroke"
    assert cohort.classes == ("age", "sex=F") and sorted(cohort.column("age").tolist()) == [
        "40",
        "41",
        "42",
        "43",
        "44",
    ]
    told = bring(root, channels=("T1w",), label_scheme="0=a,1=b", out="told", **PLAIN)
    assert told.scheme is not None and told.scheme.to_text() == "0=a,1=b"


def test_a_derivative_with_label_maps_among_images(tmp_path: Path, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti, labels=".")
    (root / "dseg.tsv").write_text("index\tname\n0\tground\n1\tstroke\n")
    found = SOURCES["bids"].listing(root, BidsOptions(channels=("T1w",)))
    assert found.scheme is not None and found.scheme.names == ("ground", "stroke")
    assert found.passed_over[source.NOT_ASKED] == 3 and all(item.labels for item in found.items)


def test_images_alone(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    cohort = bring(root, channels=("T1w",), images_only=True, **PLAIN)
    assert cohort.labels is None and cohort.preprocessing["passed_over"][source.NOT_READ] == 1


def test_sessions_that_lack_something_are_counted(tmp_path: Path, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    (root / "sub-0" / "anat" / "sub-0_FLAIR.nii.gz").unlink()
    (root / "derivatives" / "lesions" / "sub-1" / "anat" / "sub-1_dseg.nii.gz").unlink()
    save_nifti(root / "derivatives" / "lesions" / "sub-9" / "anat" / "sub-9_dseg.nii.gz", np.zeros((6, 5, 4), np.uint8))
    save_nifti(root / "logo.nii", np.zeros((6, 5, 4), np.uint8))
    (root / "code").mkdir()
    found = SOURCES["bids"].listing(root, BidsOptions(channels=("T1w", "FLAIR")))
    assert [item.subject for item in found.items] == ["sub-2"]
    assert {reason: n for reason, n in found.passed_over.items() if not reason.startswith("files ")} == {
        source.INCOMPLETE: 1, source.UNLABELLED: 1, source.NO_IMAGE: 1, source.NO_NAME: 1, source.NOT_READ: 1,
    }  # fmt: skip


def test_files_that_are_not_fetched_matter_where_they_are_read(
    tmp_path: Path, refused: Refused, save_nifti: SaveNifti
) -> None:
    root = tree(tmp_path / "d", save_nifti)
    (root / "sub-0" / "anat" / "sub-0_T2w.nii.gz").symlink_to("not fetched")
    assert len(SOURCES["bids"].listing(root, BidsOptions(channels=("T1w",))).items) == 3
    (root / "sub-0" / "anat" / "sub-0_T1w.nii.gz").unlink()
    (root / "sub-0" / "anat" / "sub-0_T1w.nii.gz").symlink_to("not fetched")
    refused("symbolic links that lead nowhere, the first is .*sub-0_T1w", root, channels=("T1w",), **PLAIN)


def test_label_maps_of_several_kinds(tmp_path: Path, bring: Bring, refused: Refused, save_nifti: SaveNifti) -> None:
    root = tree(tmp_path / "d", save_nifti)
    given = PLAIN | {"channels": ("T1w",)}
    for i in range(3):
        name = f"sub-{i}_space-MNI_desc-brain_dseg.nii.gz"
        save_nifti(root / "derivatives" / "brains" / f"sub-{i}" / "anat" / name, np.ones((6, 5, 4), np.uint8))
    refused("several folders of derivatives .* --labels-in derivatives/brains", root, **given)
    assert len(bring(root, labels_in="derivatives/lesions", **given)) == 3
    cohort = bring(root, label_name="desc-brain_dseg", label_scheme="0=a,1=b", out="brains", **given)
    assert np.asarray(cohort.labels).all()
    refused("a folder was expected at .* correct --labels-in", root, labels_in="derivatives/none", **given)
    refused("holds no label map named ..._roi", root, labels_in="derivatives/lesions", label_name="roi", **given)
    assert "derivatives" not in str(BidsOptions(labels_in="derivatives/lesions").recorded())


def test_what_is_refused(tmp_path: Path, pictures: Path, refused: Refused, save_nifti: SaveNifti) -> None:
    refused("holds no picture of a BIDS data set", pictures, **PLAIN)
    root = tree(tmp_path / "d", save_nifti)
    refused("none of 3 sessions has bold and a label map", root, channels=("bold",), **PLAIN)
    refused("--images-only leaves label maps out", root, images_only=True, label_scheme="0=a,1=b", **PLAIN)
    refused("--rule akbar is for brats", root, rule="akbar", **PLAIN)
    refused("names one channel twice", root, channels=("T1w", "t1w"), **PLAIN)
    refused("--label-name names a suffix", root, label_name="sub-1_dseg", **PLAIN)
    for run in (1, 2):
        save_nifti(root / "sub-0" / "anat" / f"sub-0_run-{run}_PDw.nii.gz", np.zeros((6, 5, 4), np.int16))
    refused("are both PDw of one session", root, channels=("PDw",), **PLAIN)
    (root / "sub-1" / "anat" / "sub-1_T1w.nii.gz").rename(root / "sub-0" / "anat" / "sub-1_T1w.nii.gz")
    refused("lies in the folder of another subject, sub-0", root, channels=("T1w",), **PLAIN)
