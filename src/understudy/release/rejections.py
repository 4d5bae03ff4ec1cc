"""Which cases of a synthetic cohort are rejected, and why, as results folders say; REJECTIONS is the menu of kinds.

An entry of the menu is a function of one results folder. It returns the rejected cases with their reasons, and whose
data that decision depends on. Evidence about another cohort is refused.
**consistency** (``evaluate consistency``): cases below a threshold. **privacy** (``evaluate privacy``): flagged cases.
**Checked** in tests/release/test_rejections.py (the right cases; evidence of other cohorts; damaged, partial folders).
"""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from understudy.core.cohort import Cohort
from understudy.core.documents import STRICT, mistakes, read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import csv_text
from understudy.core.result import Result, read_results
from understudy.data.pseudonym import PUBLIC_KEY
from understudy.data.seal import sealed_by
from understudy.evaluation.guard import slug
from understudy.report.reading import folder_hash, section_of

REAL = "real"  # in the place of a threshold: the low quantile of real pairs
Thresholds = Mapping[str, float | str]


class SeenFile(BaseModel):
    """internal/seen.json: entries of ``trained_on``, of the segmenter and of its calibration."""

    model_config = STRICT

    seen: list[dict[str, Any]]
    calibrated_on: list[dict[str, Any]]


@dataclass(frozen=True)
class Rejection:
    """Why a case is rejected: the kind of evidence, what was measured, its score and threshold where there are any."""

    evidence: str
    what: str
    score: float | None
    threshold: float | None


@dataclass(frozen=True)
class Rejections:
    """What one results folder says about the cases of a cohort."""

    reasons: dict[str, list[Rejection]]  # by rejected case
    data_used: list[dict[str, str]]  # whose data the decision depends on: [{"evidence", "cohort", "split", "for"}, ...]
    seen: list[dict[str, Any]] = field(default_factory=list)  # what a cohort screened with it has in ``trained_on``
    thresholds: dict[str, float] = field(default_factory=dict)  # by what was measured


@dataclass(frozen=True)
class CaseEvidence:
    """A results folder about a cohort: its kind (consistency, privacy), results by name, request, hash, sealing key."""

    path: Path
    kind: str
    results: dict[str, Result]
    provenance: dict[str, Any]
    digest: str
    sealed_by: bytes | None

    @property
    def real(self) -> str:
        """Id of the real cohort behind it."""
        return str(self.provenance["inputs"]["real"])

    def used(self, *data: tuple[str, str]) -> list[dict[str, str]]:
        """Return entries of ``Rejections.data_used`` from (split, what for)."""
        return [{"evidence": self.kind, "cohort": self.real, "split": split, "for": why} for split, why in data]

    def number(self, row: dict[str, str], column: str) -> float:
        """Return an entry of a row as a number; raises UnderstudyError where there is none."""
        try:
            return float(row[column])
        except (KeyError, TypeError, ValueError) as error:
            raise UnderstudyError(
                f"{self.path} should hold a number in the column {column!r} for each case, found "
                f"{row.get(column)!r}: evaluate again"
            ) from error

    def rows(self, name: str, cohort: Cohort) -> list[dict[str, str]]:
        """Return the rows of a file of the folder; UnderstudyError unless it holds each case of the cohort once."""
        file = self.path / name
        if not file.is_file():
            raise UnderstudyError(
                f"{file} is missing: screening needs the whole folder that `understudy evaluate {self.kind}` wrote, "
                "with its internal part"
            )
        try:
            table = csv.DictReader(csv_text(file))
            rows = [row for row in table if row.get("synthetic_cohort") == cohort.id]
        except (UsageError, ValueError, csv.Error) as error:
            raise UnderstudyError(f"{file} is no table in UTF-8 ({mistakes(error)}): evaluate again") from error
        cases = [row.get("synthetic_case") for row in rows]
        if sorted(map(str, cases)) != sorted(cohort.column("case_id").tolist()):
            raise UnderstudyError(
                f"{file} should hold each of the {len(cohort)} cases of {cohort.path.name} once, found {len(rows)} "
                "rows about it: evaluate again"
            )
        return rows


def open_evidence(path: Path, cohort: Cohort, key: bytes | None = None) -> CaseEvidence:
    """Open a results folder that speaks about single cases of a cohort; ``key`` is that of seals, where one is known.

    Raises:
        UsageError: evidence of a kind that says nothing about single cases, or about other cohorts.
        UnderstudyError: no results folder, or one that was changed after it was sealed.
    """
    path = Path(path)
    results, provenance = read_results(path)
    kind = section_of(provenance, path)
    if kind not in REJECTIONS:
        raise UsageError(
            f"{path} holds results of {kind!r}, which say nothing about single cases: screening takes what "
            f"`understudy evaluate` {' or '.join(REJECTIONS)} wrote"
        )
    about = str(provenance["inputs"].get("synthetic", "")).split(",")
    if cohort.id not in about or not provenance["inputs"].get("real"):
        raise UsageError(
            f"the evidence {path} is about the synthetic cohort(s) {', '.join(about)}, and {cohort.path.name} is "
            f"{cohort.id}: run `understudy evaluate {kind}` on this cohort"
        )
    digest, sealing = folder_hash(path, public=False)[:16], sealed_by(path, [PUBLIC_KEY, *([key] if key else [])])
    return CaseEvidence(path, kind, {r.name: r for r in results}, provenance, digest, sealing)


