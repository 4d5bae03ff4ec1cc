"""``understudy verify``: is a bundle whole, unchanged and within its policy?

Every file has its hash, none is missing, none is there that the manifest does not name; the cohort has the hashes and
the id of its content; every limit of the policy in the bundle is checked again from the numbers in the bundle; card,
verdict and manifest say the same. A bundle that was released over its policy fails for ever.
**Not covered**: without a signature nobody can tell a bundle from one that was made anew with other numbers; hashes
show damage and careless edits. **Checked** in tests/release/test_verify.py (each file tampered with in turn).
"""

from pathlib import Path
from typing import TypeVar

from understudy.core.cohort import file_hash
from understudy.core.documents import read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.seal import key_at_hand, sealing_key
from understudy.release.card import ReleaseCard, markdown
from understudy.release.evidence import EvidenceSet
from understudy.release.formats import FORMS
from understudy.release.gate import check_labels, check_limits
from understudy.release.package import (
    BEFORE,
    MANIFEST,
    SCHEMA,
    GateFile,
    KnownFacts,
    Manifest,
    known_forms,
    refuse_changed,
)
from understudy.release.policy import read_policy
from understudy.report.reading import cohort_ids, read_folders

T = TypeVar("T")
UNCHECKED = {"seals", "real check"}  # made with the real cohort and its key, which are not here


def verify_bundle(bundle: Path) -> str:
    """Check the bundle that ``understudy release`` made, and return a sentence on what was checked.

    Raises:
        UsageError: no bundle.
        UnderstudyError: what is wrong with it, or that it was released over its policy, and why.
    """
    bundle = Path(bundle)
    if not (bundle / MANIFEST).is_file():
        raise UsageError(f"a bundle was expected at {bundle} (no {MANIFEST}): name what `understudy release` made")
    manifest = _read(bundle, MANIFEST, Manifest)
    if manifest.schema_version != SCHEMA:
        raise UnderstudyError(
            f"{bundle} is a bundle of schema {manifest.schema_version}, this understudy reads {SCHEMA}"
        )
    _refuse("files", _wrong_files(bundle, manifest.files))
    gate = _read(bundle, "gate.json", GateFile)
    _refuse("content", _wrong_content(bundle, manifest, gate))
    failed = [check.what for check in gate.checks if not check.holds]
    if manifest.override is not None or failed:
        raise UnderstudyError(
            f"{bundle} is whole, and was released over its policy: {len(failed)} limits do not hold "
            f"({', '.join(failed)}). Reason given: {manifest.override}"
        )
    name, origin = read_policy(bundle / "policy.yaml").policy.name, read_policy(bundle / "policy.yaml").origin
    return (
        f"{len(manifest.files)} files have their hashes; every limit of the policy holds. The policy calls itself "
        f"{name!r} and is {origin}. {_seal(bundle, manifest)}"
    )


def _seal(bundle: Path, manifest: Manifest) -> str:
    """Say whether the bundle is as the holder of the key at hand released it; UnderstudyError where it was changed."""
    if manifest.seal is None:
        return "It has no seal: only hashes hold it together."
    key = key_at_hand(None, bundle)
    if key is None or sealing_key(manifest.seal, [key], manifest.content(), str(bundle)) is None:
        return "Its seal was not checked, for want of the key of who released it."
    return "Its seal, made with the key at hand, holds."


def _wrong_files(bundle: Path, named: dict[str, str]) -> list[str]:
    """Return what is wrong with the files: missing, changed, not named, or links."""
    found = {f.relative_to(bundle).as_posix() for f in bundle.rglob("*") if f.is_symlink() or not f.is_dir()}
    wrong = [f"{name} is not in the manifest" for name in sorted(found - {MANIFEST, *named})]
    for name, digest in sorted(named.items()):
        if name not in found:
            wrong.append(f"{name} is missing")
        elif (bundle / name).is_symlink():
            wrong.append(f"{name} is a link")
        elif file_hash(bundle / name) != digest:
            wrong.append(f"{name} was changed")
    return wrong


def _wrong_content(bundle: Path, manifest: Manifest, gate: GateFile) -> list[str]:
    """Return where cohort, policy, verdict, card and manifest disagree."""
    cohorts = [FORMS[name].read(bundle) for name in known_forms(manifest.formats)]
    for cohort in cohorts:
        refuse_changed(cohort, [None])
    limits, card = read_policy(bundle / "policy.yaml"), _read(bundle, "card.json", ReleaseCard)
    judged = check_limits(limits.policy, _evidence_set(bundle, gate.known))
    judged.append(check_labels(limits.policy, cohorts[0].label_source))
    given = [check for check in gate.checks if check.what not in UNCHECKED]
    says = {
        "the cohort's id is not the manifest's": {c.id for c in cohorts} == {manifest.cohort} == {card.cohort},
        "the card counts other cases than the cohort": card.cases == len(cohorts[0]),
        "the policy is not the one that was judged by": limits.digest == manifest.policy == card.policy.get("sha256"),
        "the limits, judged again, give another verdict": judged == given,
        "the seals or the comparison with the real cohort are not told": len(gate.checks)
        == len(given) + len(UNCHECKED),
        "the card tells other checks than the verdict": card.checks == gate.checks,
        "card, verdict and manifest tell different overrides": manifest.override
        == card.override
        == gate.override
        == manifest.provenance.config.get("override", ""),
        "card.md and card.json differ": (bundle / "card.md").read_bytes() == markdown(card).encode(),
    }
    return [sentence for sentence, holds in says.items() if not holds]


def _evidence_set(bundle: Path, known: KnownFacts) -> EvidenceSet:
    """Read the evidence in a bundle."""
    evidence = bundle / "evidence"
    ours = sorted(path for path in evidence.glob("*") if path.name != BEFORE)
    before = sorted((evidence / BEFORE).glob("*")) if known.screened else []
    released, earlier = read_folders(ours), read_folders(before) if before else []
    for folder in [*released, *earlier]:
        if cohort_ids(folder.provenance, "real") != known.real:
            raise UnderstudyError(f"{folder.path} is evidence against another real cohort than the verdict says")
    before_it = earlier if known.screened else released
    by = None if known.screened_by is None else frozenset(known.screened_by)
    return EvidenceSet(known.real, released, before_it, known.screened, known.facts, by)


def _refuse(what: str, wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UnderstudyError(
            f"the bundle does not verify ({what}): {'; '.join(wrong[:5])}{more}: get it again from who released it"
        )


def _read(bundle: Path, name: str, model: type[T]) -> T:
    return read_document(bundle / name, model, "a part of a bundle", "get the bundle again from who released it")
