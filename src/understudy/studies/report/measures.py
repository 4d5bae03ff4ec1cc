"""Numbers of a study: scores pooled over units, and results by name, each with interval, n and what stands behind it.

A number that fewer than five subjects stand behind is withheld.
**Checked** in tests/studies/report/test_measures.py.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UnderstudyError
from understudy.core.pooled import WORDS, Pool, Pooled, Unit
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.core.statistics import Measurement
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import LEAK, slug
from understudy.evaluation.utility.config import Repeats
from understudy.report.cards import best_attack
from understudy.report.tables import words
from understudy.studies.report.config import Measure, ReportConfig
from understudy.studies.report.finished import Finished, Judged
from understudy.studies.report.scores import MEAN, NetworkScores, read_scores

BEST_ATTACK = "privacy.attack.best"  # the highest AUC of the attacks that were measured
TWO = "two seeds or draws on one split say little of how much they decide: the interval may be too short"
OF_OTHER_ARMS = {*Repeats.model_fields} - {"repeats"}  # settings that are nothing to networks on real cases alone
TOO_FEW = "too few"  # in notes on numbers that chance decides, or on classes that were left out
T = TypeVar("T")
Combination = tuple[tuple[str, str], ...]  # loops and their values


@dataclass(frozen=True)
class Number:
    """A number, None where there is none; the ends of its interval, n, its unit, what stands behind it, and a note."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    behind: str = ""
    note: str = ""


