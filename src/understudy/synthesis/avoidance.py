"""Keeping generators away from the images that they learned, while they sample.

The training images are read again, so no guarantee of differential privacy that was given for the generator covers the
cases. **Checked** in tests/synthesis/test_avoidance.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.generators.base import Generator
from understudy.synthesis.runs import Run


def open_avoided(path: Path, runs: Sequence[Run]) -> Cohort:
    """Open the cohort that generators are kept away from.

    Raises:
        UsageError: it is not all that the runs were trained on, or a run has a guarantee that would be void.
    """
    cohort = Cohort.open(path)
    for run in runs:
        if run.inputs.get("cohort") != cohort.id:
            raise UsageError(
                f"the run {run.path} is kept away from what it was trained on, and that is not {cohort.path.name}: "
                "name the cohort of its training with --away-from"
            )
        if further := [role for role in ("other", "start") if role in run.inputs]:
            raise UsageError(
                f"the run {run.path} learned from more images than those of {cohort.path.name}, since it was trained "
                f"with --{further[0]}, and --away-from keeps it away from these alone: leave it out"
            )
        if run.record.get("differential_privacy"):
            raise UsageError(
                f"the run {run.path} has a guarantee of differential privacy, which --away-from would void, since it "
                "reads the training images again: leave it out"
            )
    return cohort


def keep_away(generators: Sequence[Generator], cohort: Cohort) -> dict[str, Any]:
    """Keep generators away from the training images of a cohort; return what the cases' cohort must say of it.

    Raises:
        UsageError: a generator cannot be kept away.
    """
    rows = cohort.rows("train")
    images, subjects = cohort.encoding.encode_images(cohort.images[rows]), cohort.column("subject_id")[rows]  # type: ignore[index]
    thresholds = [generator.keep_away(images, subjects) for generator in generators]
    return {"away_from": {"cohort": cohort.id, "threshold": thresholds[0]}}
