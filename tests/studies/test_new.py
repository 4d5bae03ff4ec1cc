"""A study for somebody's folder: what lies there is guessed from names, and every shipped study can be written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.studies.command_line import CommandLine
from understudy.studies.expand import expand
from understudy.studies.new import leaving_out, look, new_study, shipped
from understudy.studies.study import read_study

Lay = Callable[..., Path]


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Make a folder of files with these names."""

    def go(*names: str, **contents: str) -> Path:
        for name in [*names, *contents]:
            file = tmp_path / "data" / name.replace("__", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(contents.get(name, ""))
        return tmp_path / "data"

    return go


def test_images_label_maps_and_a_table(lay: Lay) -> None:
    table = "Filename,PatientID,age\n"
    found = look(lay("images/a.png", "images/b.png", "images256/a.png", "masks/a.png", list__csv=table))
    told = {"table": "list.csv", "subject": "PatientID", "file_column": "Filename"}
    assert found.options == {"images": "images", "labels": "masks", **told}
    assert found.unclear == ("images: which of images, images256?",)


def test_names_of_folders_stay_names(lay: Lay, tmp_path: Path, line: CommandLine) -> None:
    data = lay("no\n    import: [x]\nrth/a.png", "south/b.png", "b$a\u007e😀 label/a.png")
    data = data.rename(tmp_path / "d$a'\"#😀")
    text, layout = new_study("first", data, tmp_path)
    (tmp_path / "s.yaml").write_text(text)
    study = read_study(tmp_path / "s.yaml")
    assert study.data == str(data) and study.stages["cohort"].words == ("folder", "$data")
    cohort = next(stage for stage in expand(study, line) if stage.template == "cohort")
    assert "b$a\u007e😀 label" in cohort.arguments and str(data) in cohort.arguments


def test_volumes_stay_volumes(lay: Lay, tmp_path: Path, line: CommandLine) -> None:
    data = lay("images/a.nii.gz", "labels/a.nii.gz", list__csv="file,subject\n")
    (tmp_path / "s.yaml").write_text(new_study("frontier_volumes", data, tmp_path)[0])
    cohort = next(stage for stage in expand(read_study(tmp_path / "s.yaml"), line) if stage.template == "cohort")
    told = cohort.arguments
    assert told[told.index("--dims") + 1] == "3" and told[told.index("--subject") + 1] == "subject"
    assert "--one-image-per-subject" not in told
    assert "one_image_per_subject: true" in new_study("frontier_volumes", lay(list__csv="file\n"), tmp_path)[0]


def test_a_name_that_no_command_holds(lay: Lay, tmp_path: Path) -> None:
    data = lay("images/a.png", "mask\n1/a.png")
    with pytest.raises(UnderstudyError, match="without control characters"):
        new_study("first", data, tmp_path)


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "scan")
    with pytest.raises(UnderstudyError, match="nothing that can be imported"):
        look(tmp_path / "data")
    os.mkfifo(tmp_path / "data" / "dataset.json")
    with pytest.raises(UsageError, match="found a pipe"):
        look(tmp_path / "data")


def test_what_is_not_clear_is_said(lay: Lay) -> None:
    found = look(lay("north/a.png", "south/b.png"))
    assert found.options == {"images": "."}
    assert [remark.partition(":")[0] for remark in found.unclear] == ["images", "labels", "whose image is which"]
    assert look(lay("labels/a.nii.gz", "masks/a.nii.gz")).unclear[0].startswith("images: which of")


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (["Data_Entry_2017_v2020.csv", "images/0.png"], "chestxray14"),
        (["rawdata/sub-strokecase0001/ses-0001/dwi/x_dwi.nii.gz"], "isles"),
        (["dataset_description.json", "sub-1/anat/sub-1_T1w.nii.gz"], "bids"),
        (["BraTS20_001/BraTS20_001_flair.nii.gz"], "brats"),
        (["p1/t1c.nii.gz"], "brats"),
    ],
)
def test_known_layouts(lay: Lay, names: list[str], source: str) -> None:
    assert look(lay(*names)).source == source


def test_descriptions_and_dicom(lay: Lay) -> None:
    data = lay(dataset__json=json.dumps({"channel_names": {"0": "T1"}}))
    assert look(data).source == "nnunet"
    (data / "dataset.json").write_text(json.dumps({"modality": {"0": "MR"}}))
    assert look(data).source == "msd"
    (data / "dataset.json").write_text("{")
    with pytest.raises(UnderstudyError, match=r"dataset.json is no JSON"):
        look(data)
    (data / "dataset.json").unlink()
    (data / "IM0001").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert look(data).source == "dicom"
    (data / "IM0001").unlink()
    (data / "notes.txt").touch()
    with pytest.raises(UnderstudyError, match="nothing that can be imported was found"):
        look(data)


def test_every_shipped_study_is_one_for_any_folder(lay: Lay, tmp_path: Path, line: CommandLine) -> None:
    data = lay("images/a.png", "masks/a.png", list__csv="file,subject\n")
    for name in shipped():
        text, layout = new_study(name, data, tmp_path)
        (tmp_path / "s.yaml").write_text(text)
        study = read_study(tmp_path / "s.yaml")
        assert study.study == name
        assert study.title
        assert expand(study, line)
        if name == "few_labels":
            assert not layout.source and "imports are as they were" in layout.unclear[0]
        if name in ("first", "crossval", "low_data"):
            assert layout.source == "folder"
            assert study.data == str(data)
            assert study.stages["cohort"].options["labels"] == "masks"


def test_institutions_left_out_in_turn(lay: Lay, tmp_path: Path, line: CommandLine) -> None:
    rows = "".join(
        f"{i}.png,p{i},{site}\n" for i, site in enumerate(["North #1", "North #1", "South", "South", "East"])
    )
    data = lay("images/a.png", "masks/a.png", list__csv="file,subject,site\n" + rows)
    text, found = new_study("crossval", data, tmp_path)
    (tmp_path / "s.yaml").write_text(leaving_out(text, found, data, "site"))
    stages = expand(read_study(tmp_path / "s.yaml"), line)
    cohorts = [stage for stage in stages if stage.template == "cohort"]
    assert [stage.name for stage in cohorts] == ["cohort-North_1", "cohort-South"]
    assert "site=North #1" in cohorts[0].arguments
    with pytest.raises(UsageError, match="wants a study with folds"):
        leaving_out(new_study("first", data, tmp_path)[0], found, data, "site")
    (data / "list.csv").write_text("file,subject,site\n1.png,p1,North\n2.png,p2,North\n")
    with pytest.raises(UsageError, match="at least two values"):
        leaving_out(text, found, data, "site")


def test_names_that_are_no_study(lay: Lay, tmp_path: Path) -> None:
    for name in ("second", "../shipped/first", "", "First"):
        with pytest.raises(UsageError, match="no study is called"):
            new_study(name, lay("a.png"), tmp_path)
    with pytest.raises(UsageError, match="there is none: correct --data"):
        new_study("first", tmp_path / "absent", tmp_path)
