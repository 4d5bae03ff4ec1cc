"""``understudy release``: a synthetic cohort, a card and the PUBLIC evidence in one folder, behind a gate.

    bundle/
      README.md            what a recipient finds, and code that loads it; croissant.json for libraries
      card.md card.json    what it is, whose data in aggregate, each limit with its number, what is not covered
      cohort/ ...          the de-identified cohort (deidentify.py), in each form that was asked for (formats/)
      evidence/KIND/       results.json, tables, curves, histograms, images of synthetic cases
      evidence/before-screening/KIND/results.json
      evidence/fresh-samples/KIND/results.json, weights/ ...    where weights were asked for (weights.py)
      report/report.html   the PUBLIC edition, drawn from the evidence in this bundle alone
      policy.yaml          the limits, as they were
      gate.json            each limit with what was found, and what is needed to judge again
      manifest.json        the request, who signed, and the SHA-256 of every other file
      manifest.sig         the signature of manifest.json (signature.py), where one was asked for

Evidence is built anew from fields that are named (public.py), so that what an evaluation writes beside them stays
inside until somebody lets it out. The folder is written beside, compared with the real cohort, and renamed; a refusal
leaves nothing.
**Checked** in tests/release/test_package.py.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance, ProvenanceRecord
from understudy.core.stage import finished, output_folder
from understudy.data.seal import key_at_hand, seal
from understudy.release.bundle import BEFORE, MANIFEST, SCHEMA, GateFile, KnownFacts, Manifest, SealCount, encoded
from understudy.release.card import ReleaseCard, card_of, markdown
from understudy.release.deidentify import write_deidentified
from understudy.release.disclosure import Comparison, compare_with_real
from understudy.release.evidence import (
    EvidenceSet,
    count_seals,
    open_evidence_set,
    open_real,
    refuse_changed,
    refuse_further_cohorts,
)
from understudy.release.formats import FORMS, known_forms
from understudy.release.gate import all_checks, refuse
from understudy.release.identifiers import forbidden_identifiers, refuse_names
from understudy.release.policy import PolicyFile, read_policy
from understudy.release.public import write_public
from understudy.release.recipient import checked_licence, licence_of, write_recipient_files
from understudy.release.recompute import refuse_other_numbers
from understudy.release.signature import SIGNATURE, Signer, open_signer
from understudy.release.verify import refuse_unfinished
from understudy.release.weights import FRESH, AskedWeights, refuse_others, write_weights
from understudy.report import write_report
from understudy.report.reading import Folder, folder_hash

OWN = ("card.md", "card.json", "gate.json")


def release_cohort(
    cohort: Path,
    evidence: Sequence[Path],
    out: Path,
    *,
    policy: Path | None = None,
    real: Path | None = None,
    override: str | None = None,
    formats: Sequence[str] = ("folder",),
    sign: Path | None = None,
    licence: str | None = None,
    weights: AskedWeights | None = None,
) -> Path:
    """Write a bundle, or refuse and say which limits do not hold; a finished bundle is not made twice, but verified.

    ``evidence`` are results folders about the synthetic cohort, and about what it was before screening; ``real`` is the
    folder of the real cohort behind it, that the bundle is compared with. ``policy`` is the file of the limits
    (default: the shipped one), ``override`` why the cohort is released although limits do not hold, which is written
    into the bundle. The cohort is stored in each of ``formats``, out of ``FORMS``, under a ``licence`` (recipient.py).
    ``sign`` is the file of the private key that signs the bundle (signature.py). ``weights`` are of the generator, to
    be released with its cohort (weights.py), which no ``override`` lets out.

    Raises:
        UsageError: a wrong policy, form or key, cohorts of wrong kinds, an empty reason, ``out`` holds something else,
            weights of another generator.
        UnderstudyError: evidence missing, older or of others, a limit that does not hold, something real in the bundle.
    """
    forms, licence = known_forms(formats), checked_licence(licence)
    source, limits = Cohort.open(cohort), read_policy(policy)
    for name in forms:
        FORMS[name].refuse(source)
    if weights is not None:
        _refuse_weights(source, weights, override)
    known = open_evidence_set(source, evidence, weights)
    signer = None if sign is None else open_signer(Path(sign), Path(out))
    said = {"licence": licence, "source_licence": None if real is None else licence_of(Cohort.open(real))}
    provenance = _request(source, known, limits, real is not None, override, forms, signer, said, weights)
    if finished(out, MANIFEST, provenance):
        refuse_unfinished(Path(out))
        return Path(out)
    key = key_at_hand(None, Path(out))
    cohorts = [source, *([weights.fresh] if weights else [])]
    for one in cohorts:
        refuse_changed(one, [*([None] if one.kind == "synthetic" else []), *([key] if key else [])])
    original = _open_real(real, source, known, key) if real is not None else None
    refuse_further_cohorts(source, known.real, original)
    if original is not None:
        refuse_other_numbers(known.released, source, original)
    seals = count_seals(cohorts, known, original, key)
    checks = all_checks(limits.policy, known, source.label_source, seals, original is not None, weights is not None)
    refuse(source, checks, override)
    with output_folder(out) as folder:
        released = _write_cohort(folder, source, forms, provenance)
        write_recipient_files(folder, released, forms, licence, said["source_licence"], weights is not None)
        if weights is not None:
            write_weights(folder, weights.weights)
        _write_evidence(folder, source, known, limits)
        rule = limits.policy.real_check
        compared = compare_with_real(folder, forms, original, rule) if original is not None else None
        card = card_of(released, known, limits, checks, override, compared)
        _write_own(folder, card, known, seals, compared)
        if original is not None:
            refuse_names(folder, forbidden_identifiers(original), OWN)
        _write_manifest(folder, provenance, card, forms, key, signer)
    return Path(out)


def _request(
    source: Cohort,
    known: EvidenceSet,
    limits: PolicyFile,
    compared: bool,
    why: str | None,
    forms: Sequence[str],
    signer: Signer | None,
    licences: dict[str, str | None],
    weights: AskedWeights | None,
) -> Provenance:
    """Return the request; evidence by the hash of its public part."""
    inputs = {"cohort": source.id, "real": known.real} | ({"fresh": weights.fresh.id} if weights else {})
    inputs |= {f"evidence.{i}.{f.section}": folder_hash(f.path, public=True)[:16] for i, f in enumerate(known.folders)}
    config = {"generator": source.generator, "policy": limits.digest, "compared": compared, "override": why}
    config |= {"made_by": str(source.provenance.get("command", "not recorded")), "signer": signer and signer.public}
    config |= {"weights": weights.weights.digest} if weights else {}
    return Provenance("release", config | {"formats": list(forms), **licences}, 0, inputs)


def _refuse_weights(source: Cohort, weights: AskedWeights, override: str | None) -> None:
    if override is not None:
        raise UsageError(
            "--override lets no weights out, which cannot be called back and draw without end: leave --weights out, or "
            "bring the evidence that its limits ask for"
        )
    refuse_others(source, weights)


def _open_real(real: Path, source: Cohort, known: EvidenceSet, key: bytes | None) -> Cohort:
    original = open_real(real, known, "--real", "evidence")
    refuse_changed(original, [None, *([key] if key else [])])
    seen = source.subjects_seen()
    if stray := len(seen.difference(original.subjects())):
        raise UnderstudyError(
            f"{stray} of {len(seen)} subjects that {source.path.name} was made from are not in the real cohort "
            f"{original.path.name}, so that nothing was compared with them: evaluate against the cohort that holds all"
        )
    return original


def _write_cohort(folder: Path, source: Cohort, forms: Sequence[str], provenance: Provenance) -> Cohort:
    """Write the de-identified cohort in each form, and return it as the first of them reads it back."""
    plain = folder / ".cohort"
    write_deidentified(source, plain, provenance)
    for name in forms:
        FORMS[name].write(folder, Cohort.open(plain))
    shutil.rmtree(plain)
    return FORMS[forms[0]].read(folder)


def _write_evidence(folder: Path, source: Cohort, known: EvidenceSet, limits: PolicyFile) -> None:
    """Write evidence, report and policy."""
    (folder / "evidence").mkdir()
    written = []
    for one in known.released:
        written.append(_place(one, folder / "evidence"))
        write_public(one, written[-1], source)
    for one in known.before if known.screened else ():  # its pictures may show what was screened out
        write_public(one, _place(one, folder / "evidence" / BEFORE), source, results_alone=True)
    for one in known.fresh:
        write_public(one, _place(one, folder / "evidence" / FRESH), source, results_alone=True)
    write_report(written, folder / "report")
    (folder / "policy.yaml").write_bytes(limits.content)


def _place(one: Folder, parent: Path) -> Path:
    """Return where the public part of a results folder goes; a second one of its kind gets a number."""
    out, n = parent / one.section, 1
    while out.exists():
        n += 1
        out = parent / f"{one.section}-{n}"
    return out


def _write_own(
    folder: Path, card: ReleaseCard, known: EvidenceSet, seals: SealCount, compared: Comparison | None
) -> None:
    """Write the card and the verdict."""
    (folder / "card.json").write_bytes(encoded(card))
    (folder / "card.md").write_text(markdown(card), encoding="utf-8")
    by = None if known.screened_by is None else sorted(known.screened_by)
    judged_by = KnownFacts(real=known.real, screened=known.screened, facts=known.facts, screened_by=by, seals=seals)
    gate = GateFile(override=card.override, checks=card.checks, known=judged_by, compared=compared)
    (folder / "gate.json").write_bytes(encoded(gate))


def _write_manifest(
    folder: Path,
    provenance: Provenance,
    card: ReleaseCard,
    forms: Sequence[str],
    key: bytes | None,
    signer: Signer | None,
) -> None:
    """Write the manifest, sealed where there is a key, and its signature."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    manifest = Manifest(
        schema_version=SCHEMA,
        cohort=card.cohort,
        policy=card.policy["sha256"],
        override=card.override,
        formats=list(forms),
        provenance=ProvenanceRecord(**provenance.to_json()),
        files={name: file_hash(folder / name) for name in files},
        signer=signer and signer.public,
    )
    sealed = manifest if key is None else manifest.model_copy(update={"seal": seal(key, manifest.content())})
    (folder / MANIFEST).write_bytes(sealed.encoded())
    if signer is not None:
        (folder / SIGNATURE).write_bytes(signer.sign(sealed.encoded()))
