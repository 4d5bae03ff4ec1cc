"""docs/reference.md is what the menus say today; every file that the documents link to is there."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def test_the_reference_is_up_to_date(script: Callable[[str], ModuleType]) -> None:
    made = script("reference").reference()
    assert made == (REPOSITORY / "docs" / "reference.md").read_text(), (
        "python benchmarks/reference.py > docs/reference.md"
    )
    assert all(f"### `{name}`" in made for name in ("diffusion", "phantom", "privacy"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_is_short_and_names_no_number_without_a_page() -> None:
    text = (REPOSITORY / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert "docs/results/README.md" in text
