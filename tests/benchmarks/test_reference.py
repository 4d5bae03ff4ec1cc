"""The reference pages are what menus, help and docstrings say today."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("which", "page", "titles"),
    [
        ("settings", "reference.md", ("### `diffusion`", "### `phantom`", "### `privacy`")),
        ("commands", "commands.md", ("## `understudy import dicom`", "## `understudy release plan`", "--help")),
        ("python", "python.md", ("## `us.load_bundle`", "### `Cohort.open`", "**Raises**")),
    ],
)
def test_a_page_is_up_to_date(script: Callable[[str], ModuleType], which: str, page: str, titles: tuple[str]) -> None:
    made = script("reference").PAGES[which]()
    assert made == (DOCS / page).read_text(), f"python benchmarks/reference.py {which} > docs/{page}"
    assert all(title in made for title in titles)


def test_a_docstring_becomes_markdown(script: Callable[[str], ModuleType]) -> None:
    told = script("reference").markdown("Do ``x`` as :func:`y`.\n\n    Args:\n        a: one\n            two.\n    ")
    assert told == "Do `x` as `y`.\n\n**Args**\n\n- `a`: one\n  two.\n"
