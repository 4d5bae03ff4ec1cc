"""``understudy screen``: a synthetic cohort without the cases that evidence speaks against, each removal logged.

The cohort that comes out says in cohort.json, ``sampling.screened`` (a list, the newest last), of what it was made, by
which thresholds, each rejected case with its reasons and scores, the distribution that is retained, and whose data the
decision depends on. Screening looks at training subjects: what a segmenter saw joins ``trained_on``, and a guarantee
that was given for the generator alone does not cover the screened cohort.

**Retained distribution**: cases before and after, by class, by lesion size, by class column. The size of a class in a
case is its number of voxels. Terciles are cut at the sizes before: small is up to the first, large above the second; a
case without the class has no size and is counted as absent.
**Checked** in tests/release/test_screen.py (the right cases, all columns, the log, counts by hand, refusals).
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.progress import tracked
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.ownership import secret
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.release.rejections import (
    REAL,
    REJECTIONS,
    CaseEvidence,
    Rejection,
    Rejections,
    Thresholds,
    open_evidence,
)
from understudy.release.screening_log import Screening

TERCILES = ("small", "medium", "large")
DISPROPORTION = 0.5  # of the share kept overall; below it a warning
DEFAULT: Mapping[str, float | str] = {"mean": REAL}
Log = dict[str, list[Rejection]]


def screen_cohort(
    cohort: Path,
    evidence: Sequence[Path],
    out: Path,
    thresholds: Mapping[str, float | str] | None = None,
    *,
    key: Path | None = None,
) -> Path:
    """Write the cases of a synthetic cohort that no evidence speaks against; a finished cohort is not made twice.

    ``evidence`` are results folders of ``evaluate consistency`` and ``evaluate privacy`` about it. ``thresholds`` are
    of consistency, by class or "mean": a Dice, or "real" for the low quantile of real pairs (default: the mean against
    real pairs). ``key`` is the file of the secret that keys the id of a semi-synthetic cohort; default: the user's own.

    Raises:
        UsageError: a real cohort, evidence about another one, a threshold for an unknown class, or ``out`` holds
            something else.
        UnderstudyError: a damaged cohort or evidence, or no case would be left.
    """
    source = Cohort.open(cohort)
    found = _open_all(source, evidence, key_at_hand(key, Path(out)))
    limits = _thresholds(found, thresholds)
    config = {"generator": source.generator, "thresholds": limits}
    inputs = {"cohort": source.id, **{f"evidence.{i}.{e.kind}": e.digest for i, e in enumerate(found)}}
    provenance = Provenance("screen", config, 0, inputs)
    if finished(out, "cohort.json", provenance):
        return Path(out)
    source.verify()
    verdicts = [REJECTIONS[e.kind](e, source, limits) for e in found]
    log: Log = {}
    for verdict in verdicts:
        for case, reasons in verdict.reasons.items():
            log.setdefault(case, []).extend(reasons)
    kept = np.array([case not in log for case in source.column("case_id").tolist()])
    if not kept.any():
        raise UnderstudyError(
            f"none of the {len(source)} cases of {source.path.name} would be left ({_by_reason(log)}): look at the "
            "evidence, or set other thresholds with --threshold"
        )
    entry, table = _entry(source, log, kept, verdicts, found), {name: source.column(name) for name in source.columns}
    with CohortWriter.after(
        source,
        out,
        provenance,
        columns=source.further_columns,
        trained_on=_trained_on(source, verdicts),
        preprocessing=source.preprocessing,
        key=secret([source], key, Path(out)),
        seal=cohort_seal([source], key_at_hand(key, Path(out))),
    ) as writer:
        for i in tracked(np.flatnonzero(kept), "screen"):
            image, label = (None if a is None else np.asarray(a[i]) for a in (source.images, source.labels))
            writer.append(image, label, {name: str(column[i]) for name, column in table.items()})
        writer.sampling = {**source.sampling, "screened": [*source.sampling.get("screened", []), entry]}
    return Path(out)


def _open_all(source: Cohort, evidence: Sequence[Path], key: bytes | None) -> list[CaseEvidence]:
    if source.kind == "real":
        raise UsageError(f"screening takes synthetic cases, and {source.path.name} is real: name a cohort of sample")
    if not evidence:
        raise UsageError("at least one results folder was expected, found none: name it with --evidence")
    found = sorted((open_evidence(path, source, key) for path in evidence), key=lambda e: (e.kind, e.digest))
    for one, other in zip(found, found[1:], strict=False):
        if one.digest == other.digest:
            raise UsageError(f"the evidence {one.path} and {other.path} is the same: name it once")
    for one in found[1:]:
        if one.real != found[0].real:
            raise UsageError(
                f"the evidence {one.path} was measured against the real cohort {one.real}, and {found[0].path} against "
                f"{found[0].real}: screen with evidence of one real cohort"
            )
    return found


def _thresholds(found: Sequence[CaseEvidence], wanted: Thresholds | None) -> dict[str, float | str]:
    if any(e.kind == "consistency" for e in found):
        return dict(wanted or DEFAULT)
    if wanted:
        raise UsageError(
            "--threshold is for evidence of `understudy evaluate consistency`, and none was named: leave it out"
        )
    return {}


def _trained_on(source: Cohort, verdicts: Sequence[Rejections]) -> list[dict[str, Any]]:
    """Return the source's ``trained_on`` and whom the verdicts saw; a generator that recorded none stays unrecorded."""
    entries = list(source.trained_on) or [{"cohort": "not recorded", "splits": [], "subjects": []}]
    for verdict in verdicts:
        entries += [entry for entry in verdict.seen if entry not in entries]
    return entries


