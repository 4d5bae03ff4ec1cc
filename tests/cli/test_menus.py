"""A new entry of a menu is everywhere without further change: in help, in settings, in messages; three files in all."""

import importlib.util
import re
from collections import UserDict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import Field

import understudy
from understudy.cli.main import main
from understudy.data.listing import Item, Listing, Reading, Source
from understudy.data.options import FileOptions
from understudy.data.sources import SOURCES
from understudy.evaluation import METRICS
from understudy.generators import GENERATORS
from understudy.release.formats import FORMS
from understudy.training.settings import GeneratorConfig

PACKAGE, TESTS = Path(understudy.__file__).parent, Path(__file__).resolve().parents[1]


class ToyConfig(GeneratorConfig):
    wheels: int = Field(3, gt=0, description="wheels that a toy runs on")


class ToyOptions(FileOptions):
    colour: str | None = Field(None, description="of the toys to take")


def listing(path: Path, options: ToyOptions) -> Listing:
    items = [Item(name, name) for name in ("ball", "doll")]
    read = lambda item: [Reading(np.full((1, 8, 8), len(item.name), np.uint8), None)]  # noqa: E731
    return Listing(items, read, ("toy",), "uint8", (8, 8), 2, None)


TOYS: list[tuple[Any, Any]] = [
    (GENERATORS, SimpleNamespace(Config=ToyConfig, PRESETS={"demo": {"wheels": 4}})),
    (METRICS, replace(METRICS["kid"], quantities=(replace(METRICS["kid"].quantities[0], name="toy"),))),
    (SOURCES, Source("toys in a box", listing, ToyOptions, ("understudy import toy BOX --out toys",))),
    (FORMS, SimpleNamespace()),
]


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for menu, toy in TOYS:
        monkeypatch.setitem(menu.data if isinstance(menu, UserDict) else menu, "toy", toy)


def shown(line: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    capsys.readouterr()
    assert main(line.split()) == code
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("line", [
    "train --help", "evaluate fidelity --help", "import --help", "import toy --help", "release --help", "settings",
])  # fmt: skip
def test_help_names_it(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"\btoy\b", shown(line, capsys))


def test_its_own_options_and_settings_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lid").touch()
    page = shown("import toy --help", capsys)
    assert "--colour TEXT" in page and "Of the toys to take." in page and "import toy BOX --out toys" in page
    page = shown("settings toy", capsys)
    assert "wheels that a toy runs on" in page and "preset demo: wheels=4" in page
    assert "colour: red" in shown(f"import toy {tmp_path} --colour red --split train=1 --out toys --dry-run", capsys)


@pytest.mark.parametrize(("line", "says"), [
    ("train nope cohort --out run --dry-run", "there is no generator 'nope': choose from progan, .*, toy"),
    ("import nope --out cohort", "there is no source 'nope': choose from folder, .*, toy"),
    ("settings nope", "choose from progan, .* toy, folder"),
    ("train toy cohort --preset demo --set doors=1 --out run --dry-run", "toy has no setting 'doors': .*, wheels"),
])  # fmt: skip
def test_messages_name_it(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(says, shown(line, capsys, 2))


@pytest.mark.parametrize("file", ["generators/test_contract.py", "evaluation/test_menu.py"])
def test_contract_tests_run_over_it(file: str) -> None:
    spec = importlib.util.spec_from_file_location("contract", TESTS / file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marks = [mark for test in vars(module).values() for mark in getattr(test, "pytestmark", ()) if len(mark.args) > 1]
    assert any("toy" in mark.args[1] for mark in marks if mark.args[0] == "name")


@pytest.mark.parametrize(("name", "menu"), [
    ("stylegan1", "generators"), ("spade", "generators"), ("cyclegan", "generators"), ("brats", "data/sources"),
    ("inception_score", "evaluation"),
])  # fmt: skip
def test_an_entry_is_named_in_its_own_file_and_in_the_menu_alone(name: str, menu: str) -> None:
    """With a line in CHANGELOG.md these are the three files that a newcomer touches."""
    pattern = re.compile(rf"""["']{name}["']|^    {name}=|\b{name}=\"""", re.MULTILINE)
    files = {file for file in PACKAGE.rglob("*.py") if pattern.search(file.read_text())}
    assert PACKAGE / menu / "__init__.py" in files
    assert [file.stem for file in files - {PACKAGE / menu / "__init__.py"}] == [name]
