"""The log of screenings in a cohort, ``sampling.screened`` of cohort.json: screen.py writes it, a release reads it.

**Checked** in tests/release/test_screening_log.py.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from understudy.core.cohort import Cohort
from understudy.core.documents import STRICT, mistakes
from understudy.core.errors import UnderstudyError
from understudy.data.seal import Seal, seal, sealing_key

COPY_DETECTION = "privacy"  # the evaluation that flags copies


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
    """One screening."""

    model_config = STRICT

    source: Before
    data_used: list[dict[str, str]]  # whose data decided: [{"evidence", "cohort", "split", "for"}, ...]
    retained: Retained
    thresholds: list[dict[str, float]] = []  # of each results folder, by what was measured
    rejected: list[dict[str, Any]] = []  # [{"case_id", "reasons"}, ...]; none in a released cohort
    seal: Seal | None = None  # over the rest; none in a released cohort, or where the evidence had none

    def sealed(self, key: bytes) -> "Screening":
        """Return the same with a seal."""
        return self.model_copy(update={"seal": seal(key, self._content())})

    def is_sealed_by(self, key: bytes, where: str) -> bool:
        """Tell whether a key sealed it; UnderstudyError where it did, and the entry was changed."""
        return self.seal is not None and sealing_key(self.seal, [key], self._content(), where) is not None

    def _content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"seal"})


def matchers_used(cohort: Cohort) -> frozenset[str] | None:
    """Return the matchers that took part in any screening of a cohort for copies; None where one is not recorded."""
    entries = [used for one in screenings(cohort) for used in one.data_used if used.get("evidence") == COPY_DETECTION]
    if not all(used.get("matchers") for used in entries):
        return None
    return frozenset(name for used in entries for name in used["matchers"].split(","))


def screenings(cohort: Cohort) -> list[Screening]:
    """Return the screenings of a cohort, newest last; raises UnderstudyError where cohort.json holds something else."""
    try:
        return TypeAdapter(list[Screening]).validate_python(cohort.sampling.get("screened", []))
    except ValidationError as error:
        raise UnderstudyError(
            f"{cohort.path}/cohort.json should log screenings in sampling.screened ({mistakes(error)}): screen again"
        ) from error
