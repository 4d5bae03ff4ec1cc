"""The result of the audit, as public numbers with intervals by subject, and as a table.

**Checked** in tests/evaluation/privacy/canaries/test_report.py.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import by_subject, percentile_interval, resample
from understudy.evaluation.folder import write_table
from understudy.evaluation.privacy.calibration import Threshold, clopper_pearson
from understudy.evaluation.privacy.canaries.audit import AuditedCases, AuditResult, MapAudit
from understudy.evaluation.privacy.chance import exchanged_p

HEADER = ("transformation", "left_out", "found", "found_low", "found_high", "correct_subject", "n", "subjects")
DRAWS = 1000
Interval = tuple[float, float, float]


def write_audit(folder: Path, audit: AuditResult | str, maps: MapAudit | str, seed: int) -> list[Result]:
    """Write tables/privacy_audit.csv, with a column for what each matcher alone finds; return the results.

    Where there was no audit, of images or of label maps, one result says why, and the table lacks it.
    """
    rows: list[tuple[str, str, AuditedCases, Threshold]] = []
    if not isinstance(audit, str):
        every = {"no": audit.recalls | audit.harder, "yes": audit.left_out}
        rows += [(name, out, one, audit.threshold) for out, found in every.items() for name, one in found.items()]
    if not isinstance(maps, str):
        rows += [(f"label_map.{name}", "no", one, maps.threshold) for name, one in maps.recalls.items()]
    if rows:
        _write_table(folder, rows, seed)
    if isinstance(audit, str):
        results = [Result("privacy.audit", None, seed=seed, note=audit)]
    else:
        results = [*recall_results(audit, seed), *_false_positives(audit, seed)]
    if isinstance(maps, str):
        return [*results, Result("privacy.audit.label_maps", None, seed=seed, note=maps)]
    return [*results, *map_results(maps, seed)]


def _write_table(folder: Path, rows: list[tuple[str, str, AuditedCases, Threshold]], seed: int) -> None:
    """Write a row of each kind of copies: name, whether its family was left out, copies, threshold."""
    matchers, table = list(dict.fromkeys(matcher for *_, one, _ in rows for matcher in one.matchers)), []
    for name, left_out, one, threshold in rows:
        alone = [one.matchers.get(matcher, "") for matcher in matchers]
        n, subjects = len(one.flagged), len(np.unique(one.subjects))
        table.append([name, left_out, *_found(threshold, one, seed), float(one.right.mean()), n, subjects, *alone])
    write_table(folder, "privacy_audit", [*HEADER, *matchers], table)


def share(one: AuditedCases, seed: int, per_subject: bool = False) -> Interval:
    """Return the share that is flagged and its 95 % range over resampled subjects; exact where there is no spread.

    Each case counts once, or ``per_subject`` each subject.
    """
    names, number, counts = by_subject(one.subjects)
    hits = np.bincount(number, one.flagged, len(names))
    top, bottom = (hits / counts, np.ones(len(names))) if per_subject else (hits, counts.astype(float))
    value = float(top.sum() / bottom.sum())
    if value in (0.0, 1.0):  # resamples would show no spread
        return (value, *clopper_pearson(int(value * len(names)), len(names)))
    times = resample(rng(seed, "audit", "subjects"), len(names), DRAWS)
    return (value, *percentile_interval((times @ top) / (times @ bottom)))


def _found(threshold: Threshold, one: AuditedCases, seed: int, per_subject: bool = False) -> Interval:
    """Return the share that is flagged, as :func:`share`, and its 95 % range over subjects and over thresholds."""
    value, low, high = share(one, seed, per_subject)
    if value in (0.0, 1.0):
        return value, low, high
    names, number, counts = by_subject(one.subjects)
    times = resample(rng(seed, "audit", "subjects"), len(names), len(threshold.resampled))
    of = counts if per_subject else np.ones(len(names))
    hits = _hits(threshold, one, number, len(names)) / of
    return value, *percentile_interval((times * hits).sum(1) / (times @ (counts / of)))


def _hits(threshold: Threshold, one: AuditedCases, number: np.ndarray, n: int) -> np.ndarray:
    """Return how many cases of each of n subjects are flagged (draws, n), by each resampled threshold."""
    if one.nearness is None:
        return np.bincount(number, one.flagged, n)[None]
    whatever = one.flagged & (one.nearness <= threshold.value)  # exact copies, flagged by any threshold
    flagged = (one.nearness > threshold.resampled[:, None]) | whatever
    return np.stack([np.bincount(number, row, n) for row in flagged])


def recall_results(audit: AuditResult, seed: int) -> list[Result]:
    """Return the recalls: the worst first, then the mean, then each."""
    by_name = {name: _found(audit.threshold, one, seed) for name, one in audit.recalls.items()}
    worst = min(by_name, key=lambda name: by_name[name][0])
    n = sum(len(one.flagged) for one in audit.recalls.values())
    note = "copies of training cases that were injected and flagged; interval over the subjects copied and thresholds"
    mean = float(np.mean([value for value, _, _ in by_name.values()]))
    interval = _mean_interval(audit.recalls, audit.threshold, seed)
    results = [
        Result("privacy.audit.recall.worst", *by_name[worst], "", "higher", len(audit.recalls[worst].flagged), seed,
               f"of the transformation {worst}; compounds, chimeras and a steward's own stand apart"),
        Result("privacy.audit.recall.mean", mean, *interval, "", "higher", n, seed,
               "; ".join(["mean over single transformations", *audit.skipped])),
    ]  # fmt: skip
    by_name |= {name: _found(audit.threshold, one, seed) for name, one in audit.harder.items()}
    for name, one in (audit.recalls | audit.harder).items():
        results.append(
            Result(f"privacy.audit.recall.{name}", *by_name[name], "", "higher", len(one.flagged), seed, note)
        )
    for name, one in audit.left_out.items():
        said = "the encoder had not learned this family of transformations"
        values = _found(audit.threshold, one, seed)
        results.append(Result(f"privacy.audit.left_out.{name}", *values, "", "higher", len(one.flagged), seed, said))
    return results


def map_results(maps: MapAudit, seed: int) -> list[Result]:
    """Return the recalls of copied label maps, worst and mean first, and how many of test subjects' were flagged."""
    before, over = "privacy.audit.label_maps", "interval over subjects and thresholds"
    by_name = {name: _found(maps.threshold, one, seed) for name, one in maps.recalls.items()}
    counts = {name: len(one.flagged) for name, one in maps.recalls.items()}
    worst, mean = min(by_name, key=lambda name: by_name[name][0]), float(np.mean([v for v, _, _ in by_name.values()]))
    notes = {"worst": f"of maps changed so: {worst}", "mean": "mean over ways of change"}
    found = {"worst": by_name[worst], "mean": (mean, *_mean_interval(maps.recalls, maps.threshold, seed)), **by_name}
    counts |= {"worst": counts[worst], "mean": sum(counts.values())}
    each = f"label maps of training cases that were copied, changed and flagged; {over}"
    results = [
        Result(f"{before}.recall.{name}", *values, "", "higher", counts[name], seed, notes.get(name, each))
        for name, values in found.items()
    ]
    rate, n = _found(maps.threshold, maps.non_members, seed, True), len(maps.non_members.flagged)
    said = f"label maps of test subjects that were flagged; each subject counts once; {over}"
    return [*results, Result(f"{before}.false_positive_rate", *rate, "", "lower", n, seed, said)]


