"""Cohorts as points: both numbers with their intervals, what stands beside them, and what is missing."""

from pathlib import Path
from typing import Any

import pytest

from understudy.studies.report.config import Scatter
from understudy.studies.report.measures import BEST_ATTACK
from understudy.studies.report.page import write_study_report
from understudy.studies.report.points import points, scatter, scatter_block

SCATTER: dict[str, Any] = {
    "x": {"from": "priv*", "result": BEST_ATTACK},
    "y": {"from": "utility*"},
    "beside": ["privacy.copies.flagged"],
    "note": "Nothing was chosen.",
}


def test_a_point_is_a_cohort_with_two_numbers(folds: Any) -> None:
    found = points(folds.measures(names={"painted": "maps first"}), Scatter(**SCATTER))
    assert [one.label for one in found] == ["maps first", "joint"]
    for one, ratio in zip(found, (0.9, 0.75), strict=True):
        assert one.y.value == pytest.approx(ratio, abs=0.03) and one.y.low < one.y.value < one.y.high
        assert one.x.value == pytest.approx(0.605 if ratio > 0.8 else 0.625) and (one.x.low, one.x.high) == (0.5, 0.7)
    assert [one.beside[0].value for one in found] == [1, 4.5]  # (8 + 1 + 8 + 1) / 4


def test_loops_of_numbers_make_points_too(sizes: Any) -> None:
    found = points(sizes.measures(), Scatter(**SCATTER))
    assert [one.label for one in found] == ["subjects 5", "subjects 10", "subjects 20"]


def test_the_figure_and_its_table(folds: Any) -> None:
    figure, table = scatter(folds.measures(), Scatter(**SCATTER)) or (None, None)
    assert figure is not None and table is not None
    assert figure.title == "Dice, divided by real against AUC of the best attack" and "painted: 0.6" in figure.alt
    assert b">painted</text>" in figure.svg and figure.note.startswith("Nothing was chosen. The best attack is")
    assert table.view.header[1:3] == ["AUC of the best attack", "Dice, divided by real"] and len(table.view.rows) == 2
    assert [(row[0], row[2]) for row in table.rows[:3]] == [
        ("painted", BEST_ATTACK),
        ("painted", "ratio"),
        ("painted", "privacy.copies.flagged"),
    ]
    assert "[0.500, 0.700]" in table.view.rows[0][1]


def test_what_is_not_done_is_no_point(folds: Any, builder: Any, tmp_path: Path) -> None:
    nobody = Scatter(**{**SCATTER, "x": {"from": "privacy", "result": "privacy.nothing"}})
    figure, table = scatter(folds.measures(), nobody) or (None, None)
    assert figure is None and table is not None and "not among the results" in str(table.view.notes)
    fake = builder.Fake(tmp_path)
    for kind in ("utility", "privacy"):
        fake.stage(kind, "evaluate", kind, done=False)
    assert scatter(fake.measures(), Scatter(**SCATTER)) is None
    assert scatter_block(fake.measures(scatters=[SCATTER])).empty and scatter_block(folds.measures()).empty


def test_it_stands_on_the_page(folds: Any) -> None:
    folds.report["scatters"] = [SCATTER, {**SCATTER, "title": "Frontier"}]
    page = write_study_report(folds, folds.stages, folds.out)
    assert ">One number against another</h2>" in page.read_text() and "Nothing was chosen." in page.read_text()
    assert (page.parent / "figures" / "frontier.svg").is_file() and (page.parent / "tables" / "frontier.csv").is_file()
