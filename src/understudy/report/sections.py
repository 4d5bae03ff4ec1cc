"""Sections of the PUBLIC edition: synthetic cases first, then one section for each results folder.

**Checked** in tests/report/test_page.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from understudy.core.result import SCORES, Result
from understudy.report.figures import (
    DrawnCases,
    colour,
    curve_figure,
    data_uri,
    grid_figure,
    histogram_figure,
    interval_figure,
    scatter_figure,
)
from understudy.report.reading import Folder
from understudy.report.tables import View, results_table, table_view, words

PERFECT = {"dice": "1 is a perfect overlap", "auc": "1 is a perfect ranking, 0.5 is chance"}
HISTOGRAMS = (
    "Share of the cases that have the class, by unit of the axis; at least five real subjects stand in each bin."
)
CEILING = "inter-rater ceiling"
ARM = re.compile(rf"(real|synthetic|both(-\d+)?|finetuned)(@\d+)?|{CEILING}")  # what networks were trained on
PLAIN = ("real", "synthetic", CEILING)  # those whose classes are in the figure one by one
MEAN = "mean of classes"
SHOWN_CASES = 24  # of one layer; 8 where each channel is a row


@dataclass(frozen=True)
class ReportFigure:
    """A figure on the page: title, PNG bytes, a note, a legend of (name, colour), whether it is set wide."""

    title: str
    data: bytes
    note: str = ""
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = True

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return data_uri(self.data)


@dataclass(frozen=True)
class Section:
    """A section of the page: the name by which the template knows its words, pictures, tables."""

    name: str
    pictures: list[ReportFigure] = field(default_factory=list)
    tables: list[View] = field(default_factory=list)


def public_sections(folders: list[Folder]) -> list[Section]:
    """Return the sections of the PUBLIC edition in the order of the page."""
    grids = {picture.data: picture for folder in folders for picture in _grids(folder)}
    ceiling = [r for folder in folders if folder.section == "interrater" for r in _on_test(folder)]
    sections = [_section(folder, ceiling if folder.section == "utility" else []) for folder in folders]
    return [*([Section("synthetic", list(grids.values()))] if grids else []), *sections]


def cases_picture(title: str, cases: DrawnCases) -> ReportFigure:
    """Draw the first cases with their label maps as outlines."""
    layers = cases.layers()
    shown = min(len(cases), SHOWN_CASES if len(layers) == 1 else 8)
    labels = None if cases.labels is None else cases.labels[:shown]
    rows = [(name, picture[:shown], labels) for name, picture in layers]
    return ReportFigure(title, grid_figure(rows), f"The first {shown} cases.", legend(cases))


def legend(*drawn: DrawnCases) -> list[tuple[str, str]]:
    """Return (name, colour) of the classes that label maps may show, without the background."""
    names = max((cases.label_names for cases in drawn), key=len)
    top = max((int(cases.labels.max()) for cases in drawn if cases.labels is not None and cases.labels.size), default=0)
    return [(names[k] if k < len(names) else f"class {k}", colour(k)) for k in range(1, max(top + 1, len(names)))]


def _grids(folder: Folder) -> list[ReportFigure]:
    alone = len(folder.images) == 1
    titles = {name: str(arrays.get("title", "" if alone else words(name))) for name, arrays in folder.images.items()}
    return [cases_picture(titles[name], DrawnCases.from_arrays(arrays)) for name, arrays in folder.images.items()]


def _section(folder: Folder, ceiling: Sequence[Result]) -> Section:
    results = [*folder.results, *ceiling]
    pictures = [picture for score, name in SCORES.items() for picture in _score(results, score, name)]
    pictures += [_curve(curve) for curve in folder.curves.values()]
    for data in folder.histograms.values():
        pictures.append(ReportFigure(data["title"], histogram_figure(data["panels"]), HISTOGRAMS))
    tables = [table_view(table, folder.section) for table in folder.tables if table.rows]
    return Section(folder.section, pictures, [*tables, results_table("All numbers", folder.results)])


def _curve(curve: dict[str, Any]) -> ReportFigure:
    """Draw a curve file, as a line or, where it says so, as points whose axes are a metric and a score."""
    note = str(curve.get("note", ""))
    if not curve.get("points"):
        return ReportFigure(curve["title"], curve_figure(curve), note, wide=False)
    named = in_words(curve)
    return ReportFigure(named["title"], scatter_figure(named), note, wide=False)


def in_words(points: dict[str, Any]) -> dict[str, Any]:
    """Return points of a correlation, a curve file, with title and axes in words."""
    title, x_label = (words(points[name], "correlation") for name in ("title", "x_label"))
    axes = {"x_label": f"{x_label} ({points['points']} is better)", "y_label": words(points["y_label"])}
    return {**points, **axes, "title": f"{title} and utility"}


def _on_test(folder: Folder) -> list[Result]:
    """Return how two raters agree on the subjects that segmenters are tested on, named as their scores are."""
    if folder.provenance["config"]["split"] != "test":
        return []
    return [replace(r, name=f"utility.{CEILING}.-.{r.name.removeprefix('interrater.')}") for r in folder.results]


def _score(results: Sequence[Result], score: str, name: str) -> list[ReportFigure]:
    """Return a figure of a score with its intervals, all that networks were trained on, where there is any."""
    rows, kinds = [], []
    for result in results:
        parts = result.name.split(".")
        told = parts[0] == "utility" and score in parts and ARM.fullmatch(parts[1])
        if not told or result.value is None:
            continue
        at = parts.index(score)
        source = " ".join([words(parts[1]), *parts[2 : at - 1]])  # real, synthetic, or synthetic and a cohort's name
        label = words(".".join(parts[at + 1 :])) or MEAN
        rows.append((f"{label}, {source}", source, result.value, result.low, result.high))
        kinds.append((label, parts[1]))
    if len({label for label, _ in kinds}) == 2:  # one class beside its mean: the same numbers
        kept = [label != MEAN for label, _ in kinds]
    else:
        kept = [label == MEAN or kind in PLAIN for label, kind in kinds]
    rows = [row for row, told in zip(rows, kept, strict=True) if told]
    if not rows:
        return []
    note = f"Dots are values, lines 95 % intervals; {PERFECT[score]}."
    return [ReportFigure(f"{name} on real test subjects", interval_figure(rows, name), note, wide=False)]