def _mean_interval(recalls: Mapping[str, AuditedCases], threshold: Threshold, seed: int) -> tuple[float, float]:
    """Return the 95 % range of the mean over transformations, over resampled subjects and thresholds."""
    names = np.unique(np.concatenate([one.subjects for one in recalls.values()]))
    draws = len(threshold.resampled)
    times, total = resample(rng(seed, "audit", "subjects"), len(names), draws), np.zeros(draws)
    for one in recalls.values():
        at = np.searchsorted(names, one.subjects)
        counts = np.bincount(at, minlength=len(names))
        drawn = times @ counts  # 0 where nobody was drawn whose cases were transformed so: then as measured
        hits = (times * _hits(threshold, one, at, len(names))).sum(1)
        total += np.where(drawn > 0, hits / np.maximum(drawn, 1), one.flagged.mean())
    if (total == len(recalls)).all():  # resamples show no spread
        return clopper_pearson(len(names), len(names))
    return percentile_interval(total / len(recalls))


def _false_positives(audit: AuditResult, seed: int) -> list[Result]:
    found, copies, flagged, among = audit.low_prevalence
    unseen = len(np.unique(audit.non_members.subjects))
    plain = (
        f"cases of {unseen} test subjects, unseen by the detector, that were flagged; each subject counts once; "
        "interval over subjects and thresholds"
    )
    everybody = _together(audit.calibrating, audit.non_members, audit.beside)
    names, number, counts = by_subject(everybody.subjects)
    often = int((np.bincount(number, everybody.flagged, len(names)) > counts / 3).sum())
    crossed = f"cases of all {len(names)} unseen subjects, each left out of the threshold; each subject counts once"
    most_of = f"of {len(names)} unseen subjects, those of whom more than a third of the cases were flagged"
    transformed = "the same cases, each transformed at random"
    hidden = f"of {copies} copies among {among} cases of non-members, all transformed; {flagged} of these were flagged"
    low, high = clopper_pearson(found, copies)
    left_out = []
    if audit.left_out_non_members:
        by_family = {family: share(one, seed, True) for family, one in audit.left_out_non_members.items()}
        most = max(by_family, key=lambda family: by_family[family][0])
        said = f"the same cases as they are, by the worst detector whose encoder had not learned a family: {most}"
        n = len(audit.left_out_non_members[most].flagged)
        left_out = [Result("privacy.audit.false_positive_rate_left_out", *by_family[most], "", "lower", n, seed, said)]
    rate, rate_transformed = (
        _found(audit.threshold, one, seed, True) for one in (audit.non_members, audit.transformed)
    )
    assert audit.non_members.nearness is not None
    reference, chance = audit.threshold.reference, (audit.non_members.nearness, audit.non_members.subjects)
    p = exchanged_p(reference, *chance, audit.threshold.rate, seed)
    dealt = "share of deals of all subjects, those who set the threshold and the tested ones, that flag as many"
    return [
        *left_out,
        Result("privacy.audit.false_positive_rate_all", *share(everybody, seed, True), "", "lower",
               len(everybody.flagged), seed, crossed),
        Result("privacy.audit.subjects_often_flagged", often, None, None, "subjects", "lower", len(names), seed,
               most_of),
        Result("privacy.audit.false_positive_rate", *rate, "", "lower",
               len(audit.non_members.flagged), seed, plain),
        Result("privacy.audit.false_positive_p", p, None, None, "", "higher",
               len(audit.non_members.flagged), seed, dealt),
        Result("privacy.audit.false_positive_rate_transformed", *rate_transformed, "", "lower",
               len(audit.transformed.flagged), seed, transformed),
        Result("privacy.audit.recall_low_prevalence", found / copies, low, high, "", "higher", copies, seed, hidden),
    ]  # fmt: skip


def _together(*parts: AuditedCases) -> AuditedCases:
    """Return cases of several sets of subjects as one."""
    flagged, subjects, right = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("flagged", "subjects", "right")
    )
    return AuditedCases(flagged, subjects, right)
