"""Pooling: one number over folds, draws of training subjects, generator seeds, segmenter seeds and test subjects.

A unit is one synthetic cohort with what networks scored that learned it, and others, on test subjects; units of
different folds have different subjects, in whole or in part. Their number is the mean over test subjects. Its interval
adds three sources of chance, drawn independently of each other: the test subjects; the blocks, which are the draws of
training subjects or the generator seeds of a fold, with all that was made from them; and, where an arm has one block,
the seeds of its networks. Networks that several units share, such as those on real cases, count once. Arms that are
compared get the same subjects and the same blocks in each resample.
**Source**: Davison and Hinkley, Bootstrap Methods and their Application (1997, 3.8): what is nested is resampled at
its highest level alone; Satterthwaite, Biometrics Bulletin 2 (1946), degrees of freedom of a sum of variances.
**Differs** from the nested percentile interval, which is too short for few seeds: subjects are resampled; blocks and
networks, which are few, get normal weights (a multiplier bootstrap, unbiased for any number of them); the ends move by
t over z with the degrees of freedom of all sources together.
What one seed or one block cannot show is not in the interval, and ``Pooled.missing`` says so. A fold in which one arm
has no score counts for no arm that it is compared with (``Pooled.left_out``). Which subjects fall into which fold is
taken as it is. :func:`interval` is the same for one arm of one unit.
**Checked** in tests/core/test_pooled.py; coverage in docs/coverage.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import TAILS, Means, Measurement, resample

DRAWS = 2000
SOURCES = ("subjects", "blocks", "networks")
WORDS = {"blocks": "generator seed or draw of training subjects", "networks": "seed of the network"}


@dataclass(frozen=True)
class Unit:
    """One synthetic cohort and what networks scored, by arm, on the same test subjects.

    Attributes:
        subjects: identifiers, in the order of every measurement.
        block: which units of a fold vary together, e.g. the seed of their generator.
        arms: arm -> scores by repeat and subject; one object in several units is the same networks.
    """

    subjects: tuple[str, ...]
    block: str
    arms: Mapping[str, Measurement]

    def __post_init__(self) -> None:
        """Refuse arms that were measured on other numbers of subjects."""
        numbers = sorted({one.subjects for one in self.arms.values()} | {len(self.subjects)})
        if len(numbers) > 1:
            raise UnderstudyError(
                f"the same subjects were expected on both sides, found {' and '.join(map(str, numbers))}"
            )


@dataclass(frozen=True)
class Pooled:
    """A number over all units, with its interval and what stands behind it.

    Attributes:
        low: end of the 95 % interval; None where nothing could be resampled.
        n: test subjects that count.
        units: synthetic cohorts.
        folds: different sets of test subjects.
        blocks: fewest in a fold.
        networks: fewest of an arm and a unit.
        missing: sources of chance that the interval does not hold.
        left_out: test subjects of each fold that does not count, for not all of the arms have scores there.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    units: int
    folds: int
    blocks: int
    networks: int
    missing: tuple[str, ...]
    left_out: tuple[tuple[str, ...], ...] = ()

    def within(self, highest: float = math.inf) -> "Pooled":
        """Return the same with an interval that keeps to the values that a score, or a ratio of scores, can have."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, 0.0), high=min(self.high, highest))


@dataclass(frozen=True)
class _Fold:
    """The units of one set of test subjects, with the resamples that all arms share.

    How often each subject stands in a resample, (draws, subjects), and the weights of the B blocks, (draws, B).
    """

    units: list[Unit]
    subjects: np.ndarray
    blocks: list[str]
    weights: np.ndarray


@dataclass(frozen=True)
class _Part:
    """An arm in one fold.

    What blocks and networks add to its value in each resample, (draws,), with degrees of freedom; the subjects that
    count, how many they are in each resample, and the value on these, (draws,).
    """

    value: float
    moved: dict[str, np.ndarray]
    freedom: dict[str, float]
    networks: int
    counted: tuple[str, ...]
    drawn: np.ndarray
    on: np.ndarray


@dataclass(frozen=True)
class _Arm:
    """An arm over some folds: what each source adds to its value in each resample, (draws,), with its freedom."""

    value: float
    moved: dict[str, np.ndarray]
    freedom: dict[str, float]
    networks: int
    n: int

    @property
    def repeated(self) -> bool:
        """Whether its networks' seeds vary, by themselves or with the blocks."""
        return self.freedom["networks"] > 0 or self.freedom["blocks"] > 0


