"""Which cases readers see: one case of a subject, as many real as synthetic ones of each class.

Real cases are of subjects whom no generator saw, unless other splits are asked for: a generator's own training case
beside its copy is another question. A patient whose label map a synthetic case carries is not shown as real too.
**Checked** in tests/reader/test_choice.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.classes import short_class_names
from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import SPLITS
from understudy.core.seed import rng

Pool = dict[str, list[int]]  # rows by class


@dataclass(frozen=True)
class Chosen:
    """A case: which cohort (0 is the real one), which row, and its class."""

    cohort: int
    row: int
    stratum: str


def choose(cohorts: Sequence[Cohort], n: int, training: int, splits: Sequence[str], seed: int) -> list[list[Chosen]]:
    """Return for each cohort its n cases and then ``training`` more, of subjects that stand nowhere else.

    The real cohort comes first. Classes are as frequent in every cohort; where a cohort has no classes, or others, all
    cases count as one class.

    Raises:
        UsageError: a split that there is not.
        UnderstudyError: too few cases.
    """
    if wrong := [name for name in splits if name not in SPLITS]:
        raise UsageError(f"splits are {', '.join(SPLITS)}, found {wrong[0]!r}")
    classes = cohorts[0].classes if all(one.classes == cohorts[0].classes for one in cohorts) else ()
    real = np.concatenate([cohorts[0].rows(name) for name in splits])
    taken: set[str] = set()
    pools = []
    for i, cohort in enumerate(cohorts):
        rows = cohort.rows() if i else real
        pools.append(_one_case_each(cohort, rows, bool(classes), taken, seed, i))
        if not i:
            taken = set(cohort.column("subject_id")[real].tolist()) - {""}
    strata = sorted(set.intersection(*(set(pool) for pool in pools)))
    room = {stratum: min(len(pool[stratum]) for pool in pools) for stratum in strata}
    wanted = n + training
    if sum(room.values()) < wanted:
        raise UnderstudyError(_too_few(cohorts, pools, room, wanted, splits))
    shares = _allotted(room, n, seed), _allotted(room, wanted, seed)
    return [_drawn(pool, i, shares, seed) for i, pool in enumerate(pools)]


def _one_case_each(cohort: Cohort, rows: np.ndarray, classes: bool, taken: set[str], seed: int, number: int) -> Pool:
    """Return one random case of each subject that is not taken, by class; a case without a subject is its own."""
    subjects, pool = cohort.column("subject_id"), Pool()
    matrix = cohort.class_matrix() if classes else None
    seen: set[str] = set()
    for row in rng(seed, "reader", "choice", number).permutation(rows).tolist():
        subject = str(subjects[row]) or f" {row}"
        if subject in seen or subject in taken:
            continue
        seen.add(subject)
        stratum = "" if matrix is None else class_words(cohort.classes, matrix[row])
        pool.setdefault(stratum, []).append(row)
    return pool


def class_words(names: Sequence[str], values: np.ndarray) -> str:
    """Return the classes of a case in words: those with 1, others with their value; ``none`` where all are 0.

    Example:
        >>> class_words(["view=AP", "ill", "age"], np.array([0, 1, 7]))
        'ill + age=7'
    """
    told = zip(short_class_names(names), values.tolist(), strict=True)
    return " + ".join(name if v == 1 else f"{name}={v:g}" for name, v in told if v != 0) or "none"


def _allotted(room: dict[str, int], n: int, seed: int) -> dict[str, int]:
    """Share n among classes as evenly as their room allows; what is left over goes to classes in a random order."""
    shares = dict.fromkeys(room, 0)
    order = [sorted(room)[i] for i in rng(seed, "reader", "classes").permutation(len(room))]
    while (left := n - sum(shares.values())) > 0:
        open_ = [name for name in order if shares[name] < room[name]]
        each = max(1, left // len(open_))
        for name in open_[:left]:
            shares[name] += min(each, room[name] - shares[name])
    return shares


def _drawn(pool: Pool, cohort: int, shares: tuple[dict[str, int], dict[str, int]], seed: int) -> list[Chosen]:
    """Return the cases of a cohort: those that are read, then those of the training block."""
    read, both = shares
    first = [Chosen(cohort, row, name) for name in sorted(read) for row in pool[name][: read[name]]]
    more = [Chosen(cohort, row, name) for name in sorted(both) for row in pool[name][read[name] : both[name]]]
    return first + more


def _too_few(
    cohorts: Sequence[Cohort], pools: Sequence[Pool], room: dict[str, int], wanted: int, splits: Sequence[str]
) -> str:
    has = ", ".join(f"{c.path.name} {sum(map(len, p.values()))}" for c, p in zip(cohorts, pools, strict=True))
    return (
        f"{wanted} real and as many synthetic cases were asked for (with the training block), one of each subject and "
        f"as many of each class; there are {sum(room.values())} (subjects: {has}; of the real cohort only the splits "
        f"{', '.join(splits)}): lower --n, or add --splits train"
    )
