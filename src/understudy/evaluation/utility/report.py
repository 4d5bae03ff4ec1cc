"""From outcomes to what ``evaluate utility`` writes: results, tables, validation curves, rows per subject or case.

A ratio never stands without its real-only score: in the note, in the row before it, and in the table. The first score
of a task has ratios, the others differences; each arm is compared with the real-only one that it names (arms.py). Where
a validation curve had not converged, the note says so. How often the test split was read is a result of its own.
**The choice of weights**: of networks on synthetic cases alone, tables/utility-selection.csv and results named
``utility.select-CHOICE`` have the first score with each choice; its ratio is always to real-only networks whose weights
real validation subjects chose. ``utility.validation`` is the first score on real validation subjects, with the weights
that lead: what a generator, or its length, is chosen by before test scores are looked at.
**The mixing curve**: the first score of a task against the share of synthetic cases in what networks learned.
tables/utility-mixing.csv has every class; the curve shows the mean over classes, a line for each cohort and number of
real subjects. Its ends are real-only (0) and, where it was asked for, synthetic-only (1). What fewer than five subjects
stand behind is blank in the table and not in the curve.
**Checked** in tests/evaluation/utility/test_report.py (known counts give known numbers; few subjects are withheld).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.pooled import Pool, Pooled
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.core.statistics import Means
from understudy.evaluation.folder import join_notes, three, write_curve, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.paired import signed_rank
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.convergence import trend
from understudy.evaluation.utility.tables import Finding, write_selection, write_tables
from understudy.evaluation.utility.task import Outcome, Score, Task
from understudy.evaluation.utility.tested import Tested, all_tested
from understudy.tasks.fitting import LAST, chosen_from

COLUMNS = ("cohort", "real_arm", "share", "trained_on", "class")
FURTHER = ("low", "high", "gain", "gain_low", "gain_high", "n_subjects")


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
    write_table(folder, "utility-mixing", (*COLUMNS, score.name, *FURTHER), rows)
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
    """What was found, by arm and choice of weights: real first, each real-only arm before those compared with it."""

    task: Task
    arms: list[Arm]
    outcomes: Mapping[str, Mapping[str, Outcome]]
    config: Any
    provenance: Provenance

    def write(self, folder: Path) -> None:
        """Write results.json, tables, curves and internal/ of a utility evaluation."""
        leading = [one for one in self._tested if one.leads]
        found, choices = self._all()
        results = [r for f in found for r in (f.score, f.ratio or f.difference) if r is not None]
        outcomes = {one.arm.name: one.outcome for one in leading}
        write_results(
            folder, [*results, *_of_choices(choices), *self._validations(), self._readings()], self.provenance
        )
        write_tables(folder, found, self.task, outcomes, self.config, self._seed)
        write_selection(folder, choices, self.task.scores[0])
        if self.config.shares:
            write_mixing(folder, found, self.task, self.config.network)
        held = internal(folder)
        self._write_curves(folder, "synthetic", "held-out synthetic cases")
        self._write_curves(
            folder if self.task.validation_subjects >= MIN_SUBJECTS else held, "real", "validation subjects"
        )
        self.task.write_inside(held, {one.arm.name: one.outcome for one in leading if len(one.members) == 1})

    def _all(self) -> tuple[list[Finding], list[tuple[str, Finding]]]:
        """Return what tables lead with: by score, class and arm; and the first score with each choice of weights."""
        found, choices = [], []
        for position in range(len(self.task.scores)):
            for k in (None, *range(len(self.task.names))):
                for one in self._tested:
                    among_choices = position == 0 and len(one.arm.choices) > 1
                    if one.leads or among_choices:
                        finding = self._finding(one, k, position)
                        found += [finding] if one.leads else []
                        choices += [(one.choice, finding)] if among_choices else []
        return found, choices

    @cached_property
    def _tested(self) -> list[Tested]:
        return all_tested(self.arms, self.outcomes)

    def _real(self, one: Tested) -> Tested | None:
        """Return the real-only networks that others are compared with."""
        return next((other for other in self._tested if other.arm.name == one.arm.against), None)

    def _finding(self, one: Tested, k: int | None, position: int) -> Finding:
        arm, outcome, name = one.arm, one.outcome, "mean" if k is None else self.task.names[k]
        n, score = int(outcome.counted(k).sum()), self.task.scores[position]
        ending = f"{self.config.network}.{score.name}" + ("" if k is None else f".{slug(name)}")
        pool = one.pool(self._real(one), k, position, self.task.subjects, self._seed, self.config.draws)
        found = pool.score("it") if n else None
        found = found and found.within(score.highest)
        note = join_notes(outcome.note(k, position), arm.note, self._trend(one), _unheld(found) if arm.cohort else "")
        behind, missing = outcome.behind(k), outcome.missing(k)
        result = self._result(f"utility.{arm.label}.{ending}", found, n, behind, note, missing, score)
        cells = outcome.cells(k) if behind >= MIN_SUBJECTS else [None] * len(self.task.columns)
        return Finding(arm, score, k, name, result, *self._compared(one, pool, k, position, ending), cells)

    def _compared(
        self, mine: Tested, pool: Pool, k: int | None, position: int, ending: str
    ) -> tuple[Result | None, Result | None, float | None]:
        """Measure the ratio to the real-only arm (the first score of a synthetic one), the difference, and its p."""
        real, arm, score = self._real(mine), mine.arm, self.task.scores[position]
        if real is None:
            return None, None, None
        names = f"utility.ratio{arm.ending}.{ending}", f"utility.{arm.comparison}.{ending}"
        one, other = mine.outcome, real.outcome
        has_ratio, n = arm.kind == "synthetic" and position == 0, int((one.counted(k) & other.counted(k)).sum())
        if not n:
            none = self._result(names[1], None, 0, 0, "", f"{one.missing(k)} in both arms", score)
            return replace(none, name=names[0]) if has_ratio else None, none, None
        behind, gain = min(n, one.behind(k), other.behind(k)), pool.gain("it", "real")
        alone = "real-only" if arm.against == "real" else arm.against
        apart, whose = _apart(one.counted(k), other.counted(k), alone)
        notes = arm.note, self._trend(real), self._trend(mine), apart, _unheld(gain)
        note, quotient, p = f"minus the score of the {alone} networks on {whose}", None, None
        if position == 0:
            words = f"{alone} {score.words}"
            against = pool.score("real")
            beside = f"{words} {_quoted(against and against.within(score.highest))}"
            note = f"gain over {beside}"
            if has_ratio:
                quoted = join_notes(beside, *notes)
                missing = f"the {words} is 0"
                quotient = self._result(names[0], pool.ratio("it", "real"), n, behind, quoted, missing, score)
        measured = one.measured(k, position), other.measured(k, position)
        if isinstance(measured[0], Means) and isinstance(measured[1], Means) and behind >= MIN_SUBJECTS:
            p = signed_rank(measured[0].by_subject() - measured[1].by_subject())
        return quotient, self._result(names[1], gain, n, behind, join_notes(note, *notes), "", score), p

    def _trend(self, one: Tested) -> str:
        """Say where the score of an arm on validation subjects still rose at the end, or fell from its best."""
        if len(one.members) > 1:
            return ""
        start = chosen_from(one.arm.cases, self.config.updates)
        name, ended = one.arm.name, trend(one.outcome.curves["real"], start)
        return {
            "rose": f"the validation score of {name} still rose at the end: more updates may help",
            "fell": f"the score of {name} on real validation subjects fell from its best before the end",
            "": "",
        }[ended]

    def _validations(self) -> Iterator[Result]:
        """Yield how networks on synthetic cases alone scored on real validation subjects, with the weights that lead.

        Generators are chosen by it: it reads no test subject, and real subjects did not choose the weights either.
        """
        score, n = self.task.scores[0], self.task.validation_subjects
        for one in self._tested:
            if one.arm.kind != "synthetic" or not one.leads or one.choice == "real" or len(one.members) > 1:
                continue
            curves = one.members[0].curves
            pairs = zip(curves.get(one.choice, curves["real"]), curves["real"], strict=True)
            found = float(np.mean([dict(real)[_chosen(own, one.choice)] for own, real in pairs]))
            value = found if np.isfinite(found) else None
            note = join_notes("" if value is not None else "no validation subject counts", one.arm.note)
            name = f"utility.validation{one.arm.ending}.{self.config.network}.{score.name}"
            yield public(Result(name, value, None, None, score.unit, score.better, n, self.provenance.seed, note), n)

    def _readings(self) -> Result:
        """Count how often the test split was read."""
        task, outcomes = self.task, [list(self.outcomes[arm.name].values()) for arm in self.arms]
        networks, n = sum(each[0].networks for each in outcomes), sum(one.networks for each in outcomes for one in each)
        read = f"readings of the test split ({len(task.subjects)} subjects) by {networks} {task.model}s"
        note = f"{read}, once with the weights of each choice, made before"
        name = f"utility.test_readings.{self.config.network}"
        return Result(name, n, None, None, "count", n=n, seed=self.provenance.seed, note=note)

    @property
    def _seed(self) -> int:
        return derive(self.provenance.seed, "interval")

    def _result(
        self, name: str, found: Pooled | None, n: int, behind: int, note: str, missing: str, score: Score
    ) -> Result:
        note = missing if found is None else note
        return public(Result(name, *three(found), score.unit, score.better, n, self.provenance.seed, note), behind)

    def _write_curves(self, folder: Path, judge: str, whom: str) -> None:
        """Write the mean score by a judge against updates."""
        series = {}
        for name, by_choice in self.outcomes.items():
            curves = next(iter(by_choice.values())).curves
            if judge in curves:
                points = np.array(curves[judge])  # (repeats, checks, 2)
                kept = np.isfinite(points[..., 1]).all(0)
                series[name] = (points[0, kept, 0].tolist(), points[:, kept, 1].mean(0).tolist())
        words = self.task.scores[0].words
        title, name = f"{words} on {whom} while training", f"utility-{self.config.network}"
        if series:
            more = "" if judge == "real" else f"-{judge}"
            write_curve(folder, name + more, title, "updates", f"mean {words}", series)


def _chosen(curve: Sequence[tuple[int, float]], choice: str) -> int:
    """Return after how many updates a network had the weights that a judge chose by its curve, or the last ones."""
    counted = [point for point in curve if np.isfinite(point[1])]
    return curve[-1][0] if choice == LAST else max(counted, key=lambda point: point[1])[0]


def _of_choices(choices: Sequence[tuple[str, Finding]]) -> Iterator[Result]:
    """Yield results of the choices of weights that tables do not lead with."""
    for choice, found in choices:
        for result in (found.score, found.ratio):
            if result is not None and choice != found.arm.choices[0]:
                yield replace(result, name=result.name.replace("utility.", f"utility.select-{choice}.", 1))


def _apart(mine: np.ndarray, real: np.ndarray, alone: str) -> tuple[str, str]:
    """Say which subjects count, bool (S,), on two sides that may differ in them, and on whose a difference is."""
    if (mine == real).all():
        return "", "the same subjects"
    here, there, both = (int(counted.sum()) for counted in (mine, real, mine & real))
    return f"subjects that count: {here} here, {there} {alone}; n and p are of the {both} in both", "those that count"


def _quoted(found: Pooled | None) -> str:
    if found is None or found.low is None:
        return f"{found.value:.3f}" if found else "none"
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _unheld(found: Pooled | None) -> str:
    """Say what the interval does not hold."""
    return f"the interval does not hold the {' nor the '.join(found.missing)}" if found and found.missing else ""
