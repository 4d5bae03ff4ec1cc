"""Tables of a study as papers print them: rows are arms and values of loops, columns are classes; papers' rows beside.

A paper's row is grey, with the reason, unless its task, resolution, kind of cases and number of test subjects are ours.
**Checked** in tests/studies/report/test_tables.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.core.result import SCORES, Result
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import slug
from understudy.report.tables import Footnotes, View, heading, interval, number
from understudy.studies.report.blocks import CSV, StudyTable, csv_row, named, told_where
from understudy.studies.report.config import NumberTable, PaperRow, ScoreTable
from understudy.studies.report.finished import Judged
from understudy.studies.report.measures import Combination, Measures, Number, merged
from understudy.studies.report.scores import MEAN

SETTING = ("Task", "Resolution", "Cases", "Source")


@dataclass(frozen=True)
class ScoreRow:
    """A row: an arm, the values of loops, its scores by class, its ratio to real and gain over it."""

    arm: str
    loops: Combination
    scores: dict[str, Number]
    ratio: Number | None
    gain: Number | None

    @property
    def label(self) -> str:
        """The row as one text, in CSV files and figures."""
        return ", ".join([self.arm, *(f"{loop} {value}" for loop, value in self.loops)])


def score_rows(measures: Measures, asked: ScoreTable) -> list[ScoreRow]:
    """Measure the rows of a table, real cases alone first; equal rows of these are one, with the loops they share.

    Raises:
        UnderstudyError: none of the arms that are asked for was trained.
    """
    judged, pool = measures.finished.select(asked), measures.pooled_loops(asked.pool)
    groups = measures.groups(judged, pool, asked.rows)
    classes = list(asked.classes) or _classes(measures.classes(judged))
    arms = list(asked.arms) or measures.arms(judged)
    rows: list[ScoreRow] = []
    for real in (True, False):
        for loops, members in groups.items():
            there = measures.arms(members)
            for arm in (arm for arm in arms if arm.startswith("real") == real and arm in there):
                rows.append(_row(measures, asked, arm, loops, members, classes))
    if not rows:
        raise UnderstudyError(
            f"the report asks for the arm {arms[0] if arms else ''!r} of {asked.template}, which has "
            f"{', '.join(measures.arms(judged)) or 'none'}: correct it"
        )
    numbers = [(row.arm, row.loops, row) for row in rows]
    joined = merged(numbers, lambda row: {name: found.value for name, found in row.scores.items()})
    return [replace(row, loops=loops) for _, loops, row in joined]


def _classes(found: list[str]) -> list[str]:
    return [MEAN, *found] if len(found) > 1 else found


def _row(
    measures: Measures, asked: ScoreTable, arm: str, loops: Combination, members: Sequence[Judged], classes: list[str]
) -> ScoreRow:
    pool = measures.pooled_loops(asked.pool)
    scores = {name: measures.score(members, pool, arm, name, "score", asked.score) for name in classes}
    if arm.startswith("real"):
        return ScoreRow(arm, loops, scores, None, None)
    ratio, gain = (measures.score(members, pool, arm, classes[0], m, asked.score) for m in ("ratio", "gain"))
    return ScoreRow(arm, loops, scores, ratio, gain)


def score_table(measures: Measures, asked: ScoreTable, rows: Sequence[ScoreRow]) -> StudyTable:
    """Print rows of scores, and the papers' rows."""
    names, notes = measures.config.names, Footnotes()
    classes, loops = list(rows[0].scores), list(dict.fromkeys(loop for row in rows for loop, _ in row.loops))
    first = measures.finished.select(asked)[0]
    score = SCORES.get(asked.score or measures.scores(first).score, asked.score)
    ours = _setting(measures, first, asked) if asked.paper else []
    printed = [[*_cells(row, loops, names, notes), *ours] for row in rows]
    grey, raw = set(), [[*row, *ours] for row in _csv(rows)]
    for one in asked.paper:
        place = _place(one, classes, measures.classes(measures.finished.select(asked)))
        why, setting = not_comparable(one, ours[:3], next(iter(rows[0].scores.values())).n), _told(one)
        grey |= {len(printed)} if why else set()
        printed.append([*_paper(one, classes, place, len(loops), why, notes), *setting])
        raw.append(
            [one.row, place, one.measure, one.value, None, None, one.n, "", "", why and f"not comparable: {why}"]
        )
        raw[-1] += setting
    head = [
        "Trained on",
        *(heading(named(names, loop)) for loop in loops),
        *(heading(named(names, c)) for c in classes),
    ]
    head += ["Ratio to real", "Gain over real", "n", *(SETTING if asked.paper else ())]
    numeric = [len(loops) < i < len(head) - (len(SETTING) if asked.paper else 0) for i in range(len(head))]
    where = told_where(names, asked.where)
    title = asked.title or f"{score} on real test subjects: {named(names, asked.template)}{where}"
    unit = next((f" in {one.unit}" for row in rows for one in row.scores.values() if one.unit), "")
    caption = (
        f"{score}{unit} with its 95 % interval; ratio and gain are of the first column of scores. n: test subjects."
    )
    view = View(title, head, printed, numeric, caption, notes.notes)
    header = (*CSV, *(map(str.lower, SETTING) if asked.paper else ()))
    return StudyTable(f"{slug(asked.template)}-{slug(title)}"[:80], view, raw, header, frozenset(grey))


