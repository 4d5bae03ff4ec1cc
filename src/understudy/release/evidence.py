"""Evidence against single cases of a synthetic cohort, read from results folders; EVIDENCE is the menu of kinds.

A kind is a function that turns a results folder into a verdict: which cases are rejected and why, whose data the
verdict has touched, and what is told about it. Evidence about another cohort is refused.
**agreement** (``evaluate agreement``): cases below a threshold. **privacy** (``evaluate privacy``): flagged cases.
**Checked** in tests/release/test_evidence.py (the right cases; evidence of other cohorts; damaged and partial folders).

Dossier: the evidence that is offered for a release, and whose it is.

Every folder must be about the one cohort that is released, or about what it was before copies were screened out of it
(``before``); an audit of a detector, which is about no synthetic cohort, counts for the one that is released. A
cohort's id is a hash of its content, so evidence that is older than the cohort is evidence about another id.
Refused, also with an override, since the numbers would be another cohort's: evidence about others, about several at
once, against another real cohort than the generator saw, and INTERNAL folders.
**Checked** in tests/release/test_evidence_dossier.py.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result, read_results
from understudy.evaluation.folder import PUBLIC_MINIMUM, STAMP
from understudy.evaluation.guard import slug
from understudy.report.reading import Folder, cohort_ids, read_folders

REAL = "real"  # in the place of a threshold: the low quantile of real pairs
Thresholds = Mapping[str, float | str]


@dataclass(frozen=True)
class Reason:
    """Why a case is rejected: the kind of evidence, what was measured, its score and threshold where there are any."""

    evidence: str
    what: str
    score: float | None
    threshold: float | None


@dataclass(frozen=True)
class Verdict:
    """What one results folder says.

    Attributes:
        reasons: by rejected case.
        touched: whose data the verdict depends on: [{"evidence", "cohort", "split", "for"}, ...].
        seen: entries of ``trained_on`` that a cohort screened with it gets.
        thresholds: by what was measured.
    """

    reasons: dict[str, list[Reason]]
    touched: list[dict[str, str]]
    seen: list[dict[str, Any]] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """A results folder about a cohort: its kind (agreement, privacy), results by name, request, and its hash."""

    path: Path
    kind: str
    results: dict[str, Result]
    provenance: dict[str, Any]
    digest: str

    @property
    def real(self) -> str:
        """Id of the real cohort behind it."""
        return str(self.provenance["inputs"]["real"])

    def number(self, row: dict[str, str], column: str) -> float:
        """Return an entry of a row as a number.

        Raises:
            UnderstudyError: there is none.
        """
        try:
            return float(row[column])
        except (KeyError, TypeError, ValueError) as error:
            raise UnderstudyError(
                f"{self.path} should hold a number in the column {column!r} for each case, found "
                f"{row.get(column)!r}: evaluate again"
            ) from error

    def rows(self, name: str, cohort: Cohort) -> list[dict[str, str]]:
        """Return the rows of a file of the folder, one for each case of the cohort.

        Raises:
            UnderstudyError: the file is missing, or does not hold each case of the cohort once.
        """
        file = self.path / name
        if not file.is_file():
            raise UnderstudyError(
                f"{file} is missing: screening needs the whole folder that `understudy evaluate {self.kind}` wrote, "
                "with its internal part"
            )
        with file.open(newline="") as handle:
            rows = [row for row in csv.DictReader(handle) if row.get("synthetic_cohort") == cohort.id]
        cases = [row.get("synthetic_case") for row in rows]
        if sorted(map(str, cases)) != sorted(cohort.column("case_id").tolist()):
            raise UnderstudyError(
                f"{file} should hold each of the {len(cohort)} cases of {cohort.path.name} once, found {len(rows)} "
                "rows about it: evaluate again"
            )
        return rows


def open_evidence(path: Path, cohort: Cohort) -> Evidence:
    """Open a results folder that speaks about a cohort.

    Raises:
        UsageError: evidence of a kind that says nothing about single cases, or about other cohorts.
        UnderstudyError: no results folder.
    """
    path = Path(path)
    results, provenance = read_results(path)
    kind = str(provenance.get("command", "")).removeprefix("evaluate ")
    if kind not in EVIDENCE:
        raise UsageError(
            f"{path} holds results of {kind or 'an unknown command'!r}, which say nothing about single cases: "
            f"screening takes what `understudy evaluate` {' or '.join(EVIDENCE)} wrote"
        )
    inputs = provenance.get("inputs", {})
    about = str(inputs.get("synthetic", "")).split(",")
    if cohort.id not in about or not inputs.get("real"):
        raise UsageError(
            f"the evidence {path} is about the synthetic cohort(s) {', '.join(about)}, and {cohort.path.name} is "
            f"{cohort.id}: run `understudy evaluate {kind}` on this cohort"
        )
    return Evidence(path, kind, {r.name: r for r in results}, provenance, _digest(path))


def _digest(folder: Path) -> str:
    """Return a hash of all files of a folder: rows about single cases decide as well, not the results alone."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256("".join(f"{name} {file_hash(folder / name)}\n" for name in files).encode()).hexdigest()[:16]


