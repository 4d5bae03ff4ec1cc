"""Curves over loops, shares and real subjects; figures as SVG."""

from dataclasses import replace
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.report.reading import read_folders
from understudy.studies.report.config import CurvePlan, ScoreTable
from understudy.studies.report.curves import (
    BEST_ATTACK,
    COPIES,
    curve,
    default_curves,
    drawn_curves,
    scatters,
    score_figure,
)
from understudy.studies.report.tables import score_rows


def lines(table: Any) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = {}
    for row in table.rows:
        found.setdefault(row[0], []).append((row[1], round(row[3], 1)))
    return found


def test_default_curves(sizes: Any, folds: Any) -> None:
    plans = default_curves(sizes.measures())
    assert [(p.template, p.x, p.result) for p in plans] == [
        ("utility", "share", ""),
        ("utility", "real_subjects", ""),
        ("utility", "subjects", ""),
        ("privacy", "subjects", COPIES),
        ("privacy", "subjects", BEST_ATTACK),
    ]
    assert default_curves(folds.measures()) == []


def test_a_curve_over_a_loop(sizes: Any) -> None:
    plan = CurvePlan(template="utility", x="subjects", arms=("real", "synthetic"), measure="score", x_label="patients")
    figure, table = curve(sizes.measures(), plan) or (None, None)
    assert figure is not None and table is not None
    assert lines(table) == {
        "real": [("5", 0.7), ("10", 0.7), ("20", 0.7)],
        "synthetic": [("5", 0.5), ("10", 0.6), ("20", 0.7)],
    }
    assert b"patients" in figure.svg and b">Dice<" in figure.svg and "real: 5 0." in figure.alt
    memorised, _ = curve(sizes.measures(), CurvePlan(template="privacy", x="subjects", result=COPIES)) or (None, None)
    assert memorised is not None and memorised.alt.endswith("5 0.2, 10 0.1, 20 0.05")


def test_the_mixing_curve(sizes: Any) -> None:
    plan = CurvePlan(template="utility", x="share", where={"subjects": "5"}, measure="score")
    _, table = curve(sizes.measures(), plan) or (None, None)
    found = lines(table)
    assert [x for x, _ in found[""]] == ["0", "0.25", "0.5", "0.75", "1"]
    assert [x for x, _ in found["3 real subjects"]] == ["0", "0.5"]


def test_the_low_data_curve(sizes: Any) -> None:
    plan = CurvePlan(
        template="utility", x="real_subjects", where={"subjects": "5"}, measure="score", arms=("real", "both")
    )
    _, table = curve(sizes.measures(), plan) or (None, None)
    assert {name: [x for x, _ in line] for name, line in lines(table).items()} == {
        "real": ["3", "5"],
        "real + synthetic": ["3", "5"],
    }


def test_x_is_a_number(folds: Any) -> None:
    with pytest.raises(UnderstudyError, match="'painted'.*|needs a loop of numbers"):
        curve(folds.measures(), CurvePlan(template="utility", x="cohort", measure="score"))


def test_scores_with_intervals(folds: Any) -> None:
    measures, asked = folds.measures(names={"painted": "label maps first"}), ScoreTable(template="utility")
    figure = score_figure(measures, asked, score_rows(measures, asked), "dice")
    assert figure is not None and b"label maps first" in figure.svg and figure.alt.startswith("real 0.")


def test_every_curve_of_a_folder_is_drawn(folds: Any) -> None:
    folder = read_folders([folds.out / "correlation"])[0]
    line = {"title": "ROC", "x_label": "a", "y_label": "b", "series": [{"name": "reader 1", "x": [0.0], "y": [1.0]}]}
    drawn = drawn_curves(replace(folder, curves={"roc": line}), "readers")
    assert [(one.name, one.title) for one in drawn] == [("readers-roc", "ROC")] and b"reader 1" in drawn[0].svg


def test_fidelity_against_utility(folds: Any) -> None:
    drawn = scatters(read_folders([folds.out / "correlation"])[0], "correlation")
    assert [figure.title for figure in drawn] == ["Fréchet distance and utility"] and b"lower is better" in drawn[0].svg


def test_equal_lines_of_real_cases_are_one(folds: Any) -> None:
    plan = CurvePlan(template="utility", x="fold", arms=("synthetic", "real"), measure="score", pool=("seed",))
    _, table = curve(folds.measures(), plan) or (None, None)
    assert list(lines(table)) == ["real", "synthetic, painted", "synthetic, joint"]
