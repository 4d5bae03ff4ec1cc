"""Evidence: all that the search found about one synthetic cohort; every file of the results is made from it."""

from dataclasses import dataclass

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.nearest import Nearest
from understudy.evaluation.privacy.calibration import Reference, Threshold
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.judgement import Judged


@dataclass(frozen=True)
class Evidence:
    """What is known about one synthetic cohort.

    Attributes:
        name: how its results are called, "" where it is the only synthetic cohort.
        cohort: the synthetic cohort.
        rows: rows of the real cohort that were searched.
        subjects: number of subjects in these rows.
        found: nearest of each synthetic case by Pearson's r; its index counts within ``rows``.
        copies: which cases are too near, by all views.
        maps: the same of the label maps; or why they were not judged.
        control: control subjects against the training cases.
        training: training subjects against the other training subjects.
        neighbour: neighbouring slices of one training subject.
        blurred: training cases, blurred, against the training cases: how near a blurred copy lies.
        reverse: synthetic cases against the control cases.
        threshold: the r that is too near; None where fewer than five subjects could set it.
        config: the settings.
        note: how the training cases are known.
    """

    name: str
    cohort: Cohort
    rows: np.ndarray
    subjects: int
    found: Nearest
    copies: Judged
    maps: Judged | str
    control: Reference
    training: Reference
    neighbour: Reference
    blurred: Reference
    reverse: Reference
    threshold: Threshold | None
    config: PrivacyConfig
    note: str

    @property
    def flagged(self) -> np.ndarray:
        """Mask (n,) of the flagged synthetic cases; none where nothing could be calibrated."""
        return self.copies.found.flagged if self.copies.found else np.zeros(len(self.found.r), bool)

    @property
    def nearest(self) -> np.ndarray:
        """The training case (n,) nearest to each synthetic case, within ``rows``: as all views see it, else by r."""
        return self.copies.found.case if self.copies.found else self.found.index

    @property
    def prefix(self) -> str:
        """First part of the results' names."""
        return prefix(self.name)


def prefix(name: str) -> str:
    """Return ``privacy.`` or, where several cohorts are judged, ``privacy.NAME.``."""
    return f"privacy.{name}." if name else "privacy."
