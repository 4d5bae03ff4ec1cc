"""From two raters' label maps to what ``evaluate interrater`` writes.

PUBLIC: results.json and tables/interrater.csv, over at least five subjects. internal/per_subject.csv: a row per
subject. **Checked** in tests/evaluation/interrater/test_stage.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.pooled import interval
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.evaluation.folder import join_notes, three, write_rows, write_table
from understudy.evaluation.guard import slug
from understudy.evaluation.interrater.config import InterraterConfig
from understudy.evaluation.interrater.pairing import Pairing
from understudy.evaluation.utility.segmentation import MapOutcome
from understudy.evaluation.utility.surface import SURFACES
from understudy.evaluation.utility.task import Score
from understudy.tasks.overlap import OVERLAPS, RULES

COUNTS = ("only_real", "only_other", "both_empty", "one_sided", "n_subjects")
PER_SUBJECT = ("subject_id", "class", *OVERLAPS, *SURFACES, "rule")
SIDES = {"precision": "share of what --other marks that --real marks too", "recall": "the other way round"}


@dataclass(frozen=True)
class InterraterFindings:
    """What was found: one reading, of the other's maps against the real ones; where classes are several, last all as
    one.
    """

    pairing: Pairing
    names: tuple[str, ...]
    scores: tuple[Score, ...]
    outcome: MapOutcome
    config: InterraterConfig
    provenance: Provenance

    def write(self, folder: Path) -> None:
        """Write a results folder."""
        every = (None, *range(len(self.names)))
        found = {k: [self._result(k, position) for position in range(len(self.scores))] for k in every}
        by_score = zip(*found.values(), strict=True)
        write_results(folder, [result for results in by_score for result in results], self.provenance)
        shown = every if len(self.names) > 1 else every[1:]  # the mean of one class says nothing new
        header = ("class", *(f"{s.name}{end}" for s in self.scores for end in ("", "_low", "_high")), *COUNTS)
        write_table(folder, "interrater", header, [self._row(k, found[k]) for k in shown])
        write_rows(internal(folder) / "per_subject.csv", PER_SUBJECT, self._subject_rows())

    def _result(self, k: int | None, position: int) -> Result:
        """Measure one score of a class, or with None the mean of the classes."""
        score, outcome, seed = self.scores[position], self.outcome, self.provenance.seed
        name = f"interrater.{score.name}" + ("" if k is None else f".{slug(self.names[k])}")
        n = outcome.behind(k)
        if not n:
            note = "not measured: neither rater marks this class"
            return Result(name, None, unit=score.unit, better=score.better, seed=seed, note=note)
        found = interval(outcome.measured(k, position), derive(seed, "interval"), self.config.draws)
        note = join_notes(SIDES.get(score.name, ""), self._note(k, position))
        return public(Result(name, *three(found), score.unit, score.better, n, seed, note), n)

    def _note(self, k: int | None, position: int) -> str:
        """Say what is behind a number."""
        missed, extra, empty, one_sided = self.outcome.cells(k)
        pairing = self.pairing
        cases = f"{len(pairing.rows):,} cases of {len(pairing.subjects)} subjects ({self.config.split}) that both have"
        alone = f"left out: {pairing.alone[0]:,} cases only --real has, {pairing.alone[1]:,} only --other, and "
        alone += f"{pairing.lost} subjects without a common case"
        rule = f"empty-map rule: {missed} only --real marks, {extra} only --other, {empty} both empty"
        within = f"distances within {self.outcome.within}; {one_sided} times one of these has the class in one map only"
        return join_notes(cases, alone, rule, within if position >= len(OVERLAPS) else "")

    def _row(self, k: int | None, results: list[Result]) -> list[Any]:
        cells = [cell for result in results for cell in three(result)]
        n = self.outcome.behind(k)
        counts = self.outcome.cells(k) if n >= MIN_SUBJECTS else [None] * (len(COUNTS) - 1)
        return ["mean" if k is None else self.names[k], *cells, *counts, n]

    def _subject_rows(self) -> Iterator[list[Any]]:
        reading = self.outcome.readings[0]
        for s, subject in enumerate(self.pairing.subjects):
            for k, name in enumerate(self.names):
                values = [float(v) if np.isfinite(v) else None for v in reading.scores[s, k]]
                yield [subject, name, *values, RULES[reading.rule[s, k]]]
