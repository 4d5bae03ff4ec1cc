"""What of a bundle can be made again from its other parts is made again, and must come out the same.

Evidence is built from its own fields (public.py), so that nothing further hides in it and every picture shows a case of
the cohort; the report is drawn from that evidence; the card is filled from cohort, evidence, policy and verdict; README
and croissant.json describe the cohort.
Pictures of the report are compared as they are, and where another version of a library drew them, the page around them.
**Checked** in tests/release/test_rebuild.py.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from understudy.core.cohort import Cohort
from understudy.release.bundle import BEFORE, MANIFEST, GateFile, Manifest, encoded, walk
from understudy.release.card import card_of, markdown
from understudy.release.evidence import EvidenceSet
from understudy.release.formats import FORMS
from understudy.release.formats.folder import FILES, FOLDER
from understudy.release.policy import PolicyFile
from understudy.release.public import write_public
from understudy.release.recipient import recipient_files
from understudy.release.signature import SIGNATURE
from understudy.release.weights import FILES as WEIGHTS
from understudy.release.weights import FRESH
from understudy.report import write_report
from understudy.report.reading import read_arrays

RECIPIENT = ("README.md", "croissant.json")
OWN = ("card.md", "card.json", "gate.json", "policy.yaml", *RECIPIENT)
REBUILT = ("evidence", "report")
PICTURE = re.compile(rb"data:image/png;base64,[A-Za-z0-9+/=]+")


def foreign_files(manifest: Manifest) -> list[str]:
    """Return which files of a bundle no release writes: beside its own, those of its forms, evidence and report."""
    forms = [FORMS[name] for name in manifest.formats if name in FORMS]  # others are refused
    suffixes = {form.folder: form.suffixes for form in forms}
    wrong, further = [], WEIGHTS if manifest.provenance.config.get("weights") else ()
    for name in sorted({*manifest.files} - {*OWN, *further}):
        folder, inside, file = name.partition("/")
        of_form = Path(file).suffix in suffixes.get(folder, ()) and (folder != FOLDER or file in FILES)
        if name in (MANIFEST, SIGNATURE) or not inside or not (folder in REBUILT or of_form):
            wrong.append(f"{name} is nothing that a release writes")
    return wrong


def strange_files(manifest: Manifest, cohort: Cohort, known: EvidenceSet) -> list[str]:
    """Return which files in the folders of forms and of evidence have names that a release of the cohort gives none."""
    written = set[str]().union(*(FORMS[name].names(cohort) for name in manifest.formats))
    folders = tuple(f"{FORMS[name].folder}/" for name in manifest.formats)
    wrong = {name for name in manifest.files if name.startswith(folders)} ^ written
    wrong |= {
        f"evidence/{one.path.name}"
        for one in known.folders
        if not re.fullmatch(rf"{re.escape(one.section)}(-[2-9]|-[1-9][0-9]+)?", one.path.name)
    }
    return [f"{name} is nothing that a release of these cases writes, or is missing" for name in sorted(wrong)]


def differences(
    bundle: Path, cohort: Cohort, known: EvidenceSet, limits: PolicyFile, gate: GateFile
) -> tuple[list[str], bool]:
    """Return what comes out otherwise than it lies in a bundle, and whether all pictures of its report came out again.

    Raises:
        UnderstudyError: evidence that no evaluation writes, or a picture of something else than the cohort's cases.
    """
    with TemporaryDirectory(prefix="understudy-verify-") as scratch:
        made, redrawn = Path(scratch), True
        card = card_of(cohort, known, limits, gate.checks, gate.override, gate.compared)
        (made / "card.json").write_bytes(encoded(card))
        (made / "card.md").write_text(markdown(card), encoding="utf-8")
        (made / "gate.json").write_bytes(encoded(gate))
        for name, content in recipient_files(bundle, cohort, *_asked(cohort)).items():
            (made / name).write_text(content, encoding="utf-8")
        own = ("card.json", "card.md", "gate.json", *RECIPIENT)
        wrong = [name for name in own if not _same(made / name, bundle / name)[0]]
        if not wrong:
            _write_evidence(made, bundle, cohort, known)
            wrong, _ = _compared(made, bundle, "evidence")
        if not wrong:  # which costs the most
            write_report([made / one.path.relative_to(bundle) for one in known.released], made / "report")
            wrong, redrawn = _compared(made, bundle, "report")
    return [f"{name} is not what comes out of the rest of the bundle" for name in wrong], redrawn


def _asked(cohort: Cohort) -> tuple[list[str], str | None, str | None, bool]:
    """Return the forms that a release was asked for, its licence, that of its source data, and whether with weights."""
    config = cohort.provenance["config"]
    found = [config.get(name) for name in ("licence", "source_licence")]
    own, source = (one if isinstance(one, str) else None for one in found)
    return [str(name) for name in config.get("formats", [])], own, source, "weights" in config


def _write_evidence(made: Path, bundle: Path, cohort: Cohort, known: EvidenceSet) -> None:
    for folder in known.folders:
        place = folder.path.relative_to(bundle)
        write_public(folder, made / place, cohort, results_alone=bool({BEFORE, FRESH} & {*place.parts}))


def _compared(made: Path, bundle: Path, part: str) -> tuple[list[str], bool]:
    """Return which files of a part of a bundle do not come out again, and whether all pictures in them do."""
    names = sorted({f"{part}/{name}" for root in (made, bundle) for name in walk(root / part)[0]})
    found = {name: _same(made / name, bundle / name) for name in names}
    return [name for name in names if not found[name][0]], all(exactly for _, exactly in found.values())


def _same(made: Path, given: Path) -> tuple[bool, bool]:
    """Tell whether two files are the same, and whether their pictures are."""
    if not made.is_file() or not given.is_file():
        return False, True
    ours, theirs = made.read_bytes(), given.read_bytes()
    if ours == theirs:
        return True, True
    if made.suffix == ".html":
        return PICTURE.sub(b"", ours) == PICTURE.sub(b"", theirs), False
    if made.suffix == ".npz":  # another version of zlib packs the same arrays otherwise
        one, other = read_arrays(made), read_arrays(given)
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one), True
    return False, True


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and bool(np.array_equal(one, other))
