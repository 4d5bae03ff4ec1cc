"""From outcomes to what ``evaluate utility`` writes: results, tables, validation curves, rows per subject or case.

A ratio never stands without its real-only score: in the note, in the row before it, and in the table. The first score
of a task has ratios, the others differences; each side is compared with the real-only one that it names (sides.py).
Where a validation curve had not come to rest, the note says so. How many networks read the test split is a result of
its own.
**Checked** in tests/evaluation/utility/test_report.py (known counts give known numbers; few subjects are withheld).

The mixing curve: the first score of a task against the share of synthetic cases in what networks learned.

tables/utility-mixing.csv has every class; the curve shows the mean over classes, a line for each cohort and number of
real subjects. Its ends are real-only (0) and, where it was asked for, synthetic-only (1). What fewer than five subjects
stand behind is blank in the table and not in the curve. **Checked** in tests/evaluation/utility/test_report_mixing.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.core.statistics import Interval, Means, difference, interval, ratio
from understudy.evaluation.folder import write_curve, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.paired import signed_rank
from understudy.evaluation.utility.arms import Side
from understudy.evaluation.utility.convergence import rising
from understudy.evaluation.utility.tables import Finding, three, write_tables
from understudy.evaluation.utility.task import Outcome, Score, Task
from understudy.tasks.fitting import chosen_from

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


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        task: what was trained and scored.
        sides: real first, each real-only side before those that are compared with it.
        outcomes: by the side's name.
        config: the task's settings.
        provenance: the request.
    """

    task: Task
    sides: list[Side]
    outcomes: Mapping[str, Outcome]
    config: Any
    provenance: Provenance

    def write(self, folder: Path) -> None:
        """Write results.json, tables, curves and internal/ of a utility evaluation."""
        found = list(self._all())
        results = [r for f in found for r in (f.score, f.ratio or f.difference) if r is not None]
        write_results(folder, [*results, self._readings()], self.provenance)
        write_tables(folder, found, self.task, self.outcomes, self.config, self._seed)
        if self.config.shares:
            write_mixing(folder, found, self.task, self.config.network)
        held = internal(folder)
        self._write_curves(folder if self.task.validation_subjects >= MIN_SUBJECTS else held)
        self.task.write_inside(held, dict(self.outcomes))

    def _all(self) -> Iterator[Finding]:
        """Go through the scores, for each through the mean and the classes, for each through the sides, real first."""
        for position, score in enumerate(self.task.scores):
            for k in (None, *range(len(self.task.names))):
                ending = f"{self.config.network}.{score.name}"
                if k is not None:
                    ending += f".{slug(self.task.names[k])}"
                for side in self.sides:
                    yield self._finding(side, k, position, ending)

    def _finding(self, side: Side, k: int | None, position: int, ending: str) -> Finding:
        outcome, name = self.outcomes[side.name], "mean" if k is None else self.task.names[k]
        n, score = int(outcome.counted(k).sum()), self.task.scores[position]
        found = interval(outcome.measured(k, position), self._seed, self.config.draws) if n else None
        note = _joined(outcome.note(k, position), side.note, self._unrest(side))
        behind, missing = outcome.behind(k), outcome.missing(k)
        result = self._result(f"utility.{side.label}.{ending}", found, n, behind, note, missing, score)
        against = gain = p = None
        if side.kind == "synthetic" and position == 0:
            against = self._ratio(f"utility.ratio{side.ending}.{ending}", side, k)
        if side.against:
            gain, p = self._difference(f"utility.{side.comparison}.{ending}", side, k, position)
        cells = outcome.cells(k) if behind >= MIN_SUBJECTS else [None] * len(self.task.columns)
        return Finding(side, score, k, name, result, against, gain, p, cells)

    def _ratio(self, name: str, side: Side, k: int | None) -> Result:
        real, outcome, score = self.outcomes[side.against], self.outcomes[side.name], self.task.scores[0]
        words, n = f"{_alone(side)} {score.words}", self._paired(side, k)
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} on both sides")
        draws = self.config.draws
        below = interval(real.measured(k), self._seed, draws)
        found = ratio(outcome.measured(k), real.measured(k), self._seed, draws)
        note = f"{words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
        behind = min(n, outcome.behind(k), real.behind(k))
        return self._result(name, found, n, behind, self._compared(note, side), f"the {words} is 0")

    def _difference(self, name: str, side: Side, k: int | None, position: int) -> tuple[Result, float | None]:
        """Measure a side minus its real-only one, with the p of the paired test where subjects have own scores."""
        score, outcome, n = self.task.scores[position], self.outcomes[side.name], self._paired(side, k)
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} on both sides", score), None
        real, other = (self.outcomes[name].measured(k, position) for name in (side.against, side.name))
        note = f"minus the score of the {_alone(side)} networks on the same subjects"
        if position == 0:
            below = interval(real, self._seed, self.config.draws)
            note = f"gain over {_alone(side)} {score.words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
        found = difference(other, real, self._seed, self.config.draws)
        behind = min(n, outcome.behind(k), self.outcomes[side.against].behind(k))
        p = None
        if isinstance(other, Means) and isinstance(real, Means) and behind >= MIN_SUBJECTS:
            p = signed_rank(other.by_subject() - real.by_subject())
        return self._result(name, found, n, behind, self._compared(note, side), "", score), p

    def _paired(self, side: Side, k: int | None) -> int:
        return int((self.outcomes[side.name].counted(k) & self.outcomes[side.against].counted(k)).sum())

    def _compared(self, note: str, side: Side) -> str:
        """Join the notes of a comparison: both sides must have come to rest."""
        real = next(one for one in self.sides if one.name == side.against)
        return _joined(note, side.note, self._unrest(real), self._unrest(side))

    def _unrest(self, side: Side) -> str:
        """Say where the validation score of a side still rose at the end."""
        start = chosen_from(side.cases, self.config.updates)
        rose = rising(self.outcomes[side.name].curves, start)
        return f"the validation score of {side.name} still rose at the end: more updates may help" if rose else ""

    def _readings(self) -> Result:
        """Count the networks that read the test split, each once, after its weights were chosen."""
        n, subjects = sum(len(outcome.curves) for outcome in self.outcomes.values()), len(self.task.subjects)
        note = (
            f"{self.task.model}s that read the test split ({subjects} subjects), each once, its weights chosen before"
        )
        name = f"utility.test_readings.{self.config.network}"
        return Result(name, n, None, None, "count", n=n, seed=self.provenance.seed, note=note)

    @property
    def _seed(self) -> int:
        return derive(self.provenance.seed, "interval")

    def _result(
        self,
        name: str,
        found: Interval | None,
        n: int,
        behind: int,
        note: str,
        missing: str,
        score: Score | None = None,
    ) -> Result:
        better, unit = (score.better, score.unit) if score else ("higher", "")
        seed = self.provenance.seed
        if found is None:
            return Result(name, None, unit=unit, better=better, n=n, seed=seed, note=missing)
        return public(Result(name, found.value, found.low, found.high, unit, better, n, seed, note), behind)

    def _write_curves(self, folder: Path) -> None:
        """Write the mean validation score against updates; inside where fewer than five subjects stand behind it."""
        series = {}
        for name, outcome in self.outcomes.items():
            points = np.array(outcome.curves)  # (repeats, checks, 2)
            kept = np.isfinite(points[..., 1]).all(0)
            series[name] = (points[0, kept, 0].tolist(), points[:, kept, 1].mean(0).tolist())
        words = self.task.scores[0].words
        title, name = f"Validation {words} while training", f"utility-{self.config.network}"
        write_curve(folder, name, title, "updates", f"mean {words}", series)


def _alone(side: Side) -> str:
    """Return what to call the real-only networks that a side is compared with."""
    return "real-only" if side.against == "real" else side.against


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
