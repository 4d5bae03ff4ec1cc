"""A command as a whole process, and what it took: seconds, processor seconds, peak memory of it and all it starts.

Memory is looked at twenty times a second, as Linux tells it: all that is resident, and that part of it that is the
process's own (anonymous or shared memory). The rest are pages of files, which the system takes back when it needs them:
a limit of memory is held against the process's own. What lasts less than a twentieth of a second may be missed.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

UNDERSTUDY = (sys.executable, "-m", "understudy.cli.main")
INTERVAL = 0.05  # seconds
RESIDENT, OWN = "VmRSS", ("RssAnon", "RssShmem")


@dataclass(frozen=True)
class Took:
    """What a process took; memory in MiB, summed over it and its descendants."""

    code: int
    seconds: float
    processor_seconds: float
    peak_mib: float  # all that was resident
    own_mib: float  # without pages of files
    said: str  # the end of what it wrote


def measured(
    words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, most_seconds: float | None = None
) -> Took:
    """Run a command in a folder to its end; where it takes longer than ``most_seconds``, end it (code -9)."""
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    over, peaks = threading.Event(), [0.0, 0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, over, peaks))
    watcher.start()
    try:
        said = process.communicate(timeout=most_seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[0]
    seconds, after = time.perf_counter() - start, os.times()
    over.set()
    watcher.join()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return Took(process.returncode, seconds, spent, *peaks, said[-2000:])


def _watch(pid: int, over: threading.Event, peaks: list[float]) -> None:
    while True:
        for i, now in enumerate(memory_mib(pid)):
            peaks[i] = max(peaks[i], now)
        if over.wait(INTERVAL):
            return


def memory_mib(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process and its descendants, and the part that is their own, in MiB."""
    resident = own = 0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            children = [file.read_text().split() for file in Path(f"/proc/{one}/task").glob("*/children")]
        except OSError:  # it has ended
            continue
        waiting += [int(child) for task in children for child in task]
        fields = (line.partition(":") for line in lines)
        kib = {name: int(value.split()[0]) for name, _, value in fields if name in (RESIDENT, *OWN)}
        resident += kib.get(RESIDENT, 0)
        own += sum(kib.get(name, 0) for name in OWN)
    return resident / 1024, own / 1024
