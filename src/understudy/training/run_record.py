"""The record of a training, run.json, read through a typed model; without torch, so that looking at a run is quick.

**Checked**: tests/training/test_run_record.py (wrong types are refused in one sentence that names the file).
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from understudy.core.documents import STRICT, read_document
from understudy.core.encoding import EncodingRecord
from understudy.core.manifest import SeenData
from understudy.core.provenance import ProvenanceRecord


class RunRecord(BaseModel):
    """The content of run.json; see training/record.py."""

    model_config = STRICT

    generator: str
    config: dict[str, Any]
    encoding: EncodingRecord
    size: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=2, max_length=3)]
    classes: list[str]
    combinations: list[dict[str, Any]] = []
    given: Literal["labels", "images"] | None = None
    differential_privacy: dict[str, Any] | None = None
    modality: str
    seed: int
    trained_on: list[SeenData]
    provenance: ProvenanceRecord


def read_run(run: Path) -> dict[str, Any]:
    """Read the run.json that training/record.py made; UnderstudyError: it is missing, or holds something else."""
    read_document(run / "run.json", RunRecord, "the record of a training", "train again")
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    return record
