"""Two raters' cohorts of the same images: which case of one is which of the other.

A case is the same where subject and slice index are; for pictures and whole volumes, which have no slice index, where
the case id is. A case id numbers the cases of a subject, and shifts where one rater has fewer of them: so what is
taken for one case must show one image, or the comparison is refused. Messages name cohorts, never a subject.
**Checked** in tests/evaluation/interrater/test_pairing.py (each way to match, each refusal).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.guard import refuse_missing, refuse_unfitting

MINIMUM = 2  # subjects
BLOCK = 64  # images compared at once
ALL = "all"
Key = tuple[str, str]  # a subject, and which of its cases


@dataclass(frozen=True)
class Pairing:
    """Cases that both raters have: rows (n,), ascending, of the cohort that is the reference, and of the other.

    Alone are how many cases of the split only the one has, and how many only the other; lost are the subjects of the
    split without a common case.
    """

    real: Cohort
    other: Cohort
    rows: np.ndarray
    others: np.ndarray
    alone: tuple[int, int]
    lost: int

    @property
    def subjects(self) -> list[str]:
        """The subjects with common cases, sorted."""
        return sorted(set(self.real.column("subject_id")[self.rows].tolist()))


def pair(real: Path, other: Path, split: str, classes: Sequence[str] = ()) -> Pairing:
    """Open two raters' cohorts and find the cases that both have, in a split or in "all".

    The label maps of `real` are the reference, and its splits count; the splits of the other do not matter. Only these
    classes count; empty: all. Raises UsageError for not two real cohorts, or cohorts that do not fit; UnderstudyError
    for no label maps, too few common subjects, or images that differ.
    """
    first, second = _open(real, other, classes)
    ours, theirs = _keys(first, second)
    rows = first.rows(None if split == ALL else split)
    place = {key: i for i, key in enumerate(theirs)}
    both = [row for row in rows.tolist() if ours[row] in place]
    asked, known = {ours[row][0] for row in rows.tolist()}, set(ours)
    further = sum(key not in known and (split == ALL or key[0] in asked) for key in theirs)
    lost = len(asked - {ours[row][0] for row in both})
    others = np.array([place[ours[row]] for row in both], int)
    found = Pairing(first, second, np.array(both, int), others, (len(rows) - len(both), further), lost)
    if len(found.subjects) < MINIMUM:
        raise UnderstudyError(
            f"at least {MINIMUM} subjects that both raters have were expected in the {split} split of "
            f"{first.path.name}, found {len(found.subjects)}: import both with the same --key, or choose "
            f"--set split={ALL}"
        )
    _refuse_other_images(found)
    return found


def _open(real: Path, other: Path, classes: Sequence[str]) -> tuple[Cohort, Cohort]:
    first, second = Cohort.open(real), Cohort.open(other)
    for option, cohort in (("--real", first), ("--other", second)):
        if cohort.kind != "real":
            raise UsageError(
                f"{option} needs a rater's label maps of real cases, and {cohort.path.name} is {cohort.kind}"
            )
        refuse_missing(cohort, images=False, labels=True)
    if first.id == second.id:
        raise UsageError(f"two raters were expected, and {first.path.name} and {second.path.name} are the same cohort")
    if classes:
        first, second = first.with_classes(classes), second.with_classes(classes)
    refuse_unfitting(first.without_images(), second.without_images(), labels=True)
    return first, second


def _keys(first: Cohort, second: Cohort) -> list[list[Key]]:
    """Return what names each case in both cohorts: its slice index where that is enough, else its case id."""
    for column in ("slice_index", "case_id"):
        columns = [(c.column("subject_id").tolist(), c.column(column).tolist()) for c in (first, second)]
        pairs = [list(zip(*both, strict=True)) for both in columns]
        if all(all(name for _, name in keys) and len(set(keys)) == len(keys) for keys in pairs):
            break
    if column == "case_id" and (first.images is None or second.images is None):
        shared = {subject for subject, _ in pairs[0]} & {subject for subject, _ in pairs[1]}
        one, other = ({key for key in keys if key[0] in shared} for keys in pairs)
        if one != other:
            raise UnderstudyError(
                f"subjects of {first.path.name} and {second.path.name} have different numbers of cases, which have "
                "neither a slice index nor images to match them by: import the same files of both raters"
            )
    return pairs


def _refuse_other_images(pairing: Pairing) -> None:
    """Refuse cases taken for the same whose images are not."""
    one, other = pairing.real.images, pairing.other.images
    if one is None or other is None:
        return
    differ = len(pairing.rows) if one.shape[1:] != other.shape[1:] else 0
    for start in range(0, 0 if differ else len(pairing.rows), BLOCK):
        ours, theirs = (rows[start : start + BLOCK] for rows in (pairing.rows, pairing.others))
        differ += int((one[ours] != other[theirs]).reshape(len(ours), -1).any(1).sum())
    if differ:
        raise UnderstudyError(
            f"{differ} of {len(pairing.rows)} cases of {pairing.real.path.name} and {pairing.other.path.name} show "
            "another image: import the same images of both raters, with the same options"
        )
