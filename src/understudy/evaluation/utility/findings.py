"""From outcomes to what ``evaluate utility`` writes: results, the table, validation curves, rows per subject or case.

A ratio never stands without its real-only score: in the note, in the row before it, and in the table.
**Checked** in tests/evaluation/utility/test_findings.py (known counts give known numbers; few subjects are withheld).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.evaluation.folder import PUBLIC_MINIMUM, internal, public, write_curve, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.statistics import Interval, difference, interval, ratio
from understudy.evaluation.utility.task import Outcome, Side, Task

FIRST = ("trained_on", "generator", "network", "class")
LAST = (
    *("low", "high", "ratio", "ratio_low", "ratio_high", "gain", "gain_low", "gain_high"),
    *("n_subjects", "repeats", "updates", "training_cases", "training_subjects"),
)


@dataclass(frozen=True)
class Finding:
    """The score of one side and class, its ratio to real-only, and where real cases took part the gain over it."""

    side: Side
    name: str
    k: int | None
    score: Result
    ratio: Result | None
    gain: Result | None
    cells: list[Any]


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        task: what was trained and scored.
        sides: real first.
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
        results = [r for f in found for r in (f.score, f.ratio, f.gain) if r is not None]
        write_results(folder, results, self.provenance)
        header = (*FIRST, self.task.score, *LAST, *self.task.columns)
        write_table(folder, "utility", header, [self._row(f) for f in found])
        held = internal(folder)
        self._write_curves(folder if self.task.validation_subjects >= PUBLIC_MINIMUM else held)
        self.task.write_inside(held, dict(self.outcomes))

    def _all(self) -> Iterator[Finding]:
        """Go through the mean and the classes, and for each through the sides, real first."""
        for k in (None, *range(len(self.task.names))):
            ending = f"{self.config.network}.{self.task.score}"
            if k is not None:
                ending += f".{slug(self.task.names[k])}"
            for side in self.sides:
                yield self._finding(side, k, ending)

    def _finding(self, side: Side, k: int | None, ending: str) -> Finding:
        outcome, name = self.outcomes[side.name], "mean" if k is None else self.task.names[k]
        n, draws = int(outcome.counted(k).sum()), self.config.draws
        found = interval(outcome.measured(k), self._seed, draws) if n else None
        note = _joined(outcome.note(k), side.note)
        score = self._result(f"utility.{side.label}.{ending}", found, n, outcome.behind(k), note, outcome.missing(k))
        against = gain = None
        if side.label.startswith("synthetic"):
            against = self._ratio(f"utility.{side.label.replace('synthetic', 'ratio', 1)}.{ending}", side, k)
        if side.label.startswith("both"):
            gain = self._gain(f"utility.{side.label.replace('both', 'gain', 1)}.{ending}", side, k)
        cells = outcome.cells(k) if outcome.behind(k) >= PUBLIC_MINIMUM else [None] * len(self.task.columns)
        return Finding(side, name, k, score, against, gain, cells)

    def _ratio(self, name: str, side: Side, k: int | None) -> Result:
        real, outcome, words = self.outcomes["real"], self.outcomes[side.name], f"real-only {self.task.words}"
        n = int((outcome.counted(k) & real.counted(k)).sum())
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} on both sides")
        draws = self.config.draws
        below = interval(real.measured(k), self._seed, draws)
        found = ratio(outcome.measured(k), real.measured(k), self._seed, draws)
        note = _joined(f"{words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]", side.note)
        behind = min(n, outcome.behind(k), real.behind(k))
        return self._result(name, found, n, behind, note, f"the {words} is 0")

    def _gain(self, name: str, side: Side, k: int | None) -> Result:
        real, outcome, words = self.outcomes["real"], self.outcomes[side.name], f"real-only {self.task.words}"
        behind = min(outcome.behind(k), real.behind(k))
        n = int((outcome.counted(k) & real.counted(k)).sum())
        if not n:
            return self._result(name, None, 0, 0, "", f"{outcome.missing(k)} on both sides")
        below = interval(real.measured(k), self._seed, self.config.draws)
        found = difference(outcome.measured(k), real.measured(k), self._seed, self.config.draws)
        note = _joined(f"gain over {words} {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]", side.note)
        return self._result(name, found, n, behind, note, "")

    @property
    def _seed(self) -> int:
        return derive(self.provenance.seed, "interval")

    def _result(self, name: str, found: Interval | None, n: int, behind: int, note: str, missing: str) -> Result:
        seed = self.provenance.seed
        if found is None:
            return Result(name, None, better="higher", n=n, seed=seed, note=missing)
        return public(Result(name, found.value, found.low, found.high, "", "higher", n, seed, note), behind)

    def _row(self, found: Finding) -> list[Any]:
        """Return one row of the table; what is withheld is blank."""
        side, score = found.side, found.score
        ratios, gains = ((r.value, r.low, r.high) if r else (None, None, None) for r in (found.ratio, found.gain))
        return [
            *(side.name, side.generator, self.config.network, found.name),
            *(score.value, score.low, score.high, *ratios, *gains),
            *(score.n, self.config.repeats, self.config.updates, len(side.cases), side.subjects),
            *found.cells,
        ]

    def _write_curves(self, folder: Path) -> None:
        """Write the mean validation score against updates; inside where fewer than five subjects stand behind it."""
        series = {}
        for name, outcome in self.outcomes.items():
            points = np.array(outcome.curves)  # (repeats, checks, 2)
            kept = np.isfinite(points[..., 1]).all(0)
            series[name] = (points[0, kept, 0].tolist(), points[:, kept, 1].mean(0).tolist())
        words = self.task.words
        title, name = f"Validation {words} while training", f"utility-{self.config.network}"
        write_curve(folder, name, title, "updates", f"mean {words}", series)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
