"""``understudy verify``: is a bundle whole, unchanged, within its policy, and of the signer that one trusts?

With a signer's public key the signature of manifest.json is checked before anything in it is read. Then, always: every
file has its hash, none is missing, none is there that the manifest does not name; the cohort has the hashes, the id and
the counts of its content; every limit of the policy is checked again from the numbers in the bundle; what can be built
again (rebuild.py) comes out the same. A bundle that was released over its policy fails for ever.
**Not covered**: without the signer's key nobody can tell a bundle from one that was made anew with other numbers, also
of real cases that call themselves synthetic; numbers that need the real cohort or a network are believed, and how many
these are is said. **Checked** in tests/release/test_verify.py and test_tampering.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from understudy.core.cohort import Cohort, file_hash
from understudy.core.documents import mistakes, parsed, read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import code_version
from understudy.core.regular_file import read_regular
from understudy.core.result import Result
from understudy.data.seal import key_at_hand, sealing_key
from understudy.release.against import compare_again
from understudy.release.bundle import BEFORE, MANIFEST, SCHEMA, GateFile, KnownFacts, Manifest, walk
from understudy.release.evidence import EvidenceSet, before_screening, refuse_changed
from understudy.release.formats import FORMS, known_forms
from understudy.release.formats.folder import FOLDER
from understudy.release.gate import all_checks
from understudy.release.policy import PolicyFile, read_policy
from understudy.release.rebuild import differences, foreign_files, strange_files
from understudy.release.screening_log import matchers_used, screenings
from understudy.release.signature import SIGNATURE, SIGNATURE_BYTES, is_signed_by, read_public_key
from understudy.release.weights import FRESH, weights_disagreements
from understudy.report.reading import cohort_ids, read_folders

T = TypeVar("T")
AGAIN = "get it again from who released it"
WRONG_VALUES = (ValueError, ArithmeticError, TypeError, LookupError, AttributeError)  # of text in a number's place
VERSION = re.compile(r"[\w.+() -]{1,64}")  # of understudy, as a manifest may name it
MAX_TOLD = 5  # of what is wrong, in a message


@dataclass(frozen=True)
class _Opened:
    """The parts of a bundle whose files have their hashes."""

    bundle: Path
    manifest: Manifest
    gate: GateFile
    cohorts: list[Cohort]  # the same, of each form
    limits: PolicyFile
    known: EvidenceSet


def verify_bundle(bundle: Path, key: Path | None = None, against: Path | None = None) -> str:
    """Check the bundle that ``understudy release`` made, and return what was checked, a sentence a line.

    ``key`` is the file of the public key of the signer who must have signed it; ``against`` the folder of the real
    cohort behind it, for those who hold that.

    Raises:
        UsageError: no bundle, no public key, no real cohort.
        UnderstudyError: what is wrong with it, or that it was released over its policy, and why.
    """
    bundle = Path(bundle)
    if not (bundle / MANIFEST).exists():
        raise UsageError(f"a bundle was expected at {bundle} (no {MANIFEST}): name what `understudy release` made")
    public = None if key is None else read_public_key(Path(key))
    opened, made = _checked(bundle, public)
    manifest = opened.manifest
    failed = [check.what for check in opened.gate.checks if not check.holds]
    if manifest.override is not None or failed:
        raise UnderstudyError(
            f"{bundle} is whole, and was released over its policy: {len(failed)} limits do not hold "
            f"({', '.join(failed)}). Reason given: {manifest.override}"
        )
    policy, known = opened.limits.policy, opened.known
    held = f" It holds the weights of its generator ({known.weights}): of a sampler alone." if known.weights else ""
    told = [
        f"{len(manifest.files)} files have their hashes; every limit of the policy holds. The policy calls itself "
        f"{policy.name!r} and is {opened.limits.origin}.{held}",
        _signed(bundle, manifest, public),
        f"{_sealed(bundle, manifest)} {made}",
    ]
    if against is not None:
        rule, forms = policy.real_check, manifest.formats
        with _as_refusals("against the real cohort", requests=True):
            told.append(compare_again(bundle, opened.cohorts[0], against, known, rule, forms, opened.gate.compared))
    return "\n".join(told)


def refuse_unfinished(bundle: Path) -> None:
    """Refuse what lies where a release would put its bundle, and is not such a bundle any more.

    Raises:
        UnderstudyError: it does not verify, or it has not the seal of the key at hand.
    """
    try:
        manifest = _checked(bundle, None)[0].manifest
        _signed(bundle, manifest, None)
        key = key_at_hand(None, bundle)
        seal, content = manifest.seal, manifest.content()
        if key is not None and (seal is None or sealing_key(seal, [key], content, str(bundle)) is None):
            _refuse("seal", ["it was not sealed with the key at hand"])
    except UnderstudyError as error:
        raise UnderstudyError(
            f"the output {bundle} has the manifest of this release, and is not its bundle ({error}): choose another "
            "--out or remove it"
        ) from error


def _checked(bundle: Path, public: str | None) -> tuple[_Opened, str]:
    """Check all that needs nothing beside a bundle; return its parts, and a sentence on what was built again."""
    manifest = _open_manifest(bundle, public)
    _refuse("files", _wrong_files(bundle, manifest))
    with _as_refusals("content", requests=False):
        opened = _open(bundle, manifest)
        _refuse("files", strange_files(manifest, opened.cohorts[0], opened.known))
        _refuse("content", _disagreements(opened))
        return opened, _rebuilt(bundle, opened, public)


def _open_manifest(bundle: Path, public: str | None) -> Manifest:
    """Read manifest.json, whose bytes a given public key must have signed before they are looked at."""
    content = _bytes(bundle, MANIFEST)
    if public is not None:
        if not (bundle / SIGNATURE).exists():
            raise UnderstudyError(f"{bundle} is not signed, and a signature by {public} was asked for: {AGAIN}")
        if not is_signed_by(public, _bytes(bundle, SIGNATURE), content):
            raise UnderstudyError(f"{MANIFEST} in {bundle} is not as the signer {public} signed it, if at all: {AGAIN}")
    try:
        manifest = parsed(content, Manifest)
    except ValidationError as error:
        raise UnderstudyError(
            f"{bundle / MANIFEST} is not the manifest of a bundle of schema {SCHEMA} ({mistakes(error)}): {AGAIN}, or "
            "verify it with the understudy that made it"
        ) from error
    if manifest.schema_version != SCHEMA:
        raise UnderstudyError(
            f"{bundle} is a bundle of schema {manifest.schema_version}, this understudy reads {SCHEMA}: verify it with "
            f"understudy {manifest.provenance.understudy}, which made it"
        )
    if content != manifest.encoded():
        raise UnderstudyError(f"{bundle / MANIFEST} does not have its own digest, or its spelling: {AGAIN}")
    if public is not None and manifest.signer != public:
        raise UnderstudyError(f"{bundle} names the signer {manifest.signer}, and was signed by {public}: {AGAIN}")
    return manifest


def _wrong_files(bundle: Path, manifest: Manifest) -> list[str]:
    """Return what is wrong with the files: missing, changed, not named, links, empty folders."""
    found, wrong = walk(bundle)
    beside = {MANIFEST} | ({SIGNATURE} if manifest.signer else set())
    wrong += [f"{name} is not in the manifest" for name in sorted(found - {*beside, *manifest.files})]
    wrong += [f"{name} is missing" for name in sorted({*beside, *manifest.files} - found)]
    wrong += [
        f"{name} was changed"
        for name, digest in sorted(manifest.files.items())
        if name in found and file_hash(bundle / name) != digest
    ]
    return wrong or foreign_files(manifest)


def _open(bundle: Path, manifest: Manifest) -> _Opened:
    """Read the parts of a bundle; each must be what a release writes."""
    told = ("a part of a bundle", "get the bundle again from who released it")
    gate = read_document(bundle / "gate.json", GateFile, *told)
    cohorts = [FORMS[name].read(bundle) for name in known_forms(manifest.formats)]
    for cohort in cohorts:
        refuse_changed(cohort, [None])
    limits = read_policy(bundle / "policy.yaml")
    weights = str(manifest.provenance.config.get("weights", ""))
    return _Opened(bundle, manifest, gate, cohorts, limits, _evidence_set(bundle, cohorts[0], gate.known, weights))


def _evidence_set(bundle: Path, cohort: Cohort, known: KnownFacts, weights: str) -> EvidenceSet:
    """Read the evidence in a bundle; what the cohort tells of its screenings is read there."""
    evidence, earlier = bundle / "evidence", before_screening(cohort)
    released = read_folders(sorted(path for path in evidence.glob("*") if path.name not in (BEFORE, FRESH)))
    anew = sorted((evidence / FRESH).glob("*"))
    first = sorted((evidence / BEFORE).glob("*")) if earlier is not None else []
    before = read_folders(first) if first else []
    return EvidenceSet(
        known.real,
        released,
        before if earlier is not None else released,
        earlier is not None,
        known.facts,
        matchers_used(cohort),
        read_folders(anew) if anew else [],
        weights,
    )


def _disagreements(opened: _Opened) -> list[str]:
    """Return where cohort, evidence, policy, verdict and manifest disagree."""
    manifest, gate, cohorts, known = opened.manifest, opened.gate, opened.cohorts, opened.known
    request, cohort = manifest.provenance, cohorts[0]
    config, inputs = request.config, request.inputs
    by = None if known.screened_by is None else sorted(known.screened_by)
    sealed = len(known.folders) + len(screenings(cohort)) + (2 if known.weights else 1)
    compared, asked = gate.compared is not None, bool(known.weights)
    judged = all_checks(opened.limits.policy, known, cohort.label_source, gate.known.seals, compared, asked)
    about = {one.path: inputs.get("cohort", "?") for one in known.released}
    about |= {one.path: before_screening(cohort) or "?" for one in known.before if known.screened}
    about |= {one.path: inputs.get("fresh", "?") for one in known.fresh}
    evidence = {one.path: one.provenance for one in known.folders}
    anew = {cohort_ids(one.provenance, "synthetic") for one in known.fresh} - {""}
    says = {
        "the cohort's id is not the manifest's": {c.id for c in cohorts} == {manifest.cohort},
        "cohort and manifest tell of different requests": cohort.provenance == request.model_dump(),
        "the policy is not the one that was judged by": opened.limits.digest == manifest.policy == config.get("policy"),
        "the evidence is against another real cohort": {inputs.get("real"), known.real}
        == {cohort_ids(told, "real") for told in evidence.values()},
        "the evidence is about another cohort": all(
            cohort_ids(told, "synthetic") in ("", about[path]) for path, told in evidence.items()
        ),
        "the counts are not those of the cohort": _counts_fit(cohort, gate.known.facts),
        "cohort and verdict tell of different screenings": (gate.known.screened, gate.known.screened_by)
        == (known.screened, by),
        "the verdict tells of another number of seals": gate.known.seals.of == sealed,
        "the limits, judged again, give another verdict": judged == gate.checks,
        "verdict and request tell different comparisons": config.get("compared") == compared,
        "verdict and manifest tell different overrides": manifest.override
        == gate.override
        == config.get("override", ""),
        "manifest and request tell different forms or signers": (manifest.formats, manifest.signer)
        == (config.get("formats"), config.get("signer")),
        "evidence on fresh samples is there, and no weights": asked or not known.fresh,
        **(weights_disagreements(opened.bundle, cohort, request, anew) if asked else {}),
    }
    return [sentence for sentence, holds in says.items() if not holds]


def _counts_fit(cohort: Cohort, facts: list[Result]) -> bool:
    """Tell whether counts are those of a released cohort, as far as that tells how many subjects it is from."""
    found = {fact.name: fact.value for fact in facts}
    edited = cohort.provenance["config"].get("made_by") == "edit"  # since the last screening, which kept others
    kept = [] if edited else [entry.retained.cases.after for entry in screenings(cohort)][-1:]
    if len(facts) != 2 or found.get("cohort.cases") != len(cohort) or kept not in ([], [len(cohort)]):
        return False
    subjects = found.get("cohort.subjects")
    each = [entry.get("n_subjects") for entry in cohort.trained_on if "train" in entry.get("splits", ())]
    if subjects is None:
        return "cohort.subjects" in found
    known = [n for n in each if n is not None]  # of several cohorts, whose subjects may be the same
    return bool(each) and max(known, default=0) <= subjects <= sum(known) + 4 * (len(each) - len(known))


def _rebuilt(bundle: Path, opened: _Opened, public: str | None) -> str:
    """Build again what can be, and say what was, and what is believed."""
    numbers = sum(len(one.results) for one in opened.known.folders)
    made_with, here = opened.manifest.provenance.understudy, code_version()
    believed = (
        f"Not computed again, for want of the real cohort and of networks: {numbers:,} numbers in evidence/, and the "
        "seals of the evidence."
    )
    others = [name for name in opened.manifest.formats if FORMS[name].folder != FOLDER]
    if others and public is None:
        believed += f" In {', '.join(others)} headers, tags and descriptions beside the pixels were not looked at."
    again = "Computed again: hashes, id and counts of the cohort, and every limit from the numbers in the bundle"
    if made_with != here:
        told = made_with if VERSION.fullmatch(made_with) else "of a version that is none"
        return (
            f"{again}; not built again: card, report and evidence, which understudy {told} wrote, and "
            f"this is {here}. {believed}"
        )
    wrong, redrawn = differences(bundle, opened.cohorts[0], opened.known, opened.limits, opened.gate)
    _refuse("content", wrong)
    pictures = "report" if redrawn else "report but for its pictures, which other versions of libraries drew"
    return f"{again}; built again: card, evidence and {pictures}. {believed}"


def _signed(bundle: Path, manifest: Manifest, public: str | None) -> str:
    """Say who signed a bundle; refuse one that is not signed as it says itself."""
    if public is not None:
        return f"Signed by {public}, whose key was given: every byte is as that signer released it."
    anyone = "Integrity only, anyone could have made this: no signer's public key was given (--key)."
    if manifest.signer is None:
        return f"{anyone} It has no signature."
    signature = _bytes(bundle, SIGNATURE)
    try:
        valid = len(signature) == SIGNATURE_BYTES and is_signed_by(manifest.signer, signature, _bytes(bundle, MANIFEST))
    except UnderstudyError as error:  # no package for it
        return f"{anyone} It names the signer {manifest.signer}, whose signature was not checked: {error}."
    if not valid:
        _refuse("signature", [f"{SIGNATURE} is not of the signer that {MANIFEST} names"])
    return f"{anyone} It names the signer {manifest.signer}, and that signature holds."


def _sealed(bundle: Path, manifest: Manifest) -> str:
    """Say whether the bundle is as the holder of the key at hand released it; UnderstudyError where it was changed."""
    if manifest.seal is None:
        return "It has no seal of its institution."
    key = key_at_hand(None, bundle)
    if key is None or sealing_key(manifest.seal, [key], manifest.content(), str(bundle)) is None:
        return "Its seal was not checked, for want of the key of who released it."
    return "Its seal, made with the key at hand, holds."


class _Refused(UnderstudyError):
    pass


@contextmanager
def _as_refusals(what: str, requests: bool) -> Iterator[None]:
    """Turn what is wrong with a part into a refusal of the bundle; with ``requests`` a wrong request stays one."""
    try:
        yield
    except UnderstudyError as error:
        if isinstance(error, _Refused) or (requests and isinstance(error, UsageError)):
            raise
        raise _Refused(f"the bundle does not verify ({what}): {error}") from error
    except WRONG_VALUES as error:
        raise _Refused(
            f"the bundle does not verify ({what}): a value in it is none that a release writes ({mistakes(error)}): "
            f"{AGAIN}"
        ) from error


def _refuse(what: str, wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - MAX_TOLD} more" if len(wrong) > MAX_TOLD else ""
        raise _Refused(f"the bundle does not verify ({what}): {'; '.join(wrong[:MAX_TOLD])}{more}: {AGAIN}")


def _bytes(bundle: Path, name: str) -> bytes:
    """Read a file of a bundle that is no link."""
    if (bundle / name).is_symlink():
        raise UnderstudyError(f"{bundle / name} is a link, and a bundle holds none: {AGAIN}")
    try:
        return read_regular(bundle / name, "a part of a bundle")
    except UsageError as error:
        raise UnderstudyError(f"{error}: {AGAIN}") from error