def _cells(row: ScoreRow, loops: list[str], names: dict[str, str], notes: Footnotes) -> list[str]:
    values, first = dict(row.loops), next(iter(row.scores.values()))
    told = [named(names, row.arm), *(named(names, values[loop]) if loop in values else "" for loop in loops)]
    told += [number_cell(found, notes) for found in row.scores.values()]
    told += [number_cell(found, notes) if found else "" for found in (row.ratio, row.gain)]
    return [*told, (f"{first.n:,}" if first.n else "–") + notes.mark(first.behind)]


def number_cell(found: Number, notes: Footnotes) -> str:
    """Write a number with its interval and the mark of its note."""
    ends = interval(found.low, found.high, found.unit)
    told = number(found.value, found.unit, found.high) + ("" if ends == "–" else f" [{ends.replace(' to ', ', ')}]")
    return told + notes.mark(found.note)


def _csv(rows: Sequence[ScoreRow]) -> list[list[Any]]:
    found = []
    for row in rows:
        first = next(iter(row.scores))
        found += [csv_row(row.label, name, "score", one) for name, one in row.scores.items()]
        for measure, value in (("ratio", row.ratio), ("gain", row.gain)):
            found += [csv_row(row.label, first, measure, value)] if value else []
    return found


def _setting(measures: Measures, judged: Judged, asked: ScoreTable) -> list[str]:
    real = measures.finished.real(judged)
    if real is None:
        return [asked.task, "not recorded", "not recorded", "this study"]
    kind = "slices" if len(real.size) == 2 else "volumes"
    return [asked.task, " x ".join(map(str, real.size)), f"{len(real):,} {kind}", "this study"]


def _place(one: PaperRow, classes: list[str], scored: list[str]) -> str:
    """Return the column of a published number; of one class, its score is the mean.

    Raises:
        UnderstudyError: the table has no such column, or ratio and gain are of another class.
    """
    place = classes[0] if one.class_ == MEAN and len(scored) == 1 else one.class_
    if place not in (shown := classes if one.measure == "score" else classes[:1]):
        raise UnderstudyError(
            f"the paper's row {one.row!r} is a {one.measure} of {one.class_}, and the table has that of "
            f"{', '.join(shown)}: correct its class, or the classes of the table"
        )
    return place


def _paper(one: PaperRow, classes: list[str], place: str, loops: int, why: str, notes: Footnotes) -> list[str]:
    """Return the cells of a published number, with a note why it may not be compared with ours."""
    value = number(one.value) + notes.mark(why and f"not comparable: {why}")
    cells = [value if one.measure == "score" and name == place else "" for name in classes]
    cells += [value if one.measure == measure else "" for measure in ("ratio", "gain")]
    return [one.row, *[""] * loops, *cells, str(one.n or "?")]