class Pool:
    """Units, and the resamples in which all numbers on them are compared."""

    def __init__(self, units: Sequence[Unit], seed: int, draws: int = DRAWS) -> None:
        """Draw the resamples. UnderstudyError where there is no unit, or a unit without subjects."""
        if not units:
            raise UnderstudyError("at least one synthetic cohort was expected to pool over, found none")
        self.units, self.seed, self.draws = list(units), seed, draws
        self._parts: dict[str, dict[int, _Part]] = {}
        everyone = sorted({subject for unit in units for subject in unit.subjects})
        times = resample(rng(seed, "pool", "subjects"), len(everyone), draws).astype(float)
        grouped: dict[tuple[str, ...], list[Unit]] = {}
        for unit in units:
            grouped.setdefault(unit.subjects, []).append(unit)
        self.folds = []
        for i, (subjects, members) in enumerate(grouped.items()):
            blocks = sorted({unit.block for unit in members})
            weights = rng(seed, "pool", "blocks", i).standard_normal((draws, len(blocks)))
            self.folds.append(_Fold(members, times[:, np.searchsorted(everyone, subjects)], blocks, weights))

    def score(self, arm: str) -> Pooled | None:
        """Return the mean score of an arm over test subjects; None where no subject counts."""
        return self._pooled([arm], lambda score: score)

    def ratio(self, arm: str, against: str) -> Pooled | None:
        """Return the score of an arm over that of another; None where no fold has both, or the other's is 0."""
        found = self._pooled([arm, against], lambda score, real: score / real if np.any(real) else np.nan)
        return found and found.within()

    def gain(self, arm: str, against: str) -> Pooled | None:
        """Return the score of an arm minus that of another; None where no fold has both."""
        return self._pooled([arm, against], lambda score, real: score - real)

    def _pooled(self, names: Sequence[str], compare: Callable[..., Any]) -> Pooled | None:
        """Return a number made of the scores of some arms, on the folds that all have; None where there is none."""
        parts = [self._in_folds(name) for name in names]
        used = [i for i in range(len(self.folds)) if all(i in part for part in parts)]
        if not used:
            return None
        arms = [self._joined([part[i] for i in used]) for part in parts]
        value = float(compare(*(arm.value for arm in arms)))
        if not np.isfinite(value):
            return None
        apart = {s: float(np.nanvar(compare(*(a.value + a.moved[s] for a in arms)))) for s in SOURCES}
        freedom = {s: min((a.freedom[s] for a in arms if a.freedom[s]), default=0.0) for s in SOURCES}
        together = compare(*(a.value + sum(a.moved.values()) for a in arms))
        low, high = _widened(value, together, apart, freedom)
        lacks = {"blocks": not freedom["blocks"], "networks": any(not a.repeated for a in arms)}
        folds = [self.folds[i] for i in used]
        left = tuple(tuple(f.units[0].subjects) for i, f in enumerate(self.folds) if i not in used)
        blocks, units = min(len(fold.blocks) for fold in folds), sum(len(fold.units) for fold in folds)
        n, networks = min(arm.n for arm in arms), min(arm.networks for arm in arms)
        missing = tuple(word for source, word in WORDS.items() if lacks[source])
        return Pooled(value, low, high, n, units, len(used), blocks, networks, missing, left)

    def _in_folds(self, name: str) -> dict[int, _Part]:
        """Return an arm by the number of the fold, of the folds in which a subject counts."""
        if name not in self._parts:
            found = {i: self._in_fold(i, name) for i in range(len(self.folds))}
            self._parts[name] = {i: part for i, part in found.items() if part}
        return self._parts[name]

    def _joined(self, parts: list[_Part]) -> _Arm:
        """Join an arm over folds, each weighted by its subjects that count."""
        sizes = np.array([len(part.counted) for part in parts], float)
        value = float(sizes @ [part.value for part in parts] / sizes.sum())
        n = len({name for part in parts for name in part.counted})
        who, level = np.stack([part.drawn for part in parts]), np.stack([part.on for part in parts])
        who = np.where(np.isfinite(level), who, 0)
        on = (who * np.nan_to_num(level)).sum(0) / np.maximum(who.sum(0), 1)
        moved = {"subjects": np.sqrt(n / max(n - 1, 1)) * (on - value)}
        freedom = {"subjects": float(n - 1)}
        for source in SOURCES[1:]:
            moved[source] = sizes @ np.stack([part.moved[source] for part in parts]) / sizes.sum()
            freedom[source] = sum(part.freedom[source] for part in parts)
        return _Arm(value, moved, freedom, min(part.networks for part in parts), n)

    def _in_fold(self, i: int, name: str) -> _Part | None:
        """Return an arm in one fold, the networks that units share once; None where no subject counts."""
        fold = self.folds[i]
        found = {id(unit.arms[name]): (unit.block, unit.arms[name]) for unit in fold.units if name in unit.arms}
        values = [(block, one, means[np.isfinite(means)]) for block, one in found.values() for means in [one.values()]]
        values = [entry for entry in values if entry[2].size]
        if not values:
            return None
        moved, freedom = {s: np.zeros(self.draws) for s in SOURCES[1:]}, dict.fromkeys(SOURCES[1:], 0.0)
        if len({block for block, _, _ in values}) > 1:
            means = np.array([_mean([v.mean() for b, _, v in values if b == block]) for block in fold.blocks])
            moved["blocks"], freedom["blocks"] = _moved(means, fold.weights), float(np.isfinite(means).sum() - 1)
        else:
            draw = rng(self.seed, "pool", "networks", i, name)
            moved["networks"] = np.mean(
                [_moved(v, draw.standard_normal((self.draws, len(v)))) for _, _, v in values], 0
            )
            freedom["networks"] = float(sum(len(v) - 1 for _, _, v in values))
        counted = np.any([_counted(one) for _, one, _ in values], axis=0)
        on = np.mean([_row_mean(one.on(fold.subjects)) for _, one, _ in values], axis=0)
        who = tuple(np.array(fold.units[0].subjects)[counted].tolist())
        value, networks = _mean([v.mean() for _, _, v in values]), min(len(v) for _, _, v in values)
        return _Part(value, moved, freedom, networks, who, fold.subjects[:, counted].sum(1), on)


