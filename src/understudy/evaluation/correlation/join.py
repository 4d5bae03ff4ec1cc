"""Results of ``evaluate fidelity`` and ``evaluate utility`` joined by synthetic cohort.

A results folder names its cohorts by their ids, in the order in which they were given (provenance), and its numbers by
short names (guard.py), without a name where there is one cohort. What made a cohort stands in tables/fidelity.csv.
Refused: results on different real cohorts or with different settings, a cohort measured twice or on one side only.
Seeds of utility may differ; those of fidelity may not, since an extractor may have learned from them.
**Checked** in tests/evaluation/correlation/test_join.py (one cohort a folder and several, each refusal).
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from understudy.core.cohort import file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import csv_text
from understudy.core.result import SCORES, Result, read_results
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.guard import numbered

KINDS = ("fidelity", "utility")
BESIDE = (
    "size_matched",
    "unseen",
    "unseen_extrapolated",
    "redrawn",
    "real",
    "baseline",
)  # beside a metric; once a baseline
COHORT_KINDS = ("finished", "unfinished", "spoilt")
SHORT = 12  # characters of an id in a sentence


@dataclass(frozen=True)
class CohortScores:
    """A synthetic cohort of n cases, named by its generator ("": not recorded), and what was measured of it.

    Fidelity holds the numbers that have a better direction, by metric, e.g. ``frechet``, ``labels.tumour.wasserstein``.
    The kind is one of COHORT_KINDS, as the settings say.
    """

    name: str
    id: str
    generator: str
    n: int
    fidelity: dict[str, Result]
    utility: Result
    kind: str = "finished"


@dataclass(frozen=True)
class Joined:
    """Synthetic cohorts measured against one real cohort (its id), in the order of the fidelity results.

    `score` is the name of the utility score, e.g. ``unet.dice``; `digest`, a hash of the results.
    """

    real: str
    cohorts: list[CohortScores]
    score: str
    digest: str


@dataclass(frozen=True)
class _Folder:
    """A results folder: where it lies, of which evaluation, its numbers by name, the request."""

    path: Path
    kind: str
    results: dict[str, Result]
    config: dict[str, Any]
    seed: int
    inputs: dict[str, str]

    @property
    def ids(self) -> list[str]:
        return self.inputs["synthetic"].split(",")


class _Fidelity(NamedTuple):
    """Fidelity of one cohort: its generator, its cases, numbers by metric."""

    generator: str
    n: int
    metrics: dict[str, Result]


def join(paths: Sequence[Path], config: CorrelationConfig) -> Joined:
    """Join results folders; below a folder that holds some, other kinds of results are passed over.

    Raises UsageError for no results or those of another kind, UnderstudyError where they do not belong together or lack
    a number.
    """
    folders = list(_folders([Path(path) for path in paths]))
    fidelity, utility = ([folder for folder in folders if folder.kind == kind] for kind in KINDS)
    for kind, group in zip(KINDS, (fidelity, utility), strict=True):
        if not group:
            raise UsageError(f"results of `understudy evaluate {kind}` are needed too, and these folders hold none")
        _refuse_other_requests(group)
        _refuse_twice(group)
    _refuse_other("seed", [(folder.path, folder.seed) for folder in fidelity])
    _refuse_other("real cohort", [(folder.path, folder.inputs["real"]) for folder in folders])
    _refuse_alone(fidelity, utility)
    measured = {cohort: one for folder in fidelity for cohort, one in _fidelity(folder)}
    score = f"{utility[0].config['network']}.{config.score or _usual(utility[0])}"
    scores = {cohort: found for folder in utility for cohort, found in _scores(folder, measured, config.arm, score)}
    named = zip(numbered([one.generator for one in measured.values()]), measured.items(), strict=True)
    kinds = _kinds(list(measured), config)
    cohorts = [CohortScores(name, cohort, *one, scores[cohort], kinds[cohort]) for name, (cohort, one) in named]
    hashes = sorted(file_hash(folder.path / "results.json") for folder in folders)
    digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return Joined(folders[0].inputs["real"], cohorts, score, digest)


def _folders(paths: Sequence[Path]) -> Iterator[_Folder]:
    """Read each results folder once; below a folder without results, those of the kinds that are joined."""
    seen: set[Path] = set()
    for path in paths:
        named = (path / "results.json").is_file()
        below = [path] if named else sorted(f.parent for f in path.rglob("results.json") if "/." not in str(f))
        if not below:
            raise UsageError(f"{path} holds no results: name folders that `understudy evaluate` wrote, or one of these")
        for place in below:
            results, made = read_results(place)
            kind, named_results = made["command"].removeprefix("evaluate "), {result.name: result for result in results}
            if kind not in KINDS:
                if named:
                    raise UsageError(
                        f"results of `understudy evaluate {' or '.join(KINDS)}` were expected, and {path} holds those "
                        f"of {made['command']!r}: leave it out"
                    )
            elif place.resolve() not in seen:
                seen.add(place.resolve())
                yield _Folder(place, kind, named_results, made["config"], made["seed"], made["inputs"])


def _fidelity(folder: _Folder) -> Iterator[tuple[str, _Fidelity]]:
    """Yield the fidelity of each cohort of a folder, by id."""
    file = folder.path / "tables" / "fidelity.csv"
    if not file.is_file():
        raise UnderstudyError(f"{folder.path} compares no images, and fidelity metrics are of images: leave it out")
    try:
        table = csv.DictReader(csv_text(file))
        rows = {row["cohort"]: row for row in table}
        generators = [row["generator"] or "" for row in rows.values()]
        counts = [int(row["n_synthetic"]) for row in rows.values()]
    except (UsageError, LookupError, TypeError, ValueError, csv.Error) as error:
        raise UnderstudyError(f"{file} is no table of cohorts and generators: evaluate again") from error
    if len(rows) != len(folder.ids) or list(rows) != numbered(generators):
        raise UnderstudyError(
            f"{folder.path} measured {len(folder.ids)} cohorts, and its table of image metrics names "
            f"{', '.join(rows)}: evaluate cohorts without images apart"
        )
    for cohort, ending, generator, n in zip(folder.ids, _endings(generators), generators, counts, strict=True):
        prefix = f"fidelity{ending}."
        numbers = {n.removeprefix(prefix): r for n, r in folder.results.items() if n.startswith(prefix) and r.better}
        metrics = {name: result for name, result in numbers.items() if name.rpartition(".")[2] not in BESIDE}
        yield cohort, _Fidelity(generator, n, metrics)


def _scores(folder: _Folder, measured: Mapping[str, _Fidelity], arm: str, score: str) -> Iterator[tuple[str, Result]]:
    """Yield the utility of each cohort of a folder, by id."""
    for cohort, ending in zip(folder.ids, _endings([measured[c].generator for c in folder.ids]), strict=True):
        name = f"utility.{arm}{ending}.{score}"
        found = folder.results.get(name)
        if found is None or found.value is None:
            why = found.note if found else "choose one that is there with --set score=... or --set arm=..."
            raise UnderstudyError(f"{folder.path} has no number {name}: {why}")
        yield cohort, found


def _kinds(ids: Sequence[str], config: CorrelationConfig) -> dict[str, str]:
    """Return the kind of each cohort; raises UsageError where the settings name none, several, or one twice."""
    kinds = dict.fromkeys(ids, "finished")
    for kind, beginnings in (("unfinished", config.unfinished), ("spoilt", config.spoilt)):
        for beginning in beginnings:
            found = [cohort for cohort in ids if cohort.startswith(beginning)]
            if len(found) != 1 or kinds[found[0]] != "finished":
                how = f"{len(found)} of the cohorts" if len(found) != 1 else "a cohort that is named twice"
                raise UsageError(
                    f"--set {kind}=... names cohorts by the first characters of their ids, each once, and "
                    f"{beginning!r} fits {how}: the ids are in tables/correlation-cohorts.csv of a first run"
                )
            kinds[found[0]] = kind
    return kinds


def _usual(folder: _Folder) -> str:
    """Return the first score of the task: Dice or AUC."""
    found = {name.rpartition(".")[2] for name in folder.results}
    return next((score for score in SCORES if score in found), next(iter(SCORES)))


def _endings(generators: Sequence[str]) -> list[str]:
    """Return what stands between the first word and the rest in the names of each cohort's numbers."""
    return [f".{name}" for name in numbered(generators)] if len(generators) > 1 else [""]


