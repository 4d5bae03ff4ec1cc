"""File names of BIDS: what they say, whose they are, and which file of a session is meant."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.sources.bids_names import (
    BidsName,
    fitting,
    meant,
    picked,
    refuse_other_run,
    sessions,
    shared_suffixes,
)


@pytest.mark.parametrize(("path", "case", "entities", "suffix"), [
    ("sub-01/anat/sub-01_T1w", "sub-01", set(), "T1w"),
    ("sub-01/ses-02/anat/sub-01_ses-02_acq-a_run-1_T1w", "sub-01/ses-02", {"acq-a", "run-1"}, "T1w"),
    ("sub-A9_desc-lesion_dseg", "sub-A9", {"desc-lesion"}, "dseg"),
    ("sub-01/func/sub-01_task-rest_bold", "sub-01", {"task-rest"}, "bold"),
])  # fmt: skip
def test_names(path: str, case: str, entities: set[str], suffix: str) -> None:
    name = BidsName.read(path)
    assert name is not None
    assert (name.case, name.entities, name.suffix) == (case, entities, suffix)
    assert name.datatype == (path.split("/")[-2] if "/" in path else "")


@pytest.mark.parametrize("path", ["sub-01_", "sub-01_ses-_T1w", "T1 w", "", "sub-01_acq_x_T1w-", "a" * 5000 + "-"])
def test_other_names(path: str) -> None:
    assert BidsName.read(path) is None


def test_what_an_option_names() -> None:
    assert meant("T1w", "--channels").suffix == "T1w"
    assert meant("ce-gd_T1w", "--channels").entities == {"ce-gd"}
    for wrong in ("sub-01_T1w", "", "T1w_", "ses-1_T1w", "T1 w"):
        with pytest.raises(UsageError, match="--channels names a suffix"):
            meant(wrong, "--channels")


def named(*paths: str) -> dict[str, Path]:
    return {path: Path(path) for path in paths}


def test_sessions() -> None:
    found, others = sessions(
        named("sub-1/anat/sub-1_T1w.nii", "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz", "logo.png", "T1w.nii")
    )
    assert {case: [str(file) for file in files.values()] for case, files in found.items()} == {
        "sub-1": ["sub-1/anat/sub-1_T1w.nii"], "sub-1/ses-a": ["sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz"]}  # fmt: skip
    assert others == 2
    with pytest.raises(UnderstudyError, match="lies in the folder of another subject, sub-2"):
        sessions(named("sub-2/anat/sub-1_T1w.nii"))
    with pytest.raises(UnderstudyError, match="have one name"):
        sessions(named("sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_T1w.nii.gz"))


def test_the_file_that_is_meant() -> None:
    files = sessions(named(*(f"sub-1/anat/sub-1_{end}.nii" for end in ("T1w", "ce-gd_T1w", "run-1_T2w", "run-2_T2w"))))[
        0
    ]["sub-1"]

    def find(text: str) -> str | None:
        found = picked(meant(text, ""), files, "--channels")
        return found and found.stem

    assert (find("T1w"), find("ce-gd_T1w"), find("run-2_T2w"), find("bold")) == (
        "sub-1_T1w", "sub-1_ce-gd_T1w", "sub-1_run-2_T2w", None)  # fmt: skip
    with pytest.raises(UnderstudyError, match=r"both T2w of one session: .* as in --channels run-[12]_T2w"):
        find("T2w")


def test_suffixes_of_all_sessions() -> None:
    paths = [f"sub-{i}/anat/sub-{i}_{end}.nii" for i in range(3) for end in ("T1w", "FLAIR", "desc-x_mask")]
    found, _ = sessions(named(*paths, "sub-1/anat/sub-1_T2w.nii", "sub-1/func/sub-1_bold.nii"))
    assert shared_suffixes(found) == ("FLAIR", "T1w")
    found, _ = sessions(named("sub-1/anat/sub-1_T2w.nii", "sub-2/anat/sub-2_T1w.nii"))
    with pytest.raises(UnderstudyError, match=r"in all 2 sessions: .*--channels; there are T1w .1., T2w .1."):
        shared_suffixes(found)


def test_pictures_that_fit() -> None:
    files = named("sub-1_desc-a_dseg.nii", "sub-1_dseg.tsv", "sub-1_T1w.nii", "dseg.tsv", "x/sub-2_dseg.nii.gz")
    assert fitting(meant("dseg", ""), files) == ["sub-1_desc-a_dseg.nii", "x/sub-2_dseg.nii.gz"]
    assert fitting(meant("desc-a_dseg", ""), files) == ["sub-1_desc-a_dseg.nii"]


def test_two_folders_of_one_name() -> None:
    files = sessions(named("sub-1/anat/sub-1_T1w.nii", "sub-1/perf/sub-1_T1w.nii"))[0]["sub-1"]
    with pytest.raises(UnderstudyError, match="have one name in two folders: move one elsewhere"):
        picked(meant("T1w", ""), files, "--channels")


@pytest.mark.parametrize(("images", "label", "fits"), [
    (["sub-1_run-1_T1w.nii"], "sub-1_run-1_dseg.nii", True),
    (["sub-1_run-1_T1w.nii"], "sub-1_run-2_dseg.nii.gz", False),
    (["sub-1_run-1_T1w.nii", "sub-1_run-2_FLAIR.nii"], "sub-1_run-2_dseg.nii", True),
    (["sub-1_T1w.nii"], "sub-1_run-2_dseg.nii", True),
    (["sub-1_space-orig_T1w.nii"], "sub-1_space-T1w_dseg.nii", True),
])  # fmt: skip
def test_a_label_map_of_another_run(images: list[str], label: str, fits: bool) -> None:
    if fits:
        refuse_other_run([Path(image) for image in images], Path(label))
        return
    with pytest.raises(UnderstudyError, match="is drawn on run-2, and the image taken is run-1"):
        refuse_other_run([Path(image) for image in images], Path(label))
