"""From voxel counts to what ``evaluate utility`` writes: results, the Dice table, validation curves, rows per subject.

A ratio never stands without its real-only Dice: in the note, in the row before it, and in the table.
**Checked** in tests/evaluation/utility/test_findings.py (known counts give known numbers; few subjects are withheld).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.evaluation.folder import PUBLIC_MINIMUM, internal, public, write_curve, write_rows, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.statistics import Interval, mean_interval, ratio_interval
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.scores import RULES, dice, mean_over_classes, rules
from understudy.tasks.segmentation import CohortCases

TABLE = (
    *("trained_on", "generator", "network", "class", "dice", "low", "high", "ratio", "ratio_low", "ratio_high"),
    *("n_subjects", "repeats", "updates", "training_cases", "training_subjects"),
    *("missed", "false_positive", "both_empty"),
)
PER_SUBJECT = ("subject_id", "trained_on", "network", "repeat", "class", "dice", "rule")


@dataclass(frozen=True)
class Side:
    """What one group of segmenters is trained on: a name, the generator ("" for real), the cases, a warning."""

    name: str
    generator: str
    cases: CohortCases
    subjects: int
    note: str


@dataclass
class Outcome:
    """What the segmenters of a side did: voxel counts (S, K, K) on the test subjects and (updates, score) curves."""

    counts: list[np.ndarray] = field(default_factory=list)
    curves: list[list[tuple[int, float]]] = field(default_factory=list)

    def scores(self, k: int | None) -> np.ndarray:
        """Return Dice (repeats, S) of foreground class k = 1.., or with None the mean over classes."""
        each = np.stack([dice(c) for c in self.counts])
        return mean_over_classes(each) if k is None else each[..., k - 1]

    def ruled(self, k: int | None) -> list[int]:
        """Return how often each case of the empty-map rule applied, in the order of RULES[1:], over repeats."""
        each = np.stack([rules(c) for c in self.counts])
        return [int((each if k is None else each[..., k - 1]).__eq__(code).sum()) for code in range(1, len(RULES))]


@dataclass(frozen=True)
class Finding:
    """Dice of one side and class, and its ratio to real-only."""

    side: Side
    name: str
    k: int | None
    n: int
    dice: Result
    ratio: Result | None
    ruled: list[int]


def write_findings(
    folder: Path,
    cohort: Cohort,
    sides: list[Side],
    outcomes: dict[str, Outcome],
    subjects: list[str],
    validation_subjects: int,
    config: UtilityConfig,
    provenance: Provenance,
) -> None:
    """Write results.json, tables, curves and internal/ of a utility evaluation."""
    names = cohort.scheme.names if cohort.scheme else ()
    findings = list(_findings(names, sides, outcomes, config, provenance.seed))
    results = [r for f in findings for r in (f.dice, f.ratio) if r is not None]
    write_results(folder, results, provenance)
    write_table(folder, "utility", TABLE, [_row(f, config) for f in findings])
    held = internal(folder)
    _write_curves(folder if validation_subjects >= PUBLIC_MINIMUM else held, outcomes, config.network)
    write_rows(held / "per_subject.csv", PER_SUBJECT, _per_subject(names, outcomes, subjects, config.network))


def _findings(
    names: tuple[str, ...], sides: list[Side], outcomes: dict[str, Outcome], config: UtilityConfig, seed: int
) -> Iterator[Finding]:
    """Go through the mean and the classes, and for each through the sides, real first."""
    for k in (None, *range(1, len(names))):
        real = outcomes["real"].scores(k)
        for side in sides:
            several = len(sides) > 2
            ending = f"{config.network}.dice" + ("" if k is None else f".{slug(names[k])}")
            yield _finding(side, outcomes[side.name], real, k, ending, several, names, config, seed)


def _finding(
    side: Side,
    outcome: Outcome,
    real: np.ndarray,
    k: int | None,
    ending: str,
    several: bool,
    names: tuple[str, ...],
    config: UtilityConfig,
    seed: int,
) -> Finding:
    scores = outcome.scores(k)
    n = int(np.isfinite(scores).any(0).sum())
    own = derive(seed, "interval")
    ruled = outcome.ruled(k)
    note = (
        f"mean over {config.repeats} segmenter(s); empty-map rule: {ruled[0]} missed, {ruled[1]} false positive, "
        f"{ruled[2]} both empty"
    )
    label = "real" if side.name == "real" else f"synthetic.{side.name}" if several else "synthetic"
    interval = mean_interval(scores, own, config.draws) if n else None
    made = _result(f"utility.{label}.{ending}", interval, n, seed, _joined(note, side.note), "no test subject counts")
    ratio = None
    if side.name != "real":
        ratio = _ratio(scores, real, f"utility.{label.replace('synthetic', 'ratio', 1)}.{ending}", side, config, seed)
    return Finding(side, "mean" if k is None else names[k], k, n, made, ratio, ruled)


def _ratio(scores: np.ndarray, real: np.ndarray, name: str, side: Side, config: UtilityConfig, seed: int) -> Result:
    n = int((np.isfinite(scores).any(0) & np.isfinite(real).any(0)).sum())
    if not n:
        return Result(name, None, better="higher", n=0, seed=seed, note="no test subject counts on both sides")
    below = mean_interval(real, derive(seed, "interval"), config.draws)
    interval = ratio_interval(scores, real, derive(seed, "interval"), config.draws)
    note = f"real-only Dice {below.value:.3f} [{below.low:.3f}, {below.high:.3f}]"
    return _result(name, interval, n, seed, _joined(note, side.note), "the real-only Dice is 0")


def _result(name: str, interval: Interval | None, n: int, seed: int, note: str, missing: str) -> Result:
    if interval is None:
        return Result(name, None, better="higher", n=n, seed=seed, note=missing)
    result = Result(name, interval.value, interval.low, interval.high, "", "higher", n, seed, note)
    return public(result, n)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _row(found: Finding, config: UtilityConfig) -> list[Any]:
    """Return one row of the table; what is withheld is blank."""
    side, ratio = found.side, found.ratio
    ratios = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    return [
        *(side.name, side.generator, config.network, found.name),
        *(found.dice.value, found.dice.low, found.dice.high, *ratios),
        *(found.n, config.repeats, config.updates, len(side.cases), side.subjects),
        *(found.ruled if found.n >= PUBLIC_MINIMUM else (None,) * 3),
    ]


def _write_curves(folder: Path, outcomes: dict[str, Outcome], network: str) -> None:
    """Write the mean validation Dice against updates; internally where fewer than five subjects stand behind it."""
    series = {}
    for name, outcome in outcomes.items():
        points = np.array(outcome.curves)  # (repeats, checks, 2)
        kept = np.isfinite(points[..., 1]).all(0)
        series[name] = (points[0, kept, 0].tolist(), points[:, kept, 1].mean(0).tolist())
    write_curve(folder, f"utility-{network}", "Validation Dice while training", "updates", "mean Dice", series)


def _per_subject(
    names: tuple[str, ...], outcomes: dict[str, Outcome], subjects: list[str], network: str
) -> Iterator[list[Any]]:
    for name, outcome in outcomes.items():
        for repeat, counts in enumerate(outcome.counts):
            scores, codes = dice(counts), rules(counts)
            for s, subject in enumerate(subjects):
                for k, label in enumerate(names[1:]):
                    value = float(scores[s, k]) if np.isfinite(scores[s, k]) else None
                    yield [subject, name, network, repeat, label, value, RULES[codes[s, k]]]
