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
