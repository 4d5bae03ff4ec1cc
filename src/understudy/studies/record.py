"""What a study knows of its stages: OUT/.study/records/NAME.json, one a stage; and what stands in OUT because of it.

Times stand here and in logs, never in a stage's output, so that the same request gives the same bytes.

**Checked** in tests/studies/test_record.py.
"""

import csv
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from understudy.core.atomic import whole_file
from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.studies.stage import Stage

RECORDS, ASIDE, MEASURED = Path(".study/records"), Path(".study/aside"), Path(".study/measured")
OUTPUT, RECORD = "output", "record.json"  # below ASIDE/DIGEST
NUMBER = re.compile(r"\d{1,12}(\.\d{1,9})?")
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Record(BaseModel):
    """The last run of a stage.

    Attributes:
        state: ``started`` is that of a stage that runs, or that was killed together with its runner; ``exported`` that
            of one that another engine runs: it is done when its marker is there, and what it took is read from the
            engine's own measurement.
        seconds: wall time of all its runs for this request together, but those that were killed with the runner.
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
    file = _record_file(out, stage)
    if not file.exists():
        return None
    record = read_document(file, Record, "the record of a stage", "remove it")
    output = out / stage.folder
    if record.state != "exported" or not (output / stage.marker).is_file():
        return record
    took = {"disk_mb": round(size_mb(output), 3), **_measured(out / MEASURED / f"{stage.name}.tsv")}
    return record.model_copy(update={"state": "done", "code": 0, **took})


def _record_file(out: Path, stage: Stage) -> Path:
    return out / RECORDS / f"{stage.name}.json"


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
    file = _record_file(out, stage)
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


def set_aside(out: Path, stages: Sequence[Stage]) -> None:
    """Put what stands at the places of stages, of other requests, under OUT/.study/aside; bring back what fits these.

    Nothing is deleted: a setting that is changed back finds its output again.

    Raises:
        UsageError: something would be moved while Snakemake runs.
    """
    if any(state_of(out, stage) is State.CHANGED for stage in stages):
        refuse_snakemake(out, "settings changed")
    for stage in stages:
        _put_aside(out, stage)
        _bring_back(out, stage)


def refuse_snakemake(out: Path, why: str) -> None:
    """Refuse to go on while Snakemake runs in a study's folder; ``why`` begins the message."""
    if any((out / ".snakemake" / "locks").glob("*")):
        raise UsageError(
            f"{why} while Snakemake runs in {out}: wait for it; if it was killed, `snakemake --unlock` there"
        )


def _put_aside(out: Path, stage: Stage) -> None:
    """Move output and record of another request, the record last: it tells whose output is on its way."""
    record, here = read_record(out, stage), out / stage.folder
    if record is None or record.digest == stage.digest:
        return
    write_record(out, stage, record)  # what another engine measured is of its last run, whatever that was
    kept = out / ASIDE / record.digest
    if here.exists():  # else it is there already
        shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    if here.exists():
        here.rename(kept / OUTPUT)
    _record_file(out, stage).rename(kept / RECORD)


def _bring_back(out: Path, stage: Stage) -> None:
    """Move back what was set aside of this request, the record first; what was made by hand meanwhile stays."""
    kept, here, file = out / ASIDE / stage.digest, out / stage.folder, _record_file(out, stage)
    if not kept.exists() or (here.exists() and (kept / OUTPUT).exists()):
        return
    for source, target in ((kept / RECORD, file), (kept / OUTPUT, here)):
        if source.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    shutil.rmtree(kept)


def size_mb(folder: Path) -> float:
    """Return the size of all files below a folder, in MiB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
