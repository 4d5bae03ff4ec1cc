"""The de-identified cohort of a release: the same images, label maps and classes, and nothing that names a subject.

Cases and, in a semi-synthetic cohort, subjects get new names in the order of the rows. Left out are the split, the
place and the size of a source image, and all columns beside the classes; a spacing is rounded to two digits, and left
out where fewer than five subjects share what it then is, since a scan's own spacing can single a patient out; so can
classes, which are written as numbers of six digits, and in a semi-synthetic cohort, whose classes are of patients, left
blank where fewer than five subjects share the combination;
``trained_on`` keeps cohort and splits with the number of subjects (at least five) in the place of their pseudonyms; a
screening keeps its counts, a guarantee of differential privacy what it says, guidance away from training images how
near they might come. The id is a hash of this content alone.
A later ``evaluate`` on such a cohort cannot tell whether training subjects are among the test subjects: it says beside
each number that ``trained_on`` is not recorded. Evidence that needs the names is made before the release.
**Checked** in tests/release/test_deidentify.py.
"""

from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.classes import class_row
from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, rare
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.release.screening_log import screenings

UNRELEASED: Any = {"source": {"provenance"}, "thresholds": True, "rejected": True, "seal": True}  # of a screening
GUARANTEE = ("epsilon", "delta", "epsilon_at_delta_1e-5", "unit", "public_start")


def write_deidentified(source: Cohort, out: Path, provenance: Provenance) -> None:
    """Write the de-identified copy of a cohort to a new folder; ``provenance`` is that of the release."""
    subjects: dict[str, str] = {}
    spacing, (classes, blanked) = shared_spacings(source), shared_classes(source)
    with CohortWriter.after(source, out, provenance, trained_on=trained_on(source)) as writer:
        for i in range(len(source)):
            image, label = (None if a is None else np.asarray(a[i]) for a in (source.images, source.labels))
            case, owner = f"case-{i + 1:06d}", source.entry("subject_id", i)
            subject = subjects.setdefault(owner, f"subject-{len(subjects) + 1:06d}")
            row = {"case_id": case, "subject_id": case if source.kind == "synthetic" else subject}
            row |= {"spacing": spacing[i], **classes[i]}
            writer.append(image, label, row)
        promised = source.sampling.get("differential_privacy")
        promised = promised if isinstance(promised, dict) else {}
        kept_away = source.sampling.get("away_from")
        told: dict[str, Any] = {
            "away_from": {"threshold": kept_away["threshold"]} if isinstance(kept_away, dict) else {},
            "screened": [entry.model_dump(exclude=UNRELEASED) for entry in screenings(source)],
            "differential_privacy": {name: promised[name] for name in GUARANTEE if name in promised},
            "classes_left_out": blanked,
        }
        writer.sampling = {name: value for name, value in told.items() if value}


def shared_spacings(source: Cohort) -> list[str]:
    """Return the spacing of each case in mm, rounded to two digits; "" where too few subjects have it."""
    rounded = [" ".join(f"{side:.2g}" for side in source.spacing_mm(i) or ()) for i in range(len(source))]
    few = rare(rounded, list(source.column("subject_id")))
    return ["" if spacing in few else spacing for spacing in rounded]


def shared_classes(source: Cohort) -> tuple[list[dict[str, str]], int]:
    """Return the classes of each case as numbers, and how many cases are left without since few subjects share theirs.

    Raises:
        UnderstudyError: an entry is no number.
    """
    found = [class_row(source.classes, values) for values in source.class_matrix()]
    if source.kind == "synthetic":
        return found, 0
    combinations = [tuple(row.values()) for row in found]
    few = rare(combinations, list(source.column("subject_id")))
    left_out = [any(one) and one in few for one in combinations]
    blank = dict.fromkeys(source.classes, "")
    return [blank if out else row for out, row in zip(left_out, found, strict=True)], sum(left_out)


def trained_on(source: Cohort) -> list[dict[str, Any]]:
    """Return whose data a generator saw, in aggregate: keyed ids of cohorts, splits, number of subjects."""
    told: list[dict[str, Any]] = []
    for entry in source.trained_on:
        n = len(entry.get("subjects", ()))
        counted = {"n_subjects": n} if n >= MIN_SUBJECTS else {}
        told.append({"cohort": entry["cohort"], "splits": entry.get("splits", []), "subjects": [], **counted})
    return told
