"""How far label maps of synthetic cohorts lie from real ones: distances of their statistics, class by class.

**Distances** of one statistic (label_maps.py) over the cases that have the class: the 1-D Wasserstein distance
(scipy.stats.wasserstein_distance) divided by the standard deviation of the real values, and the two-sample
Kolmogorov-Smirnov statistic, 0..1. Both are 0 for equal distributions, and greater than 0 for two finite samples of one
distribution: beside each number stand its baselines, as for images (baseline.py). Results hold, for each class, the
mean over the statistics; ``tables/labels.csv`` holds every statistic. How many cases lack the class, and how many maps
are empty, are numbers of their own.
**Differs** from tests of significance: with enough cases every difference is significant; a distance says how large.
**Checked** in tests/evaluation/fidelity/test_label_distances.py (closed forms, baselines, few subjects, what is
withheld).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.evaluation.fidelity.baseline import KINDS, Baselines, RealBaselines, RealCases, mean_baselines
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.image_distances import CaseSet
from understudy.evaluation.fidelity.label_maps import Described, class_histograms, describe, in_common_unit
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import leak_note, slug
from understudy.evaluation.metric import few_cases

TABLE = (
    *("cohort", "class", "statistic", "unit", "real_mean", "real_sd", "mean", "sd"),
    *("wasserstein", "size_matched", "size_matched_low", "size_matched_high"),
    *("unseen", "unseen_low", "unseen_high", "unseen_extrapolated", "redrawn", "redrawn_low", "redrawn_high"),
    *("ks", "ks_size_matched", "ks_unseen", "ks_unseen_extrapolated", "ks_redrawn"),
    *("n_real", "n_synthetic", "n_size_matched", "unseen_subjects", "note"),
)
BOUNDS = {"wasserstein": (0.0, np.inf), "ks": (0.0, 1.0)}
Distance = Callable[..., Result]
Compared = tuple[float, Baselines]  # one distance of one statistic: the plain number and its baselines


@dataclass
class LabelFindings:
    """What comparing label maps gives: results, rows of the table, and histograms by the name of their file."""

    results: list[Result] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    histograms: dict[str, dict[str, Any]] = field(default_factory=dict)


def wasserstein(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, scale: float = 1.0) -> Result:
    """Return the 1-D Wasserstein distance of values (n,) and (m,) in units of `scale`, >= 0, lower is better."""
    value = float(stats.wasserstein_distance(real, synthetic)) / scale
    return Result("wasserstein", value, unit="SD", better="lower", n=min(len(real), len(synthetic)), seed=seed)


def kolmogorov_smirnov(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the largest difference of the distribution functions of values (n,) and (m,), 0..1, lower is better."""
    value = float(stats.ks_2samp(real, synthetic, method="asymp").statistic)
    return Result("ks", value, better="lower", n=min(len(real), len(synthetic)), seed=seed)


def compare_labels(
    real: CaseSet, unseen: CaseSet, others: Sequence[CaseSet], config: FidelityConfig, seed: int
) -> LabelFindings:
    """Compare the label maps of synthetic cohorts with those of real training subjects; all have one label scheme."""
    names: Sequence[str] = real.cohort.scheme.names if real.cohort.scheme else ()
    case_sets = [describe(s.name, s.cohort, s.rows, len(names), config.location) for s in (real, unseen, *others)]
    ours, (new, *theirs) = in_common_unit(case_sets[0], case_sets[1:])
    found = LabelFindings()
    for case_set, other in zip(others, theirs, strict=True):
        results = [_empty(ours, other, f"{case_set.prefix}.labels.empty", seed)]
        for k, name in enumerate(names[1:]):
            prefix = f"{case_set.prefix}.labels.{slug(name)}"
            more, rows = _compare_class(ours, new, other, k, name, prefix, config, seed)
            results += more
            found.rows += rows
        leak = leak_note(case_set.cohort)  # of baselines in which no synthetic case stands it says nothing
        beside = (".unseen", ".unseen_extrapolated", ".redrawn")
        noted = (r if r.name.endswith(beside) else replace(r, note=join_notes(r.note, leak)) for r in results)
        found.results += noted
    for k, name in enumerate(names[1:]):
        if (histograms := class_histograms(name, k, ours, theirs, real.cohort.size, config.label_bins)) is not None:
            found.histograms[f"{k + 1:02}-{slug(name)}"] = histograms
    return found


