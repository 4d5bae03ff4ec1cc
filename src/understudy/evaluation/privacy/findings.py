"""What the search found, as public numbers with intervals; nothing about a single real case or subject.

Numbers that fewer than five subjects stand behind are withheld, and say so.
**Checked** in tests/evaluation/privacy/test_stage.py.
"""

from typing import Any

import numpy as np

from understudy.core.result import Result
from understudy.evaluation.folder import PUBLIC_MINIMUM, public
from understudy.evaluation.privacy.calibration import Reference, by_chance, clopper_pearson, order_interval
from understudy.evaluation.privacy.evidence import Evidence, prefix
from understudy.evaluation.privacy.reference import FIRM

QUANTILES = (("median", 0.5), ("q99", 0.99), ("max", 1.0))
NOT_COVERED = (
    "not covered: copies that are mirrored, shifted, rotated, zoomed or warped, copies of a part, label maps; "
    "what attackers can do otherwise is measured beside it (attack)"
)


def results_of(evidence: Evidence, seed: int) -> list[Result]:
    """Return the public results of one synthetic cohort: copies, its own correlations, the references.

    Args:
        evidence: what the search found.
        seed: for the bootstrap.
    """
    return [*_copies(evidence, seed), *_synthetic(evidence, seed), *_references(evidence, seed)]


def skipped(name: str, seed: int) -> list[Result]:
    """Return the results of a pair of cohorts that cannot be compared by images: what was skipped, and why."""
    why = "skipped: one of the cohorts has no images, and label maps are not compared by this measure"
    attacks = "not measured: attacks read images, and one of the cohorts has none"
    return [
        Result(f"{prefix(name)}copies.flagged", None, unit="cases", better="lower", seed=seed, note=why),
        Result(f"{prefix(name)}attack", None, seed=seed, note=attacks),
    ]


def _copies(e: Evidence, seed: int) -> list[Result]:
    if e.threshold is None:
        why = f"withheld: fewer than {PUBLIC_MINIMUM} real subjects to say how near strangers lie"
        return [_result(e, "flagged", None, None, None, "cases", "lower", len(e.found.r), seed, why)]
    n, rate, reference = len(e.found.r), e.config.false_alarm_rate, e.threshold.reference
    flagged, (low, high) = int(e.flagged.sum()), e.threshold.flagged_interval(e.found.r)
    chance, chance_low, chance_high = by_chance(rate, n)
    share = clopper_pearson(flagged, n)
    between = np.quantile(e.threshold.resampled, (0.025, 0.975)).tolist()
    weak = (
        f"; set by {reference.n_subjects} subjects only, which supports little" if reference.n_subjects < FIRM else ""
    )
    highest = int((e.found.r > reference.quantiles(1.0)[0]).sum())
    nearer = (
        f"nearer to a training case than {100 * (1 - rate):g} % of {reference.note}; interval: had other "
        f"subjects set the threshold{weak}; {NOT_COVERED}"
    )
    by_luck = "by chance, if synthetic cases lie as near to training cases as strangers do; central 95 % range"
    beyond = "nearer than any of the cases that set the threshold"
    setting = f"r above which a case is flagged, set by {reference.note}; each subject counts once{weak}"
    level, subjects = e.threshold.value, reference.n_subjects
    return [
        _result(e, "flagged", flagged, low, high, "cases", "lower", n, seed, nearer),
        _result(e, "expected", chance, chance_low, chance_high, "cases", "", n, seed, by_luck),
        _result(e, "flagged_share", flagged / n, *share, "", "lower", n, seed, "exact 95 % interval"),
        _result(e, "above_reference_max", highest, None, None, "cases", "lower", n, seed, beyond),
        _result(e, "threshold", level, *between, "r", "", subjects, seed, setting),
    ]


def _result(e: Evidence, name: str, *values: Any) -> Result:
    return Result(f"{e.prefix}copies.{name}", *values)


def _synthetic(e: Evidence, seed: int) -> list[Result]:
    note = f"highest r of each synthetic case to {len(e.rows)} training cases of {e.subjects} subjects; {e.note}"
    results = []
    for word, q in QUANTILES:
        low, high = order_interval(e.found.r, q) if q < 1 else (None, None)
        value = float(np.quantile(e.found.r, q, method="inverted_cdf"))
        name = f"{e.prefix}correlation.synthetic.{word}"
        results.append(public(Result(name, value, low, high, "r", "lower", len(e.found.r), seed, note), e.subjects))
    return results


def _references(e: Evidence, seed: int) -> list[Result]:
    named = (("control", e.control), ("training", e.training), ("neighbour", e.neighbour))
    return [_quantile(e, name, word, reference, q, seed) for name, reference in named for word, q in QUANTILES]


def _quantile(e: Evidence, name: str, word: str, reference: Reference, q: float, seed: int) -> Result:
    """Return one quantile of a reference, with its interval by subjects; withheld where there are too few."""
    name, n = f"{e.prefix}correlation.{name}.{word}", reference.n_subjects
    if n < PUBLIC_MINIMUM:
        note = f"withheld: {n} subjects stand behind it, and a public number needs {PUBLIC_MINIMUM} ({reference.note})"
        return Result(name, None, unit="r", n=n, seed=seed, note=note)
    value, draws = reference.quantiles(q, e.config.bootstrap, seed)
    low, high = np.quantile(draws, (0.025, 0.975)).tolist() if q < 1 else (None, None)
    return Result(name, value, low, high, "r", "", n, seed, f"{reference.note}; each subject counts once")
