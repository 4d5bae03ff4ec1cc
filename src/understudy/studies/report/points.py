"""Synthetic cohorts as points: one number against another, each with its interval, as a figure and a table.

What mitigations cost and gain stands in one figure: utility against the best attack, or against the swap test.
**Checked** in tests/studies/report/test_points.py.
"""

from dataclasses import dataclass
from typing import Any

from understudy.evaluation.guard import slug
from understudy.report.figures import scatter_figure, svg
from understudy.report.tables import Footnotes, View, heading
from understudy.studies.report.blocks import PagePart, StudyFigure, StudyTable, csv_row, named, valued
from understudy.studies.report.config import Scatter
from understudy.studies.report.curves import described_axis
from understudy.studies.report.finished import COHORT
from understudy.studies.report.measures import BEST_ATTACK, Combination, Measures, Number
from understudy.studies.report.tables import number_cell

TEXT = (
    "Each point is a synthetic cohort, its lines are 95 % intervals: of points whose intervals overlap, neither was "
    "shown to be better."
)
BEST = "The best attack is that with the highest AUC; its interval does not hold that it is the highest of several."


@dataclass(frozen=True)
class Point:
    """A cohort with its two numbers, and those that stand beside them in the table."""

    label: str
    x: Number
    y: Number
    beside: tuple[Number, ...]


def scatter_block(measures: Measures) -> PagePart:
    """Return the part of the page with all scatters that are asked for; empty where none is, or nothing is done."""
    found = [drawn for asked in measures.config.scatters if (drawn := scatter(measures, asked))]
    figures, tables = [one for one, _ in found if one], [one for _, one in found]
    return PagePart("One number against another", TEXT, figures=figures, tables=tables)


def scatter(measures: Measures, asked: Scatter) -> tuple[StudyFigure | None, StudyTable] | None:
    """Draw a scatter (None where no point has both numbers), and return it with its table; None: nothing is done."""
    found, labels = points(measures, asked), (_label(measures, asked, "x"), _label(measures, asked, "y"))
    if not found:
        return None
    title = asked.title or f"{labels[1]} against {labels[0]}"
    name = slug(title)[:80]
    shown = [one for one in found if one.x.value is not None and one.y.value is not None]
    drawn = {"x_label": labels[0], "y_label": labels[1], "series": [_series(one) for one in shown]}
    alt = "; ".join(f"{one.label}: {one.x.value:.3g}, {one.y.value:.3g}" for one in shown)
    note = " ".join(filter(None, [asked.note, BEST if BEST_ATTACK in (asked.x.result, asked.y.result) else ""]))
    figure = StudyFigure(name, title, alt, scatter_figure(drawn, svg), note=note) if shown else None
    return figure, _table(name, title, asked, labels, found)


def points(measures: Measures, asked: Scatter) -> list[Point]:
    """Return the cohorts that stages of both sides have judged, in the order of the study."""
    x, y = (measures.finished.select(side) for side in (asked.x, asked.y))
    found, pool = [], measures.config.pool
    for loops, members in measures.groups([*x, *(one for one in y if one not in x)], pool).items():
        of_x, of_y = ([one for one in members if one in side] for side in (x, y))
        if of_x and of_y:
            one, other = (measures.number(side, of, pool) for side, of in ((asked.x, of_x), (asked.y, of_y)))
            beside = tuple(measures.result(of_x, name) for name in asked.beside)
            found.append(Point(_named(measures, loops), one, other, beside))
    return found


def _named(measures: Measures, loops: Combination) -> str:
    """Name a point: by the stage that made the cohort, and by the loops that it depends on."""
    names = measures.config.names
    return ", ".join(named(names, v) if loop == COHORT else valued(names, loop, v) for loop, v in loops) or "the cohort"


def _label(measures: Measures, asked: Scatter, side: str) -> str:
    told, measure = getattr(asked, f"{side}_label"), getattr(asked, side)
    judged = measures.finished.select(measure)
    return str(told) or (described_axis(measures, measure, judged) if judged else measure.result or measure.measure)


def _series(point: Point) -> dict[str, Any]:
    """Return a point as a series of a curve file, with the ends of its intervals where it has them."""
    drawn: dict[str, Any] = {"name": point.label, "x": [point.x.value], "y": [point.y.value]}
    for number, ends in ((point.x, ("x_low", "x_high")), (point.y, ("low", "high"))):
        if number.low is not None and number.high is not None:
            drawn |= {ends[0]: [number.low], ends[1]: [number.high]}
    return drawn


def _table(name: str, title: str, asked: Scatter, labels: tuple[str, str], found: list[Point]) -> StudyTable:
    notes, rows, raw = Footnotes(), [], []
    measures = [asked.x.result or asked.x.measure, asked.y.result or asked.y.measure, *asked.beside]
    for one in found:
        numbers = (one.x, one.y, *one.beside)
        rows.append([one.label, *(number_cell(number, notes) for number in numbers)])
        raw += [csv_row(one.label, "", what, number) for what, number in zip(measures, numbers, strict=True)]
    further = [heading(result.partition(".")[2], result.partition(".")[0]) for result in asked.beside]
    head = ["Cohort", *labels, *further]
    view = View(title, head, rows, [i > 0 for i in range(len(head))], asked.note, notes.notes)
    return StudyTable(name, view, raw)
