"""Records of stages: how things stand, and outputs that are set aside and brought back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError, UsageError
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
    set_aside(tmp_path, [stage])
    assert state_of(tmp_path, stage) is State.DONE
    set_aside(tmp_path, [other])
    assert state_of(tmp_path, other) is State.MISSING
    made(tmp_path, other, "second")
    set_aside(tmp_path, [stage])
    assert (tmp_path / stage.folder / stage.marker).read_text() == "first"
    assert state_of(tmp_path, stage) is State.DONE
    set_aside(tmp_path, [other])
    assert (tmp_path / stage.folder / stage.marker).read_text() == "second"


class Killed(BaseException):
    """Stands in for kill -9."""


@pytest.mark.parametrize("moves", range(5))
@pytest.mark.parametrize("back", [True, False])
def test_killed_between_any_two_moves_nothing_is_lost(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, moves: int, back: bool
) -> None:
    """Set aside, brought back, killed in between; then the same call again, or the other one."""
    other, rename, left = replace(stage, digest="0" * 64), Path.rename, iter([True] * moves)

    def killed(source: Path, target: Path) -> Path:
        if not next(left, False):
            raise Killed
        return rename(source, target)

    made(tmp_path, stage, "first")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        try:
            set_aside(tmp_path, [other])
            set_aside(tmp_path, [stage])
        except Killed:
            pass
    if not back:
        set_aside(tmp_path, [other])
        assert state_of(tmp_path, other) is State.MISSING
        made(tmp_path, other, "second")
    set_aside(tmp_path, [stage])
    assert state_of(tmp_path, stage) is State.DONE
    assert (tmp_path / stage.folder / stage.marker).read_text() == "first"


def test_what_snakemake_measured_stays_with_its_output(tmp_path: Path, stage: Stage) -> None:
    made(tmp_path, stage, state="exported")
    measured = tmp_path / MEASURED / f"{stage.name}.tsv"
    measured.parent.mkdir(parents=True)
    measured.write_text("s\n5\n")
    set_aside(tmp_path, [replace(stage, digest="0" * 64)])
    measured.write_text("s\n9\n")
    set_aside(tmp_path, [stage])
    record = read_record(tmp_path, stage)
    assert record is not None and record.seconds == 5


def test_what_was_made_by_hand_is_not_moved_over(tmp_path: Path, stage: Stage) -> None:
    made(tmp_path, stage, "first")
    set_aside(tmp_path, [replace(stage, digest="0" * 64)])
    (tmp_path / stage.folder).mkdir()
    (tmp_path / stage.folder / "mine").touch()
    set_aside(tmp_path, [stage])
    assert state_of(tmp_path, stage) is State.BEGUN and (tmp_path / stage.folder / "mine").exists()


def test_nothing_is_moved_while_snakemake_runs(tmp_path: Path, stage: Stage) -> None:
    made(tmp_path, stage)
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.input.lock").touch()
    set_aside(tmp_path, [stage])
    with pytest.raises(UsageError, match="settings changed while Snakemake runs"):
        set_aside(tmp_path, [replace(stage, digest="0" * 64)])


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
