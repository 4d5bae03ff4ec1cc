"""``understudy release``: a synthetic cohort, a card and the PUBLIC evidence in one folder, behind a gate.

    bundle/
      card.md card.json    what it is, whose data in aggregate, each limit with its number, what is not covered
      cohort/              the cohort without what names anybody (stripped.py)
      evidence/KIND/       results.json, tables, curves, histograms, images of synthetic cases
      evidence/before-screening/KIND/results.json
      report/report.html   the PUBLIC edition, drawn from the evidence in this bundle alone
      policy.yaml          the limits, as they were
      gate.json            each limit with what was found, and what is needed to judge again
      manifest.json        the request and the SHA-256 of every other file

Only what is named here is copied, so that a new file of an evaluation stays inside until somebody lets it out. The
folder is written beside, compared with the real cohort, and renamed; a refusal leaves nothing.
**Checked** in tests/release/test_package.py.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.stage import finished, output_folder
from understudy.release.card import card_of, markdown
from understudy.release.deidentify import write_stripped
from understudy.release.disclosure import compare_with_real
from understudy.release.evidence import Dossier, open_dossier
from understudy.release.gate import Check, judge, judge_labels, judge_real, refuse
from understudy.release.identifiers import needles_of, refuse_names
from understudy.release.policy import PolicyFile, read_policy
from understudy.report import write_report
from understudy.report.reading import Folder, folder_hash

SCHEMA = 1
PUBLIC = ("tables/*.csv", "curves/*.json", "histograms/*.json", "images/*.npz")
BEFORE = "before-screening"
OWN = ("card.md", "card.json", "gate.json")


def release_cohort(
    cohort: Path,
    evidence: Sequence[Path],
    out: Path,
    *,
    policy: Path | None = None,
    real: Path | None = None,
    override: str | None = None,
) -> Path:
    """Write a bundle, or refuse and say which limits do not hold.

    Args:
        cohort: folder of the synthetic cohort.
        evidence: results folders about it, and about what it was before screening.
        out: the bundle to make; a finished one of the same request is not made twice.
        policy: file of the limits; the shipped default where None.
        real: folder of the real cohort behind it, that the bundle is compared with.
        override: why it is released although limits do not hold; written into the bundle.

    Returns:
        ``out``.

    Raises:
        UsageError: a wrong policy, cohorts of wrong kinds, an empty reason, ``out`` holds something else.
        UnderstudyError: the gate refuses: evidence missing, older or of others, a limit that does not hold, something
            real in the bundle.
    """
    source, limits = Cohort.open(cohort), read_policy(policy)
    dossier = open_dossier(source, evidence)
    provenance = _request(source, dossier, limits, real is not None, override)
    if finished(out, "manifest.json", provenance):
        return Path(out)
    refuse_changed(source)
    original = _open_real(real, source, dossier) if real is not None else None
    checks = [*judge(limits.policy, dossier), judge_labels(limits.policy, source.label_source)]
    checks.append(judge_real(limits.policy, original is not None))
    refuse(source, checks, override)
    with output_folder(out) as folder:
        _fill(folder, source, dossier, limits, provenance)
        rule = limits.policy.real_check
        compared = compare_with_real(folder, original, rule) if original is not None else None
        card = card_of(Cohort.open(folder / "cohort"), source, dossier, limits, checks, override, compared)
        _write_own(folder, card, dossier, checks, override)
        if original is not None:
            refuse_names(folder, needles_of(original), OWN)
        _write_json(folder / "manifest.json", _manifest(folder, provenance, card))
    return Path(out)


def refuse_changed(cohort: Cohort) -> None:
    """Refuse a cohort whose files do not have its hashes, or whose cohort.json was edited.

    Raises:
        UnderstudyError: it was changed after it was made.
    """
    cohort.verify()
    manifest = json.loads((cohort.path / "cohort.json").read_text())
    given = manifest.pop("id")
    found = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    if cohort.kind == "synthetic" and found != given:  # the id of a semi-synthetic cohort is keyed
        raise UnderstudyError(
            f"{cohort.path}/cohort.json does not have the id that its content gives ({found}, found {given}): it was "
            "changed after the evidence was made; make the cohort again"
        )


def _request(source: Cohort, dossier: Dossier, limits: PolicyFile, compared: bool, why: str | None) -> Provenance:
    """Return the request; evidence by the hash of its public part."""
    inputs = {"cohort": source.id, "real": dossier.real}
    both = [*dossier.released, *(dossier.before if dossier.screened else [])]
    inputs |= {f"evidence.{i}.{f.section}": folder_hash(f.path, public=True)[:16] for i, f in enumerate(both)}
    config = {"generator": source.generator, "policy": limits.digest, "compared": compared, "override": why}
    return Provenance("release", config, 0, inputs)


def _open_real(real: Path, source: Cohort, dossier: Dossier) -> Cohort:
    original = Cohort.open(real)
    if original.kind != "real":
        raise UsageError(f"--real needs the cohort of real cases, and {original.path.name} is {original.kind}")
    if original.id != dossier.real:
        raise UnderstudyError(
            f"--real is the cohort {original.id}, and the evidence was measured against {dossier.real}: name that one"
        )
    original.verify()
    seen = {subject for entry in source.trained_on for subject in entry.get("subjects", ())}
    if stray := len(seen.difference(original.subjects())):
        raise UnderstudyError(
            f"{stray} of {len(seen)} subjects that {source.path.name} was made from are not in the real cohort "
            f"{original.path.name}, so that nothing was compared with them: evaluate against the cohort that holds all"
        )
    return original


def _fill(folder: Path, source: Cohort, dossier: Dossier, limits: PolicyFile, provenance: Provenance) -> None:
    """Write cohort, evidence, report and policy."""
    write_stripped(source, folder / "cohort", provenance)
    (folder / "evidence").mkdir()
    copied = [_copy(one, folder / "evidence", PUBLIC) for one in dossier.released]
    for one in dossier.before if dossier.screened else ():
        _copy(one, folder / "evidence" / BEFORE, ())  # its pictures may show what was screened out
    write_report(copied, folder / "report")
    (folder / "policy.yaml").write_bytes(limits.content)


def _copy(one: Folder, parent: Path, patterns: Sequence[str]) -> Path:
    """Copy the public part of a results folder; a second one of its kind gets a number."""
    out, n = parent / one.section, 1
    while out.exists():
        n += 1
        out = parent / f"{one.section}-{n}"
    for file in [one.path / "results.json", *(f for pattern in patterns for f in sorted(one.path.glob(pattern)))]:
        to = out / file.relative_to(one.path)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    return out


def _write_own(
    folder: Path, card: dict[str, Any], dossier: Dossier, checks: Sequence[Check], override: str | None
) -> None:
    """Write the card and the verdict."""
    _write_json(folder / "card.json", card)
    (folder / "card.md").write_text(markdown(card), encoding="utf-8")
    known = {"real": dossier.real, "screened": dossier.screened, "facts": [asdict(fact) for fact in dossier.facts]}
    verdict = {"override": override, "checks": [asdict(check) for check in checks], "known": known}
    _write_json(folder / "gate.json", verdict)


def _manifest(folder: Path, provenance: Provenance, card: dict[str, Any]) -> dict[str, Any]:
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {
        "schema": SCHEMA,
        "cohort": card["cohort"],
        "policy": card["policy"]["sha256"],
        "override": card["override"],
        "provenance": provenance.to_json(),
        "files": {name: file_hash(folder / name) for name in files},
    }


def _write_json(file: Path, data: dict[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
