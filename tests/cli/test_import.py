"""import: a sub-command a source, whose options are the source's own."""

import inspect
from pathlib import Path

import pytest
import typer
import yaml

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


def test_numbers_and_names_with_commas_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["import", "folder", str(tmp_path), "--out", str(tmp_path / "c"), "--images", "i", "--dry-run"]
    assert main([*line, "--size", "64,32", "--classes", "ill, grade", "--one-image-per-subject"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["size"], shown["classes"], shown["one_image_per_subject"]) == ([64, 32], ["ill", "grade"], True)
    assert main([*line, "--size", "large"]) == 2
    assert "--size" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", SOURCES)
def test_every_option_of_a_source_is_a_parameter(source: str) -> None:
    parameters = importing(source).__signature__.parameters  # type: ignore[attr-defined]
    assert parameters.keys() == SOURCES[source].options.model_fields.keys() | {"out", "dry_run"} | (
        {"path"} if SOURCES[source].needs_path else set()
    )


def test_what_is_typed_is_read_as_the_type(capsys: pytest.CaptureFixture[str]) -> None:
    line = "import folder D --images . --classes a,b --size 64,48 --dims 2 --one-image-per-subject --out x --dry-run"
    assert main(line.split()) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["path"], shown["images"]) == ("import folder", "D", ".")
    assert (shown["classes"], shown["size"], shown["dims"]) == (["a", "b"], [64, 48], 2)
    assert shown["one_image_per_subject"] is True and shown["fit"] == "resize" and shown["channels"] == []


@pytest.mark.parametrize(("line", "says"), [
    ("folder --out x", "Missing argument 'PATH'"),
    ("phantom P --out x", "unexpected extra argument"),
    ("phantom --table t --out x", "No such option: --table"),
    ("phantom --size 64x --out x --dry-run", "--size wants whole numbers"),
    ("folder D --fit squash --out x --dry-run", "the setting 'fit' of import folder"),
    ("phantom --dims 4 --out x --dry-run", "the setting 'dims' of import phantom"),
    ("scans D --out x", "there is no source 'scans': choose from folder, brats, dicom, phantom"),
])  # fmt: skip
def test_what_is_refused(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", *line.split()]) == 2
    assert says in capsys.readouterr().err
