"""Curves and figures of a study: scores with intervals; numbers against a loop, or against shares and real subjects.

**Checked** in tests/studies/report/test_curves.py.
"""

import re
from collections.abc import Sequence
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.core.result import SCORES
from understudy.evaluation.folder import AXES
from understudy.evaluation.guard import slug
from understudy.report.figures import curve_figure, interval_figure, scatter_figure, svg
from understudy.report.reading import Folder
from understudy.report.sections import in_words
from understudy.report.tables import View, words
from understudy.studies.report.blocks import StudyFigure, StudyTable, csv_row, named, told_where, valued
from understudy.studies.report.config import CurvePlan, Measure, ScoreTable
from understudy.studies.report.finished import Judged
from understudy.studies.report.measures import BEST_ATTACK, Combination, Measures, Number, merged
from understudy.studies.report.tables import ScoreRow

SHARE, REAL_SUBJECTS = "share", "real_subjects"  # an x that arms have, not loops
KIND = re.compile(r"(?P<kind>real|synthetic|both|finetuned)(?:-(?P<percent>\d+))?(?:@(?P<subjects>\d+))?")
COPIES = "privacy.copies.flagged_share"
MOST_SCATTERS = 4
Points = dict[str, list[tuple[float, Number]]]


def score_figure(measures: Measures, asked: ScoreTable, rows: Sequence[ScoreRow], name: str) -> StudyFigure | None:
    """Draw the first column of a table of scores with its intervals; None where it has no number."""
    names, drawn = measures.config.names, []
    for row in rows:
        found = next(iter(row.scores.values()))
        label = ", ".join([named(names, row.arm), *(valued(names, loop, value) for loop, value in row.loops)])
        if found.value is not None:
            drawn.append((label, named(names, row.arm), found.value, found.low, found.high))
    if not drawn:
        return None
    score = asked.score or measures.scores(measures.finished.select(asked)[0]).score
    label = SCORES.get(score, words(score))
    alt = "; ".join(f"{text} {value:.3g}" for text, _, value, _, _ in drawn)
    note = "Dots are values over all test subjects, lines 95 % intervals."
    of = asked.title or named(names, asked.template) + told_where(names, asked.where)
    title = f"{label} with intervals: {of}"
    return StudyFigure(name, title, alt, interval_figure(drawn, label, svg), note=note)


def default_curves(measures: Measures) -> list[CurvePlan]:
    """Return the curves that the finished evaluations allow: shares, real subjects, loops of numbers."""
    plans = []
    for template, kind in measures.finished.evaluations().items():
        judged = measures.finished.select(CurvePlan(template=template, x=SHARE))
        if not judged:
            continue
        arms = measures.arms(judged) if kind == "utility" else []
        found = [x for x, has in ((SHARE, r"both-\d+"), (REAL_SUBJECTS, r".*@")) if any(re.match(has, a) for a in arms)]
        plans += [CurvePlan(template=template, x=x, measure="score") for x in found]
        for loop in _numeric(judged, measures.config.pool):
            if kind == "utility":
                trained = tuple(arm for arm in arms if arm in ("real", "synthetic", "both", "finetuned"))
                plans.append(CurvePlan(template=template, x=loop, measure="score", arms=trained))
            elif kind == "privacy":
                plans += [CurvePlan(template=template, x=loop, result=name) for name in (COPIES, BEST_ATTACK)]
    return plans


def _numeric(judged: Sequence[Judged], pool: Sequence[str]) -> list[str]:
    """Return the loops of two numbers or more that are not pooled over."""
    loops = dict.fromkeys(loop for one in judged for loop in one.loops if loop not in pool)
    values = {loop: {one.loops[loop] for one in judged if loop in one.loops} for loop in loops}
    return [loop for loop, of in values.items() if len(of) > 1 and all(_number(value) is not None for value in of)]


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def curve(measures: Measures, asked: CurvePlan) -> tuple[StudyFigure, StudyTable] | None:
    """Draw a curve, and return it with its table; None where no stage for it is done.

    Raises:
        UnderstudyError: its x is a loop whose values are no numbers.
    """
    judged = measures.finished.select(asked)
    if not judged:
        return None
    points = (
        _of_arms(measures, asked, judged) if asked.x in (SHARE, REAL_SUBJECTS) else _of_loop(measures, asked, judged)
    )
    points = {name: sorted(line, key=lambda point: point[0]) for name, line in points.items() if line}
    shown = {name: [p for p in line if p[1].value is not None] for name, line in points.items()}
    shown = {name: line for name, line in shown.items() if line}
    if not shown:
        return None
    names = measures.config.names
    x_label = asked.x_label or {SHARE: "share of synthetic cases in what is learned"}.get(
        asked.x, named(names, asked.x)
    )
    y_label = asked.y_label or described_axis(measures, asked, judged)
    title = asked.title or f"{y_label} against {x_label}{told_where(names, asked.where)}"
    drawn = {
        "x_label": x_label,
        "y_label": y_label,
        "marked": True,
        "series": [_series(n, p) for n, p in shown.items()],
    }
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{x:g} {found.value:.3g}" for x, found in line) for name, line in shown.items()
    )
    name = slug(f"{asked.template} {title}")[:80]
    figure = StudyFigure(name, title, alt, curve_figure(drawn, svg), note="Bands are 95 % intervals.")
    rows = [csv_row(n, f"{x:g}", asked.result or asked.measure, one) for n, line in points.items() for x, one in line]
    return figure, StudyTable(name, View(title, [], [], []), rows, ("line", asked.x, *CSV_REST))


