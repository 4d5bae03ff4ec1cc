"""The mixing curve: the first score of a task against the share of synthetic cases in what networks learned.

tables/utility-mixing.csv has every class; the curve shows the mean over classes, a line for each cohort and number of
real subjects. Its ends are real-only (0) and, where it was asked for, synthetic-only (1). What fewer than five subjects
stand behind is blank in the table and not in the curve. **Checked** in tests/evaluation/utility/test_mixing.py.
"""

from collections.abc import Sequence
from pathlib import Path

from understudy.core.result import Result
from understudy.evaluation.folder import write_curve, write_table
from understudy.evaluation.utility.sides import Side
from understudy.evaluation.utility.tables import Finding, three
from understudy.evaluation.utility.task import Task

COLUMNS = ("cohort", "real_side", "share", "trained_on", "class")
LAST = ("low", "high", "gain", "gain_low", "gain_high", "n_subjects")


def write_mixing(folder: Path, found: Sequence[Finding], task: Task, network: str) -> None:
    """Write the table and the curve of a utility evaluation in which shares were asked for.

    Args:
        folder: where.
        found: all findings.
        task: what was trained and scored.
        network: its name.
    """
    score = task.scores[0]
    lines = _lines([f.side for f in found])
    first = {(f.side.name, f.k): f for f in found if f.kind is score}
    rows, series = [], {}
    for (cohort, real), sides in lines.items():
        for k in (None, *range(len(task.names))):
            for side in sides:
                one = first[side.name, k]
                gain = one.difference if side.against == real else None
                told = (cohort, real, side.share, side.name, one.name)
                rows.append([*told, *three(one.score), *three(gain), one.score.n])
        if points := _points(sides, [first[side.name, None].score for side in sides]):
            series[cohort if real == "real" else f"{cohort}, {real}"] = points
    write_table(folder, "utility-mixing", (*COLUMNS, score.name, *LAST), rows)
    if series:
        title = f"{score.words} against the share of synthetic cases"
        x_label, note = (
            "share of synthetic cases in what is learned",
            "Bands are 95 % intervals; 0 is real cases alone.",
        )
        name, more = f"utility-mixing-{network}", {"note": note, "marked": True}
        write_curve(folder, name, title, x_label, f"mean {score.words}", series, **more)


def _lines(sides: Sequence[Side]) -> dict[tuple[str, str], list[Side]]:
    """Return the sides of each line by (cohort, real side), by share: real-only, mixtures, and synthetic-only."""
    named = {side.name: side for side in sides}
    lines = {}
    for side in named.values():
        if side.share not in (None, 0, 1):
            lines[side.cohort, side.against] = [named[side.against]]
    for (cohort, real), line in lines.items():
        further = [s for s in named.values() if s.cohort == cohort and s.share and (s.against == real or s.share == 1)]
        line += sorted(further, key=lambda side: side.share or 0)
    return lines


def _points(sides: Sequence[Side], scores: Sequence[Result]) -> tuple[list[float], ...]:
    """Return shares, scores and both ends of their intervals, of the scores that may be shown."""
    pairs = zip(sides, scores, strict=True)
    shown = [(side.share, *three(score)) for side, score in pairs if score.value is not None]
    return tuple([float(v or 0) for v in column] for column in zip(*shown, strict=True))