def _refuse_other_requests(folders: Sequence[_Folder]) -> None:
    """Refuse folders that were made with other settings or other further inputs, such as a classifier."""
    for key in sorted({key for folder in folders for key in folder.config}):
        _refuse_other(f"setting {key}", [(f.path, f.config.get(key)) for f in folders])
    for key in sorted({key for folder in folders for key in folder.inputs} - {"synthetic"}):
        _refuse_other(key, [(f.path, f.inputs.get(key)) for f in folders])


def _refuse_other(what: str, found: Sequence[tuple[Path, Any]]) -> None:
    (first, expected), *others = found
    for path, value in others:
        if value != expected:
            raise UnderstudyError(
                f"only like is joined with like: the {what} of {first} is {_short(expected)}, and that of {path} is "
                f"{_short(value)}: evaluate all cohorts in one way, or leave some out"
            )


def _refuse_twice(folders: Sequence[_Folder]) -> None:
    seen: dict[str, Path] = {}
    for folder in folders:
        for cohort in folder.ids:
            if cohort in seen:
                where = f"{seen[cohort]} and {folder.path}" if seen[cohort] != folder.path else f"{folder.path}, twice"
                raise UnderstudyError(
                    f"the {folder.kind} of the cohort {_short(cohort)} is in {where}: each cohort counts once, leave "
                    "one out"
                )
            seen[cohort] = folder.path


def _refuse_alone(fidelity: Sequence[_Folder], utility: Sequence[_Folder]) -> None:
    """Refuse a cohort of which only fidelity or only utility was measured."""
    for folders, others in ((fidelity, utility), (utility, fidelity)):
        partners = {cohort for folder in others for cohort in folder.ids}
        for folder in folders:
            alone = [_short(cohort) for cohort in folder.ids if cohort not in partners]
            if alone:
                raise UnderstudyError(
                    f"{folder.path} holds the {folder.kind} of the cohort(s) {', '.join(alone)}, and no folder their "
                    f"{others[0].kind}: run `understudy evaluate {others[0].kind}` on them, or leave the folder out"
                )


def _short(value: Any) -> str:
    text = str(value)
    return text[:SHORT] if len(text) > 2 * SHORT and " " not in text else text
