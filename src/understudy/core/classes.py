"""Class columns: which combinations of classes the training subjects have, and which ones new cases shall have.

A combination is the class columns of one case as a whole, for example pneumonia = 1, effusion = 0; a missing entry is a
part of it (None). Only combinations of at least five training subjects are ever recorded: a rarer one points to people.
Case i's combination depends on the seed and on i alone, not on how many cases are asked for.
With differential privacy nothing is counted: combinations are those that the names of the columns tell.
**Checked** in tests/core/test_classes.py (rare ones are left out; frequencies; balance; independence of n).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.seed import rng

CLASS_REQUESTS = ("data", "balanced")
ClassRequest = str | Mapping[str, float]


def class_combinations(cohort: Cohort, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the combinations of classes that at least five training subjects have, the most frequent first.

    Plain data: [{"classes": [1.0, 0.0, None], "cases": 120}, ...]; None stands for a missing entry, and cases without
    any entry count nowhere.
    """
    rows = cohort.rows("train")
    matrix = cohort.class_matrix(rows)[:, [cohort.classes.index(name) for name in names]]
    subjects = cohort.column("subject_id")[rows]
    found: dict[tuple[float | None, ...], list[str]] = {}
    for values, subject in zip(matrix.tolist(), subjects.tolist(), strict=True):
        key = tuple(None if np.isnan(v) else v for v in values)
        if any(v is not None for v in key):
            found.setdefault(key, []).append(subject)
    kept = [(key, names) for key, names in found.items() if len(set(names)) >= MIN_SUBJECTS]
    kept.sort(key=lambda entry: (-len(entry[1]), str(entry[0])))
    return [{"classes": list(key), "cases": len(names)} for key, names in kept]


def declared_combinations(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the combinations that the columns' names alone tell: each value of a single column of texts; else none.

    No patient is asked, so there are no frequencies: of every combination there are 0 cases.

    Example:
        >>> declared_combinations(["kind=ill", "kind=well"])
        [{'classes': [1.0, 0.0], 'cases': 0}, {'classes': [0.0, 1.0], 'cases': 0}]
        >>> declared_combinations(["ill", "old"])
        []
    """
    columns = {name.rpartition("=")[0] for name in names}
    if len(columns) != 1 or "" in columns:
        return []
    return [{"classes": row, "cases": 0} for row in np.eye(len(names)).tolist()]


def class_record(cohort: Cohort, conditional: bool, private: bool = False) -> dict[str, Any]:
    """Return what the record of a training says about classes: their names and, of a conditional one, combinations.

    With differential privacy (``private``) how often patients have which is not told.
    """
    if not conditional:
        return {"classes": ()}
    names = cohort.classes
    return {
        "classes": names,
        "combinations": declared_combinations(names) if private else class_combinations(cohort, names),
    }


def wanted_classes(
    names: Sequence[str], combinations: Sequence[Mapping[str, Any]], request: ClassRequest, n: int, seed: int
) -> np.ndarray:
    """Return the K classes that new cases shall have, float32 (n, K), NaN where missing; row i is the same for every n.

    A request is "data" (``combinations`` of :func:`class_combinations` as often as in training), "balanced" (each
    equally often), or one value by name for all cases; a name that is not given is missing.

    Raises:
        UsageError: a name that is no class column, a request that is unknown, or frequencies that nobody recorded.
        UnderstudyError: no combination is recorded.
    """
    if not isinstance(request, str):
        if unknown := sorted(set(request) - set(names)):
            raise UsageError(f"there is no class {unknown[0]!r}: there are {', '.join(names)}")
        return np.tile(np.array([request.get(name, np.nan) for name in names], np.float32), (n, 1))
    if request not in CLASS_REQUESTS:
        raise UsageError(f"classes are {' or '.join(CLASS_REQUESTS)}, or NAME=VALUE with commas; found {request!r}")
    if not combinations:
        raise UnderstudyError(
            f"no combination of the classes {', '.join(names)} is recorded that at least {MIN_SUBJECTS} training "
            "subjects have, or that differential privacy lets be told: give a value for each class instead, NAME=VALUE "
            "with commas"
        )
    table = np.array([c["classes"] for c in combinations], np.float32)  # None becomes NaN
    if request == "data" and not any(c["cases"] for c in combinations):
        raise UsageError(
            "how often patients have which class is not recorded of a training with differential privacy: ask for "
            "balanced, or NAME=VALUE with commas"
        )
    counts = np.array([c["cases"] for c in combinations], np.float64)
    draw = _balanced if request == "balanced" else _frequent
    return table[[draw(i, counts, seed) for i in range(n)]].reshape(n, len(names))


def _frequent(i: int, counts: np.ndarray, seed: int) -> int:
    """Draw a combination with the frequency of the data."""
    ends = counts.cumsum() / counts.sum()
    return int(np.searchsorted(ends[:-1], rng(seed, "classes", i).random(), side="right"))


def _balanced(i: int, counts: np.ndarray, seed: int) -> int:
    """Take each combination once a round, in an order of the round's own: in step with no other alternation."""
    turn, place = divmod(i, len(counts))
    return int(rng(seed, "classes", turn).permutation(len(counts))[place])


def class_row(names: Sequence[str], values: np.ndarray) -> dict[str, str]:
    """Return the entries of a case table for class values (K,); NaN becomes a blank."""
    return {name: "" if np.isnan(v) else f"{v:g}" for name, v in zip(names, values.tolist(), strict=True)}


def short_class_names(names: Sequence[str]) -> list[str]:
    """Return class names for results: ``class=virus``, made from a column of texts, is ``virus`` where that is unique.

    Example:
        >>> short_class_names(["view=AP", "view=PA", "left=none", "right=none", "age"])
        ['AP', 'PA', 'left=none', 'right=none', 'age']
    """
    endings = [name.rpartition("=")[2] for name in names]
    return [end if end and endings.count(end) == 1 else name for name, end in zip(names, endings, strict=True)]