def consistency_rejections(evidence: CaseEvidence, cohort: Cohort, thresholds: Thresholds) -> Rejections:
    """Reject the cases whose image and label map agree too little, by what ``evaluate consistency`` wrote.

    Thresholds are by class, or "mean" for the mean of a case's classes: a Dice in 0..1, or "real", the low quantile of
    real pairs. A class that is empty in both maps is consistent.

    Raises:
        UsageError: an unknown class, or a quantile of real pairs that is 0 and would reject nothing.
        UnderstudyError: the folder is not whole, or the quantile was withheld.
    """
    limits = {name: _limit(evidence, cohort, name, value) for name, value in thresholds.items()}
    columns = {name: name if name == "mean" else f"dice.{name}" for name in limits}
    reasons: dict[str, list[Rejection]] = {}
    for row in evidence.rows("cases.csv", cohort):
        for name, limit in limits.items():
            score = evidence.number(row, columns[name])
            if score < limit - 1e-9:  # a CSV holds nine digits
                reasons.setdefault(row["synthetic_case"], []).append(Rejection(evidence.kind, name, score, limit))
    file = evidence.path / "internal" / "seen.json"
    if not file.is_file():
        raise UnderstudyError(
            f"{file} is missing, which says whose data the segmenter saw: name the whole folder that `understudy "
            f"evaluate {evidence.kind}` wrote, with its internal part"
        )
    seen = read_document(file, SeenFile, "a list of what a segmenter saw", "evaluate again").seen
    data = [("train", "weights of the segmenter"), ("validation", "choice of the segmenter")]
    if REAL in thresholds.values():
        data.append((str(evidence.provenance["config"].get("reference")), "threshold"))
    return Rejections(reasons, evidence.used(*data), seen, limits)


def _limit(evidence: CaseEvidence, cohort: Cohort, name: str, value: float | str) -> float:
    """Return a threshold as a number."""
    classes = cohort.scheme.names[1:] if cohort.scheme else ()
    if name not in ("mean", *classes):
        raise UsageError(f"a threshold is for mean or for one of {', '.join(classes)}; found {name!r}")
    if value != REAL:
        return float(value)
    ending = "" if name == "mean" else f".{slug(name)}"
    config = evidence.provenance["config"]
    quantile = evidence.results.get(f"consistency.real.{config.get('network')}.quantile{ending}")
    if quantile is None or quantile.value is None:
        why = quantile.note if quantile else "the result is missing"
        raise UnderstudyError(
            f"the low quantile of real pairs ({name}) is not known from {evidence.path}: {why}; give a number, e.g. "
            f"--threshold {name}=0.5"
        )
    if quantile.value <= 0:
        raise UsageError(
            f"the low quantile of real pairs ({name}) is 0, so nothing would be rejected: "
            f"the segmenter misses as many real lesions; evaluate consistency with a higher quantile or more updates, "
            f"or give a number, e.g. --threshold {name}=0.3"
        )
    return quantile.value


def privacy_rejections(evidence: CaseEvidence, cohort: Cohort, thresholds: Thresholds) -> Rejections:
    """Reject the cases that ``evaluate privacy`` flagged, their image or their label map: too near to a training case.

    Its own threshold decides. Raises UnderstudyError where the folder is not whole, or gives no verdict on the cohort.
    """
    flagged = [r for name, r in evidence.results.items() if name.endswith("copies.flagged")]
    about = str(evidence.provenance["inputs"]["synthetic"]).split(",")
    if len(flagged) != len(about) or flagged[about.index(cohort.id)].value is None:
        why = flagged[about.index(cohort.id)].note if len(flagged) == len(about) else "no result copies.flagged"
        raise UnderstudyError(f"the evidence {evidence.path} gives no verdict about {cohort.path.name}: {why}")
    name = flagged[about.index(cohort.id)].name.removesuffix("flagged") + "threshold"
    limit = evidence.results[name].value if name in evidence.results else None
    reasons = {}
    for row in evidence.rows("internal/pairs.csv", cohort):
        if evidence.number(row, "flagged"):
            score = evidence.number(row, "nearness") if row.get("nearness") else None
            reasons[row["synthetic_case"]] = [Rejection(evidence.kind, "nearness", score, limit)]
        if row.get("label_map_flagged") and evidence.number(row, "label_map_flagged"):
            copied = Rejection(evidence.kind, "label map flagged", None, None)
            reasons[row["synthetic_case"]] = [*reasons.get(row["synthetic_case"], []), copied]
    matchers = ",".join(map(str, evidence.provenance.get("config", {}).get("matchers", [])))
    data = [
        {**one, "matchers": matchers}
        for one in evidence.used(("train", "compared with each case"), ("control", "threshold"))
    ]
    return Rejections(reasons, data, [], {} if limit is None else {"nearness": limit})


REJECTIONS: dict[str, Callable[[CaseEvidence, Cohort, Thresholds], Rejections]] = {
    "consistency": consistency_rejections,
    "privacy": privacy_rejections,
}
