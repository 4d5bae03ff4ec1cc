"""The plan of a study: what is done, what is left, how long that takes and how much disk it fills.

A stage is expected to take what finished stages of the same entry took on average (those of other settings where there
are no others), else what the study says it needs, else nothing is known. **Checked** in tests/studies/test_plan.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from statistics import fmean

from understudy.studies.record import Record, State, read_record, state_of
from understudy.studies.stage import Stage, depths


@dataclass(frozen=True)
class Planned:
    """A stage, how things stand with it, and what its next run is expected to take; None: nothing is known."""

    stage: Stage
    state: State
    seconds: float | None
    disk_mb: float | None


def plan(stages: Sequence[Stage], out: Path) -> list[Planned]:
    """Look at every stage in a study's folder, which need not exist."""
    states = {stage.name: state_of(out, stage) for stage in stages}
    finished: dict[str, list[Record]] = {}
    earlier: dict[str, list[Record]] = {}
    for stage in stages:
        record = read_record(out, stage)
        if record is not None and record.state == "done":
            (finished if states[stage.name] is State.DONE else earlier).setdefault(stage.template, []).append(record)
    like = {**earlier, **finished}
    return [_planned(stage, states[stage.name], like.get(stage.template, [])) for stage in stages]


def _planned(stage: Stage, state: State, like: list[Record]) -> Planned:
    minutes, disk = stage.needs.minutes, stage.needs.disk_mb
    seconds = fmean(r.seconds for r in like) if like else None if minutes is None else 60 * minutes
    return Planned(stage, state, seconds, fmean(r.disk_mb for r in like) if like else disk)


def hours_left(planned: Sequence[Planned], jobs: int) -> float:
    """Return how many hours what is left takes with so many stages at once, unknown durations counted as none.

    Stages start as the runner starts them: those whose inputs are there, the deepest first.
    """
    left = {one.stage.name: one for one in planned if one.state is not State.DONE}
    depth = depths([one.stage for one in planned])
    order = sorted(left, key=lambda name: -depth[name])
    rank = {name: i for i, name in enumerate(order)}
    lacking = {name: sum(read in left for read in one.stage.inputs) for name, one in left.items()}
    readers: dict[str, list[str]] = {}
    for name, one in left.items():
        for read in one.stage.inputs:
            readers.setdefault(read, []).append(name)
    ready = [rank[name] for name in order if not lacking[name]]
    running: list[tuple[float, int]] = []  # when it ends
    now = 0.0
    while ready or running:
        while ready and len(running) < jobs:
            first = heappop(ready)
            heappush(running, (now + (left[order[first]].seconds or 0.0), first))
        now, ended = heappop(running)
        for name in readers.get(order[ended], ()):
            lacking[name] -= 1
            if not lacking[name]:
                heappush(ready, rank[name])
    return now / 3600
