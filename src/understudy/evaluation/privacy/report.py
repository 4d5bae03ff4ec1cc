"""The public results of the search for copies, with intervals; nothing about a single real case or subject.

Numbers that fewer than five subjects stand behind are withheld, and say so.
**Checked** in tests/evaluation/privacy/test_report.py.
"""

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS, public
from understudy.core.result import Result
from understudy.core.statistics import percentile_interval
from understudy.evaluation.folder import join_notes, three
from understudy.evaluation.privacy.calibration import (
    MIN_CALIBRATION,
    ReferenceScores,
    clopper_pearson,
    order_interval,
)
from understudy.evaluation.privacy.chance import Chance, LeftOut
from understudy.evaluation.privacy.copies.decision import CopyScores
from understudy.evaluation.privacy.judgement import CopyEvidence, CopyResult, prefix

QUANTILES = (("median", 0.5), ("q99", 0.99), ("max", 1.0))
EVERY = "any of the cases that set the threshold"
NOT_COVERED = (
    "transformations are covered as far as the audit (privacy.audit) shows; attacks are measured apart (attack)"
)


def results_of(evidence: CopyEvidence, seed: int) -> list[Result]:
    """Return the public results of one synthetic cohort: copies, its own correlations, the references."""
    copies = copies_of(evidence, evidence.copies, "copies", seed)
    return [
        *copies,
        *_swap(evidence, seed),
        *_maps(evidence, seed),
        *_synthetic(evidence, seed),
        *_references(evidence, seed),
    ]


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
    subjects, unit = reference.n_subjects, "r" if list(found.scores) == ["pixels"] else ""
    weak = f"set by {subjects} subjects only, which supports little" if subjects < MIN_CALIBRATION else ""
    nearer = f"nearer to a training case than {100 * (1 - rate):g} % of {reference.note}"
    spread = "interval: had other subjects set the threshold"
    covered = join_notes(nearer, spread, weak, *judged.skipped, NOT_COVERED, e.note)
    above_which = f"nearness above which a case is flagged, set by {reference.note}; each subject counts once"
    least = f"smallest p of {n} cases; the smallest attainable is {1 / (1 + subjects):.2g}"
    between = percentile_interval(threshold.resampled)
    share = clopper_pearson(flagged, n)
    return [
        Result(f"{at}.flagged", flagged, low, high, "cases", "lower", n, seed, covered),
        Result(f"{at}.flagged_share", flagged / n, *share, "", "lower", n, seed, "exact 95 % interval"),
        *chance_of(at, LeftOut(reference, rate), found, seed),
        Result(f"{at}.threshold", threshold.value, *between, unit, "", subjects, seed, join_notes(above_which, weak)),
        Result(f"{at}.least_p", float(found.p.min()), None, None, "", "higher", n, seed, least),
    ]


def chance_of(at: str, left_out: LeftOut, found: CopyScores, seed: int) -> list[Result]:
    """Return what a cohort without copies gives, and what was found: flags, and cases nearer than all unseen ones."""
    n, subjects = len(found.nearness), left_out.subjects
    flagged, above = int(found.flagged.sum()), int((found.nearness > left_out.sample.values[-1]).sum())
    flags, nearest = left_out.flags(n, seed), left_out.nearest(n, seed)
    often = f"more than a third of the cases of {left_out.often} of them"
    rate = f"of unseen subjects' cases, each of {subjects} subjects left out of the threshold once; flagged: {often}"
    return [
        *_chance(f"{at}.expected", f"{at}.flagged_p", "flagged", flags, flagged, n, seed),
        Result(f"{at}.false_positive_rate", flags.rate, *flags.rate_interval, "", "lower", subjects, seed, rate),
        Result(f"{at}.above_reference_max", above, None, None, "cases", "lower", n, seed, "nearer than " + EVERY),
        *_chance(f"{at}.above_reference_max_expected", f"{at}.above_reference_max_p", f"nearer than {EVERY}", nearest,
                 above, n, seed),
    ]  # fmt: skip


def _chance(name: str, p_name: str, what: str, chance: Chance, found: int, n: int, seed: int) -> list[Result]:
    """Return how many cases are expected to be ``what`` without copies, and the probability of as many as found."""
    by_luck = (
        f"cases expected to be {what} in a cohort without copies, as near as unseen subjects; 95 % of such cohorts"
    )
    p = f"probability that so many cases or more are {what} in a cohort without copies"
    return [
        Result(name, chance.expected, *chance.interval, "cases", "", n, seed, by_luck),
        Result(p_name, chance.p(found), None, None, "", "higher", n, seed, p),
    ]


def _swap(e: CopyEvidence, seed: int) -> list[Result]:
    """Return the results of the swap test; withheld where few subjects stand on a side."""
    at, found = f"{e.prefix}swap", e.swap
    if isinstance(found, str):
        return [Result(f"{at}.p", None, better="higher", seed=seed, note=found)]
    n, sides = found.members + found.non_members, f"{found.members} trained and {found.non_members} unseen subjects"
    counted = f"flagged cases nearest to one of {found.size} {{}} subjects, of {sides} matched together"
    swapped = "trained minus unseen; copies of trained subjects alone make it positive; interval over subjects"
    dealt = f"one-sided, subjects dealt anew, flags weighed by their nearness; {sides}"
    return [
        Result(f"{at}.trained", found.trained, None, None, "cases", "", n, seed, counted.format("trained")),
        Result(f"{at}.unseen", found.unseen, None, None, "cases", "", n, seed, counted.format("unseen")),
        Result(f"{at}.difference", *three(found.difference), "cases", "lower", n, seed, swapped),
        Result(f"{at}.p", found.p, None, None, "", "higher", n, seed, dealt),
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
