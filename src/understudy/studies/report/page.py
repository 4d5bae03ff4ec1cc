"""The joined report of a study: OUT/report/report.html, with figures/*.svg, tables/*.csv and results.json.

PUBLIC: numbers over at least five subjects, synthetic cases, no real pixel; scores of subjects are read to be pooled,
and stay where they are. The page loads nothing from elsewhere, tells what is missing, and the same stages and records
give the same bytes.
**Checked** in tests/studies/report/test_page.py and, in a browser, in tests/studies/report/test_browser.py.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError

from understudy.core.atomic import whole_folder
from understudy.core.documents import mistakes
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance, code_version
from understudy.core.result import Result, write_results
from understudy.evaluation.folder import write_rows
from understudy.report.chapters import chapter, place
from understudy.report.reading import read_folders
from understudy.report.tables import table_view
from understudy.studies.report.blocks import PagePart, StudyFigure, StudyTable, named
from understudy.studies.report.claims import CLAIMS, SEEN, Verdict, claim_row, verdicts
from understudy.studies.report.config import NumberTable, ScoreTable, read_report
from understudy.studies.report.cost import cost_block, request
from understudy.studies.report.curves import curve, default_curves, drawn_curves, scatters, score_figure
from understudy.studies.report.finished import Finished
from understudy.studies.report.gaps import missing_block, not_measured_block
from understudy.studies.report.measures import BEST_ATTACK, Measures
from understudy.studies.report.points import scatter_block
from understudy.studies.report.samples import sample_figures
from understudy.studies.report.tables import as_results, number_table, score_rows, score_table
from understudy.studies.stage import Stage

RESULTS = {  # of each evaluation, the numbers of its default table
    "fidelity": ("fidelity.frechet", "fidelity.frechet.unseen_extrapolated", "fidelity.kid", "fidelity.precision",
                 "fidelity.recall", "fidelity.coverage"),
    "privacy": ("privacy.copies.flagged", "privacy.copies.expected", "privacy.copies.flagged_share", BEST_ATTACK),
    "interrater": ("interrater.dice", "interrater.hd95"),
    "reader": ("reader.auc", "reader.equivalence_p", "reader.right", "reader.fooled", "reader.agreement.fleiss"),
}  # fmt: skip
COLUMNS = 6  # of the default table of an evaluation that RESULTS has not


class DescribedStudy(Protocol):
    """What the page reads of a study."""

    study: str
    title: str
    about: str
    report: Any

    def model_dump(self, *, mode: str, by_alias: bool, exclude_unset: bool) -> dict[str, Any]:
        """Return the YAML as plain data."""


def write_study_report(study: DescribedStudy, stages: Sequence[Stage], out: Path) -> Path:
    """Write the report of the finished stages in a study's folder, and return ``out/report/report.html``.

    An earlier report is replaced.

    Raises:
        UnderstudyError: the study's ``report`` asks for what the study has not, or for two things with one name, or
            results cannot be read.
    """
    try:
        config = read_report(study.report)
    except ValidationError as error:
        raise UnderstudyError(
            f"the report of the study {study.study} is none ({mistakes(error)}): correct it"
        ) from error
    measures = Measures(Finished(stages, out), config)
    told, results = verdicts(measures), list[Result]()
    blocks = [block for block in _blocks(measures, results) if not block.empty]
    _refuse_equal(blocks, results)
    done = {stage.name: stage.digest for stage in measures.finished.done()}
    request_made = Provenance("study report", config.model_dump(mode="json", by_alias=True), config.seed, done)
    with whole_folder(out / "report", replace=True) as folder:
        _write_files(folder, blocks)
        if told:
            write_rows(folder / "tables" / "claims.csv", CLAIMS, map(claim_row, told))
        write_results(folder, results, request_made)
        (folder / "report.html").write_text(_page(study, measures, told, blocks), encoding="utf-8")
    return out / "report" / "report.html"


def _blocks(measures: Measures, results: list[Result]) -> list[PagePart]:
    """Return the parts of the page in order; pooled numbers are added to the results."""
    evaluations = measures.finished.evaluations()
    blocks = [missing_block(measures), scatter_block(measures), _utility(measures, results), _samples(measures)]
    kinds = sorted(set(evaluations.values()) - {"utility"}, key=lambda kind: (place(kind), kind))
    blocks += [_numbers(measures, kind) for kind in kinds]
    return [*blocks, not_measured_block(measures), cost_block(measures)]


def _utility(measures: Measures, results: list[Result]) -> PagePart:
    figures: list[StudyFigure] = []
    tables: list[StudyTable] = []
    asked = measures.config.tables
    if asked is None:
        evaluations = measures.finished.evaluations()
        asked = tuple(ScoreTable(template=name) for name, kind in evaluations.items() if kind == "utility")
    for one in asked:
        if not measures.finished.select(one):
            continue
        rows = score_rows(measures, one)
        tables.append(score_table(measures, one, rows))
        results += as_results(measures, one, rows)
        if drawn := score_figure(measures, one, rows, tables[-1].name):
            figures.append(drawn)
    for found in _curves(measures, "utility"):
        figures.append(found[0])
        tables.append(found[1])
    return PagePart(chapter("utility").title, chapter("utility").text, figures=figures, tables=tables)


def _curves(measures: Measures, kind: str) -> list[tuple[StudyFigure, StudyTable]]:
    plans = default_curves(measures) if measures.config.curves is None else measures.config.curves
    of = [name for name, what in measures.finished.evaluations().items() if what == kind]
    return [found for plan in plans if any(map(plan.takes, of)) and (found := curve(measures, plan))]


def _samples(measures: Measures) -> PagePart:
    figures, told = sample_figures(measures)
    return PagePart(chapter("synthetic").title, chapter("synthetic").text, told, figures)


def _numbers(measures: Measures, kind: str) -> PagePart:
    """Return the part on an evaluation other than utility: tables of numbers, curves, and points of correlations."""
    of = [name for name, what in measures.finished.evaluations().items() if what == kind]
    asked = [one for one in measures.config.numbers or () if any(map(one.takes, of))]
    if measures.config.numbers is None:
        asked = [NumberTable(template=name, results=names) for name in of if (names := _columns(measures, kind, name))]
    tables = [found for one in asked if (found := number_table(measures, one))]
    curves = _curves(measures, kind)
    figures = [figure for figure, _ in curves]
    tables += [table for _, table in curves]
    if kind == "reader":
        for one in (judged for judged in measures.finished.judged if judged.kind == kind):
            figures += drawn_curves(read_folders([one.folder])[0], one.stage.name)
    if kind == "correlation":
        for one in (judged for judged in measures.finished.judged if judged.kind == kind):
            folder = read_folders([one.folder])[0]
            figures += scatters(folder, one.stage.name)
            views = [(table, table_view(table, kind)) for table in folder.tables if table.name == "correlation"]
            for table, view in views:
                raw = [list(row) for row in table.rows]
                told = replace(view, title="Rank correlation of each metric with utility")
                tables.append(StudyTable(f"{one.stage.name}-{table.name}", told, raw, table.header))
    return PagePart(chapter(kind).title, chapter(kind).text, figures=figures, tables=tables)


def _columns(measures: Measures, kind: str, template: str) -> tuple[str, ...]:
    """Return the numbers of a default table: those of the menu, or the first results where none of these was measured.

    Fidelity of label maps alone has no Frechet distance.
    """
    judged = [one for one in measures.finished.judged if one.stage.template == template and kind != "correlation"]
    there, menu = [name for one in judged[:1] for name in measures.finished.results(one)], RESULTS.get(kind, ())
    return menu if {*menu} & {*there} or not there else tuple(there[:COLUMNS])


def _refuse_equal(blocks: Sequence[PagePart], results: Sequence[Result]) -> None:
    """Refuse figures, tables or results with one name, of which the last would stand for all, with UnderstudyError."""
    files = [("figures", [one.name for block in blocks for one in block.figures])]
    files.append(("tables", [one.name for block in blocks for one in block.tables]))
    for what, names in (*files, ("results", [one.name for one in results])):
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            raise UnderstudyError(
                f"the report asks for two {what} with the name {twice[0]}: give each a title of its own, and ask for "
                "each number in one table"
            )


def _write_files(folder: Path, blocks: Sequence[PagePart]) -> None:
    """Write every figure and table beside the page."""
    (folder / "figures").mkdir()
    (folder / "tables").mkdir()
    for block in blocks:
        for figure in block.figures:
            kind, data = ("svg", figure.svg) if figure.svg else ("png", figure.png)
            (folder / "figures" / f"{figure.name}.{kind}").write_bytes(data)
        for table in block.tables:
            write_rows(folder / "tables" / f"{table.name}.csv", table.header, table.rows)


def _page(study: DescribedStudy, measures: Measures, told: Sequence[Verdict], blocks: Sequence[PagePart]) -> str:
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    loader = ChoiceLoader([PackageLoader("understudy.studies.report", ""), PackageLoader("understudy.report", "")])
    environment = Environment(loader=loader, autoescape=True, **options)
    stages = measures.finished.stages
    states = [measures.finished.state(stage) for stage in stages]
    read = study.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return environment.get_template("study.html.j2").render(
        study=study,
        title=study.title or named(measures.config.names, study.study),
        verdicts=told,
        seen=SEEN,
        blocks=blocks,
        counts={state: states.count(state) for state in ("done", "failed", "not run")},
        total=len(stages),
        request=request(read, measures.finished.out),
        version=code_version(),
    )
