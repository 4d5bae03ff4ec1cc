"""The tables of ``evaluate utility``; what fewer than five subjects stand behind is blank.

- utility.csv: the first score of each arm and class, with its ratio to real-only or its gain over it.
- utility-scores.csv: all scores, where there are several.
- utility-comparisons.csv: each arm minus the real-only one that it names (arms.py), with the p of the Wilcoxon
  signed-rank test on subjects (means over repeats). One score is primary, the first of the task as the mean over
  classes: its p is corrected by Holm over the arms, no other one is. There is no p where subjects have no scores. The
  test knows subjects only; the interval of the difference knows the seeds of the networks too, and may be wider.
- utility-selection.csv: the first score of networks on synthetic cases alone, with each choice of weights (arms.py).
- utility-by.csv: all scores by groups of test subjects (groups.py). A grouping is withheld whole where one of its
  groups has too few subjects with the class, for that group could be had from the others.
- utility-mixing.csv: see report.py.

**Checked** in tests/evaluation/utility/test_report.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.pooled import interval
from understudy.core.result import Result
from understudy.core.statistics import Means
from understudy.evaluation.folder import join_notes, three, write_table
from understudy.evaluation.paired import holm
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.task import Outcome, Score, Task

FIRST = ("trained_on", "generator", "network", "class")
LAST = (
    *("low", "high", "ratio", "ratio_low", "ratio_high", "gain", "gain_low", "gain_high"),
    *("n_subjects", "repeats", "updates", "training_cases", "training_subjects", "against"),
)
COMPARISONS = (
    *("trained_on", "against", "class", "score", "unit", "difference", "difference_low", "difference_high"),
    *("p", "p_holm", "n_subjects", "note"),
)
SEEDS = "p: over subjects, for these networks; the interval also resamples the networks"
SELECTION = ("trained_on", "weights_chosen_by", "class")
BY = ("trained_on", "class", "by", "group", "n_subjects", "mean_size", "size_unit")


@dataclass(frozen=True)
class Finding:
    """A score of one arm and class, and what it is compared by.

    The first score of a synthetic arm has a ratio to real-only; in any arm but real-only ones a score has its
    difference to the arm it is compared with, with the p of the paired test. The cells are the task's own.
    """

    arm: Arm
    kind: Score
    k: int | None
    name: str
    score: Result
    ratio: Result | None
    difference: Result | None
    p: float | None
    cells: list[Any]


def write_tables(
    folder: Path, found: Sequence[Finding], task: Task, outcomes: Mapping[str, Outcome], config: Any, seed: int
) -> None:
    """Write the tables of findings by score, class and arm, real first; the seed is that of resampling."""
    first = [f for f in found if f.kind is task.scores[0]]
    header = (*FIRST, task.scores[0].name, *LAST, *task.columns)
    write_table(folder, "utility", header, [_row(f, config) for f in first])
    if len(task.scores) > 1:
        header = ("trained_on", "class", *_triples(task), "distance_unit", "n_subjects")
        write_table(folder, "utility-scores", header, [_all_scores(f, found) for f in first])
    once = [f for f in found if f.k is not None or len(task.names) > 1]  # the mean of one class says nothing new
    write_table(folder, "utility-comparisons", COMPARISONS, _comparisons(once))
    chosen = [f for f in once if f.kind is task.scores[0]]
    rows = [row for f in chosen for row in _by(f, task, outcomes[f.arm.name], config.draws, seed)]
    if rows:
        write_table(folder, "utility-by", (*BY, *_triples(task)), rows)


def write_selection(folder: Path, found: Sequence[tuple[str, Finding]], score: Score) -> None:
    """Write the table of choices of weights, (choice, finding), where there are several."""
    header = (*SELECTION, score.name, "low", "high", "ratio", "ratio_low", "ratio_high", "n_subjects")
    rows = [[f.arm.name, choice, f.name, *three(f.score), *three(f.ratio), f.score.n] for choice, f in found]
    if rows:
        write_table(folder, "utility-selection", header, rows)


def _triples(task: Task) -> list[str]:
    return [f"{score.name}{end}" for score in task.scores for end in ("", "_low", "_high")]


def _row(found: Finding, config: Any) -> list[Any]:
    arm, score = found.arm, found.score
    return [
        *(arm.name, arm.generator, config.network, found.name, *three(score), *three(found.ratio)),
        *three(None if found.ratio else found.difference),
        *(score.n, config.repeats, config.updates, len(arm.cases), arm.subjects, arm.against),
        *found.cells,
    ]


def _all_scores(first: Finding, found: Sequence[Finding]) -> list[Any]:
    same = [f for f in found if f.arm is first.arm and f.k == first.k]
    unit = next(f.kind.unit for f in same if f.kind.unit)
    return [first.arm.name, first.name, *(v for f in same for v in three(f.score)), unit, first.score.n]


def _comparisons(found: Sequence[Finding]) -> Iterator[list[Any]]:
    compared = [(f, f.difference) for f in found if f.difference is not None]
    first = [f.kind is found[0].kind and f.k == found[0].k for f, _ in compared]
    corrected = holm([f.p if primary else None for (f, _), primary in zip(compared, first, strict=True)])
    for (f, gain), p, primary in zip(compared, corrected, first, strict=True):
        note = "" if f.p is None else join_notes(SEEDS, "" if primary else "not primary: p is not corrected")
        yield [f.arm.name, f.arm.against, f.name, f.kind.name, f.kind.unit, *three(gain), f.p, p, gain.n, note]


def _by(first: Finding, task: Task, outcome: Outcome, draws: int, seed: int) -> Iterator[list[Any]]:
    k, arm, groups = first.k, first.arm, task.groups(first.k)
    counted = outcome.counted(k)
    for group, size in groups:
        chosen = counted & group.chosen
        several = [int((counted & other.chosen).sum()) for other, _ in groups if other.by == group.by]
        shown = chosen.any() and min(n for n in several if n) >= MIN_SUBJECTS
        found = [outcome.measured(k, position) for position in range(len(task.scores))] if shown else []
        means = [interval(one.among(chosen), seed, draws) for one in found if isinstance(one, Means)]
        cells = [cell for mean in means for cell in three(mean)] or [None] * 3 * len(task.scores)
        sizes = (size, task.size_unit) if shown else (None, None)
        yield [arm.name, first.name, group.by, group.name, int(chosen.sum()), *sizes, *cells]
