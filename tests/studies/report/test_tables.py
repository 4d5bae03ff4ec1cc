"""Tables of scores: rows, merged real rows, papers' rows; tables of results."""

from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.studies.report.config import NumberTable, PaperRow, ScoreTable
from understudy.studies.report.tables import as_results, not_comparable, number_table, score_rows, score_table

PAPER = {
    "row": "best",
    "value": 0.728,
    "source": "Platscher 2021 [S:seed3]",
    "task": "tumour",
    "resolution": "16x16",
    "slices": "slices",
    "n": 12,
}


def test_rows_are_arms_and_loops(folds: Any) -> None:
    measures, asked = folds.measures(), ScoreTable(template="utility")
    rows = score_rows(measures, asked)
    assert [(row.arm, dict(row.loops)) for row in rows] == [
        ("real", {}),  # the same networks for both
        ("synthetic", {"cohort": "painted"}),
        ("both", {"cohort": "painted"}),
        ("synthetic", {"cohort": "joint"}),
        ("both", {"cohort": "joint"}),
    ]
    table = score_table(measures, asked, rows)
    assert table.view.header == ["Trained on", "Cohort", "Mean", "Core", "Oedema", "Whole lesion",
                                 "Ratio to real", "Gain over real", "n"]  # fmt: skip
    assert table.view.rows[0][:2] == ["real", ""] and table.view.rows[0][6:8] == ["", ""]
    assert table.view.rows[1][6].startswith("0.899 [") and table.view.rows[1][8] == "12 (a)"
    assert table.view.notes == (("a", "4 synthetic cohorts in 2 folds, 2 networks each"),)
    assert table.rows[4][:3] == ["synthetic, cohort painted", "mean", "score"]
    assert {row[2] for row in table.rows} == {"score", "ratio", "gain"}


def test_papers_stand_beside_ours(folds: Any) -> None:
    other = {**PAPER, "row": "other", "resolution": "128 x 128 x 32", "n": None, "slices": "volumes"}
    measures, asked = folds.measures(), ScoreTable(template="utility", task="Tumour", paper=(PAPER, other))
    table = score_table(measures, asked, score_rows(measures, asked))
    assert table.view.header[-4:] == ["Task", "Resolution", "Cases", "Source"]
    assert table.view.rows[1][-4:] == ["Tumour", "16 x 16", "10 slices", "this study"]
    assert table.view.rows[5][:3] == ["best", "", "0.728"] and table.view.rows[6][2] == "0.728 (b)"
    assert table.grey == {6} and table.view.rows[6][-4:] == ["tumour", "128 x 128 x 32", "volumes", PAPER["source"]]
    why = "not comparable: resolution 128 x 128 x 32, here 16 x 16; cases volumes, here slices; n not known, here 12"
    assert dict(table.view.notes)["b"] == why
    assert table.header[-4:] == ("task", "resolution", "cases", "source")
    assert table.rows[0][-4:] == ["Tumour", "16 x 16", "10 slices", "this study"]
    assert table.rows[-2][:4] == ["best", "mean", "score", 0.728] and table.rows[-2][9] == ""
    assert table.rows[-1][9] == why and table.rows[-1][-1] == PAPER["source"]
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert len({len(row) for row in [table.view.header, *table.view.rows]}) == 1


def test_a_paper_stands_in_the_column_of_its_class(folds: Any) -> None:
    measures = folds.measures()

    def table(row: dict[str, Any], *classes: str) -> list[str]:
        asked = ScoreTable(template="utility", task="tumour", classes=classes, paper=({**PAPER, **row},))
        return score_table(measures, asked, score_rows(measures, asked)).view.rows[-1]

    assert table({"class": "core"}, "oedema", "core")[2:4] == ["", "0.728"]
    assert table({}, "oedema", "mean")[2:4] == ["", "0.728"]
    with pytest.raises(UnderstudyError, match="'best' is a score of mean, and the table has that of oedema, core"):
        table({}, "oedema", "core")
    with pytest.raises(UnderstudyError, match="is a ratio of core, and the table has that of oedema: correct"):
        table({"class": "core", "measure": "ratio"}, "oedema", "core")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"task": "stroke"}, "task stroke, here tumour"),
        ({"n": 13}, "n 13, here 12"),
        ({"task": ""}, "task not known"),
        ({"slices": "volumes"}, "cases volumes, here slices"),
        ({"slices": ""}, "cases not known, here slices"),
    ],
)
def test_only_equal_settings_are_compared(changed: dict[str, Any], why: str) -> None:
    found = not_comparable(PaperRow(**{**PAPER, **changed}), ["tumour", "16 x 16", "10 slices"], 12)
    assert found.startswith(why) and bool(found) == bool(why)
    assert not_comparable(PaperRow(**PAPER), ["", "16 x 16", "10 slices"], 12) == "task tumour, here not told"


def test_pooled_numbers_are_results(folds: Any) -> None:
    measures, asked = folds.measures(), ScoreTable(template="utility", classes=("core",), score="hd95")
    found = {result.name: result for result in as_results(measures, asked, score_rows(measures, asked))}
    one = found["study.utility.synthetic.cohort-joint.score.hd95.core"]
    assert one.better == "lower" and one.unit == "mm" and one.n == 12
    table = score_table(measures, asked, score_rows(measures, asked))
    assert (
        table.view.caption.startswith("hd95 in mm with its 95 % interval")
        and one.n == 12
        and one.value == pytest.approx(7, abs=0.3)
    )
    assert "study.utility.both.cohort-painted.gain.hd95.core" in found and "4 synthetic cohorts" in one.note


def test_results_by_name_are_columns(folds: Any) -> None:
    asked = NumberTable(template="fidelity", results=("fidelity.frechet", "fidelity.kid"))
    table = number_table(folds.measures(), asked)
    assert table is not None and table.view.rows[0][:2] == ["painted", "10.5 [9.0, 13.0]"]
    assert table.view.rows[1][2] == "– (a)" and table.view.notes == (
        ("a", "not among the results"),
        ("b", "mean of 4 runs, the interval from the lowest to the highest end of theirs"),
    )
    assert table.view.rows[0][3] == "50 (b)" and table.view.caption == ""
    assert (
        table.view.header == ["Cohort", "Fréchet distance", "Kernel distance (KID)", "n"]
        or table.view.header[0] == "Cohort"
    )
    folds.stage("late", "evaluate", "fidelity", done=False)
    assert number_table(folds.measures(), NumberTable(template="late", results=("x",))) is None
