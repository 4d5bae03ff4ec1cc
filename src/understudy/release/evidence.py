"""The evidence set of a release: what results folders say about a synthetic cohort, and whose evidence it is.

Every folder is about the one cohort that is released, or about what that cohort was before copies were screened out of
it, or, where weights are asked for, about a fresh cohort (weights.py); an audit of a detector is about no synthetic
cohort and counts for the one that is released. A cohort's id is a hash
of its content, so older evidence is about another id. Refused, also with an override, because the numbers would be
another cohort's: evidence about other or several cohorts, against another real cohort than the generator saw, and
INTERNAL folders. **Checked** in tests/release/test_evidence.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, STAMP
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result, read_results
from understudy.data.check import NOBODY
from understudy.data.pseudonym import ENVIRONMENT, PUBLIC_KEY
from understudy.data.seal import content_id, key_of, sealed_by, vouching_key
from understudy.evaluation.privacy.attacks import ON_WEIGHTS
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.matchers import MATCHERS
from understudy.evaluation.privacy.copies.second import SECOND
from understudy.release.bundle import SealCount
from understudy.release.screening_log import COPY_DETECTION, matchers_used, screenings
from understudy.release.weights import AskedWeights
from understudy.report.reading import Folder, cohort_ids, read_folders

BLOCK = 256  # cases read at once
INTERNAL = "internal"
JUDGEMENTS = (frozenset(MATCHERS), frozenset(SECOND))


@dataclass(frozen=True)
class EvidenceSet:
    """What is known of a cohort that asks for release."""

    real: str  # keyed id of the real cohort behind the evidence; "" without evidence
    released: list[Folder]  # about the cohort itself, or about the detector alone
    before: list[Folder]  # about what it was before its copies were screened out; those about itself where nothing was
    screened: bool  # whether copies were screened out
    facts: list[Result]  # counts of the cohort
    screened_by: frozenset[str] | None = frozenset()  # matchers of every screening; None where one is not recorded
    fresh: Sequence[Folder] = ()  # about a cohort drawn anew from the weights that are asked for
    weights: str = ""  # first digits of their SHA-256; "" where none are asked for

    @property
    def folders(self) -> list[Folder]:
        """All folders, each once."""
        return [*self.released, *(self.before if self.screened else []), *self.fresh]

    def results(self, about: str) -> list[tuple[str, Result]]:
        """Return (kind of evidence, result) of what is known of the cohort released, before screening, or fresh."""
        folders = {"released": self.released, "before": self.before, "fresh": self.fresh}[about]
        if self.weights:
            return [*self._results(folders), *white_box(self.folders, self.weights)]
        return self._results(folders)

    def _results(self, folders: Sequence[Folder]) -> list[tuple[str, Result]]:
        found = [(folder.section, result) for folder in folders for result in folder.results]
        found += [(folder.section, result) for folder in folders for result in _settings(folder)]
        return [*found, *(("cohort", fact) for fact in self.facts), (COPY_DETECTION, self._independent_judgement())]

    def _independent_judgement(self) -> Result:
        """Return 1 where a whole judgement took no part in any screening of the cohort, and no other is cut short."""
        name = "screening.independent_judgement"
        judged = [_matchers(folder) for folder in self.released if _flags(folder)]
        if not judged or self.screened_by is None:
            return Result(name, None, note="the matchers that judged the cohort, or screened it, are not recorded")
        if not all(_is_whole(folder) for folder in self.folders if _flags(folder)):
            return Result(name, 0, note="a judgement has fewer matchers, or fewer resamples, than a whole one")
        free = any(not names & self.screened_by for names in judged)
        told = f"screened by {', '.join(sorted(self.screened_by))}" if self.screened else "no copies were screened out"
        return Result(name, int(free), note=told)


def white_box(folders: Sequence[Folder], weights: str) -> list[tuple[str, Result]]:
    """Return what attacks on weights found, by names without that of the attack; those on other weights are left out.

    An evaluation names the weights that an attack queried by the first digits of their SHA-256.
    """
    found = []
    for folder in folders:
        for name in ON_WEIGHTS:
            queried = str(folder.provenance.get("inputs", {}).get(f"score_query.{name}", ""))
            own = f"privacy.attack.{name}."
            if queried.partition(".")[0] == weights:
                found += [
                    (folder.section, replace(r, name=f"weights.white_box.{r.name.removeprefix(own)}"))
                    for r in folder.results
                    if r.name.startswith(own)
                ]
    return found


def open_evidence_set(cohort: Cohort, evidence: Sequence[Path], asked: AskedWeights | None = None) -> EvidenceSet:
    """Read the evidence about a cohort that asks for release, and about a fresh one where weights are asked for.

    Raises:
        UsageError: a real cohort, no evidence, or a folder named twice.
        UnderstudyError: a folder that is INTERNAL, about other cohorts or older than the cohort, or no results folder.
    """
    if cohort.kind == "real":
        raise UsageError(f"{cohort.path.name} is a cohort of real cases, and none is ever released: name a synthetic")
    earlier = before_screening(cohort)
    ours: list[Path] = []
    theirs: list[Path] = []
    anew: list[Path] = []
    for path in map(Path, evidence):
        _refuse_internal(path)
        about = cohort_ids(read_results(path)[1], "synthetic")
        if about in ("", cohort.id):
            ours.append(path)
        elif about == earlier:
            theirs.append(path)
        elif asked and about == asked.fresh.id:
            anew.append(path)
        else:
            raise UnderstudyError(_foreign(path, about, cohort))
    if not ours:
        raise UsageError(
            f"evidence about the cohort {cohort.path.name} ({cohort.id}) was expected, found none: name folders that "
            "`understudy evaluate` wrote about it with --evidence"
        )
    released, before, fresh = (read_folders(paths) if paths else [] for paths in (ours, theirs, anew))
    real = _one_real(cohort, [*released, *before, *fresh])
    screened = earlier is not None
    before, weights = before if screened else released, asked.weights.digest if asked else ""
    return EvidenceSet(real, released, before, screened, facts(cohort), matchers_used(cohort), fresh, weights)


def open_real(path: Path, known: EvidenceSet, option: str, measured: str) -> Cohort:
    """Open the real cohort that an option names, for what was ``measured`` against it.

    Raises:
        UsageError: no real cohort.
        UnderstudyError: another cohort than the evidence names.
    """
    original = Cohort.open(path)
    if original.kind != "real":
        raise UsageError(f"{option} needs the cohort of real cases, and {original.path.name} is {original.kind}")
    if original.id != known.real:
        raise UnderstudyError(
            f"{option} is the cohort {original.id}, and the {measured} was measured against {known.real}: name that one"
        )
    return original


def refuse_further_cohorts(cohort: Cohort, real: str, original: Cohort | None) -> None:
    """Refuse a cohort that was made from other real cohorts beside ``real``, which nothing was compared with.

    Two imports of the same patients are two cohorts. Allowed are those that ``original``, which is ``real`` where it is
    at hand, was itself made of; data without splits, which are unknown or nobody's; and public data that a training
    with a guarantee began with, which ``trained_on`` names before its own.

    Raises:
        UnderstudyError: with the ids of the others.
    """
    names = [str(entry["cohort"]) for entry in cohort.trained_on if entry.get("splits")]
    promised = cohort.sampling.get("differential_privacy")
    if isinstance(promised, dict) and promised.get("public_start") is True and real in names:
        names = names[names.index(real) :]
    parts = set() if original is None else set(original.provenance["inputs"].values())
    if beside := sorted(set(names) - {real} - parts):
        raise UnderstudyError(
            f"{cohort.path.name} was expected to be made from the real cohort {real} alone, which the evidence is "
            f"about, and trained_on in its cohort.json names {', '.join(beside)} too, which nothing was compared with: "
            "import all cases as one cohort, and train, evaluate and release with that one"
        )


def refuse_changed(cohort: Cohort, keys: Sequence[bytes | None]) -> None:
    """Refuse a cohort whose files do not have its hashes, or whose cohort.json has its id under none of some keys.

    None among the keys stands for an id without one. Synthetic images must keep to their channels' ranges.
    """
    cohort.verify()
    if not keys:
        raise UnderstudyError(
            f"the id of {cohort.path.name}, which is {cohort.kind}, is keyed and cannot be checked without the key: "
            f"name its file in {ENVIRONMENT}"
        )
    if cohort.id not in (found := [content_id(cohort, key) for key in keys]):
        raise UnderstudyError(
            f"{cohort.path}/cohort.json does not have the id that its content gives ({' or '.join(found)}, found "
            f"{cohort.id}): it was changed after the evidence was made, or made with another key; make the cohort again"
        )
    if cohort.kind != "real" and (n := _cases_outside(cohort)):
        raise UnderstudyError(
            f"intensities within the range of their channel were expected, and {n} of {len(cohort)} cases of "
            f"{cohort.path.name} hold some that are outside or not finite, which no comparison sees: make the cohort "
            "again"
        )


def _cases_outside(cohort: Cohort) -> int:
    """Count the cases with a value beyond its channel's range, rounded as it is stored, or with NaN."""
    if cohort.images is None:
        return 0
    kind, n = cohort.images.dtype, 0
    up, down = (np.ceil, np.floor) if kind.kind in "iu" else (kind.type, kind.type)
    shape = (1, -1, *[1] * len(cohort.size))
    low = np.array([down(channel.low) for channel in cohort.encoding.channels]).reshape(shape)
    high = np.array([up(channel.high) for channel in cohort.encoding.channels]).reshape(shape)
    for start in range(0, len(cohort), BLOCK):
        images = np.asarray(cohort.images[start : start + BLOCK])
        n += int((~((images >= low) & (images <= high))).reshape(len(images), -1).any(1).sum())
    return n


