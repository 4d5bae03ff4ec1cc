"""Records of stages: how things stand, and outputs that are set aside and brought back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.studies.record import MEASURED, RECORDS, Record, State, read_record, set_aside, state_of, write_record
from understudy.studies.stage import Stage


@pytest.fixture
def stage(stages_of: Callable[[Any], list[Stage]], small: dict[str, Any]) -> Stage:
    return stages_of(small)[0]


def made(out: Path, stage: Stage, content: str = "", state: Any = "done") -> None:
    (out / stage.folder).mkdir(parents=True)
    (out / stage.folder / stage.marker).write_text(content)
    write_record(out, stage, Record(digest=stage.digest, command="", state=state))


def test_states(tmp_path: Path, stage: Stage) -> None:
    assert state_of(tmp_path, stage) is State.MISSING
    made(tmp_path, stage)
    assert state_of(tmp_path, stage) is State.DONE
    assert state_of(tmp_path, replace(stage, digest="0" * 64)) is State.CHANGED
    (tmp_path / RECORDS / f"{stage.name}.json").unlink()
    assert state_of(tmp_path, stage) is State.BEGUN  # made by another engine: its verb will tell
    write_record(tmp_path, stage, Record(digest=stage.digest, command="", state="failed"))
    assert state_of(tmp_path, stage) is State.FAILED
    write_record(tmp_path, stage, Record(digest=stage.digest, command="", state="done"))
    (tmp_path / stage.folder / stage.marker).unlink()
    assert state_of(tmp_path, stage) is State.MISSING


def test_what_is_of_another_request_is_set_aside_and_found_again(tmp_path: Path, stage: Stage) -> None:
    other = replace(stage, digest="0" * 64)
    made(tmp_path, stage, "first")
    set_aside(tmp_path, stage)
    assert state_of(tmp_path, stage) is State.DONE
    set_aside(tmp_path, other)
    assert state_of(tmp_path, other) is State.MISSING
    made(tmp_path, other, "second")
    set_aside(tmp_path, stage)
    assert (tmp_path / stage.folder / stage.marker).read_text() == "first"
    assert state_of(tmp_path, stage) is State.DONE
    set_aside(tmp_path, other)
    assert (tmp_path / stage.folder / stage.marker).read_text() == "second"


@pytest.mark.parametrize("content", ["", "[]", '{"digest": "../../x"}', '{"state": "done"}', "{" * 100_000])
def test_a_record_that_is_none(tmp_path: Path, stage: Stage, content: str) -> None:
    file = tmp_path / RECORDS / f"{stage.name}.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(UnderstudyError, match="is not the record of a stage"):
        read_record(tmp_path, stage)


@pytest.mark.parametrize("content", [b"s\tcpu_time\n\xff\xfe\t1\n", b"s\n" + b"1" * 200_000 + b"\n"])
def test_a_measurement_that_is_none(tmp_path: Path, stage: Stage, content: bytes) -> None:
    made(tmp_path, stage, state="exported")
    file = tmp_path / MEASURED / f"{stage.name}.tsv"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(UnderstudyError, match="is not what Snakemake measured"):
        read_record(tmp_path, stage)
