"""The local runner: the stages of a study, one process each, so many at once; run again, only what is missing.

A failed stage stops what depends on it, and with ``keep_going`` nothing else. Killed at any moment, runner or stages,
the next call goes on: a stage's output is complete or absent, trainings and samplings resume. On Linux the stages die
with their runner. Each stage has as many threads as it needs, said by its study, so that results depend neither on
the machine's load nor on how many run at once. Where the machine has GPUs, stages that need some get each their own,
and wait until so many are free.

**Checked** in tests/studies/test_runner.py and, with kill -9 at random moments, in benchmarks/study_kills.py.
"""

import ctypes
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from understudy.core.atomic import lock
from understudy.core.errors import UnderstudyError
from understudy.studies.record import (
    Record,
    State,
    read_record,
    refuse_snakemake,
    set_aside,
    size_mb,
    state_of,
    write_record,
)
from understudy.studies.stage import Stage, depths

PROGRAM = (sys.executable, "-m", "understudy.cli.main")
POLL_SECONDS = 0.05
TERM_SECONDS = 10.0
LAST_BYTES = 2**14  # of a log, among which its last line is looked for
PR_SET_PDEATHSIG = 1  # prctl.h
Told = Callable[[str, Stage, Record | None], None]  # "start", "done" or "failed"


@dataclass
class _Running:
    stage: Stage
    process: subprocess.Popen[bytes]
    record: Record
    before: float
    gpus: list[str]
    usage: tuple[int, float, float] | None = field(default=None)  # exit code, processor seconds, MiB

    def seconds(self) -> float:
        """Return the wall time of all runs so far."""
        return round(self.record.seconds + time.monotonic() - self.before, 2)


def run_stages(
    stages: Sequence[Stage], out: Path, *, jobs: int = 1, keep_going: bool = False, told: Told | None = None
) -> list[Stage]:
    """Run what is missing of the stages, ``jobs`` at once, in their order; return those that are not done.

    Raises:
        UsageError: another process, or Snakemake, runs this study.
        UnderstudyError: a record cannot be read.
    """
    (out / ".study").mkdir(parents=True, exist_ok=True)
    with lock(out / ".study" / "lock", f"running the study in {out}"):
        refuse_snakemake(out, "the study was to be run")
        set_aside(out, stages)
        left = [stage for stage in stages if state_of(out, stage) is not State.DONE]
        return _Runner(out, jobs, keep_going, told or (lambda *_: None), depths(stages)).run(left)


class _Runner:
    def __init__(self, out: Path, jobs: int, keep_going: bool, told: Told, depth: dict[str, int]) -> None:
        self.out, self.jobs, self.keep_going, self.told, self.depth = out, jobs, keep_going, told, depth
        self.running: list[_Running] = []
        self.failed, self.gpus = False, visible_gpus()
        self.free = list(self.gpus)

    def run(self, left: list[Stage]) -> list[Stage]:
        """Start stages when their inputs are there, until none can be started."""
        waiting, undone = list(left), {stage.name: stage for stage in left}
        try:
            while waiting or self.running:
                ready = [s for s in waiting if not any(name in undone for name in s.inputs)]
                ready.sort(key=lambda s: -self.depth[s.name])  # what lies deepest first: results come early
                if self.failed and not self.keep_going:
                    ready = []
                for stage in ready:
                    if len(self.running) < self.jobs and len(self.free) >= min(stage.needs.gpus, len(self.gpus)):
                        waiting.remove(stage)
                        self._start(stage)
                if not self.running:
                    break
                for one in self._ended():
                    if self._finish(one):
                        del undone[one.stage.name]
        except BaseException:
            self._stop()
            raise
        return list(undone.values())

    def _start(self, stage: Stage) -> None:
        before = read_record(self.out, stage)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        known = before if before is not None else Record(digest=stage.digest, command="", state="started")
        threads = stage.needs.threads
        record = known.model_copy(
            update={
                "command": shlex.join(["understudy", *stage.arguments]),
                "state": "started",
                "started": now,
                "host": platform.node(),
                "threads": threads,
                "code": None,
            }
        )
        log = self.out / "logs" / f"{stage.name}.log"
        if log.exists() and not log.is_file():  # a pipe would hang its writer
            raise UnderstudyError(f"a log was expected at {log}, found no file: move it away")
        folder = self.out / stage.folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_record(self.out, stage, record)
        log.parent.mkdir(exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        gpus, self.free = self.free[: stage.needs.gpus], self.free[stage.needs.gpus :]
        environment |= {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}
        with log.open("ab") as handle:
            handle.write(f"$ {record.command}\n".encode())
            handle.flush()
            process = subprocess.Popen(
                [*PROGRAM, *stage.arguments],
                cwd=self.out,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                preexec_fn=partial(_die_with, os.getpid()),
            )
        self.running.append(_Running(stage, process, record, time.monotonic(), gpus))
        self.told("start", stage, None)

    def _ended(self) -> list[_Running]:
        """Wait until a stage has ended; return those that have."""
        while True:
            for one in self.running:
                pid, status, usage = os.wait4(one.process.pid, os.WNOHANG)
                if pid:
                    code = one.process.returncode = os.waitstatus_to_exitcode(status)
                    one.usage = (code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
            ended = [one for one in self.running if one.usage]
            if ended:
                self.running = [one for one in self.running if not one.usage]
                return ended
            time.sleep(POLL_SECONDS)

    def _finish(self, one: _Running) -> bool:
        assert one.usage is not None
        self.free += one.gpus
        code, cpu_seconds, peak_mb = one.usage
        output = self.out / one.stage.folder
        complete = code == 0 and (output / one.stage.marker).is_file()
        record = one.record.model_copy(
            update={
                "state": "done" if complete else "failed",
                "seconds": one.seconds(),
                "cpu_seconds": round(one.record.cpu_seconds + cpu_seconds, 2),
                "peak_mb": round(max(one.record.peak_mb, peak_mb), 1),
                "disk_mb": round(size_mb(output), 3) if output.exists() else 0.0,
                "code": code,
            }
        )
        write_record(self.out, one.stage, record)
        self.failed = self.failed or not complete
        self.told("done" if complete else "failed", one.stage, record)
        return complete

    def _stop(self) -> None:
        """End all stages that run: they are asked first; what they had is kept and goes on the next time."""
        for one in self.running:
            one.process.send_signal(signal.SIGINT)
        until = time.monotonic() + TERM_SECONDS
        for one in self.running:
            try:
                one.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            write_record(self.out, one.stage, one.record.model_copy(update={"seconds": one.seconds()}))


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = map(str, range(torch.cuda.device_count())) if named is None else named.split(",")
    return [one for one in found if one.strip()]


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(1)


def last_words(out: Path, stage: Stage) -> str:
    """Return the last line of a stage's log: of a failed one, its error."""
    file = out / "logs" / f"{stage.name}.log"
    if not file.is_file():
        return ""
    with file.open("rb") as handle:
        handle.seek(max(file.stat().st_size - LAST_BYTES, 0))
        lines = handle.read(LAST_BYTES).decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