def interval(measured: Measurement, seed: int, draws: int = DRAWS) -> Pooled:
    """Return the mean over repeats with its interval; UnderstudyError if no score counts."""
    unit = Unit(tuple(f"{i:09d}" for i in range(measured.subjects)), "", {"it": measured})
    found = Pool([unit], seed, draws).score("it")
    if found is None:
        raise UnderstudyError("a mean over subjects needs at least one score, found none")
    return found


def mean_interval(scores: np.ndarray, seed: int, draws: int = DRAWS) -> Pooled:
    """Return :func:`interval` of the means over subjects of scores (repeats, subjects); NaN does not count."""
    return interval(Means(scores), seed, draws)


def _moved(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return by how much the mean of k values moves, (draws,), with normal weights (draws, k); 0 of one value."""
    kept = np.isfinite(values)
    k, deviations = int(kept.sum()), values[kept] - values[kept].mean()
    return weights[:, kept] @ deviations / np.sqrt(max(k * (k - 1), 1))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _row_mean(values: np.ndarray) -> np.ndarray:
    counted = np.isfinite(values)
    total = counted.sum(1)
    return np.divide(np.where(counted, values, 0).sum(1), total, out=np.full(len(total), np.nan), where=total > 0)


def _counted(one: Measurement) -> np.ndarray:
    """Return which subjects count, bool (subjects,)."""
    return np.isfinite(one.scores).any(0) if isinstance(one, Means) else np.ones(one.subjects, bool)


def _widened(
    value: float, together: np.ndarray, variances: Mapping[str, float], freedom: Mapping[str, float]
) -> tuple[float | None, float | None]:
    """Return the percentile ends, widened about the value by t over z; None where nothing could be resampled."""
    moving = [s for s in SOURCES if variances[s] > 0 and freedom[s] > 0]
    if not moving:
        return (value, value) if any(freedom.values()) else (None, None)
    total = sum(variances[s] for s in moving)
    degrees = total**2 / sum(variances[s] ** 2 / freedom[s] for s in moving)
    wider = float(stats.t.ppf(TAILS[1], degrees) / stats.norm.ppf(TAILS[1]))
    low, high = np.nanquantile(together, TAILS)
    return value + wider * (float(low) - value), value + wider * (float(high) - value)
