"""Screen, report and release: killed, out of disk or of permission at any write, at once in one folder, by any clock.

Each runs in a process of its own, forked from this one, which dies, or whose file system refuses, at its k-th write.
Few moments here; ``make kill`` (UNDERSTUDY_KILLS=10) tries ten times as many.
"""

import errno
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.cli import main
from understudy.core.atomic import lock

GROWING = {"os.mkdir", "os.link"}  # beside writing a file; what a full disk refuses
EVENTS = {*GROWING, "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "1"))
KINDS = {"kill": 2 * KILLS, "full": KILLS, "denied": KILLS}  # how often each is tried, of each verb
SECONDS = 120


@pytest.fixture(scope="module")
def verbs(released: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return each verb's words, without the output."""
    bench = released.bench
    flagged = bench.judged("flagged-some", bench.synthetic, [2, 5])
    evidence = " ".join(map(str, released.evidence))
    return {
        "screen": f"screen {bench.synthetic} --evidence {flagged}",
        "report": f"report {evidence}",
        "release": f"release {bench.synthetic} --evidence {evidence} --real {bench.real} --sign {released.key}",
    }


@pytest.fixture(scope="module")
def wholes(verbs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Return what each verb makes where nothing stops it."""
    folder = tmp_path_factory.mktemp("whole")
    assert all(main.main(f"{words} --out {folder}/{verb}".split()) == 0 for verb, words in verbs.items())
    return {verb: content(folder / verb) for verb in verbs}


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def forked(words: str, at: int, what: str, told: Path) -> int:
    """Run the command line in a fork that meets ``what`` at its write number ``at``; return how it ended."""
    return ended(started(words, at, what, told))


def ended(process: int) -> int:
    """Wait for a process, and return how it ended."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise AssertionError("waited")


def started(words: str, at: int, what: str, told: Path) -> int:
    """Start a fork that runs the command line and meets ``what`` at its write number ``at``; return its number.

    It writes what it says, and how many writes there were, into the file ``told``.
    """
    process = os.fork()
    if process:
        return process
    code, writes = 99, [0]
    try:
        torch.set_num_threads(1)  # a fork has none of the threads that would be waited for
        with told.open("w") as heard:
            sys.stdout = sys.stderr = heard
            place = f"{told.parent}/"

            def meet(event: str, given: tuple[Any, ...]) -> None:
                opened = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
                changes = GROWING if what == "full" else EVENTS
                if (
                    not (opened or event in changes)
                    or not str(given[0]).startswith(place)
                    or str(given[0]) == str(told)
                ):
                    return
                writes[0] += 1
                if writes[0] == at:
                    if what == "kill":
                        os.kill(os.getpid(), signal.SIGKILL)
                    number = errno.ENOSPC if what == "full" else errno.EACCES
                    raise OSError(number, os.strerror(number), str(given[0]))

            sys.addaudithook(meet)
            code = main.main(words.split())
            heard.write(f"\nwrites {writes[0]}")
    finally:
        os._exit(code)


@pytest.mark.parametrize("verb", ["screen", "report", "release"])
def test_whatever_stops_it_it_is_whole_or_absent(
    verbs: dict[str, str], verb: str, tmp_path: Path, wholes: dict[str, dict[str, bytes]]
) -> None:
    told, words = tmp_path / "told", f"{verbs[verb]} --out {tmp_path}"
    assert forked(f"{words}/whole", -1, "", told) == 0, told.read_text()
    writes, whole = int(told.read_text().rpartition("writes ")[2]), wholes[verb]
    assert writes > 4 and content(tmp_path / "whole") == whole
    chosen, killed = random.Random(verb), 0
    for what, times in KINDS.items():
        for at in chosen.choices(range(2, writes), k=times):
            code, said = forked(f"{words}/out", at, what, told), told.read_text()
            assert not (tmp_path / "out").exists() or content(tmp_path / "out") == whole, (what, at)
            if what == "kill":
                assert code == -signal.SIGKILL
                killed += 1
            elif code:  # a write whose loss nothing depends on may be missed
                assert code == 1 and said.startswith("error: ") and said.strip().count("\n") <= 2, (what, at, said)
                assert ("the disk is full" if what == "full" else "the system refused") in said, (at, said)
            if (tmp_path / "out").exists():
                shutil.rmtree(tmp_path / "out")
    assert killed == KINDS["kill"]
    assert main.main(f"{words}/out".split()) == 0 and content(tmp_path / "out") == whole
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("verb", ["screen", "report", "release"])
def test_two_processes_race_for_one_folder(
    verbs: dict[str, str], verb: str, tmp_path: Path, wholes: dict[str, dict[str, bytes]]
) -> None:
    chosen, delay = random.Random(verb), 0.0
    for _ in range(KILLS):  # at once; with more rounds also one within the time of the other
        begun, place = time.monotonic(), tmp_path / "race"
        place.mkdir()
        said, processes = [tmp_path / "one", tmp_path / "other"], list[int]()
        for told in said:
            processes.append(started(f"{verbs[verb]} --out {place}/out", -1, "", told))
            time.sleep(delay)
        codes = [ended(process) for process in processes]
        delay = chosen.uniform(0, time.monotonic() - begun)
        assert 0 in codes and set(codes) <= {0, 2}, [told.read_text() for told in said]
        for code, told in zip(codes, said, strict=True):
            line, _, rest = told.read_text().strip().partition("\n")
            loser = (
                "(another process is writing|the output) .*/race/out(: wait for it to end| exists already: choose .*)"
            )
            assert not code or (re.fullmatch(f"error: {loser}", line) and rest.startswith("\nwrites")), (line, rest)
        assert content(place / "out") == wholes[verb] and [one.name for one in place.iterdir()] == ["out"]
        shutil.rmtree(place)


@pytest.mark.parametrize("verb", ["screen", "report", "release"])
def test_two_in_one_folder(
    verbs: dict[str, str], verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock(tmp_path / ".out.lock", "writing"):
        assert main.main(f"{verbs[verb]} --out {tmp_path}/out".split()) == 2
    assert f"another process is writing {tmp_path}/out: wait for it to end" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("clock", [lambda: -1e9, lambda: random.uniform(0, 1e11)])
def test_the_clock_may_jump(
    released: Any,
    verbs: dict[str, str],
    wholes: dict[str, dict[str, bytes]],
    tmp_path: Path,
    clock: Callable[[], float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", clock)
    for verb, words in verbs.items():
        assert main.main(f"{words} --out {tmp_path}/{verb}".split()) == 0
        assert content(tmp_path / verb) == wholes[verb]
    assert main.main(f"verify {tmp_path}/release --key {released.public}".split()) == 0
