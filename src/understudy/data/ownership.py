"""Ownership: what stands in ``label_source``, ``kind``, ``trained_on``, ``sampling`` of cohorts made from others.

A map whose every part was sampled by a model is fully synthetic. A patient's lesion that was grown, moved or put into
another body stays patient-derived, and so does anatomy taken from a patient's image: such a cohort is semi-synthetic,
its subject_id stays the patient's, ``trained_on`` names the patients, and its id is keyed. It has no splits: an edited
case is no case to be tested on.
**Checked** in tests/data/test_ownership.py, tests/synthesis/test_label_maps.py, tests/synthesis/editing/test_stage.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.pseudonym import key_path, load_key

LABEL_MAP = "label_map"  # column that says of each case of a cohort of both: patient | predicted
PLACE = ("slice_index", "spacing", "affine", "original_size")  # columns about the voxels of a case


def joint_source(parts: Sequence[str], edited: bool) -> str:
    """Return the ``label_source`` of a label map made of parts: that of the most personal one.

    ``edited`` says whether anything was changed, or parts of different cases were put together.

    Example:
        >>> joint_source(["sampled", "sampled"], True), joint_source(["sampled", "patient"], True)
        ('sampled', 'edited patient')
    """
    if "edited patient" in parts or ("patient" in parts and edited):
        return "edited patient"
    return next(source for source in ("patient", "predicted", "sampled") if source in parts)


def kind_of(label_source: str) -> str:
    """Return the kind of a cohort whose label maps are these and whose images, if any, are rendered."""
    return "synthetic" if label_source == "sampled" else "semi-synthetic"


def usable_rows(cohort: Cohort, splits: Sequence[str]) -> np.ndarray:
    """Return the rows that lie in one of these splits or in none, ascending; UnderstudyError without any."""
    rows = np.flatnonzero(np.isin(cohort.column("split"), (*splits, "")))
    if not len(rows):
        raise UnderstudyError(f"the cohort {cohort.path} has no case in the split {' or '.join(splits)}: name another")
    return rows


def owners(cohort: Cohort, rows: np.ndarray) -> list[dict[str, Any]]:
    """Return the entries of ``trained_on`` for a cohort made from some cases of another."""
    seen = list(cohort.trained_on)
    if cohort.kind == "synthetic" or not len(rows):
        return seen
    subjects, splits = (sorted(set(cohort.column(name)[rows].tolist()) - {""}) for name in ("subject_id", "split"))
    return [*seen, {"cohort": cohort.id, "splits": splits, "subjects": subjects}]


def kept_sampling(cohorts: Sequence[Cohort], others_seen: bool = False) -> dict[str, Any]:
    """Return what ``sampling`` of a cohort made from others must still say.

    The log of screenings stays where any has one; the rest where all say the same. A guarantee of differential privacy
    stays only where all is made of one cohort, and nothing was used that has ``others_seen``, whom it does not cover.

    Raises:
        UsageError: the cohorts were screened each by itself, and a log could not tell of both.
    """
    logs = {cohort.path.name: log for cohort in cohorts if (log := cohort.sampling.get("screened"))}
    log = next(iter(logs.values()), None)
    if any(other != log for other in logs.values()):
        raise UsageError(
            f"at most one screened cohort was expected, and {' and '.join(logs)} were each by itself, so that no "
            "evidence could say what was screened out: name one that was not screened"
        )
    told = {k: v for k, v in cohorts[0].sampling.items() if all(one.sampling.get(k) == v for one in cohorts)}
    if others_seen or len({cohort.id for cohort in cohorts}) > 1:
        told.pop("differential_privacy", None)
    return told | ({"screened": log} if log else {})


def secret(cohorts: Sequence[Cohort], key: Path | None, out: Path) -> bytes | None:
    """Return the key of the new cohort's id, or None where all that it is made of is synthetic."""
    return load_key(key_path(key, out)) if any(cohort.kind != "synthetic" for cohort in cohorts) else None


def place_entries(cohort: Cohort, row: int) -> dict[str, str]:
    """Return the entries of the case table that say where the voxels of a case lie."""
    return {name: cohort.entry(name, row) for name in PLACE}


def labelled(cohort: Cohort) -> tuple[np.ndarray, LabelScheme, str]:
    """Return label maps (N, *S), their scheme and source; UsageError where the cohort has none.

    Where some are patients' own and others predicted (tasks/segment.py), the source is that of the most personal ones.
    """
    if cohort.labels is None or cohort.scheme is None or cohort.label_source is None:
        raise UsageError(f"the cohort {cohort.path} has no label maps: name one that has")
    mixed = LABEL_MAP in cohort.columns and "patient" in cohort.column(LABEL_MAP)
    source = joint_source(["patient", cohort.label_source], edited=False) if mixed else cohort.label_source
    return cohort.labels, cohort.scheme, source
