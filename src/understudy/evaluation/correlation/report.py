"""From correlations to what ``evaluate correlation`` writes; all of it may be published.

results.json: three coefficients a metric, ``correlation.frechet.spearman`` over all cohorts and
``correlation.frechet.finished.spearman`` over a subset. tables/correlation-cohorts.csv: each cohort with its generator,
its utility and every metric, be there enough cohorts for a coefficient or not. tables/correlation.csv: each metric with
its coefficients, in each subset. tables/correlation-spoilt.csv: of each spoilt cohort, which share of the unspoilt ones
is better, by utility and by each metric: a metric that sees the damage says 1. curves/correlation-METRIC.json: fidelity
against utility, a series a generator, drawn as points.
**Checked** in tests/evaluation/correlation/test_stage.py.
"""

from collections.abc import Iterator, Sequence
from math import comb
from pathlib import Path
from typing import Any

from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.evaluation.correlation.coefficients import NAMES, Coefficient, MetricCorrelation, chance, correlations
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import CohortScores, Joined
from understudy.evaluation.folder import join_notes, three, write_curve, write_table
from understudy.evaluation.guard import slug

COHORTS = ("cohort", "generator", "id", "kind", "n_synthetic", "utility", "utility_low", "utility_high")
SPOILT = ("cohort", "generator", "id", "unspoilt_better_in_utility")
TABLE = (
    *("subset", "metric", "better"),
    *(f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")),
    *("p", "p_holm", "n_cohorts", "generators", "note"),
)
WORDS = {
    "spearman": "Spearman",
    "kendall": "Kendall tau-b",
    "kendall_within": "Kendall tau-b of pairs of one generator",
}
MANY = 400  # different resamples, of 6 generators
ROUGH = ": a rough interval, often too short"
UNRECORDED = "not recorded"


def write_correlation(folder: Path, joined: Joined, config: CorrelationConfig, provenance: Provenance) -> None:
    """Write a results folder."""
    found = correlations(joined.cohorts, config, derive(provenance.seed, "over"))
    results = [result for one in found for result in _results(one, joined.score, config, provenance.seed)]
    write_results(folder, results, provenance)
    metrics = list(dict.fromkeys(one.metric for one in found))
    rows = [_cohort(cohort, metrics) for cohort in joined.cohorts]
    write_table(folder, "correlation-cohorts", (*COHORTS, *metrics), rows)
    write_table(folder, "correlation", TABLE, [_row(one) for one in found])
    if spoilt := list(_spoilt(joined.cohorts, metrics)):
        write_table(folder, "correlation-spoilt", (*SPOILT, *metrics), spoilt)
    for one in found:
        if one.subset == "all":
            _write_curve(folder, one, joined.score)


def _results(one: MetricCorrelation, score: str, config: CorrelationConfig, seed: int) -> Iterator[Result]:
    n = len(one.cohorts)
    for name in NAMES:
        found = one.coefficients.get(name)
        if found is None:
            note = f"not measured: {n} cohorts, and a coefficient needs {one.minimum}"
        elif found.value is None:
            note = f"not measured: {WORDS[name]} needs cohorts that differ in fidelity and in utility"
        else:
            note = f"{WORDS[name]} with {score}; {_described(one, found, config)}"
        subset = "" if one.subset == "all" else f"{one.subset}."
        yield Result(f"correlation.{one.metric}.{subset}{name}", *three(found), n=n, seed=seed, note=note)


def _write_curve(folder: Path, one: MetricCorrelation, score: str) -> None:
    """Write a scatter of a metric and utility; a note with the coefficient where there is one."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for cohort in one.cohorts:
        spoilt = " (spoilt)" if cohort.kind == "spoilt" else ""
        x, y = series.setdefault((cohort.generator or UNRECORDED) + spoilt, ([], []))
        x.append(cohort.fidelity[one.metric].value or 0.0)
        y.append(cohort.utility.value or 0.0)
    note = f"{len(one.cohorts)} cohorts: too few for a coefficient."
    found = one.coefficients.get("spearman")
    if found is not None and found.value is not None:
        note = f"Spearman {found.value:.2f}{_between(found)}; + means: the better the metric, the more useful."
    more = {"points": one.better, "note": note}
    write_curve(folder, f"correlation-{slug(one.metric)}", one.metric, one.metric, score, series, **more)


def _cohort(cohort: CohortScores, metrics: list[str]) -> list[Any]:
    values = (three(cohort.fidelity.get(metric))[0] for metric in metrics)
    who = [cohort.name, cohort.generator or UNRECORDED, cohort.id, cohort.kind]
    return [*who, cohort.n, *three(cohort.utility), *values]


def _spoilt(cohorts: Sequence[CohortScores], metrics: Sequence[str]) -> Iterator[list[Any]]:
    """Yield for each spoilt cohort the share of the unspoilt ones that are better, by utility and by each metric."""
    others = [cohort for cohort in cohorts if cohort.kind != "spoilt"]
    for cohort in cohorts:
        if cohort.kind == "spoilt" and others:
            shares = [better_share(cohort.utility, [other.utility for other in others])]
            shares += [better_share(cohort.fidelity.get(m), [o.fidelity.get(m) for o in others]) for m in metrics]
            yield [cohort.name, cohort.generator or UNRECORDED, cohort.id, *shares]


def better_share(one: Result | None, others: Sequence[Result | None]) -> float | None:
    """Return the share of other results that are better than one, 0..1; None where it or all of them have no value."""
    values = [other.value for other in others if other is not None and other.value is not None]
    if one is None or one.value is None or not values:
        return None
    sign = -1 if one.better == "lower" else 1
    return sum(sign * value > sign * one.value for value in values) / len(values)


def _row(one: MetricCorrelation) -> list[Any]:
    cells = [cell for name in NAMES for cell in three(one.coefficients.get(name))]
    note = _warnings(one) if one.coefficients else f"a coefficient needs {one.minimum} cohorts"
    return [one.subset, one.metric, one.better, *cells, one.p, one.p_holm, len(one.cohorts), one.generators, note]


def _described(one: MetricCorrelation, found: Coefficient, config: CorrelationConfig) -> str:
    """Say what stands behind a coefficient."""
    n = len(one.cohorts)
    which = f"{one.subset} cohorts: {n}, of which chance alone passes {chance(n):.2f} one time in 20"
    parts = [which, "+ means: the better the metric, the more useful"]
    if one.generators == 1:
        parts.append("one generator made all cohorts, so that there is no interval")
    else:
        resamples = comb(2 * one.generators - 1, one.generators)
        drawn = f"{resamples:,} different resamples{ROUGH * (resamples < MANY)}"
        parts.append(
            f"interval: {one.generators} generators resampled with all their cohorts ({drawn}), "
            f"{found.degenerate:,} of {config.draws:,} degenerate and left out"
        )
    if one.p is not None:
        exchanged = "utilities exchanged among all cohorts" if one.alone else "utilities exchanged within generators"
        parts.append(f"p {one.p:.2g}, by Holm over the metrics {one.p_holm:.2g} ({exchanged})")
    return join_notes(*parts, _warnings(one))


def _warnings(one: MetricCorrelation) -> str:
    """Say what makes a coefficient hard to read."""
    sizes = sorted(cohort.n for cohort in one.cohorts)
    uneven = f"cohorts have {sizes[0]:,} to {sizes[-1]:,} cases, and many metrics depend on that"
    unknown = sum(not cohort.generator for cohort in one.cohorts)
    joined = f"{unknown} cohort(s) without a recorded generator count as one generator's"
    return join_notes(uneven if sizes[0] != sizes[-1] else "", joined if unknown else "")


def _between(found: Coefficient) -> str:
    return "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
