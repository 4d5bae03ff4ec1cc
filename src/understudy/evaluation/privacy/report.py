"""The public results of the search for copies, with intervals; nothing about a single real case or subject.

Numbers that fewer than five subjects stand behind are withheld, and say so.
**Checked** in tests/evaluation/privacy/test_report.py.
"""

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, public
from understudy.core.result import Result
from understudy.core.statistics import percentile_interval
from understudy.evaluation.folder import join_notes
from understudy.evaluation.privacy.calibration import (
    MIN_CALIBRATION,
    ReferenceScores,
    by_chance,
    clopper_pearson,
    order_interval,
)
from understudy.evaluation.privacy.judgement import CopyEvidence, CopyResult, prefix

QUANTILES = (("median", 0.5), ("q99", 0.99), ("max", 1.0))
NOT_COVERED = (
    "transformations are covered as far as the audit (privacy.audit) shows; attacks are measured apart (attack)"
)


def results_of(evidence: CopyEvidence, seed: int) -> list[Result]:
    """Return the public results of one synthetic cohort: copies, its own correlations, the references."""
    copies = copies_of(evidence, evidence.copies, "copies", seed)
    return [*copies, *_maps(evidence, seed), *_synthetic(evidence, seed), *_references(evidence, seed)]


def skipped(name: str, seed: int) -> list[Result]:
    """Return the results of a pair of cohorts that cannot be compared by images: what was skipped, and why."""
    why = "skipped: one of the cohorts has no images, and label maps are not compared by this measure"
    attacks = "not measured: attacks read images, and one of the cohorts has none"
    return [
        Result(f"{prefix(name)}copies.flagged", None, unit="cases", better="lower", seed=seed, note=why),
        Result(f"{prefix(name)}attack", None, seed=seed, note=attacks),
    ]


def copies_of(e: CopyEvidence, judged: CopyResult, what: str, seed: int) -> list[Result]:
    """Return the results of one judgement, named "copies" or "label_maps": flagged, by chance, share, threshold, p."""
    n, at = len(e.cohort), f"{e.prefix}{what}"
    if judged.scores is None or judged.threshold is None:
        why = f"withheld: fewer than {MIN_SUBJECTS} real subjects to say how near unseen subjects lie"
        return [Result(f"{at}.flagged", None, None, None, "cases", "lower", n, seed, join_notes(why, *judged.skipped))]
    found, threshold, rate = judged.scores, judged.threshold, e.config.false_positive_rate
    reference, flagged = threshold.reference, int(found.flagged.sum())
    copies = int((found.flagged & (found.nearness <= threshold.value)).sum())
    low, high = threshold.flagged_interval(found.nearness, copies)
    chance, chance_low, chance_high = by_chance(rate, n)
    subjects, unit = reference.n_subjects, "r" if list(found.scores) == ["pixels"] else ""
    weak = f"set by {subjects} subjects only, which supports little" if subjects < MIN_CALIBRATION else ""
    nearer = f"nearer to a training case than {100 * (1 - rate):g} % of {reference.note}"
    spread = "interval: had other subjects set the threshold"
    covered = join_notes(nearer, spread, weak, *judged.skipped, NOT_COVERED, e.note)
    by_luck = "by chance, if synthetic cases lie as near to training cases as unseen subjects do; central 95 % range"
    if rate * (1 + subjects) < 1:
        by_luck += f"; up to {n / (1 + subjects):.3g} if the cases of one unseen subject, of {subjects}, are alike"
    above_which = f"nearness above which a case is flagged, set by {reference.note}; each subject counts once"
    beyond, highest = "nearer than any of the cases that set the threshold", float(reference.r.max())
    least = f"smallest p of {n} cases; the smallest attainable is {1 / (1 + subjects):.2g}"
    between = percentile_interval(threshold.resampled)
    above = int((found.nearness > highest).sum())
    share = clopper_pearson(flagged, n)
    return [
        Result(f"{at}.flagged", flagged, low, high, "cases", "lower", n, seed, covered),
        Result(f"{at}.expected", chance, chance_low, chance_high, "cases", "", n, seed, by_luck),
        Result(f"{at}.flagged_share", flagged / n, *share, "", "lower", n, seed, "exact 95 % interval"),
        Result(f"{at}.above_reference_max", above, None, None, "cases", "lower", n, seed, beyond),
        Result(f"{at}.threshold", threshold.value, *between, unit, "", subjects, seed, join_notes(above_which, weak)),
        Result(f"{at}.least_p", float(found.p.min()), None, None, "", "higher", n, seed, least),
    ]


def _maps(e: CopyEvidence, seed: int) -> list[Result]:
    if isinstance(e.maps, str):
        return [Result(f"{e.prefix}label_maps.flagged", None, unit="cases", better="lower", seed=seed, note=e.maps)]
    return copies_of(e, e.maps, "label_maps", seed)


def _synthetic(e: CopyEvidence, seed: int) -> list[Result]:
    note = f"highest r of each synthetic case to {len(e.rows)} training cases of {e.subjects} subjects; {e.note}"
    results = []
    for word, q in QUANTILES:
        low, high = order_interval(e.found.r, q) if q < 1 else (None, None)
        value = float(np.quantile(e.found.r, q, method="inverted_cdf"))
        name = f"{e.prefix}correlation.synthetic.{word}"
        results.append(public(Result(name, value, low, high, "r", "lower", len(e.found.r), seed, note), e.subjects))
    return results


def _references(e: CopyEvidence, seed: int) -> list[Result]:
    named = (("control", e.control), ("training", e.training), ("neighbour", e.neighbour), ("blurred", e.blurred))
    return [_quantile(e, name, word, reference, q, seed) for name, reference in named for word, q in QUANTILES]


def _quantile(e: CopyEvidence, name: str, word: str, reference: ReferenceScores, q: float, seed: int) -> Result:
    """Return one quantile of a reference, with its interval by subjects; withheld where there are too few."""
    name, n = f"{e.prefix}correlation.{name}.{word}", reference.n_subjects
    if n < MIN_SUBJECTS:
        note = f"withheld: {n} subjects stand behind it, and a public number needs {MIN_SUBJECTS} ({reference.note})"
        return Result(name, None, unit="r", n=n, seed=seed, note=note)
    value, draws = reference.quantiles(q, e.config.bootstrap, seed)
    low, high = percentile_interval(draws) if q < 1 else (None, None)
    return Result(name, value, low, high, "r", "", n, seed, f"{reference.note}; each subject counts once")
