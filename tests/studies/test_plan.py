"""The plan: what is left, and what it takes by what finished stages took."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.studies.plan import hours_left, plan
from understudy.studies.record import Record, State, write_record
from understudy.studies.stage import Stage


def test_durations_come_from_finished_stages_else_from_the_study(
    stages_of: Callable[[Any], list[Stage]], small: dict[str, Any], tmp_path: Path
) -> None:
    small["stages"]["cohort"]["needs"] = {"minutes": 1}
    small["stages"]["run"]["needs"] = {"minutes": 60, "disk_mb": 8}
    stages = stages_of(small)
    before = {one.stage.name: one for one in plan(stages, tmp_path / "absent")}
    assert all(one.state is State.MISSING for one in before.values())
    assert before["run-fold1-seed0"].seconds == 3600
    assert before["cases-fold1-seed0"].seconds is None
    assert hours_left(list(before.values()), 1) == pytest.approx(6 + 2 / 60)
    assert hours_left(list(before.values()), 2) == pytest.approx(3 + 1 / 60)
    assert hours_left(list(before.values()), 99) == pytest.approx(1 + 1 / 60)  # one behind the other
    for stage, seconds in zip(stages[2:4], (100.0, 300.0), strict=True):
        (tmp_path / stage.folder).mkdir(parents=True)
        (tmp_path / stage.folder / stage.marker).touch()
        record = Record(digest=stage.digest, command="", state="done", seconds=seconds, disk_mb=seconds)
        write_record(tmp_path, stage, record)
    after = {one.stage.name: one for one in plan(stages, tmp_path)}
    assert after["run-fold1-seed0"].state is State.DONE
    assert (after["run-fold2-seed2"].seconds, after["run-fold2-seed2"].disk_mb) == (200, 200)


def test_a_stage_that_waits_keeps_no_place(stages_of: Callable[[Any], list[Stage]], small: dict[str, Any]) -> None:
    """Fold 1 takes 60 minutes, then 1; fold 2 one, then 60: side by side 61."""
    small["loops"] = {}
    minutes = {"slow": 60, "quick": 1, "after_slow": 1, "after_quick": 60}
    small["stages"] = {
        "slow": {"import": "phantom"},
        "quick": {"import": "phantom"},
        "after_slow": {"train": ["diffusion", "$slow"]},
        "after_quick": {"train": ["diffusion", "$quick"]},
    }
    for name, stage in small["stages"].items():
        stage["needs"] = {"minutes": minutes[name]}
    planned = plan(stages_of(small), Path("absent"))
    assert hours_left(planned, 2) == pytest.approx(61 / 60)
    assert hours_left(planned, 1) == pytest.approx(122 / 60)


def test_durations_of_other_settings_count_only_where_there_are_no_others(
    stages_of: Callable[[Any], list[Stage]], small: dict[str, Any], tmp_path: Path
) -> None:
    first = stages_of(small)
    for stage in first[:2]:
        (tmp_path / stage.folder).mkdir(parents=True)
        (tmp_path / stage.folder / stage.marker).touch()
        write_record(tmp_path, stage, Record(digest=stage.digest, command="", state="done", seconds=100))
    small["stages"]["cohort"]["subjects"] = 20
    second = stages_of(small)
    assert [one.seconds for one in plan(second, tmp_path)[:2]] == [100, 100]
    write_record(tmp_path, second[0], Record(digest=second[0].digest, command="", state="done", seconds=300))
    assert [one.seconds for one in plan(second, tmp_path)[:2]] == [300, 300]