def _told(one: PaperRow) -> list[str]:
    return [text or "?" for text in (one.task, one.resolution, one.slices, one.source)]


def not_comparable(one: PaperRow, ours: Sequence[str], n: int) -> str:
    """Say in what a paper's setting is not ours (task, resolution, cases; of "10 slices" the kind counts), or ""."""
    task, resolution, cases = ours
    pairs = [("task", one.task, task), ("resolution", one.resolution, resolution)]
    pairs += [("cases", one.slices, cases.rpartition(" ")[2]), ("n", str(one.n or ""), str(n))]
    differ = [(what, theirs, mine) for what, theirs, mine in pairs if _plain(theirs) != _plain(mine) or not theirs]
    return join_notes(*(f"{what} {theirs or 'not known'}, here {mine or 'not told'}" for what, theirs, mine in differ))


def _plain(text: str) -> str:
    return text.lower().replace("×", "x").replace(" ", "")


def number_table(measures: Measures, asked: NumberTable) -> StudyTable | None:
    """Print results by name: a row for each combination of loops; None where no stage for it is done."""
    judged, pool = measures.finished.select(asked), measures.pooled_loops(asked.pool)
    if not judged:
        return None
    names, notes, rows, raw = measures.config.names, Footnotes(), [], []
    groups = measures.groups(judged, pool)
    loops = list(dict.fromkeys(loop for found in groups for loop, _ in found))
    for found, members in groups.items():
        values = dict(found)
        numbers = [measures.result(members, name) for name in asked.results]
        label = ", ".join(f"{loop} {value}" for loop, value in found) or asked.template
        raw += [csv_row(label, "", name, one) for name, one in zip(asked.results, numbers, strict=True)]
        texts = [named(names, values[loop]) if loop in values else "" for loop in loops] or [
            named(names, asked.template)
        ]
        n, behind = [one.n for one in numbers if one.n], dict.fromkeys(one.behind for one in numbers)
        cells = [number_cell(one, notes) for one in numbers]
        rows.append([*texts, *cells, (f"{min(n):,}" if n else "–") + notes.mark(join_notes(*behind))])
    columns = [heading(name.partition(".")[2] or name, name.partition(".")[0]) for name in asked.results]
    head = [*([heading(named(names, loop)) for loop in loops] or ["Stage"]), *columns, "n"]
    first = len(loops) or 1
    title = asked.title or heading(named(names, asked.template)) + told_where(names, asked.where)
    view = View(title, head, rows, [i >= first for i in range(len(head))], "", notes.notes)
    return StudyTable(f"{slug(asked.template)}-{slug(title)}"[:80], view, raw)


def as_results(measures: Measures, asked: ScoreTable, rows: Sequence[ScoreRow]) -> list[Result]:
    """Return pooled numbers as results: ``study.utility.both.generator-diffusion.ratio.lesion``.

    Where it was asked for, the score stands before the class: ``ratio.hd95.lesion``; values of ``where`` are loops.
    """
    found, seed, of = [], measures.config.seed, f".{asked.score}" if asked.score else ""
    plain = measures.plain(measures.finished.select(asked)[0], asked.score)
    better = plain.better if plain else ""
    for row in rows:
        loops = dict(row.loops) | {k: v for k, v in asked.where.items() if k not in dict(row.loops)}
        at = ".".join(["study", slug(asked.template), row.arm, *(slug(f"{loop} {v}") for loop, v in loops.items())])
        first = next(iter(row.scores))
        numbers = [("score", name, one) for name, one in row.scores.items()]
        numbers += [(what, first, one) for what, one in (("ratio", row.ratio), ("gain", row.gain)) if one]
        for what, name, one in numbers:
            note = join_notes(one.behind, one.note)
            ends = (one.value, one.low, one.high)
            found.append(Result(f"{at}.{what}{of}.{slug(name)}", *ends, one.unit, better, one.n, seed, note))
    return found
