"""From scores of cases to what ``evaluate consistency`` writes.

PUBLIC: results.json, tables/consistency.csv, curves, and cases.csv with a row per *synthetic* case; of real cases only
aggregates over at least five subjects, in each bin of a curve too. Intervals of means are those of core/pooled.py; the
quantile has one where its lower end can lie among so many subjects. internal/seen.json: which subjects the segmenter
saw, for what is made with its scores.
**Checked** in tests/evaluation/consistency/test_report.py (known scores give known numbers; few subjects are withheld).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.pooled import mean_interval
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive, rng
from understudy.core.statistics import TAILS, Sample, percentile_interval
from understudy.evaluation.consistency.config import ConsistencyConfig
from understudy.evaluation.consistency.scores import CaseScores
from understudy.evaluation.fidelity.label_maps import joined
from understudy.evaluation.folder import join_notes, three, write_curve, write_rows, write_table
from understudy.evaluation.guard import slug
from understudy.tasks.fitting import seen_by_network
from understudy.tasks.overlap import RULES
from understudy.tasks.segmentation import Segmenter

BINS, STEPS = 20, 50
CASE = ("synthetic_cohort", "synthetic_case", "mean", "accuracy")
MEASURES = ("dice", "quantile", "below", "accuracy")
TABLE = (
    *("cohort", "generator", "network", "class"),
    *(f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")),
    *("missed", "false_positive", "both_empty", "cases", "subjects", "updates"),
)


@dataclass(frozen=True)
class Side:
    """One cohort as the segmenter reads it: rows (n,) of it, their scores, and what must be known to read them."""

    name: str
    cohort: Cohort
    rows: np.ndarray
    scores: CaseScores
    note: str

    def spread(self, k: int | None) -> Sample:
        """Return the spread of the consistency on a class, or of the mean over classes."""
        return Sample.of(self.scores.of(k), self.cohort.column("subject_id")[self.rows])


@dataclass(frozen=True)
class ConsistencyFindings:
    """What was found: the real reference pairs, the synthetic cohorts, the segmenter, the request."""

    cohort: Cohort
    real: Side
    others: list[Side]
    segmenter: Segmenter
    config: ConsistencyConfig
    provenance: Provenance

    def write(self, folder: Path) -> None:
        """Write a results folder."""
        names = self.cohort.scheme.names[1:] if self.cohort.scheme else ()
        results: list[Result] = []
        rows = []
        for k, name in [(None, "mean"), *enumerate(names)]:
            for side, found in self._measured(k, "" if k is None else f".{slug(name)}"):
                results += found.values()
                rows.append(self._row(side, k, name, found))
        write_results(folder, results, self.provenance)
        write_table(folder, "consistency", TABLE, rows)
        header = [*CASE, *(f"{what}.{name}" for what in ("dice", "rule") for name in names)]
        write_rows(folder / "cases.csv", header, (row for side in self.others for row in _case_rows(side)))
        self._write_seen(internal(folder))
        self._write_curves(folder, {result.name: result for result in results})

    def _measured(self, k: int | None, ending: str) -> Iterator[tuple[Side, dict[str, Result]]]:
        """Measure a class, or the mean of classes, on the real side and then on each synthetic one, by measure."""
        draws, seed, real = self.config.draws, derive(self.provenance.seed, "interval"), self.real.spread(k)
        limit = real.quantile(self.config.quantile) if real.subjects else None
        enough = (1 - self.config.quantile) ** real.subjects <= TAILS[0]  # else no resample reaches below the truth
        resampled = _resamples(real, draws if enough else 0, derive(seed, "real"))
        lows = [real.quantile(self.config.quantile, weights) for weights in resampled]
        split = f"real {self.config.reference} pairs"
        found = {"dice": self._result(self.real, k, ending, "dice", self._mean(real, "real"), real.subjects, split)}
        note = f"{self._percent} quantile of {split}; each subject counts once; below it, screening rejects"
        few = "" if enough else f"no interval: {real.subjects} subjects are too few for one of this quantile"
        at = None if limit is None else _percentile(limit, lows)
        found["quantile"] = self._result(self.real, k, ending, "quantile", at, real.subjects, join_notes(note, few))
        yield self.real, found | self._accuracy(self.real, k)
        for side in self.others:
            spread = side.spread(k)
            n, note = spread.subjects, f"share of cases below the {self._percent} quantile of {split}; interval: other "
            found = {"dice": self._result(side, k, ending, "dice", self._mean(spread, "synthetic"), n, "")}
            weights = _resamples(spread, len(lows), derive(seed, "synthetic"))
            shares = [spread.below(low, w) for low, w in zip(lows, weights, strict=True)] if n else []
            below: Any = None
            if limit is not None and n:
                under = (spread.values < limit - 1e-9).astype(float)
                below = _percentile(spread.below(limit), shares) if enough else self._mean(spread, "synthetic", under)
            note += "cases and other real subjects" if enough else "cases alone, the quantile has none"
            found["below"] = self._result(side, k, ending, "below", below, n, note)
            if real.subjects < MIN_SUBJECTS:
                found["below"] = public(found["below"], real.subjects)
            yield side, found | self._accuracy(side, k)

    def _mean(self, spread: Sample, purpose: str, values: np.ndarray | None = None) -> Result | None:
        """Return the mean over subjects with its interval, within 0..1; None where no subject counts."""
        if not spread.subjects:
            return None
        seed = derive(self.provenance.seed, "interval", purpose)
        found = mean_interval(spread.by_subject(values)[None], seed, self.config.draws)
        low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in (found.low, found.high))
        return Result("", found.value, low, high)

    @property
    def _percent(self) -> str:
        return f"{100 * self.config.quantile:g} %"

    def _accuracy(self, side: Side, k: int | None) -> dict[str, Result]:
        """Measure the share of voxels that agree; it belongs to all classes together."""
        if k is not None:
            return {}
        spread = Sample.of(side.scores.accuracy, side.cohort.column("subject_id")[side.rows])
        found, note = self._mean(spread, "accuracy"), "share of voxels that agree, background included"
        return {"accuracy": self._result(side, None, "", "accuracy", found, spread.subjects, note)}

    def _result(
        self, side: Side, k: int | None, ending: str, measure: str, found: Result | None, n: int, note: str
    ) -> Result:
        """Name a number; a real one that too few subjects stand behind is withheld."""
        real = side is self.real
        label = "real" if real else f"synthetic.{side.name}" if len(self.others) > 1 else "synthetic"
        better = {"below": "lower", "quantile": ""}.get(measure, "higher")
        name, seed = f"consistency.{label}.{self.config.network}.{measure}{ending}", self.provenance.seed
        if found is None:
            return Result(name, None, better=better, n=n, seed=seed, note="no case with this class in either map")
        if measure == "dice":
            missed, false_positive, empty = side.scores.ruled(k)
            counts = f"{missed} missed, {false_positive} false positive, {empty} both empty (counted apart)"
            note = join_notes(note, f"cases by the empty-map rule: {counts}")
        result = Result(name, *three(found), "", better, n, seed, join_notes(note, side.note))
        return public(result, n) if real else result

    def _row(self, side: Side, k: int | None, name: str, found: dict[str, Result]) -> list[Any]:
        """Return one row of the table; what is withheld is blank."""
        cells = [cell for measure in MEASURES for cell in three(found.get(measure))]
        shown = side is not self.real or found["dice"].n >= MIN_SUBJECTS
        counts = [*side.scores.ruled(k), len(side.rows)] if shown else [None] * 4
        about = [side.name, side.cohort.generator, self.config.network, name]
        return [*about, *cells, *counts, found["dice"].n, self.config.updates]

    def _write_seen(self, folder: Path) -> None:
        """Write which subjects the segmenter saw, as in ``trained_on``, and which its threshold comes from."""
        seen = seen_by_network(self.cohort)
        written = {"seen": seen, "calibrated_on": [self.cohort.seen(self.config.reference)]}
        (folder / "seen.json").write_text(json.dumps(written, indent=1) + "\n")

    def _write_curves(self, folder: Path, named: dict[str, Result]) -> None:
        """Write how consistency is spread, what a threshold rejects, and the course of the training."""
        spreads = {side.name: side.spread(None) for side in self.others}
        if len(spreads) == 1:
            spreads = {"synthetic": spreads.popitem()[1]}
        limit = named[f"consistency.real.{self.config.network}.quantile"].value
        if (real := self.real.spread(None)).subjects >= MIN_SUBJECTS:
            spreads = {"real": real, **spreads}
        spreads = {name: spread for name, spread in spreads.items() if spread.subjects}
        edges, grid = np.linspace(0, 1, BINS + 1), np.linspace(0, 1, STEPS + 1)
        if "real" in spreads:  # five real subjects in each bin, as below counts them
            found = joined(edges, real.values + 1e-9, real.number)
            edges = edges if found is None else found
        middle, width = ((edges[1:] + edges[:-1]) / 2).tolist(), np.diff(edges) * BINS
        inside = {name: np.diff([0, *map(spread.below, edges[1:-1]), 1]) / width for name, spread in spreads.items()}
        shares = {name: (middle, values.tolist()) for name, values in inside.items()}
        at = {name: edges[:-1] if name == "real" else grid for name in spreads}
        lost = {name: (at[name].tolist(), [*map(spread.below, at[name])]) for name, spread in spreads.items()}
        mark = [] if limit is None else [{"x": limit, "name": f"{self._percent} of real pairs"}]
        label, title = "mean Dice of a case", "Consistency of image and label map"
        write_curve(folder, "consistency", title, label, f"share of cases for each {1 / BINS:g}", shares, vertical=mark)
        title = "What a threshold would reject"
        write_curve(folder, "consistency-below", title, f"threshold on the {label}", "share of cases below", lost)
        course = [(update, score) for update, score in self.segmenter.curves["validation"] if np.isfinite(score)]
        where = folder if len(self.cohort.subjects("validation")) >= MIN_SUBJECTS else folder / "internal"
        series = {"real": ([update for update, _ in course], [score for _, score in course])}
        title = "Validation Dice of the segmenter that reads the images"
        write_curve(where, "consistency-training", title, "updates", "mean Dice", series)


def _resamples(sample: Sample, draws: int, seed: int) -> Iterator[np.ndarray]:
    return sample.resamples(draws if sample.subjects else 0, rng(seed, "agreement", "subjects"))


def _percentile(value: float, resampled: list[float]) -> Result:
    return Result("", value, *percentile_interval(resampled)) if resampled else Result("", value)


def _case_rows(side: Side) -> Iterator[list[Any]]:
    """Yield a row per case; where both maps are empty the score is 1, and the rule says so."""
    scores = side.scores
    mean, each = (np.where(np.isfinite(a), a, 1.0) for a in (scores.of(None), scores.dice))
    for i, case in enumerate(side.cohort.column("case_id")[side.rows]):
        ruled = [RULES[code] for code in scores.rule[i]]
        yield [side.cohort.id, case, mean[i], scores.accuracy[i], *each[i], *ruled]
