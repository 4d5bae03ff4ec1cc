"""The documents: links and anchors lead somewhere, the site holds every page, commands and calls in them exist."""

import ast
import inspect
import operator
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml

import understudy
from understudy.api.settings import described, names, settings_of
from understudy.cli.main import app
from understudy.release.recipient import examples

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MADE = {"commands.md", "python.md", "reference.md"}  # by benchmarks/reference.py
WRITTEN = [page for page in PAGES if page.name not in MADE]
SITE = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
TOP: Any = typer.main.get_command(app)


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( {4,}|\t).*$", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in an address, on the site as on a forge."""
    titles = re.findall(r"^#+ (.*)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^()\s]+)\)", prose(page.read_text()))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
        inside = target.is_relative_to(DOCS) and target.is_file()
        assert inside or not page.is_relative_to(DOCS), f"{link} is no file of the site: name it without a link"


def entries(nav: list[Any]) -> Iterator[str]:
    """Every page that the navigation names."""
    for one in nav:
        value = one if isinstance(one, str) else next(iter(one.values()))
        if isinstance(value, str):
            yield value
        else:
            yield from entries(value)


def test_the_navigation_names_every_page_once() -> None:
    named = list(entries(SITE["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_site_is_told_to_load_nothing_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False and SITE["strict"] and "offline" in SITE["plugins"]
    assert "://" not in (REPOSITORY / "mkdocs.yml").read_text()
    assert all((DOCS / file).is_file() for file in SITE["extra"]["polyfills"])
    pins = [line for line in (DOCS / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", pin) for pin in pins), "every version is pinned"


def commands(text: str) -> Iterator[list[str]]:
    """The words of every ``understudy ...`` of a page: of blocks, and of what is said in passing."""
    whole = re.sub(r"\\\n\s*", " ", text)
    said = [line.partition(" # ")[0] for line in re.findall(r"^ {4,}understudy (.*)$", whole, re.MULTILINE)]
    said += re.findall(r"`understudy ([a-z][^`]*)`", whole.replace("\n", " "))
    yield from ([word for word in shlex.split(one) if word != "..."] for one in said)


def parsed(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The verb of a command and what its parser reads; an option that does not exist is an error."""
    command, verb = TOP, []
    context = TOP.make_context("understudy", [], resilient_parsing=True)
    while hasattr(command, "list_commands") and words:
        name, command, words = command.resolve_command(context, words)
        assert command is not None, f"no verb {name}"
        context = type(context)(command, parent=context, info_name=name)
        verb.append(name)
    return verb, {} if hasattr(command, "list_commands") else command.make_parser(context).parse_args(list(words))[0]


def settings_in(verb: list[str], given: dict[str, Any]) -> set[str] | None:
    """The settings that a command may change, None where they depend on its input."""
    kind = given.get("generator") if verb == ["train"] else verb[-1]
    known = {name for some in names().values() for name in some}
    task = {"classification": "classification", None: "segmentation"}.get(given.get("task"))
    if kind == "utility" and task in known:
        kind = task
    return {one.name for one in described(settings_of(kind))} if kind in known else None


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    for words in commands(page.read_text()):
        verb, given = parsed(words)
        known = settings_in(verb, given)
        for setting in given.get("settings") or ():
            assert known is None or setting.partition("=")[0] in known, f"{' '.join(words)}: no setting {setting}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_installs_what_is_called_understudy_elsewhere(page: Path) -> None:
    """PyPI has another project of this name; extras are for an environment that has this one, or of a file."""
    text = page.read_text()
    assert not re.search(r"pip3? install (-\S+ )*[\"']?understudy(?![\w.\[-])", text)
    assert not re.search(r"pip3? install -e", text), "who has the wheel has no folder of the source"


def calls(text: str) -> Iterator[ast.Call]:
    """Every call of a function of understudy in the Python of a page."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"`(us\.\w+\([^`]*\))`", text.replace("\n", " "))
    for block in blocks:
        for node in ast.walk(ast.parse(block.replace("=...", "=1"))):
            if isinstance(node, ast.Call) and re.fullmatch(r"us(\.\w+)+", ast.unparse(node.func)):
                yield node


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_the_calls_of_a_page_exist(page: Path) -> None:
    for call in calls(page.read_text()):
        function = operator.attrgetter(ast.unparse(call.func).removeprefix("us."))(understudy)
        named = {word.arg: None for word in call.keywords if word.arg}
        inspect.signature(function).bind_partial(*call.args, **named)


def test_the_lines_for_recipients_are_those_that_every_bundle_tells() -> None:
    """Which tests/release/test_loading.py runs."""
    told = re.findall(r"^```python\n(.*?)^```", (DOCS / "how-to" / "use-a-bundle.md").read_text(), re.M | re.S)
    channels = SimpleNamespace(channels=[SimpleNamespace(name="t1")])
    cohort: Any = SimpleNamespace(images=1, labels=1, classes=(), size=(64, 64), encoding=channels)
    code = examples(cohort, ["nifti"])
    titles = ("PyTorch", "MONAI, from the files", "TorchIO, from the files")
    made = [code[title].replace("BUNDLE", "bundle") for title in titles]
    assert told == made


def test_the_readme_is_short_and_names_the_page_of_its_numbers() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "docs/results/README.md" in text