def _entry(
    source: Cohort, log: Log, kept: np.ndarray, verdicts: Sequence[Rejections], evidence: Sequence[CaseEvidence]
) -> dict[str, Any]:
    """Return what cohort.json says about this screening, sealed where all of its evidence is, with the same key."""
    entry = {
        "source": {"cohort": source.id, "provenance": source.provenance},
        "thresholds": [verdict.thresholds for verdict in verdicts],
        "data_used": [entry for verdict in verdicts for entry in verdict.data_used],
        "retained": retained_distribution(source, kept),
        "rejected": [
            {"case_id": case, "reasons": [asdict(reason) for reason in log[case]]}
            for case in source.column("case_id").tolist()
            if case in log
        ],
    }
    made, keys = Screening.model_validate(json.loads(json.dumps(entry))), {e.sealed_by for e in evidence}
    key = keys.pop() if len(keys) == 1 else None
    return (made.sealed(key) if key else made).model_dump(mode="json")


def screening_summary(cohort: Cohort) -> list[str]:
    """Return what a person must know of the newest screening of a cohort: two sentences, then warnings."""
    entry = cohort.sampling["screened"][-1]
    cases, log = entry["retained"]["cases"], {}
    for rejected in entry["rejected"]:
        log[rejected["case_id"]] = [Rejection(**reason) for reason in rejected["reasons"]]
    why = f"; rejected: {_by_reason(log)}" if log else "; none was rejected"
    first = f"{cases['after']} of {cases['before']} cases are kept ({100 * cases['share']:.0f} %){why}."
    warnings = [f"warning: {sentence}" for sentence in retention_warnings(entry["retained"])]
    return [first, size_sentence(entry["retained"]), *warnings]


def _by_reason(log: Log) -> str:
    """Say how many cases each reason rejects; one case may have several."""
    counted: Counter[str] = Counter()
    for reasons in log.values():
        counted.update({_reason(reason) for reason in reasons})
    return ", ".join(f"{n} by {reason}" for reason, n in sorted(counted.items()))


def _reason(reason: Rejection) -> str:
    below = f" below {reason.threshold:.3f}" if reason.evidence == "consistency" else ""
    return f"{reason.evidence} ({reason.what}{below})"


def class_sizes(cohort: Cohort) -> np.ndarray:
    """Return the number of voxels of each foreground class in each case, int64 (N, K - 1); (N, 0) without maps."""
    if cohort.labels is None or cohort.scheme is None:
        return np.zeros((len(cohort), 0), np.int64)
    labels, classes = cohort.labels, len(cohort.scheme)
    return np.array([np.bincount(labels[i].ravel(), minlength=classes)[1:] for i in range(len(cohort))], np.int64)


