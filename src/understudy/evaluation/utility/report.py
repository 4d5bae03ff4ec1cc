"""From outcomes to what ``evaluate utility`` writes: results, tables, validation curves, rows per subject or case.

A ratio never stands without its real-only score: in the note, in the row before it, and in the table. The first score
of a task has ratios, the others differences; each arm is compared with the real-only one that it names (arms.py). Where
a validation curve had not converged, the note says so. How many networks read the test split is a result of its own.
**The mixing curve**: the first score of a task against the share of synthetic cases in what networks learned.
tables/utility-mixing.csv has every class; the curve shows the mean over classes, a line for each cohort and number of
real subjects. Its ends are real-only (0) and, where it was asked for, synthetic-only (1). What fewer than five subjects
stand behind is blank in the table and not in the curve.
**Checked** in tests/evaluation/utility/test_report.py (known counts give known numbers; few subjects are withheld).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.core.statistics import Interval, Means, difference, interval, ratio
from understudy.evaluation.folder import join_notes, three, write_curve, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.paired import signed_rank
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.convergence import still_rising
from understudy.evaluation.utility.tables import Finding, write_tables
from understudy.evaluation.utility.task import Outcome, Score, Task
from understudy.tasks.fitting import chosen_from

COLUMNS = ("cohort", "real_arm", "share", "trained_on", "class")
LAST = ("low", "high", "gain", "gain_low", "gain_high", "n_subjects")


def write_mixing(folder: Path, found: Sequence[Finding], task: Task, network: str) -> None:
    """Write the table and the curve of a utility evaluation in which shares were asked for."""
    score = task.scores[0]
    lines = _lines([f.arm for f in found])
    first = {(f.arm.name, f.k): f for f in found if f.kind is score}
    rows, series = [], {}
    for (cohort, real), arms in lines.items():
        for k in (None, *range(len(task.names))):
            for arm in arms:
                one = first[arm.name, k]
                gain = one.difference if arm.against == real else None
                rows.append([cohort, real, arm.share, arm.name, one.name, *three(one.score), *three(gain), one.score.n])
        if points := _points(arms, [first[arm.name, None].score for arm in arms]):
            series[cohort if real == "real" else f"{cohort}, {real}"] = points
    write_table(folder, "utility-mixing", (*COLUMNS, score.name, *LAST), rows)
    if series:
        title, label = (
            f"{score.words} against the share of synthetic cases",
            "share of synthetic cases in what is learned",
        )
        more = {"note": "Bands are 95 % intervals; 0 is real cases alone.", "marked": True}
        write_curve(folder, f"utility-mixing-{network}", title, label, f"mean {score.words}", series, **more)


def _lines(arms: Sequence[Arm]) -> dict[tuple[str, str], list[Arm]]:
    """Return the arms of each line by (cohort, real arm), by share: real-only, mixtures, and synthetic-only."""
    named = {arm.name: arm for arm in arms}
    lines = {}
    for arm in named.values():
        if arm.share not in (None, 0, 1):
            lines[arm.cohort, arm.against] = [named[arm.against]]
    for (cohort, real), line in lines.items():
        further = [s for s in named.values() if s.cohort == cohort and s.share and (s.against == real or s.share == 1)]
        line += sorted(further, key=lambda arm: arm.share or 0)
    return lines


def _points(arms: Sequence[Arm], scores: Sequence[Result]) -> tuple[list[float], ...]:
    """Return shares, scores and both ends of their intervals, of the scores that may be shown."""
    pairs = zip(arms, scores, strict=True)
    shown = [(arm.share, *three(score)) for arm, score in pairs if score.value is not None]
    return tuple([float(v or 0) for v in column] for column in zip(*shown, strict=True))


@dataclass(frozen=True)
class UtilityFindings:
    """What was found, by arm: real first, each real-only arm before those that are compared with it."""

    task: Task
    arms: list[Arm]
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
        """Go through the scores, for each through the mean and the classes, for each through the arms, real first."""
        for position in range(len(self.task.scores)):
            for k in (None, *range(len(self.task.names))):
                for arm in self.arms:
                    yield self._finding(arm, k, position)

    def _finding(self, arm: Arm, k: int | None, position: int) -> Finding:
        outcome, name = self.outcomes[arm.name], "mean" if k is None else self.task.names[k]
        n, score = int(outcome.counted(k).sum()), self.task.scores[position]
        ending = f"{self.config.network}.{score.name}" + ("" if k is None else f".{slug(name)}")
        found = interval(outcome.measured(k, position), self._seed, self.config.draws) if n else None
        note = join_notes(outcome.note(k, position), arm.note, self._convergence(arm))
        behind, missing = outcome.behind(k), outcome.missing(k)
        result = self._result(f"utility.{arm.label}.{ending}", found, n, behind, note, missing, score)
        cells = outcome.cells(k) if behind >= MIN_SUBJECTS else [None] * len(self.task.columns)
        return Finding(arm, score, k, name, result, *self._compared(arm, k, position, ending), cells)

    def _compared(
        self, arm: Arm, k: int | None, position: int, ending: str
    ) -> tuple[Result | None, Result | None, float | None]:
        """Measure the ratio to the real-only arm (the first score of a synthetic one), the difference, and its p."""
        if not arm.against:
            return None, None, None
        score, mine, real = self.task.scores[position], self.outcomes[arm.name], self.outcomes[arm.against]
        names = f"utility.ratio{arm.ending}.{ending}", f"utility.{arm.comparison}.{ending}"
        has_ratio, n = arm.kind == "synthetic" and position == 0, int((mine.counted(k) & real.counted(k)).sum())
        if not n:
            none = self._result(names[1], None, 0, 0, "", f"{mine.missing(k)} in both arms", score)
            return replace(none, name=names[0]) if has_ratio else None, none, None
        one, other = (outcome.measured(k, position) for outcome in (mine, real))
        behind, resampling = min(n, mine.behind(k), real.behind(k)), (self._seed, self.config.draws)
        against = next(a for a in self.arms if a.name == arm.against)
        notes = arm.note, self._convergence(against), self._convergence(arm)
        alone = "real-only" if arm.against == "real" else arm.against
        note, quotient, p = f"minus the score of the {alone} networks on the same subjects", None, None
        if position == 0:
            below, words = interval(other, *resampling), f"{alone} {score.words}"
            beside = f"{words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
            note = f"gain over {beside}"
            if has_ratio:
                found = ratio(one, other, *resampling)
                quoted = join_notes(beside, *notes)
                quotient = self._result(names[0], found, n, behind, quoted, f"the {words} is 0", score)
        found = difference(one, other, *resampling)
        if isinstance(one, Means) and isinstance(other, Means) and behind >= MIN_SUBJECTS:
            p = signed_rank(one.by_subject() - other.by_subject())
        return quotient, self._result(names[1], found, n, behind, join_notes(note, *notes), "", score), p

    def _convergence(self, arm: Arm) -> str:
        """Say where the validation score of an arm still rose at the end."""
        start = chosen_from(arm.cases, self.config.updates)
        rose = still_rising(self.outcomes[arm.name].curves, start)
        return f"the validation score of {arm.name} still rose at the end: more updates may help" if rose else ""

    def _readings(self) -> Result:
        """Count the networks that read the test split, each once, after its weights were chosen."""
        task, n = self.task, sum(len(outcome.curves) for outcome in self.outcomes.values())
        read = f"{task.model}s that read the test split ({len(task.subjects)} subjects)"
        note = f"{read}, each once, its weights chosen before"
        name = f"utility.test_readings.{self.config.network}"
        return Result(name, n, None, None, "count", n=n, seed=self.provenance.seed, note=note)

    @property
    def _seed(self) -> int:
        return derive(self.provenance.seed, "interval")

    def _result(
        self, name: str, found: Interval | None, n: int, behind: int, note: str, missing: str, score: Score
    ) -> Result:
        note = missing if found is None else note
        return public(Result(name, *three(found), score.unit, score.better, n, self.provenance.seed, note), behind)

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
