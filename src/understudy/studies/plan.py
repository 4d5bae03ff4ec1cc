"""The plan of a study: what is done, what is left, how long that takes and how much disk it fills.

A stage is expected to take what finished stages of the same entry took on average, else what the study says it
needs, else nothing is known. **Checked** in tests/studies/test_plan.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from understudy.studies.record import Record, State, read_record, state_of
from understudy.studies.stage import Stage


@dataclass(frozen=True)
class Planned:
    """A stage, how things stand with it, and what its next run is expected to take; None: nothing is known."""

    stage: Stage
    state: State
    seconds: float | None
    disk_mb: float | None


def plan(stages: Sequence[Stage], out: Path) -> list[Planned]:
    """Look at every stage in a study's folder, which need not exist."""
    records = {stage.name: read_record(out, stage) for stage in stages}
    finished: dict[str, list[Record]] = {}
    for stage in stages:
        record = records[stage.name]
        if record is not None and record.state == "done":
            finished.setdefault(stage.template, []).append(record)
    return [_planned(stage, state_of(out, stage), finished.get(stage.template, [])) for stage in stages]


def _planned(stage: Stage, state: State, like: list[Record]) -> Planned:
    minutes, disk = stage.needs.minutes, stage.needs.disk_mb
    seconds = fmean(r.seconds for r in like) if like else None if minutes is None else 60 * minutes
    return Planned(stage, state, seconds, fmean(r.disk_mb for r in like) if like else disk)


def hours_left(planned: Sequence[Planned], jobs: int) -> float:
    """Return how many hours what is left takes with so many stages at once, unknown durations counted as none."""
    ends: dict[str, float] = {}
    workers = [0.0] * jobs
    for one in planned:
        if one.state is State.DONE:
            continue
        free = min(range(jobs), key=workers.__getitem__)
        start = max([workers[free], *(ends.get(name, 0.0) for name in one.stage.inputs)])
        ends[one.stage.name] = workers[free] = start + (one.seconds or 0.0)
    return max(workers) / 3600