def _empty(real: Described, other: Described, name: str, seed: int) -> Result:
    """Share of synthetic maps without any labelled voxel."""
    ours, theirs = (float((~case_set.present.any(1)).mean()) for case_set in (real, other))
    shown = len(np.unique(real.subjects)) >= MIN_SUBJECTS
    note = f"share of maps without any labelled voxel; real {ours:.3f}" if shown else "real withheld: too few subjects"
    return Result(name, theirs, n=len(other.values), seed=seed, note=note)


def _compare_class(
    real: Described,
    unseen: Described,
    other: Described,
    k: int,
    label: str,
    name: str,
    config: FidelityConfig,
    seed: int,
) -> tuple[list[Result], list[list[Any]]]:
    """Compare one class: its results, and a row of the table for each statistic."""
    have, they_have, new_have = (one.present[:, k] for one in (real, other, unseen))
    subjects = real.subjects[have]
    patients, n = len(np.unique(subjects)), int(they_have.sum())
    beside = f"real {1 - have.mean():.3f}" if patients >= MIN_SUBJECTS else "real withheld: too few subjects have it"
    note = f"share of cases without the class; {beside}"
    share = Result(f"{name}.without", float(1 - they_have.mean()), n=len(they_have), seed=seed, note=note)
    if patients < MIN_SUBJECTS or n < 2:
        few = f"{patients} real subjects" if patients < MIN_SUBJECTS else f"{n} synthetic cases"
        note = f"withheld: {few} have the class, and {MIN_SUBJECTS} subjects and 2 synthetic cases are needed"
        return [share, *(Result(f"{name}.{d}", None, note=note, seed=seed) for d in ("wasserstein", "ks"))], []
    rows: list[list[Any]] = []
    distances: dict[str, list[Compared]] = {"wasserstein": [], "ks": []}
    for f, statistic in enumerate(real.statistics):
        ours, theirs = real.values[have, k, f], other.values[they_have, k, f]
        differ = ours.std() > 1e-9 * max(1.0, abs(ours.mean()))
        scale = float(ours.std()) if differ else 1.0
        functions: dict[str, Distance] = {"wasserstein": partial(wasserstein, scale=scale), "ks": kolmogorov_smirnov}
        cases = RealCases(ours, unseen.values[new_have, k, f], unseen.subjects[new_have])
        baselines = RealBaselines(functions, cases, config.draws, derive(seed, "fidelity")).beside(theirs)
        for distance, function in functions.items():
            distances[distance].append((function(real=ours, synthetic=theirs).value or 0.0, baselines[distance]))
        note = "" if differ else "real cases do not differ: not divided by a standard deviation"
        moments = [float(m) for m in (ours.mean(), ours.std(), theirs.mean(), theirs.std())]
        about = [other.name, label, statistic, real.unit_of(statistic)]
        sizes = [len(ours), n, baselines["ks"].n, baselines["ks"].subjects]
        rows.append([*about, *moments, *_numbers(*(found[-1] for found in distances.values())), *sizes, note])
    means = [r for d, parts in distances.items() for r in _means(f"{name}.{d}", d, parts, min(len(subjects), n), seed)]
    return [share, *means], rows


def _numbers(wasserstein: Compared, ks: Compared) -> list[float | None]:
    """Return the numbers of both distances in a row of the table."""
    (value, beside), bounds = wasserstein, BOUNDS["wasserstein"]
    ends = [number for kind in ("size_matched", "unseen") for number in beside.spread(kind, bounds)]
    ends += [beside.spread("unseen_extrapolated", bounds)[0], *beside.spread("redrawn", bounds)]
    return [value, *ends, ks[0], *(ks[1].spread(kind, BOUNDS["ks"])[0] for kind in KINDS)]


def _means(name: str, distance: str, parts: Sequence[Compared], n: int, seed: int) -> Iterator[Result]:
    """Results of a class: means over its statistics, plain and baselines."""
    unit = "SD" if distance == "wasserstein" else ""
    what = f"mean over {len(parts)} statistics of the label maps"
    note = join_notes(what, "all cases of both sets", few_cases(n))
    values, baselines = zip(*parts, strict=True)
    plain = Result(name, float(np.mean(values)), None, None, unit, "lower", n, seed, note)
    yield plain
    mean = mean_baselines(baselines)
    yield from mean.results(plain, BOUNDS[distance], what, few_cases(mean.n))
