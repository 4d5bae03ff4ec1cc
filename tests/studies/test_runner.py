"""The local runner: what is missing, after failures, changes and kills; a program stands in for understudy."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.studies.record import Record, read_record
from understudy.studies.runner import last_words, run_stages
from understudy.studies.stage import Stage

KILLED = """
import sys
from pathlib import Path
import typer
from understudy.cli.main import app
from understudy.studies import runner
from understudy.studies.command_line import CommandLine
from understudy.studies.expand import expand
from understudy.studies.study import read_study
here = Path({folder!r})
runner.PROGRAM = ({python!r}, "-S", "-E", str(here / "stand_in.py"))
stages = expand(read_study(here / "study.yaml"), CommandLine(typer.main.get_command(app)))
runner.run_stages(stages, here / "out", jobs=2)
"""

pytestmark = pytest.mark.usefixtures("stand_in")
Stages = Callable[[Any], list[Stage]]


def ran(out: Path) -> Counter[str]:
    """Count how often each stage ran since the last look."""
    files = list((out / "ran").iterdir())
    names = Counter(file.name.rpartition("-")[0] for file in files)
    for file in files:
        file.unlink()
    return names


def test_all_run_once_and_then_nothing_does(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stages, out = stages_of(small), tmp_path / "out"
    events: list[str] = []
    assert run_stages(stages, out, jobs=3, told=lambda event, stage, _: events.append(f"{event} {stage.name}")) == []
    assert ran(out) == Counter(stage.name for stage in stages)
    assert all(events.index(f"done {name}") < events.index(f"start {s.name}") for s in stages for name in s.inputs)
    assert run_stages(stages, out) == []
    assert not ran(out)
    made = json.loads((out / "cases/cases-fold1-seed0/cohort.json").read_text())
    assert made["words"] == list(stages[8].arguments)
    record = read_record(out, stages[8])
    assert record is not None
    assert (record.state, record.code, record.seconds > 0, record.peak_mb > 1) == ("done", 0, True, True)


def test_threads_are_those_of_the_study(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    small["stages"]["cohort"]["needs"] = {"threads": 3}
    run_stages(stages_of(small)[:1], tmp_path / "out")
    assert json.loads((tmp_path / "out/cohort/cohort-fold1/cohort.json").read_text())["threads"] == "3"


def test_each_stage_that_needs_a_gpu_gets_its_own_and_waits_for_it(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small["stages"] = {"run": {"import": "phantom", "seed": "$seed", "needs": {"gpus": 1}}}
    small["loops"] = {"seed": [0, 1, 2, 3]}
    stages, out, now, most = stages_of(small), tmp_path / "out", set[str](), 0

    def told(event: str, stage: Stage, _: Record | None) -> None:
        nonlocal most
        (now.add if event == "start" else now.discard)(stage.name)
        most = max(most, len(now))

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setenv("LAST", "0.3")
    assert run_stages(stages, out, jobs=4, told=told) == [] and most == 2
    made = [json.loads((out / stage.folder / "cohort.json").read_text())["gpus"] for stage in stages]
    assert sorted(made[:2]) == ["3", "5"] and set(made) == {"3", "5"}
    small["stages"]["run"]["needs"] = {"gpus": 4}  # more than there are: the command says so
    run_stages(stages_of(small), tmp_path / "all", jobs=4)
    assert json.loads((tmp_path / "all" / stages[0].folder / "cohort.json").read_text())["gpus"] == "3,5"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run_stages(stages, tmp_path / "none", jobs=4, told=told) == [] and most == 4  # on processors


def test_a_failure_stops_what_depends_on_it_and_with_keep_going_nothing_else(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, out = stages_of(small), tmp_path / "out"
    monkeypatch.setenv("FAIL", "run-fold1-seed1")
    undone = run_stages(stages, out, jobs=2, keep_going=True)
    assert [stage.name for stage in undone] == ["run-fold1-seed1", "cases-fold1-seed1", "utility-fold1"]
    assert last_words(out, undone[0]) == "error: planted"
    ran(out)
    monkeypatch.delenv("FAIL")
    assert run_stages(stages, out) == []
    assert set(ran(out)) == {"run-fold1-seed1", "cases-fold1-seed1", "utility-fold1"}


def test_of_thirty_stages_with_a_planted_failure_the_second_call_runs_what_depends_on_it(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small["loops"]["seed"] = list(range(7))
    del small["stages"]["utility"]
    stages, out = stages_of(small), tmp_path / "out"
    assert len(stages) == 30
    monkeypatch.setenv("FAIL", "cohort-fold2")
    assert len(run_stages(stages, out, jobs=4, keep_going=True)) == 15
    ran(out)
    monkeypatch.delenv("FAIL")
    assert run_stages(stages, out, jobs=4) == []
    assert ran(out) == Counter(stage.name for stage in stages if stage.loops["fold"] == "2")


def test_without_keep_going_nothing_new_starts(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "cohort-fold1")
    assert len(run_stages(stages_of(small), tmp_path / "out")) == 16
    assert set(ran(tmp_path / "out")) == {"cohort-fold1"}


def test_a_changed_setting_remakes_what_depends_on_it_and_a_changed_mind_nothing(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path
) -> None:
    first, out = stages_of(small), tmp_path / "out"
    run_stages(first, out)
    ran(out)
    small["stages"]["cases"]["n"] = 5
    second = stages_of(small)
    run_stages(second, out)
    assert {name.partition("-")[0] for name in ran(out)} == {"cases", "utility"}
    run_stages(first, out)
    assert not ran(out)
    assert json.loads((out / "cases/cases-fold1-seed0/cohort.json").read_text())["words"][3] == "4"


def test_an_output_that_was_removed_is_made_again(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stages, out = stages_of(small), tmp_path / "out"
    run_stages(stages, out)
    ran(out)
    (out / "cases/cases-fold2-seed2/cohort.json").unlink()
    run_stages(stages, out)
    assert set(ran(out)) == {"cases-fold2-seed2"}


def test_an_exit_without_the_output_is_a_failure(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stages = stages_of(small)[:1]
    (tmp_path / "stand_in.py").write_text("")
    assert run_stages(stages, tmp_path / "out") == stages
    record = read_record(tmp_path / "out", stages[0])
    assert record == Record.model_validate({**vars(record), "state": "failed", "code": 0})


def test_one_runner_at_a_time(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stages, out = stages_of(small), tmp_path / "out"

    def told(event: str, stage: Stage, record: Record | None) -> None:
        with pytest.raises(UsageError, match="another process is running the study"):
            run_stages(stages, out)

    run_stages(stages[:1], out, told=told)


def test_stages_die_with_their_runner_and_are_run_again(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path
) -> None:
    stages, out = stages_of(small), tmp_path / "out"
    script = tmp_path / "runner.py"
    script.write_text(KILLED.format(python=sys.executable, folder=str(tmp_path)))
    process = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "LAST": "30"})
    until = time.monotonic() + 30
    while len(list(out.glob("ran/*"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.2)
    alive = subprocess.run(["pgrep", "-f", str(tmp_path / "stand_in.py")], capture_output=True, check=False).stdout
    assert not alive.strip() or sys.platform != "linux"
    record = read_record(out, stages[0])
    assert record is not None
    assert record.state == "started"
    assert run_stages(stages, out) == []


def test_snakemake_is_not_run_over(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    locks = tmp_path / "out/.snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").touch()
    with pytest.raises(UsageError, match="while Snakemake runs"):
        run_stages(stages_of(small), tmp_path / "out")
    assert not (tmp_path / "out/ran").exists()


def test_time_until_an_interruption_counts(
    stages_of: Stages, small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAST", "30")
    stages, out = stages_of(small)[:1], tmp_path / "out"

    def told(event: str, stage: Stage, record: Record | None) -> None:
        time.sleep(0.1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stages(stages, out, told=told)
    record = read_record(out, stages[0])
    assert record is not None and record.state == "started" and record.seconds >= 0.1


def test_a_pipe_instead_of_a_log_is_not_waited_for(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stages, out = stages_of(small), tmp_path / "out"
    (out / "logs").mkdir(parents=True)
    os.mkfifo(out / "logs" / f"{stages[0].name}.log")
    with pytest.raises(UnderstudyError, match="a log was expected at .*, found no file: move it away"):
        run_stages(stages, out)
    assert read_record(out, stages[0]) is None and last_words(out, stages[0]) == ""


def test_the_last_words_of_a_long_log(stages_of: Stages, small: dict[str, Any], tmp_path: Path) -> None:
    stage = stages_of(small)[0]
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{stage.name}.log").write_bytes(b"x\n" * 2**20 + b"\xff" * 10**6 + b"\nthe end\n\n")
    assert last_words(tmp_path, stage) == "the end"
