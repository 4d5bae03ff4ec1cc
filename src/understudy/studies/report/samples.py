"""Grids of cases: the first of every synthetic cohort, side by side; none of real cases.

A cohort in which a privacy evaluation flagged more cases than by chance is not shown: a copy is a real case. Nor is a
semi-synthetic one, whose anatomy is a patient's. Sentences say so.
**Checked** in tests/studies/report/test_samples.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.evaluation.folder import grid_arrays
from understudy.evaluation.guard import slug
from understudy.report.figures import DrawnCases, grid_figure
from understudy.report.sections import legend
from understudy.studies.report.blocks import StudyFigure, named, valued
from understudy.studies.report.config import SampleGrid, Selection
from understudy.studies.report.measures import Measures
from understudy.studies.stage import Stage

MOST_ROWS = 12  # channels of all cohorts together; of more, the first channel is shown
CASES = 8


@dataclass(frozen=True)
class Shown:
    """A cohort in a grid: what stands beside its row, and its cases."""

    label: str
    cases: DrawnCases


def sample_figures(measures: Measures) -> tuple[list[StudyFigure], list[str]]:
    """Return the grids, and sentences on cohorts that are not shown."""
    asked = measures.config.samples
    plans = _default(measures) if asked is None else list(asked)
    flagged, told, figures = _flagged(measures), dict[str, None](), []
    for plan in plans:
        stages = _stages(measures, plan)
        hidden = {stage.name: flagged.get(stage.name) or _of_patients(measures, stage) for stage in stages}
        told |= dict.fromkeys(sentence for sentence in hidden.values() if sentence)
        shown = _shown(measures, plan, [stage for stage in stages if not hidden[stage.name]])
        figures += _grids(measures, plan, shown)
    return figures, list(told)


def _default(measures: Measures) -> list[SampleGrid]:
    made = dict.fromkeys(one.of.template for one in measures.finished.judged if one.of)
    return [SampleGrid(template=template) for template in made]


def _stages(measures: Measures, plan: SampleGrid) -> list[Stage]:
    """Return one stage for each combination of loops that are not pooled."""
    pool, first = measures.pooled_loops(plan.pool), dict[tuple[tuple[str, str], ...], Stage]()
    measures.finished.select(Selection(template=plan.template, where=plan.where))  # refuses unknown names
    for stage in measures.finished.done(plan.template):
        if all(stage.loops.get(loop) == value for loop, value in plan.where.items()):
            first.setdefault(tuple((k, v) for k, v in stage.loops.items() if k not in pool), stage)
    return list(first.values())


def _shown(measures: Measures, plan: SampleGrid, stages: Sequence[Stage]) -> list[Shown]:
    names, pool, found = measures.config.names, measures.pooled_loops(plan.pool), []
    for stage in stages:
        cohort = measures.finished.cohort(stage)
        if cohort.kind != "synthetic" or cohort.images is None:
            continue
        cases = DrawnCases.from_arrays(grid_arrays(cohort, np.arange(min(plan.cases, len(cohort)))))
        loops = [valued(names, loop, value) for loop, value in stage.loops.items() if loop not in pool]
        found.append(Shown(", ".join(loops) or named(names, stage.template), cases))
    return found


def _grids(measures: Measures, plan: SampleGrid, shown: Sequence[Shown]) -> list[StudyFigure]:
    """Draw a grid for each size of image."""
    by_size: dict[tuple[object, ...], list[Shown]] = {}
    for one in shown:
        by_size.setdefault((one.cases.images.shape[2:], one.cases.channel_names), []).append(one)
    figures = []
    for i, same in enumerate(by_size.values()):
        layers = [name for name, _ in same[0].cases.layers()]
        chosen = plan.channels or (layers if len(layers) * len(same) <= MOST_ROWS else layers[:1])
        rows = [
            (f"{one.label}\n{name}".strip(), _padded(picture, plan.cases), _maps(one.cases, plan.cases))
            for one in same
            for name, picture in one.cases.layers()
            if name in chosen
        ]
        if not rows:
            raise UnderstudyError(
                f"the report asks for the channel {chosen[0]!r} of {plan.template}, which has "
                f"{', '.join(layers)}: correct it"
            )
        title = plan.title or f"Cases of {named(measures.config.names, plan.template)}"
        alt = f"The first cases of {', '.join(one.label for one in same)}, with label maps as outlines."
        name = slug(f"samples {plan.template} {i + 1}")[:80]
        note = f"The first {min(plan.cases, max(len(one.cases) for one in same))} cases of each, not chosen."
        figures.append(
            StudyFigure(name, title, alt, png=grid_figure(rows), note=note, legend=legend(*(s.cases for s in same)))
        )
    return figures


def _padded(pictures: np.ndarray, n: int) -> np.ndarray:
    blank = np.ones((max(n - len(pictures), 0), *pictures.shape[1:]), pictures.dtype)
    return np.concatenate([pictures, blank])


def _maps(cases: DrawnCases, n: int) -> np.ndarray | None:
    if cases.labels is None:
        return None
    blank = np.zeros((max(n - len(cases.labels), 0), *cases.labels.shape[1:]), cases.labels.dtype)
    return np.concatenate([cases.labels, blank])


def _of_patients(measures: Measures, stage: Stage) -> str:
    """Say that a semi-synthetic cohort is not shown; empty of other cohorts."""
    if measures.finished.cohort(stage).kind != "semi-synthetic":
        return ""
    return (
        f"{named(measures.config.names, stage.template)}: not shown, since the label maps are patients', edited or not."
    )


def _flagged(measures: Measures) -> dict[str, str]:
    """Return the stages whose cohorts hold more flagged cases than chance explains, with a sentence."""
    found = {}
    for one in measures.finished.judged:
        if one.kind != "privacy" or one.of is None:
            continue
        results = measures.finished.results(one)
        flagged, expected = (results.get(f"privacy.copies.{name}") for name in ("flagged", "expected"))
        if flagged is None or expected is None or flagged.value is None or expected.high is None:
            continue
        if flagged.value > expected.high:
            found[one.of.name] = (
                f"{one.of.name} is not shown: {flagged.value:,.0f} of {flagged.n:,} cases are flagged as possible "
                "copies of training images, more than by chance."
            )
    return found
