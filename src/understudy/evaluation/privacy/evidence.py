"""Evidence: all that the search found about one synthetic cohort; every file of the results is made from it."""

from dataclasses import dataclass

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.calibration import Reference, Threshold
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.correlation import Nearest


@dataclass(frozen=True)
class Evidence:
    """What is known about one synthetic cohort.

    Attributes:
        name: how its results are called, "" where it is the only synthetic cohort.
        cohort: the synthetic cohort.
        rows: rows of the real cohort that were searched.
        subjects: number of subjects in these rows.
        found: nearest of each synthetic case; its index counts within ``rows``.
        control: control subjects against the training cases.
        training: training subjects against the other training subjects.
        neighbour: neighbouring slices of one training subject.
        threshold: what is too near; None where fewer than five subjects could set it.
        config: the settings.
        note: how the training cases are known.
    """

    name: str
    cohort: Cohort
    rows: np.ndarray
    subjects: int
    found: Nearest
    control: Reference
    training: Reference
    neighbour: Reference
    threshold: Threshold | None
    config: PrivacyConfig
    note: str

    @property
    def flagged(self) -> np.ndarray:
        """Mask (n,) of the flagged synthetic cases; none where there is no threshold."""
        return self.threshold.flags(self.found.r) if self.threshold else np.zeros(len(self.found.r), bool)

    @property
    def prefix(self) -> str:
        """First part of the results' names."""
        return prefix(self.name)


def prefix(name: str) -> str:
    """Return ``privacy.`` or, where several cohorts are judged, ``privacy.NAME.``."""
    return f"privacy.{name}." if name else "privacy."
