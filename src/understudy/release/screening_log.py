"""The log of screenings in a cohort, ``sampling.screened`` of cohort.json: screen.py writes it, a release reads it.

**Checked** in tests/release/test_screening_log.py.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from understudy.core.cohort import Cohort
from understudy.core.documents import STRICT, mistakes
from understudy.core.errors import UnderstudyError


class Count(BaseModel):
    """How many cases there were before, how many are kept, and their share, None of none."""

    model_config = STRICT

    before: int
    after: int
    share: float | None


class Retained(BaseModel):
    """Counts of all cases, of classes by lesion size, and of class columns (``screen.retained_distribution``)."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    cases: Count


class Before(BaseModel):
    """The cohort before a screening: its id and its request, which a released cohort leaves out."""

    model_config = STRICT

    cohort: str
    provenance: dict[str, Any] = {}


class Screening(BaseModel):
    """One screening.

    Attributes:
        source: the cohort before.
        data_used: whose data decided: [{"evidence", "cohort", "split", "for"}, ...].
        retained: what is left of the distribution of the cases.
        thresholds: of each results folder, by what was measured.
        rejected: [{"case_id", "reasons"}, ...]; none in a released cohort.
    """

    model_config = STRICT

    source: Before
    data_used: list[dict[str, str]]
    retained: Retained
    thresholds: list[dict[str, float]] = []
    rejected: list[dict[str, Any]] = []


def screenings(cohort: Cohort) -> list[Screening]:
    """Return the screenings of a cohort, the newest last.

    Raises:
        UnderstudyError: cohort.json holds something else in their place.
    """
    try:
        return TypeAdapter(list[Screening]).validate_python(cohort.sampling.get("screened", []))
    except ValidationError as error:
        raise UnderstudyError(
            f"{cohort.path}/cohort.json should log screenings in sampling.screened ({mistakes(error)}): screen again"
        ) from error