@dataclass
class Measures:
    """All numbers that the finished stages of a study give."""

    finished: Finished
    config: ReportConfig
    _scores: dict[tuple[str, str], NetworkScores] = field(default_factory=dict, repr=False)
    _pools: dict[tuple[object, ...], Pool] = field(default_factory=dict, repr=False)
    _same: dict[tuple[str, ...], Measurement] = field(default_factory=dict, repr=False)

    def pooled_loops(self, asked: Sequence[str] | None) -> tuple[str, ...]:
        """Return the loops that are pooled over, the outermost first."""
        return self.config.pool if asked is None else tuple(asked)

    def groups(
        self, judged: Iterable[Judged], pool: Sequence[str], rows: Sequence[str] | None = None
    ) -> dict[Combination, list[Judged]]:
        """Group cohorts by the loops that are not pooled, or by ``rows``, in the order in which they come.

        Raises:
            UnderstudyError: ``rows`` leaves out a loop that is not pooled, of which there are several values.
        """
        listed = list(judged)
        loops = list(dict.fromkeys(loop for one in listed for loop in one.loops if loop not in pool))
        several = [loop for loop in loops if len({one.loops.get(loop) for one in listed}) > 1]
        if rows is not None and (lost := [loop for loop in several if loop not in rows]):
            raise UnderstudyError(
                f"the loop {lost[0]!r} has several values, and the report neither pools over it nor shows it: add it "
                "to rows, lines, where or pool"
            )
        shown = several if rows is None else rows
        groups: dict[Combination, list[Judged]] = {}
        for one in listed:
            groups.setdefault(tuple((loop, one.loops[loop]) for loop in shown if loop in one.loops), []).append(one)
        return groups

    def scores(self, one: Judged, score: str = "") -> NetworkScores:
        """Return the scores of the networks of an evaluation."""
        key = one.stage.name, score
        if key not in self._scores:
            self._scores[key] = read_scores(one.folder, score)
        return self._scores[key]

    def arms(self, judged: Iterable[Judged]) -> list[str]:
        """Return the kinds of arms that cohorts have, real ones first."""
        found = dict.fromkeys(kind for one in judged for kind, cohort in self.scores(one).arms if _of(one, cohort))
        return sorted(found, key=lambda kind: (not kind.startswith("real"), list(found).index(kind)))

    def classes(self, judged: Iterable[Judged]) -> list[str]:
        """Return the classes that were scored."""
        return list(dict.fromkeys(name for one in judged for name in self.scores(one).classes))

    def measured(self, asked: Measure) -> Number:
        """Return the number that is asked for; None, with a note, where the stages for it are not done."""
        pool, judged = self.pooled_loops(asked.pool), self.finished.select(asked)
        if not judged:
            return Number(None, note=f"no stage {asked.template} for it is done")
        other = {**asked.where, **asked.against}
        others = self.finished.select(asked.model_copy(update={"where": other})) if asked.against else []
        groups = [self.groups(some, pool) for some in (judged, others) if some]
        if wide := [group for group in groups if len(group) > 1]:
            told = ", ".join(sorted({f"{loop} {value}" for found in wide[0] for loop, value in found}))
            raise UnderstudyError(f"one number was asked for, and there are several, of {told}: add where or pool")
        return self.number(asked, judged, pool, others=others)

    def number(
        self,
        asked: Measure,
        judged: Sequence[Judged],
        pool: Sequence[str],
        arm: str = "",
        others: Sequence[Judged] = (),
    ) -> Number:
        """Return the number that is asked for of these evaluations; ``arm`` stands instead of the one that is asked."""
        if asked.result:
            return self.result(judged, asked.result)
        return self.score(judged, pool, arm or asked.arm, asked.class_, asked.measure, asked.score, others)

    def score(
        self,
        judged: Sequence[Judged],
        pool: Sequence[str],
        arm: str,
        name: str = "mean",
        measure: str = "score",
        score: str = "",
        others: Sequence[Judged] = (),
    ) -> Number:
        """Return a score of an arm, its ratio to real, its gain over it, or its difference to the arm of others."""
        key = (*(one.stage.name + "/" + one.cohort for one in (*judged, *others)), len(judged), *pool, name, score)
        if key not in self._pools:
            units = [*self._units(judged, pool, name, score, ""), *self._units(others, pool, name, score, "other ")]
            self._pools[key] = Pool(units, derive(self.config.seed, "report"), self.config.draws)
        found, real = self._pools[key], "real" + arm[arm.find("@") :] * ("@" in arm)
        plain = self.plain(judged[0], score)
        unit = plain.unit if plain and measure != "ratio" else ""
        if measure == "score":
            pooled = found.score(arm)
            pooled = pooled and pooled.within(math.inf if unit else 1)  # without a unit: a Dice, or an AUC
        elif measure == "ratio":
            pooled = found.ratio(arm, real)
        else:
            pooled = found.gain(arm, f"other {arm}" if measure == "difference" else real)
        if pooled is None:
            return Number(None, note="not measured")
        of_real, all_ = measure == "score" and arm.startswith("real"), [*judged, *others]
        notes = [*self._told(pooled, all_, score), *self._carried(all_, arm, name, score)]
        return self._public(pooled, judged, name, score, of_real, notes, unit)

    def _units(self, judged: Sequence[Judged], pool: Sequence[str], name: str, score: str, prefix: str) -> list[Unit]:
        units = []
        for one in judged:
            read = self.scores(one, score)
            same = [other for other in judged if self.scores(other, score).subjects == read.subjects]
            loops = [loop for loop in pool if len({other.loops.get(loop) for other in same}) > 1]
            block = one.loops.get(loops[0], "") if loops else ""
            measured = {kind: (of, m) for ((kind, of), k), m in read.measured.items() if k == name and _of(one, of)}
            arms = {k: m if of else self._once(one, read, (k, name), m) for k, (of, m) in measured.items()}
            units.append(Unit(read.subjects, block, {prefix + kind: m for kind, m in arms.items()}))
        return units

    def _once(self, one: Judged, read: NetworkScores, what: tuple[str, str], measured: Measurement) -> Measurement:
        """Return one object for networks that learned the same real cases with the same settings and the same seed.

        What they scored may differ in the last digits, where they were trained again on another machine.
        """
        made = self.finished.provenance(one)
        settings = {key: value for key, value in made["config"].items() if key not in OF_OTHER_ARMS}
        request = json.dumps([settings, made["seed"], made["inputs"].get("real", "")], sort_keys=True)
        return self._same.setdefault((request, read.score, *what, *read.subjects), measured)

    def _told(self, pooled: Pooled, judged: Sequence[Judged], score: str) -> list[str]:
        """Say which folds do not count, by the values of loops that they have alone."""
        told = []
        for subjects in pooled.left_out:
            inside = [one for one in judged if self.scores(one, score).subjects == subjects]
            shared = {*inside[0].loops.items()}.intersection(*(one.loops.items() for one in inside))
            outside = [one.loops.items() for one in judged if one not in inside]
            own = ", ".join(sorted(f"{k} {v}" for k, v in shared if not any((k, v) in loops for loops in outside)))
            told.append(f"without {own or f'{len(subjects)} subjects'}: not all that is compared was tested there")
        return told

    def _carried(self, judged: Sequence[Judged], arm: str, name: str, score: str) -> list[str]:
        """Return what notes of the results that are pooled say of leaks and of too few, and whose means differ."""
        results, means = [], set()
        for one in judged:
            read = self.scores(one, score)
            ending = f"{read.network}.{read.score}" + ("" if name == MEAN else f".{slug(name)}")
            results.append(self.finished.results(one).get(f"utility.{arm}.{ending}"))
            means |= {getattr(m, "classes", ()) for (_, k), m in read.measured.items() if k == name == MEAN}
        differ = "the mean is not over the same classes everywhere" if len(means) > 1 else ""
        return [*carried(results), differ]

    def plain(self, one: Judged, score: str) -> Result | None:
        """Return what an evaluation says of a score of networks on real cases: its unit, which way is better."""
        read = self.scores(one, score)
        return self.finished.results(one).get(f"utility.real.{read.network}.{read.score}")

    def _public(
        self,
        pooled: Pooled,
        judged: Sequence[Judged],
        name: str,
        score: str,
        of_real: bool,
        notes: Sequence[str],
        unit: str,
    ) -> Number:
        folds = {read.subjects: read.behind.get(name, 0) for read in (self.scores(one, score) for one in judged)}
        behind = min(pooled.n, sum(n for subjects, n in folds.items() if subjects not in pooled.left_out))
        if behind < MIN_SUBJECTS:
            return Number(
                None, note=f"withheld: {behind} subjects stand behind it, and a public number needs {MIN_SUBJECTS}"
            )
        sources = [source for source in pooled.missing if not (of_real and source == WORDS["blocks"])]
        missing = [f"the interval does not hold the {source}: there is one" for source in sources]
        if (pooled.folds, pooled.blocks) == (1, 2) and not of_real:
            missing.append(TWO)
        ends = (pooled.value, pooled.low, pooled.high)
        return Number(*ends, pooled.n, unit, described(pooled), join_notes(*missing, *notes))

    def result(self, judged: Sequence[Judged], name: str) -> Number:
        """Return a result by name: of several runs their mean, with the widest ends of their intervals."""
        found = [result for one in judged if (result := self._named(one, name))]
        told = [result for result in found if result.value is not None]
        if not told:
            return Number(None, note=found[0].note if found else "not among the results")
        values = [float(result.value or 0) for result in told]
        lows, highs = ([getattr(r, end) for r in told if getattr(r, end) is not None] for end in ("low", "high"))
        whole = len(lows) == len(highs) == len(told)
        runs = f"mean of {len(told)} runs, the interval from the lowest to the highest end of theirs"
        missing = f"{len(judged) - len(told)} of {len(judged)} runs without a number" if len(judged) > len(told) else ""
        behind = join_notes(runs if len(told) > 1 else "", missing)
        low, high = (min(lows), max(highs)) if whole else (None, None)
        attacks = dict.fromkeys(words(r.name.partition(".attack.")[2].removesuffix(".auc")) for r in told)
        best = f"the best is {' or '.join(attacks)}" if name == BEST_ATTACK else ""
        note = join_notes(best, *carried(told))
        return Number(float(np.mean(values)), low, high, min(r.n for r in told), told[0].unit, behind, note)

    def _named(self, one: Judged, name: str) -> Result | None:
        results = self.finished.results(one)
        if name != BEST_ATTACK:
            return results.get(name)
        areas = [r for k, r in results.items() if ".attack." in k and k.endswith(".auc") and r.value is not None]
        return best_attack(areas) if areas else None