CSV_REST = ("measure", "value", "low", "high", "n", "unit", "behind", "note")


def _series(name: str, line: list[tuple[float, Number]]) -> dict[str, Any]:
    columns = [[x for x, _ in line], *([getattr(p, end) for _, p in line] for end in ("value", "low", "high"))]
    whole = all(p.low is not None and p.high is not None for _, p in line)
    return {"name": name, **dict(zip(AXES, columns if whole else columns[:2], strict=False))}


def described_axis(measures: Measures, asked: Measure, judged: Sequence[Judged]) -> str:
    """Name the number that an axis shows, in words."""
    if asked.result:
        named_ = {BEST_ATTACK: "AUC of the best attack", COPIES: "share of cases flagged as copies"}
        return named_.get(asked.result, words(asked.result.partition(".")[2], judged[0].kind))
    score = SCORES.get(asked.score or measures.scores(judged[0]).score, asked.score)
    return {"ratio": f"{score}, divided by real", "gain": f"{score}, minus real"}.get(asked.measure, score)


def _line(measures: Measures, asked: CurvePlan, arm: str, loops: Combination) -> str:
    names = measures.config.names
    parts = [valued(names, loop, value) for loop, value in loops]
    return ", ".join([*([] if asked.result else [named(names, arm)]), *parts])


def _of_loop(measures: Measures, asked: CurvePlan, judged: Sequence[Judged]) -> Points:
    """Return the points of each line against a loop, real cases alone first; equal lines of these are one."""
    pool = [loop for loop in measures.pooled_loops(asked.pool) if loop != asked.x]
    lines: dict[tuple[str, Combination], list[tuple[float, Number]]] = {}
    arms = asked.arms or (asked.arm,)
    for loops, members in measures.groups(judged, (*pool, asked.x), asked.lines).items():
        for value in dict.fromkeys(one.loops.get(asked.x, "") for one in members):
            x, chosen = _number(value), [one for one in members if one.loops.get(asked.x, "") == value]
            if x is None:
                raise UnderstudyError(
                    f"a curve against {asked.x!r} needs a loop of numbers, found {value!r}: take a table"
                )
            for arm in arms:
                found = measures.number(asked, chosen, pool, arm)
                lines.setdefault((arm, loops), []).append((x, found))
    rows = [(arm, found, line) for (arm, found), line in lines.items()]
    joined = merged(rows, lambda line: [(x, found.value) for x, found in line])
    ordered = sorted(joined, key=lambda row: not row[0].startswith("real"))
    return {_line(measures, asked, arm, found): line for arm, found, line in ordered}


def _of_arms(measures: Measures, asked: CurvePlan, judged: Sequence[Judged]) -> Points:
    """Return the points of each line against the share of synthetic cases, or the number of real subjects, of arms."""
    pool, points = measures.pooled_loops(asked.pool), dict[str, list[tuple[float, Number]]]()
    for loops, members in measures.groups(judged, pool, asked.lines).items():
        for arm in measures.arms(members):
            found = KIND.fullmatch(arm)
            if found is None or (asked.arms and not {arm, arm.partition("@")[0]} & set(asked.arms)):
                continue
            for x, line in _places(measures, asked, found, members):
                number = measures.number(asked, members, pool, arm)
                points.setdefault(
                    ", ".join(filter(None, [line, _line(measures, asked, "", loops).strip(", ")])), []
                ).append((x, number))
    return points


def _places(
    measures: Measures, asked: CurvePlan, arm: "re.Match[str]", members: Sequence[Judged]
) -> list[tuple[float, str]]:
    """Return where an arm stands, (x, line): real cases alone begin every line of shares."""
    kind, names = arm["kind"], measures.config.names
    if asked.x == SHARE:
        share = {"real": 0.0, "synthetic": 1.0, "both": int(arm["percent"] or 50) / 100}.get(kind)
        lines = [f"{arm['subjects']} real subjects" if arm["subjects"] else ""]
        return [] if share is None else [(share, line) for line in lines]
    percent = f"-{arm['percent']}" if arm["percent"] else ""
    if kind == "synthetic":
        return []
    if arm["subjects"]:
        return [(float(arm["subjects"]), named(names, kind + percent))]
    real = measures.finished.real(members[0])
    return [] if real is None else [(float(len(real.subjects("train"))), named(names, kind + percent))]


def drawn_curves(folder: Folder, prefix: str) -> list[StudyFigure]:
    """Draw every curve of a results folder, as that of ``reader analyze``."""
    return [
        StudyFigure(f"{prefix}-{slug(name)}"[:80], found["title"], found["title"], curve_figure(found, svg))
        for name, found in folder.curves.items()
    ]


def scatters(folder: Folder, prefix: str) -> list[StudyFigure]:
    """Draw fidelity against utility, the first metrics of a results folder of ``evaluate correlation``."""
    drawn = []
    for name, found in list(folder.curves.items())[:MOST_SCATTERS]:
        labelled, note = in_words(found), str(found.get("note", ""))
        drawn.append(
            StudyFigure(
                f"{prefix}-{slug(name)}"[:80], labelled["title"], note, scatter_figure(labelled, svg), note=note
            )
        )
    return drawn
