"""Grids: slices of one volume under two subjects, found by their geometry alone.

The affine of a slice says on which stack of slices it lies, and where. Subjects whose slices lie on one stack (to
``ROUNDING`` of a millimetre and of a slice), all at different places, are slices of one volume shared out, unless the
stack is one that many have: registered to one template, or written without geometry. So a stack counts where at most
``MAX_SHARE`` of the subjects (and any two) lie on it, and where their places are next to one another or alternate.
**Checked** in tests/data/checks/test_grids.py.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from understudy.core.cohort import Cohort
from understudy.data.checks.notice import Notice, warning

ROUNDING = 1e-4
MAX_SHARE = 0.2
FARTHEST = 2  # slices from one subject's to the next one's
OFFSET = 0.1234  # so that no usual place lies where rounding turns


def shared_volumes(cohort: Cohort) -> Iterable[Notice]:
    """Say which subjects of 2D cases share a volume."""
    if len(cohort.size) != 2:
        return
    stacks: dict[bytes, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    subjects, splits = cohort.column("subject_id"), {}
    for row, subject in enumerate(subjects.tolist()):
        affine = cohort.affine(row)
        if affine is not None and np.abs(affine[:3, 0]).max() > 0:
            stack, place = _stack(affine)
            stacks[stack][subject].add(place)
            splits[subject] = cohort.entry("split", row)
    known = {subject for places in stacks.values() for subject in places}
    found = [places for places in stacks.values() if _shared_out(places, len(known))]
    if found:
        apart = sum(len({splits[subject] for subject in places}) > 1 for places in found)
        first = ", ".join(sorted(min(found, key=sorted))[:2])
        yield warning(
            f"{len(found)} volumes have their slices under more than one subject, {apart} of them in two splits: they "
            f"lie on one stack of slices, at different places (the first: {first}); give all slices of a person one "
            "subject (--subject-pattern, or --subject of a table)"
        )


def _stack(affine: np.ndarray) -> tuple[bytes, int]:
    """Return which stack a slice lies on, and at which place."""
    across = affine[:3, 0]
    place = float(affine[:3, 3] @ across / (across @ across)) + OFFSET
    aside = affine[:3, 3] - (place - OFFSET) * across
    numbers = np.concatenate([affine[:3, :3].ravel(), aside, [place % 1]])
    return (np.rint(numbers / ROUNDING).astype(np.int64) + 0).tobytes(), int(np.floor(place))


def _shared_out(places: dict[str, set[int]], subjects: int) -> bool:
    """Tell whether the slices of several subjects on one stack are those of one volume."""
    if not 2 <= len(places) <= max(2, MAX_SHARE * subjects):
        return False
    every = sorted((place, subject) for subject, found in places.items() for place in found)
    if len({place for place, _ in every}) < len(every):
        return False  # two pictures of one place
    steps = [after - before for (before, a), (after, b) in zip(every, every[1:], strict=False) if a != b]
    return max(steps) <= FARTHEST