def count_seals(
    cohorts: Sequence[Cohort], known: EvidenceSet, original: Cohort | None, at_hand: bytes | None
) -> SealCount:
    """Return how many seals are those of the key of the real cohort, ``original`` where it is at hand.

    Sealed are the cohorts, the one to be released first (where its key is the one that everybody knows, also with the
    key ``at_hand``), results folders and screenings.

    Raises:
        UnderstudyError: one of them was changed after it was sealed.
    """
    key = at_hand if original is None else key_of(original, at_hand)
    vouched = [vouching_key(cohort, at_hand) for cohort in cohorts]
    sealed = [key is not None and sealed_by(folder.path, [key]) is not None for folder in known.folders]
    where = f"a screening in {cohorts[0].path}/cohort.json"
    sealed += [key is not None and entry.is_sealed_by(key, where) for entry in screenings(cohorts[0])]
    either = {key, at_hand} - {None} if key == PUBLIC_KEY else {key}
    sealed += [key is not None and one in either for one in vouched]
    nobody = original is not None and original.provenance.get("command") == NOBODY
    public = key == PUBLIC_KEY and not nobody
    return SealCount(sealed=sum(sealed), of=len(sealed), key=key is not None, public=public)


def before_screening(cohort: Cohort) -> str | None:
    """Return the id of what a cohort was before copies were screened out of it, or None where none were."""
    for entry in screenings(cohort):
        if any(used.get("evidence") == COPY_DETECTION for used in entry.data_used):
            return entry.source.cohort
    return None


