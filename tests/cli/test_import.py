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
