"""import: a sub-command a source, whose options are the source's own."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from PIL import Image

from understudy.cli.import_ import Sources, importing
from understudy.cli.main import main
from understudy.core.errors import UsageError
from understudy.data.sources import SOURCES


@pytest.mark.parametrize("source", list(SOURCES))
def test_each_option_of_a_source_is_one_of_its_command(source: str) -> None:
    parameters = inspect.signature(importing(source)).parameters
    fields = SOURCES[source].options.model_fields
    assert set(parameters) == {*fields, "out", "dry_run", *(["path"] if SOURCES[source].needs_path else [])}
    assert all(str(field.description) for field in fields.values())


def test_an_unknown_source_names_the_others() -> None:
    with pytest.raises(UsageError, match=f"no source 'xnat': choose from .*{list(SOURCES)[-1]}"):
        Sources(name="import").get_command(typer.Context(typer.main.get_command(typer.Typer(callback=len))), "xnat")


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Eight pictures and a table."""
    for number in range(8):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "t.csv").write_text("file,ill,grade\n" + "".join(f"{number}.png,1,{number}\n" for number in range(8)))
    return tmp_path


def test_a_dry_run_says_what_would_be_read_and_an_import_what_was(
    boxes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"import folder {boxes} --images . --one-image-per-subject --split train=1 --out {boxes / 'c'}"
    assert main([*line.split(), "--dry-run"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)["found"]
    assert (found["cases"], found["shapes"], found["files"]) == (8, {"8 x 8": 8}, {".png": 8})
    assert not (boxes / "c").exists()
    assert main(line.split()) == 0
    assert "read: 8 cases of 8 subjects from 8 files (train 8)" in capsys.readouterr().out


def test_numbers_and_names_with_commas_are_read(boxes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["import", "folder", str(boxes), "--out", str(boxes / "c"), "--images", ".", "--dry-run", "--table", "t.csv"]
    assert main([*line, "--size", "64,32", "--classes", "ill, grade", "--one-image-per-subject"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["size"], shown["classes"], shown["one_image_per_subject"]) == ([64, 32], ["ill", "grade"], True)
    assert main([*line, "--size", "large"]) == 2
    assert "--size" in capsys.readouterr().err
    assert len(list(boxes.iterdir())) == 9


@pytest.mark.parametrize("source", SOURCES)
def test_every_option_of_a_source_is_a_parameter(source: str) -> None:
    parameters = importing(source).__signature__.parameters  # type: ignore[attr-defined]
    assert parameters.keys() == SOURCES[source].options.model_fields.keys() | {"out", "dry_run"} | (
        {"path"} if SOURCES[source].needs_path else set()
    )


def test_what_is_typed_is_read_as_the_type(boxes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "--images . --table t.csv --classes ill,grade --size 64,48 --dims 2 --one-image-per-subject --out x --dry-run"
    )
    assert main(["import", "folder", str(boxes), *line.split()]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["path"], shown["images"]) == ("import folder", str(boxes), ".")
    assert (shown["classes"], shown["size"], shown["dims"]) == (["ill", "grade"], [64, 48], 2)
    assert shown["one_image_per_subject"] is True and shown["fit"] == "resize" and shown["channels"] == []


@pytest.mark.parametrize(("line", "says"), [
    ("folder --out x", "Missing argument 'PATH'"),
    ("phantom P --out x", "unexpected extra argument"),
    ("phantom --table t --out x", "No such option: --table"),
    ("phantom --size 64x --out x --dry-run", "--size wants whole numbers"),
    ("folder D --fit squash --out x --dry-run", "the setting 'fit' of import folder"),
    ("phantom --dims 4 --out x --dry-run", "the setting 'dims' of import phantom"),
    ("scans D --out x", "there is no source 'scans': choose from folder, dicom, brats, nnunet, msd, bids, isles, "),
])  # fmt: skip
def test_what_is_refused(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", *line.split()]) == 2
    assert says in capsys.readouterr().err
