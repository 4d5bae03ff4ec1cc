"""docs/exactness.md: every metric of a menu has a row, every row keeps its bound, and the page is the script's."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from understudy.evaluation import quantities
from understudy.evaluation.utility.classification import Classification
from understudy.evaluation.utility.surface import SURFACES
from understudy.tasks.overlap import OVERLAPS

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
PAGE = (REPOSITORY / "docs" / "exactness.md").read_text()
sys.path.insert(0, str(REPOSITORY / "benchmarks"))
SCRIPT: ModuleType = importlib.import_module("exactness")
sys.path.pop(0)
ROWS = [row for rows in SCRIPT.SECTIONS.values() for row in rows]


def on_the_page() -> list[list[str]]:
    """Return the cells of the tables with six columns, without their heads."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return [row for row in cells if len(row) == 6 and row[0] != "metric"]


def test_every_metric_of_the_menus_has_a_row() -> None:
    menus = {*quantities(), *OVERLAPS, *SURFACES, *(score.name for score in Classification.scores)}
    missing = menus - {name for cells in on_the_page() for name in cells[0].split(", ")}
    assert not missing, f"docs/exactness.md has no row for {sorted(missing)}: add one to benchmarks/references"


def test_the_page_is_that_of_the_script() -> None:
    """But for versions and errors, which differ between machines; those on the page keep their bounds."""

    def told(metrics: str, reference: str, setting: str, _: str, bound: str, held: str) -> list[str]:
        return [metrics, re.sub(r" \d[\w.]*: ", ": ", reference), setting, bound, held]

    written = on_the_page()
    now = [SCRIPT.line(row, 0.0).strip("| ").split(" | ") for row in ROWS]
    assert [told(*cells) for cells in written] == [told(*cells) for cells in now], "run benchmarks/exactness.py"
    assert all(float(cells[3].split()[0]) <= row.bound for cells, row in zip(written, ROWS, strict=True))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.metrics[0]}-{row.library or row.reference[:20]}")
def test_every_row_keeps_its_bound(row: object) -> None:
    error = row.measure()  # type: ignore[attr-defined]
    assert 0 <= error <= row.bound  # type: ignore[attr-defined]
    assert all((TESTS / test).is_file() for test in row.test.split(", "))  # type: ignore[attr-defined]


def test_nothing_is_written_where_an_error_is_above_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SCRIPT, "measured", lambda s: {title: [0.0] * len(rows) for title, rows in s.items()})
    monkeypatch.setattr(sys, "argv", ["exactness.py", "--out", str(tmp_path / "page.md")])
    SCRIPT.main()
    assert capsys.readouterr().out.startswith(f"{len(ROWS)} rows")
    assert (tmp_path / "page.md").read_text().startswith("# How exact")
    (tmp_path / "page.md").unlink()
    for error in (1.0, float("nan")):
        wrong = {title: [error] * len(rows) for title, rows in SCRIPT.SECTIONS.items()}
        monkeypatch.setattr(SCRIPT, "measured", lambda _, w=wrong: w)
        with pytest.raises(SystemExit, match=r"frechet \| closed form"):
            SCRIPT.main()
    assert not list(tmp_path.iterdir())


def test_a_difference_is_found() -> None:
    largest = importlib.import_module("references").largest
    nan, inf = float("nan"), float("inf")
    assert largest([1, 2.5, inf], [1, 2, inf]) == 0.5 and largest([1, 2.5], [1, 2], relative=True) == 0.25
    assert (
        largest([nan, 1], [nan, 1]) == 0 and largest([nan], [1]) == largest([1], [nan]) == largest([1], [1, 2]) == inf
    )
    assert largest([0.5, 1], [0, 1], relative=True) == 0.5