def facts(cohort: Cohort) -> list[Result]:
    """Return the counts of a cohort that limits may ask for; the subjects are None where they are few or unknown.

    Subjects are those whom the generator learned from, not those by whom a network was chosen that screened.
    """
    recorded = bool(cohort.trained_on) and all(entry.get("subjects") for entry in cohort.trained_on)
    n = len(cohort.subjects_learned())
    note = f"withheld: fewer than {MIN_SUBJECTS} subjects" if n < MIN_SUBJECTS else ""
    note = note if recorded else "trained_on does not record all subjects"
    return [
        Result("cohort.cases", len(cohort), unit="cases"),
        Result("cohort.subjects", None if note else n, unit="subjects", note=note),
    ]


def _flags(folder: Folder) -> bool:
    return any(result.name == "privacy.copies.flagged" for result in folder.results)


def _matchers(folder: Folder) -> set[str]:
    named = folder.provenance.get("config", {}).get("matchers")
    return set(map(str, named)) if isinstance(named, list) else set()


def _is_whole(folder: Folder) -> bool:
    """Tell whether all matchers of a judgement, and no fewer resamples than the default, stand behind its flags."""
    draws = folder.provenance.get("config", {}).get("bootstrap")
    enough = isinstance(draws, int) and draws >= PrivacyConfig.model_fields["bootstrap"].default
    return enough and any(whole <= _matchers(folder) for whole in JUDGEMENTS)


def _settings(folder: Folder) -> list[Result]:
    """Return the numbers among the settings of an evaluation as results."""
    config = folder.provenance.get("config", {})
    return [
        Result(f"setting.{folder.section}.{key}", float(value))
        for key, value in config.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
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
    """Say why a folder is no evidence about a cohort."""
    earlier = [entry.source.cohort for entry in screenings(cohort)]
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
