"""The record of a training, run.json, read through a typed model; without torch, so that looking at a run is quick.

**Checked**: tests/training/test_run_record.py (wrong types are refused in one sentence that names the file).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from understudy.core.documents import STRICT, read_document
from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.core.provenance import ProvenanceRecord


class RunRecord(BaseModel):
    """The content of run.json; see training/record.py."""

    model_config = STRICT

    generator: str
    config: dict[str, Any]
    encoding: dict[str, Any]
    size: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=2, max_length=3)]
    classes: list[str]
    combinations: list[dict[str, Any]] = []
    given: Literal["labels", "images"] | None = None
    differential_privacy: dict[str, Any] | None = None
    modality: str
    seed: int
    trained_on: list[dict[str, Any]]
    provenance: ProvenanceRecord

    @field_validator("encoding")
    @classmethod
    def _an_encoding(cls, data: dict[str, Any]) -> dict[str, Any]:
        try:
            Encoding.from_json(data)
        except (LookupError, TypeError, AttributeError, UsageError) as error:
            raise ValueError(f"is no encoding of images and label maps ({type(error).__name__}: {error})") from error
        return data


def read_run(run: Path) -> dict[str, Any]:
    """Read the run.json of a run folder, as training/record.py made it.

    Raises:
        UnderstudyError: it is missing, or holds something else.
    """
    record = read_document(run / "run.json", RunRecord, "the record of a training", "train again")
    return record.model_dump(mode="json", exclude_unset=True)