def agreement_verdict(evidence: Evidence, cohort: Cohort, thresholds: Thresholds) -> Verdict:
    """Reject the cases whose image and label map agree too little.

    Args:
        evidence: what ``evaluate agreement`` wrote.
        cohort: the cohort.
        thresholds: by class, or "mean" for the mean of a case's classes: a Dice in 0..1, or "real", the low quantile of
            real pairs. A class that is empty in both maps is in agreement.

    Raises:
        UsageError: an unknown class, or a quantile of real pairs that is 0 and would reject nothing.
        UnderstudyError: the folder is not whole, or the quantile was withheld.
    """
    limits = {name: _limit(evidence, cohort, name, value) for name, value in thresholds.items()}
    columns = {name: name if name == "mean" else f"dice.{name}" for name in limits}
    reasons: dict[str, list[Reason]] = {}
    for row in evidence.rows("cases.csv", cohort):
        for name, limit in limits.items():
            score = evidence.number(row, columns[name])
            if score < limit - 1e-9:  # a CSV holds nine digits
                reasons.setdefault(row["synthetic_case"], []).append(Reason("agreement", name, score, limit))
    file = evidence.path / "internal" / "seen.json"
    if not file.is_file():
        raise UnderstudyError(
            f"{file} is missing, which says whose data the segmenter saw: name the whole folder that `understudy "
            "evaluate agreement` wrote, with its internal part"
        )
    told = [("train", "weights of the segmenter"), ("validation", "choice of the segmenter")]
    if REAL in thresholds.values():
        told.append((str(evidence.provenance["config"]["reference"]), "threshold"))
    return Verdict(reasons, _touched(evidence, told), json.loads(file.read_text())["seen"], limits)