def merged(rows: Iterable[tuple[str, Combination, T]], values: Callable[[T], Any]) -> list[tuple[str, Combination, T]]:
    """Join rows (arm, loops, numbers) of real cases with equal values: the same networks, with the loops they share."""
    kept: list[tuple[str, Combination, T]] = []
    for arm, loops, found in rows:
        twins = (i for i, (other, _, it) in enumerate(kept) if other == arm and values(it) == values(found))
        twin = next(twins, None) if arm.startswith("real") else None
        if twin is None:
            kept.append((arm, loops, found))
        else:
            _, own, first = kept[twin]
            kept[twin] = (arm, tuple(pair for pair in own if pair in loops), first)
    return kept


def carried(results: Sequence[Result | None]) -> list[str]:
    """Return, each once, the parts of results' notes that must stand beside every number that is made of them."""
    parts = [part for result in results if result for part in result.note.split("; ")]
    return list(dict.fromkeys(part for part in parts if part == LEAK or TOO_FEW in part))


def described(pooled: Pooled) -> str:
    """Say what stands behind a pooled number: folds, cohorts, networks."""
    cohorts = f"{pooled.units} synthetic cohort{'s' * (pooled.units != 1)}"
    folds = f" in {pooled.folds} folds" if pooled.folds > 1 else ""
    return f"{cohorts}{folds}, {pooled.networks} network{'s' * (pooled.networks != 1)} each"


def _of(one: Judged, cohort: str) -> bool:
    """Tell whether an arm is about a cohort: real cases alone are about all."""
    return cohort in ("", one.cohort) or not one.cohort
