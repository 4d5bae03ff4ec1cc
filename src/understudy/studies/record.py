"""What a study knows of its stages: OUT/.study/records/NAME.json, one a stage; and what stands in OUT because of it.

Times stand here and in logs, never in a stage's output, so that the same request gives the same bytes.

**Checked** in tests/studies/test_record.py.
"""

import json
import shutil
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from understudy.core.atomic import whole_file
from understudy.core.documents import STRICT, read_document
from understudy.studies.stage import Stage

RECORDS, ASIDE = Path(".study/records"), Path(".study/aside")
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Record(BaseModel):
    """The last run of a stage.

    Attributes:
        state: ``started`` is that of a stage that runs, or that was killed together with its runner.
        seconds: wall time of all its runs for this request together.
        cpu_seconds: processor time of them.
        peak_mb: the highest memory of one of its processes.
        disk_mb: size of the output.
        code: exit code; below 0 the signal that ended it.
    """

    model_config = STRICT

    digest: Digest
    command: str
    state: Literal["started", "done", "failed"]
    started: str = ""
    host: str = ""
    threads: int = 1
    seconds: float = 0
    cpu_seconds: float = 0
    peak_mb: float = 0
    disk_mb: float = 0
    code: int | None = None


class State(Enum):
    """How things stand with a stage, in the words of ``study plan``."""

    DONE = "done"
    BEGUN = "begun"  # its next run goes on where it was stopped, where its verb can
    FAILED = "failed"
    CHANGED = "changed"  # what stands there is of another request
    MISSING = "to do"


def read_record(out: Path, stage: Stage) -> Record | None:
    """Return the record of a stage in a study's folder; None where there is none."""
    file = out / RECORDS / f"{stage.name}.json"
    return read_document(file, Record, "the record of a stage", "remove it") if file.exists() else None


def write_record(out: Path, stage: Stage, record: Record) -> None:
    """Write the record of a stage, whole or not at all."""
    file = out / RECORDS / f"{stage.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as handle:
        handle.write((json.dumps(record.model_dump(), indent=1) + "\n").encode())


def state_of(out: Path, stage: Stage) -> State:
    """Tell how things stand with a stage.

    An output without a record was made by another engine, or by hand: its verb is run again, which does nothing where
    the request is the same, and refuses where it is not.
    """
    record = read_record(out, stage)
    if record is None:
        return State.BEGUN if (out / stage.folder).exists() else State.MISSING
    if record.digest != stage.digest:
        return State.CHANGED
    if record.state == "done":
        return State.DONE if (out / stage.folder / stage.marker).is_file() else State.MISSING
    return State.FAILED if record.state == "failed" else State.BEGUN


def set_aside(out: Path, stage: Stage) -> None:
    """Put what stands at a stage's place, of another request, under OUT/.study/aside; bring back what fits this one.

    Nothing is deleted: a setting that is changed back finds its output again.
    """
    record = read_record(out, stage)
    if record is not None and record.digest != stage.digest:
        _move(out, stage, out / ASIDE / record.digest, to_aside=True)
    if read_record(out, stage) is None and (kept := out / ASIDE / stage.digest).exists():
        _move(out, stage, kept, to_aside=False)


def _move(out: Path, stage: Stage, kept: Path, to_aside: bool) -> None:
    """Move output and record of a stage; the record goes last, and comes last, so that a killed move is seen."""
    if to_aside:
        shutil.rmtree(kept, ignore_errors=True)
    (out / stage.folder).parent.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    pairs = [(out / stage.folder, kept / "output"), (out / RECORDS / f"{stage.name}.json", kept / "record.json")]
    for here, there in pairs:
        source, target = (here, there) if to_aside else (there, here)
        if source.exists():
            source.rename(target)
    if not to_aside:
        kept.rmdir()


def size_mb(folder: Path) -> float:
    """Return the size of all files below a folder, in MiB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
