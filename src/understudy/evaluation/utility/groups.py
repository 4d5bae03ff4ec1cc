"""Groups of test subjects: by the size of the lesion, and by a column of the case table such as the institution.

A public table holds groups of at least five subjects, and no group can be had by taking the others from the whole:
values of a column that fewer have are joined in one group, with the next rarest ones until it has five.
**Checked** in tests/evaluation/utility/test_groups.py.
"""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS

THIRDS = ("small", "middle", "large")
JOINED = "others"


@dataclass(frozen=True)
class Group:
    """Some of the test subjects, bool (S,): a third `by` "reference size", or those with one value of a column."""

    by: str
    name: str
    chosen: np.ndarray


def reference_sizes(
    cohort: Cohort, rows: np.ndarray, number: np.ndarray, subjects: int, classes: int
) -> tuple[np.ndarray, str]:
    """Return the reference volume (subjects, K') of each foreground class, and of all together, with its unit.

    K' is K - 1 and, where there are several, one more: all together. In mm3, of slices mm2 summed over them, where
    every spacing is known; else in voxels or pixels. `number`: (n,) of the subject of each of the cases `rows`.
    """
    labels: np.ndarray = cohort.labels  # type: ignore[assignment]
    spacings = [cohort.spacing_mm(int(row)) for row in rows]
    units = ("mm2", "pixels") if len(cohort.size) == 2 else ("mm3", "voxels")
    sizes = np.zeros((subjects, classes - 1))
    for row, subject, spacing in zip(rows, number, spacings, strict=True):
        voxel = 1.0 if None in spacings or spacing is None else math.prod(spacing)
        sizes[subject] += voxel * np.bincount(np.asarray(labels[row]).ravel(), minlength=classes)[1:]
    if classes > 2:
        sizes = np.column_stack([sizes, sizes.sum(1)])
    return sizes, units[None in spacings]


def thirds(sizes: np.ndarray) -> list[Group]:
    """Cut the subjects who have the class into thirds by its size; none where a third would have too few subjects.

    Sizes (S,) are 0 for subjects without the class, who are in no third.
    """
    order = np.argsort(sizes, kind="stable")[(sizes == 0).sum() :]
    parts = np.array_split(order, len(THIRDS))
    if min(map(len, parts)) < MIN_SUBJECTS:
        return []
    chosen = [np.isin(np.arange(len(sizes)), part) for part in parts]
    return [Group("reference size", name, part) for name, part in zip(THIRDS, chosen, strict=True)]


def column_groups(cohort: Cohort, split: str, column: str) -> list[Group]:
    """Group the subjects of a split by a column; a subject with several values has them joined by ``+``.

    The column is one of the case table, or of the table that was imported where ``import --classes`` made one column
    ``column=value`` of each of its values.
    """
    rows, subjects = cohort.rows(split), cohort.subjects(split)
    pairs = sorted(set(zip(cohort.column("subject_id")[rows].tolist(), _values(cohort, rows, column), strict=True)))
    values = np.array(["+".join(str(value) or "unknown" for s, value in pairs if s == subject) for subject in subjects])
    return grouped(column, values)


def _values(cohort: Cohort, rows: np.ndarray, column: str) -> np.ndarray:
    """Return a column's text (n,) of some cases, put together again where it was imported as a column a value."""
    apart = [name for name in cohort.classes if name.startswith(f"{column}=")]
    if column in cohort.columns or not apart:
        return cohort.column(column)[rows]
    values = np.full(len(rows), "", dtype=object)
    for name in apart:
        values[cohort.column(name)[rows].astype(str) == "1"] = name.removeprefix(f"{column}=")
    return values


def grouped(by: str, values: np.ndarray) -> list[Group]:
    """Group subjects by their value (S,), in alphabetical order; rare values are joined and come last."""
    rare: list[str] = []
    joined = 0
    for value, n in sorted(Counter(values.tolist()).items(), key=lambda item: (item[1], item[0])):
        if n < MIN_SUBJECTS or 0 < joined < MIN_SUBJECTS:
            rare.append(value)
            joined += n
    kept = [Group(by, value, values == value) for value in sorted(set(values.tolist()) - set(rare))]
    return kept + ([Group(by, JOINED, np.isin(values, rare))] if rare else [])
