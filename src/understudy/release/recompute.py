"""What evidence says and the gate can measure again in seconds: how near the released images lie to training images.

``evaluate privacy`` tells quantiles of the highest Pearson r of each case to a training case; with the real cohort at
hand they are measured again, and must be the same. Numbers that need networks are believed by their seal
(data/seal.py).
**Checked** in tests/release/test_recompute.py.
"""

from collections.abc import Sequence

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UnderstudyError
from understudy.evaluation.nearest import nearest
from understudy.evaluation.privacy.calibration import training_rows
from understudy.evaluation.privacy.pearson import ImageVectors
from understudy.evaluation.privacy.report import QUANTILES
from understudy.report.reading import Folder

NAME = "privacy.correlation.synthetic"
TOLERANCE = 0.001  # of r, between machines


def released_rows(real: Cohort, released: Cohort) -> np.ndarray | None:
    """Return the rows of the real cohort that the generator of a released cohort saw, by their splits.

    None where these splits hold another number of subjects than it says, as where a screening saw further ones.
    """
    rows, subjects = [], real.column("subject_id")
    for entry in (entry for entry in released.trained_on if entry["cohort"] == real.id):
        rows.append(np.flatnonzero(np.isin(real.column("split"), entry.get("splits", []))))
        n = len(set(subjects[rows[-1]].tolist()))
        if entry.get("n_subjects") != (n if n >= MIN_SUBJECTS else None):
            return None
    return np.unique(np.concatenate(rows)) if rows else None


def refuse_other_numbers(
    folders: Sequence[Folder], source: Cohort, real: Cohort, rows: np.ndarray | None = None
) -> int:
    """Refuse evidence about a cohort whose numbers are not those that come out again; return how many there are.

    ``rows`` of the real cohort are those that the generator saw; else what the cohort records decides.

    Raises:
        UnderstudyError: which number, what it is said to be, and what it is.
    """
    said = {r.name: (r.value, folder) for folder in folders for r in folder.results if r.value is not None}
    names = {f"{NAME}.{word}": q for word, q in QUANTILES if f"{NAME}.{word}" in said}
    if not names or source.images is None or real.images is None:
        return 0
    rows = training_rows(real, source)[0] if rows is None else rows
    found = nearest(ImageVectors(source, source.rows()), ImageVectors(real, rows)).r
    for name, q in names.items():
        told, folder = said[name]
        value = float(np.quantile(found, q, method="inverted_cdf"))
        if told is None or abs(value - told) > TOLERANCE:
            raise UnderstudyError(
                f"{folder.path} says that {name} is {told:.4f}, and measured again it is {value:.4f}: evaluate "
                f"{source.path.name} again"
            )
    return len(names)
