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
from dataclasses import dataclass
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
        for position, score in enumerate(self.task.scores):
            for k in (None, *range(len(self.task.names))):
                ending = f"{self.config.network}.{score.name}"
                if k is not None:
                    ending += f".{slug(self.task.names[k])}"
                for arm in self.arms:
                    yield self._finding(arm, k, position, ending)

    def _finding(self, arm: Arm, k: int | None, position: int, ending: str) -> Finding:
        outcome, name = self.outcomes[arm.name], "mean" if k is None else self.task.names[k]
        n, score = int(outcome.counted(k).sum()), self.task.scores[position]
        found = interval(outcome.measured(k, position), self._seed, self.config.draws) if n else None
        note = join_notes(outcome.note(k, position), arm.note, self._convergence(arm))
        behind, missing = outcome.behind(k), outcome.missing(k)
        result = self._result(f"utility.{arm.label}.{ending}", found, n, behind, note, missing, score)
        against = gain = p = None
        if arm.kind == "synthetic" and position == 0:
            against = self._ratio(f"utility.ratio{arm.ending}.{ending}", arm, k)
        if arm.against:
            gain, p = self._difference(f"utility.{arm.comparison}.{ending}", arm, k, position)
        cells = outcome.cells(k) if behind >= MIN_SUBJECTS else [None] * len(self.task.columns)
        return Finding(arm, score, k, name, result, against, gain, p, cells)

    def _ratio(self, name: str, arm: Arm, k: int | None) -> Result:
        real, outcome, score = self.outcomes[arm.against], self.outcomes[arm.name], self.task.scores[0]
        words, n = f"{_alone(arm)} {score.words}", self._paired(arm, k)
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} in both arms")
        draws = self.config.draws
        below = interval(real.measured(k), self._seed, draws)
        found = ratio(outcome.measured(k), real.measured(k), self._seed, draws)
        note = f"{words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
        behind = min(n, outcome.behind(k), real.behind(k))
        return self._result(name, found, n, behind, self._compared(note, arm), f"the {words} is 0")

    def _difference(self, name: str, arm: Arm, k: int | None, position: int) -> tuple[Result, float | None]:
        """Measure an arm minus its real-only one, with the p of the paired test where subjects have own scores."""
        score, outcome, n = self.task.scores[position], self.outcomes[arm.name], self._paired(arm, k)
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} in both arms", score), None
        real, other = (self.outcomes[name].measured(k, position) for name in (arm.against, arm.name))
        note = f"minus the score of the {_alone(arm)} networks on the same subjects"
        if position == 0:
            below = interval(real, self._seed, self.config.draws)
            note = f"gain over {_alone(arm)} {score.words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
        found = difference(other, real, self._seed, self.config.draws)
        behind = min(n, outcome.behind(k), self.outcomes[arm.against].behind(k))
        p = None
        if isinstance(other, Means) and isinstance(real, Means) and behind >= MIN_SUBJECTS:
            p = signed_rank(other.by_subject() - real.by_subject())
        return self._result(name, found, n, behind, self._compared(note, arm), "", score), p

    def _paired(self, arm: Arm, k: int | None) -> int:
        return int((self.outcomes[arm.name].counted(k) & self.outcomes[arm.against].counted(k)).sum())

    def _compared(self, note: str, arm: Arm) -> str:
        """Join the notes of a comparison: both arms must have converged."""
        real = next(one for one in self.arms if one.name == arm.against)
        return join_notes(note, arm.note, self._convergence(real), self._convergence(arm))

    def _convergence(self, arm: Arm) -> str:
        """Say where the validation score of an arm still rose at the end."""
        start = chosen_from(arm.cases, self.config.updates)
        rose = still_rising(self.outcomes[arm.name].curves, start)
        return f"the validation score of {arm.name} still rose at the end: more updates may help" if rose else ""

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
        note = missing if found is None else note
        return public(Result(name, *three(found), unit, better, n, self.provenance.seed, note), behind)

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


def _alone(arm: Arm) -> str:
    """Return what to call the real-only networks that an arm is compared with."""
    return "real-only" if arm.against == "real" else arm.against