def privacy_verdict(evidence: Evidence, cohort: Cohort, thresholds: Thresholds) -> Verdict:
    """Reject the cases that are flagged as nearer to a training case than unseen subjects are.

    Args:
        evidence: what ``evaluate privacy`` wrote.
        cohort: the cohort.
        thresholds: not for this kind; what is flagged was decided there.

    Raises:
        UnderstudyError: the folder is not whole, or holds no verdict about the cohort.
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
            score = evidence.number(row, "r") if "r" in row else None
            reasons[row["synthetic_case"]] = [Reason("privacy", "flagged", score, limit)]
    touched = _touched(evidence, [("train", "compared with each case"), ("control", "threshold")])
    return Verdict(reasons, touched, [], {} if limit is None else {"r": limit})


EVIDENCE: dict[str, Callable[[Evidence, Cohort, Thresholds], Verdict]] = {
    "agreement": agreement_verdict,
    "privacy": privacy_verdict,
}


def _limit(evidence: Evidence, cohort: Cohort, name: str, value: float | str) -> float:
    """Return a threshold as a number."""
    classes = cohort.scheme.names[1:] if cohort.scheme else ()
    if name not in ("mean", *classes):
        raise UsageError(f"a threshold is for mean or for one of {', '.join(classes)}; found {name!r}")
    if value != REAL:
        return float(value)
    ending = "" if name == "mean" else f".{slug(name)}"
    config = evidence.provenance["config"]
    quantile = evidence.results.get(f"agreement.real.{config['network']}.quantile{ending}")
    if quantile is None or quantile.value is None:
        why = quantile.note if quantile else "the result is missing"
        raise UnderstudyError(
            f"the low quantile of real pairs ({name}) is not known from {evidence.path}: {why}; give a number, e.g. "
            f"--threshold {name}=0.5"
        )
    if quantile.value <= 0:
        raise UsageError(
            f"the {100 * config['quantile']:g} % quantile of real pairs ({name}) is 0, so nothing would be rejected: "
            f"the segmenter misses as many real lesions; evaluate agreement with a higher quantile or more updates, or "
            f"give a number, e.g. --threshold {name}=0.3"
        )
    return quantile.value


def _touched(evidence: Evidence, told: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"evidence": evidence.kind, "cohort": evidence.real, "split": split, "for": why} for split, why in told]


INTERNAL = "internal"
JUDGE = "privacy"  # the evaluation that flags copies


@dataclass(frozen=True)
class Dossier:
    """What is known of a cohort that asks for release.

    Attributes:
        real: id (keyed) of the real cohort behind the evidence; "" without evidence.
        released: folders about the cohort itself, or about the detector alone.
        before: folders about what it was before its copies were screened out; those about itself where nothing was.
        screened: whether copies were screened out.
        facts: counts of the cohort, as results.
    """

    real: str
    released: list[Folder]
    before: list[Folder]
    screened: bool
    facts: list[Result]

    def results(self, about: str) -> list[tuple[str, Result]]:
        """Return (kind of evidence, result) of all that is known about the cohort released, or before screening."""
        folders = self.released if about == "released" else self.before
        found = [(folder.section, result) for folder in folders for result in folder.results]
        found += [(folder.section, result) for folder in folders for result in _settings(folder)]
        return [*found, *(("cohort", fact) for fact in self.facts), ("privacy", self._judged_again())]

    def _judged_again(self) -> Result:
        """Return 1 where the cohort was judged with another seed than the one its copies were screened with."""
        name = "judged.again"
        if not self.screened:
            return Result(name, 1, note="no copies were screened out: nothing is to be judged again")
        ours, theirs = ({f.provenance["seed"] for f in x if _flags(f)} for x in (self.released, self.before))
        if not ours or not theirs:
            return Result(name, None, note="evaluate privacy is missing, of the cohort or of what it was before")
        return Result(name, int(not ours & theirs), note="seeds of evaluate privacy, before screening and after it")


def _flags(folder: Folder) -> bool:
    return any(result.name == "privacy.copies.flagged" for result in folder.results)


def _settings(folder: Folder) -> list[Result]:
    """Return the numbers among the settings of an evaluation as results."""
    config = folder.provenance.get("config", {})
    return [
        Result(f"setting.{folder.section}.{key}", float(value))
        for key, value in config.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def open_dossier(cohort: Cohort, evidence: Sequence[Path]) -> Dossier:
    """Read the evidence about a cohort.

    Args:
        cohort: the cohort that asks for release.
        evidence: results folders.

    Raises:
        UsageError: a real cohort, no evidence, or a folder named twice.
        UnderstudyError: a folder that is INTERNAL, about other cohorts or older than the cohort, or no results folder.
    """
    if cohort.kind == "real":
        raise UsageError(f"{cohort.path.name} is a cohort of real cases, and none is ever released: name a synthetic")
    earlier = before_screening(cohort)
    ours: list[Path] = []
    theirs: list[Path] = []
    for path in map(Path, evidence):
        _refuse_internal(path)
        about = cohort_ids(read_results(path)[1], "synthetic")
        if about in ("", cohort.id):
            ours.append(path)
        elif about == earlier:
            theirs.append(path)
        else:
            raise UnderstudyError(_foreign(path, about, cohort))
    if not ours:
        raise UsageError(
            f"evidence about the cohort {cohort.path.name} ({cohort.id}) was expected, found none: name folders that "
            "`understudy evaluate` wrote about it with --evidence"
        )
    released, before = read_folders(ours), read_folders(theirs) if theirs else []
    real = _one_real(cohort, [*released, *before])
    screened = earlier is not None
    return Dossier(real, released, before if screened else released, screened, facts(cohort))


def before_screening(cohort: Cohort) -> str | None:
    """Return the id of what a cohort was before copies were screened out of it, or None where none were."""
    for entry in cohort.sampling.get("screened", []):
        if any(touched["evidence"] == JUDGE for touched in entry["touched"]):
            return str(entry["source"]["cohort"])
    return None


def facts(cohort: Cohort) -> list[Result]:
    """Return the counts of a cohort that limits may ask for; the subjects are None where they are few or unknown."""
    recorded = bool(cohort.trained_on) and all(entry.get("subjects") for entry in cohort.trained_on)
    n = len({subject for entry in cohort.trained_on for subject in entry.get("subjects", ())})
    note = f"withheld: fewer than {PUBLIC_MINIMUM} subjects" if n < PUBLIC_MINIMUM else ""
    note = note if recorded else "trained_on does not record all subjects"
    return [
        Result("cohort.cases", len(cohort), unit="cases"),
        Result("cohort.subjects", None if note else n, unit="subjects", note=note),
    ]


def _refuse_internal(path: Path) -> None:
    """Refuse what is stamped INTERNAL or lies in such a folder, and links, which could lead there."""
    public = [file for file in path.rglob("*") if INTERNAL not in file.relative_to(path).parts]
    stamped = INTERNAL in path.absolute().parts[-2:] or any(file.name == STAMP for file in public)
    if stamped or any(file.is_symlink() for file in public):
        raise UnderstudyError(
            f"{path} is INTERNAL, or holds a link or a stamped folder in its public part, and no release carries "
            "that: name the results folder that `understudy evaluate` wrote"
        )


def _foreign(path: Path, about: str, cohort: Cohort) -> str:
    earlier = [entry["source"]["cohort"] for entry in cohort.sampling.get("screened", [])]
    if cohort.id in about.split(","):
        return (
            f"the evidence {path} is about several cohorts at once, and a bundle holds one: evaluate "
            f"{cohort.path.name} alone"
        )
    why = "older than" if about in earlier else "of another cohort than"
    return (
        f"the evidence {path} is {why} {cohort.path.name}: it is about {about}, and the cohort is {cohort.id}: "
        "evaluate this cohort, or leave the folder out"
    )


def _one_real(cohort: Cohort, folders: Sequence[Folder]) -> str:
    """Return the id of the real cohort behind all folders; it is one that the generator saw."""
    measured = {cohort_ids(folder.provenance, "real") for folder in folders}
    if len(measured) > 1:
        raise UnderstudyError(
            f"the evidence was measured against {len(measured)} real cohorts ({', '.join(sorted(measured))}): evaluate "
            "against the one that the generator saw"
        )
    (real,), seen = measured, {str(entry["cohort"]) for entry in cohort.trained_on}
    if seen and seen != {"not recorded"} and real not in seen:
        raise UnderstudyError(
            f"the evidence was measured against the real cohort {real}, and {cohort.path.name} was made from "
            f"{', '.join(sorted(seen))}: evaluate against that one"
        )
    return real
