"""What a study knows of its stages: OUT/.study/records/NAME.json, one a stage; and what stands in OUT because of it.

Times stand here and in logs, never in a stage's output, so that the same request gives the same bytes.

**Checked** in tests/studies/test_record.py.
"""

import csv
import json
import re
import shutil
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from understudy.core.atomic import whole_file
from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError
from understudy.studies.stage import Stage

RECORDS, ASIDE, MEASURED = Path(".study/records"), Path(".study/aside"), Path(".study/measured")
NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?")
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Record(BaseModel):
    """The last run of a stage.

    Attributes:
        state: ``started`` is that of a stage that runs, or that was killed together with its runner; ``exported`` that
            of one that another engine runs: it is done when its marker is there, and what it took is read from the
            engine's own measurement.
        seconds: wall time of all its runs for this request together.
        cpu_seconds: processor time of them.
        peak_mb: the highest memory of one of its processes.
        disk_mb: size of the output.
        code: exit code; below 0 the signal that ended it.
    """

    model_config = STRICT

    digest: Digest
    command: str
    state: Literal["started", "done", "failed", "exported"]
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
    if not file.exists():
        return None
    record = read_document(file, Record, "the record of a stage", "remove it")
    output = out / stage.folder
    if record.state != "exported" or not (output / stage.marker).is_file():
        return record
    took = {"disk_mb": round(size_mb(output), 3), **_measured(out / MEASURED / f"{stage.name}.tsv")}
    return record.model_copy(update={"state": "done", "code": 0, **took})


def _measured(file: Path) -> dict[str, float]:
    """Read what Snakemake's ``benchmark`` wrote of a job: a line of names, a line of values, some of them unknown."""
    columns = {"seconds": "s", "cpu_seconds": "cpu_time", "peak_mb": "max_rss"}
    try:
        with file.open(newline="") if file.is_file() else nullcontext(()) as lines:
            row = next(csv.DictReader(lines, delimiter="\t"), {})
    except (ValueError, csv.Error) as error:
        raise UnderstudyError(f"{file} is not what Snakemake measured ({error}): remove it") from error
    known = {name: row[column] for name, column in columns.items() if NUMBER.fullmatch(row.get(column) or "")}
    return {name: float(value) for name, value in known.items()}


def write_record(out: Path, stage: Stage, record: Record) -> None:
    """Write the record of a stage, whole or not at all."""
    file = out / RECORDS / f"{stage.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as handle:
        handle.write((json.dumps(record.model_dump(), indent=1) + "\n").encode())


def state_of(out: Path, stage: Stage) -> State:
    """Tell how things stand with a stage.

    An output without a record was made by hand: its verb is run again, which does nothing where
    the request is the same, and refuses where it is not.
    """
    record = read_record(out, stage)
    if record is None:
        return State.BEGUN if (out / stage.folder).exists() else State.MISSING
    if record.digest != stage.digest:
        return State.CHANGED
    if record.state == "done":
        return State.DONE if (out / stage.folder / stage.marker).is_file() else State.MISSING
    if record.state == "exported":
        return State.BEGUN if (out / stage.folder).exists() else State.MISSING
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