def retained_distribution(cohort: Cohort, kept: np.ndarray) -> dict[str, Any]:
    """Return counts before and after, as plain data, where bool (N,) says which cases are kept.

    {"cases": counts, "classes": {name: {"present", "absent", "terciles", "bins"}}, "columns": {name: counts}}, with
    counts = {"before", "after", "share"}, share None where there was none before.
    """
    sizes = class_sizes(cohort)
    names = cohort.scheme.names[1 : 1 + sizes.shape[1]] if cohort.scheme else ()
    told: dict[str, Any] = {"cases": _counts(np.ones(len(kept), bool), kept), "classes": {}, "columns": {}}
    for k, name in enumerate(names):
        told["classes"][name] = _class_retained(sizes[:, k], kept)
    for name, values in zip(cohort.classes, cohort.class_matrix().T, strict=True):
        told["columns"][name] = _counts(values > 0, kept)
    return told


def _class_retained(sizes: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    present = sizes > 0
    told: dict[str, Any] = {"present": _counts(present, kept), "absent": _counts(~present, kept)}
    told |= {"terciles": {}, "bins": []}
    if not present.any():
        return told
    low, high = np.quantile(sizes[present], (1 / 3, 2 / 3), method="inverted_cdf").tolist()
    parts = (present & (sizes <= low), (sizes > low) & (sizes <= high), sizes > high)
    for name, part in zip(TERCILES, parts, strict=True):
        ends = {"from_voxels": int(sizes[part].min()), "to_voxels": int(sizes[part].max())} if part.any() else {}
        told["terciles"][name] = {**ends, **_counts(part, kept)}
    edge = 1
    while edge <= sizes.max():
        inside = (sizes >= edge) & (sizes < 2 * edge)
        told["bins"].append({"from_voxels": edge, "to_voxels": 2 * edge - 1, **_counts(inside, kept)})
        edge *= 2
    return told


def _counts(part: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    before, after = int(part.sum()), int((part & kept).sum())
    return {"before": before, "after": after, "share": after / before if before else None}


def retention_warnings(told: dict[str, Any]) -> list[str]:
    """Return sentences about classes, small lesions and class columns that are dropped disproportionately."""
    overall, found = told["cases"]["share"], []
    for name, one in told["classes"].items():
        share, small = one["present"]["share"], one["terciles"].get("small", {"share": None})["share"]
        if share is not None and share < DISPROPORTION * overall:
            found.append(
                f"cases with {name} are dropped disproportionately: {_percent(share)} kept, {_percent(overall)} of all"
            )
        if small is not None and small < DISPROPORTION * share:
            found.append(
                f"small lesions are dropped disproportionately: {_percent(small)} kept of the third of cases with the "
                f"smallest {name}, {_percent(share)} of all cases with {name}: a lower threshold keeps more hard cases"
            )
    for name, one in told["columns"].items():
        if one["share"] is not None and one["share"] < DISPROPORTION * overall:
            shares = f"{_percent(one['share'])} kept, {_percent(overall)} of all"
            found.append(f"cases of class {name} are dropped disproportionately: {shares}")
    return found


def size_sentence(told: dict[str, Any]) -> str:
    """Return a sentence on the smallest and the largest lesions of the class whose small ones fared worst."""
    measured: list[tuple[float, str]] = [
        (one["terciles"]["small"]["share"] / (one["present"]["share"] or 1), name)
        for name, one in told["classes"].items()
        if one["terciles"]
    ]
    if not measured:
        return "No label map holds a lesion, so there is no distribution of sizes to compare."
    name = min(measured)[1]
    small, large = (_tercile(told["classes"][name]["terciles"], wanted) for wanted in (TERCILES, TERCILES[::-1]))
    if small is large:
        return f"All cases with {name} are of one size, and {small['after']} of {small['before']} are kept."
    return (
        f"Of the {small['before']} cases with the smallest {name} (up to {small['to_voxels']} voxels) "
        f"{small['after']} are kept ({_percent(small['share'])}), of the {large['before']} with the largest "
        f"(from {large['from_voxels']}) {large['after']} ({_percent(large['share'])})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _tercile(terciles: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    """Return the first of some terciles that holds a case; ties of size can empty others."""
    found: dict[str, Any] = next(terciles[name] for name in wanted if terciles[name]["before"])
    return found
