"""The Snakefile of a made-up study: its text and what its shell lines do, and Snakemake itself where there is one."""

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import string
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UsageError
from understudy.studies.record import State, read_record, state_of, write_record
from understudy.studies.snakefile import _text, rule_names, snakefile, write_snakefile
from understudy.studies.stage import Needs, Stage

PROGRAM = """#!/usr/bin/env python3
# Stands for understudy: whole outputs or none, nothing to do where one is; the first try of a training is killed.
import os, pathlib, sys
words = sys.argv[1:]
with open("calls.txt", "a") as calls:
    calls.write(repr((os.environ["OMP_NUM_THREADS"], words)) + "\\n")
out = pathlib.Path(words[words.index("--out") + 1])
training = words[0] == "train"
marker = out / {"train": "complete.json", "evaluate": "results.json"}.get(words[0], "cohort.json")
if marker.exists():
    sys.exit(0)
if training:
    out.mkdir(exist_ok=True)
    tries = out / "checkpoint"
    tries.write_text(tries.read_text() + "." if tries.exists() else ".")
    if len(tries.read_text()) == 1:
        os.kill(os.getpid(), 9)
elif out.exists():
    sys.exit("the output exists")
else:
    out.mkdir()
marker.write_text("{}")
if words[0] == "evaluate" and not os.path.exists("failed"):
    open("failed", "w").close()
    sys.exit("killed between its last file and its end")
"""
WORDS = ("import", "folder", "a {b} 'c' $HOME \"d\" \\n; false\n#", "--out", "cohort")


def digest_of(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()


def stage(name: str, *inputs: Stage, words: tuple[str, ...], needs: Needs | None = None, **loops: str) -> Stage:
    template = name.partition("-")[0]
    folder = f"{template}/{name}" if loops else name
    words = tuple(folder if word == "OUT" else word for word in words)
    read = tuple(one.name for one in inputs)
    return Stage(name, template, loops, folder, words[0], words, read, needs or Needs(), digest_of(name))


@pytest.fixture
def stages() -> list[Stage]:
    cohort = stage("cohort", words=WORDS)
    made, painted = [cohort], []
    for seed in "01":
        needs = Needs(threads=2, memory_gb=6.5, gpus=1, minutes=90)
        run = stage(
            f"run-seed{seed}", cohort, words=("train", "diffusion", "cohort", "--out", "OUT"), needs=needs, seed=seed
        )
        needs = Needs(minutes=2)
        painted.append(
            stage(f"painted-seed{seed}", run, words=("sample", run.folder, "--out", "OUT"), needs=needs, seed=seed)
        )
        made += [run, painted[-1]]
    return [*made, stage("utility", cohort, *painted, words=("evaluate", "utility", "--out", "OUT"))]


def rules(text: str) -> dict[str, dict[str, Any]]:
    """Read the rules of a Snakefile: name -> directive -> value."""
    found = {}
    for block in text.split("\nrule ")[1:]:
        name, _, body = block.partition(":\n")
        entries = re.findall(r"^    (\w+):(.*(?:\n        .*)*)", body, re.MULTILINE)
        found[name] = {key: value.strip() for key, value in entries}
    return found


def listed(value: str) -> list[str]:
    return list(ast.literal_eval(f"[{value}]"))


def shell(rule: dict[str, Any], program: str) -> str:
    """Return the shell command as Snakemake would format it."""

    class Quoting(string.Formatter):
        def format_field(self, value: Any, format_spec: str) -> str:
            return shlex.quote(value) if format_spec == "q" else format(value, format_spec)

    (output,) = re.findall(r"^update\((.*)\)$", rule["output"])
    values = {"output": ast.literal_eval(output), "log": ast.literal_eval(rule["log"])}
    return Quoting().format(ast.literal_eval(f"({rule['shell']})"), UNDERSTUDY=program, **values)


def test_each_stage_is_a_rule_that_waits_for_the_stages_it_reads(stages: list[Stage]) -> None:
    found = rules(snakefile(stages, "toy"))
    markers = ["cohort/cohort.json", "run/run-seed0/complete.json", "painted/painted-seed0/cohort.json"]
    assert listed(found.pop("all")["input"])[:3] == markers
    assert list(found) == ["cohort", "run_seed0", "painted_seed0", "run_seed1", "painted_seed1", "utility"]
    assert "input" not in found["cohort"]
    assert listed(found["run_seed0"]["input"]) == markers[:1]
    assert listed(found["utility"]["input"]) == [markers[0], markers[2], "painted/painted-seed1/cohort.json"]
    assert found["painted_seed0"]["output"] == f'update("{markers[2]}")'
    assert all("directory(" not in rule["output"] for rule in found.values())
    assert found["utility"]["params"] == f'request="{digest_of("utility")}"'


def test_resources_are_what_a_stage_needs_with_twice_its_time(stages: list[Stage]) -> None:
    found = rules(snakefile(stages, "toy"))
    assert found["run_seed0"]["threads"] == "2"
    assert found["run_seed0"]["resources"] == "mem_mb=6656, cpus_per_task=2, runtime=180, gpu=1, tasks=0"
    assert found["painted_seed0"]["resources"] == "mem_mb=4096, cpus_per_task=1, runtime=10, tasks=1"
    assert found["cohort"]["resources"] == "mem_mb=4096, cpus_per_task=1, tasks=1", (
        "the site's limit where none is known"
    )


def test_words_reach_the_program_as_they_are_with_the_threads_of_the_study(stages: list[Stage], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    program = tmp_path / "program"
    program.write_text('#!/bin/bash\necho $OMP_NUM_THREADS; printf "%s\\0" "$@"\n')
    program.chmod(0o755)
    for name, threads, words in (("cohort", "1", WORDS), ("run_seed1", "2", stages[3].arguments)):
        rule = rules(snakefile(stages, "toy"))[name]
        subprocess.run(["bash", "-euc", shell(rule, str(program))], cwd=tmp_path, check=True)
        said, _, rest = (tmp_path / ast.literal_eval(rule["log"])).read_text().partition("\n")
        assert said == threads and tuple(rest.split("\0")[:-1]) == words


def test_a_folder_without_its_marker_is_cleared_and_that_of_a_training_is_kept(
    stages: list[Stage], tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    found = rules(snakefile(stages, "toy"))
    for one in stages:
        (tmp_path / one.folder).mkdir(parents=True)
        (tmp_path / one.folder / "left").touch()
    (tmp_path / "utility" / "results.json").touch()
    for rule in found.values():
        if "shell" in rule:
            subprocess.run(["bash", "-euc", shell(rule, "true")], cwd=tmp_path, check=True)
    kept = [one.name for one in stages if (tmp_path / one.folder).exists()]
    assert kept == ["run-seed0", "run-seed1", "utility"]


def test_rules_have_names_of_their_own() -> None:
    assert rule_names(["a-b", "a_b", "all", "import", "a.b"]) == {
        "a-b": "a_b", "a_b": "a_b_2", "all": "stage_all", "import": "stage_import", "a.b": "a_b_3",
    }  # fmt: skip
    assert len(set(rule_names([f"painted-fold{i}-x{i % 3}.5" for i in range(300)]).values())) == 300


def test_a_second_export_keeps_the_profile_and_another_programs_snakefile_is_refused(
    stages: list[Stage], tmp_path: Path
) -> None:
    file = write_snakefile(stages, tmp_path / "out", study="toy")
    assert file.read_text() == snakefile(stages, "toy")
    profile = file.parent / "profile" / "config.yaml"
    assert "executor: slurm" in profile.read_text()
    profile.write_text("mine")
    write_snakefile(stages[:1], tmp_path / "out", study="toy", program="apptainer exec image.sif understudy")
    assert profile.read_text() == "mine" and 'config.get("understudy", "apptainer' in file.read_text()
    file.write_text("rule mine:\n")
    with pytest.raises(UsageError, match="was not written by understudy"):
        write_snakefile(stages, tmp_path / "out", study="toy")
    assert file.read_text() == "rule mine:\n"


def changed(stages: list[Stage]) -> list[Stage]:
    """The same study with another request for the first training and all that depends on it."""
    return [replace(one, digest=digest_of("other")) if "seed0" in one.name else one for one in stages]


def test_what_the_engine_made_is_done_for_the_local_runner_too(stages: list[Stage], tmp_path: Path) -> None:
    write_snakefile(stages, tmp_path, study="toy")
    assert {state_of(tmp_path, one) for one in stages} == {State.MISSING}
    (tmp_path / stages[1].folder).mkdir(parents=True)
    assert state_of(tmp_path, stages[1]) is State.BEGUN
    (tmp_path / stages[1].folder / "complete.json").write_bytes(bytes(2**20))
    assert state_of(tmp_path, stages[1]) is State.DONE
    measured = tmp_path / ast.literal_eval(rules(snakefile(stages, "toy"))["run_seed0"]["benchmark"])
    measured.parent.mkdir(parents=True)
    measured.write_text("s\th:m:s\tmax_rss\tcpu_time\n61.5\t0:01:01\t-\t59.25\n")
    record = read_record(tmp_path, stages[1])
    assert record is not None and (record.seconds, record.cpu_seconds, record.peak_mb) == (61.5, 59.25, 0)
    assert record.disk_mb == 1 and record.command == "understudy train diffusion cohort --out run/run-seed0"
    write_record(tmp_path, stages[1], record.model_copy(update={"state": "started"}))
    assert state_of(tmp_path, stages[1]) is State.BEGUN, "one of the local runner is done when it says so"


def test_export_sets_aside_what_is_of_another_request_and_brings_it_back(stages: list[Stage], tmp_path: Path) -> None:
    write_snakefile(stages, tmp_path, study="toy")
    for one in stages[:3]:
        (tmp_path / one.folder).mkdir(parents=True)
        (tmp_path / one.folder / one.marker).write_text(one.digest)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").touch()
    with pytest.raises(UsageError, match="while Snakemake runs"):
        write_snakefile(changed(stages), tmp_path, study="toy")
    (tmp_path / ".snakemake" / "locks" / "0.input.lock").unlink()
    write_snakefile(changed(stages), tmp_path, study="toy")
    assert [(tmp_path / one.folder).exists() for one in stages[:3]] == [True, False, False]
    assert {state_of(tmp_path, one) for one in changed(stages)[1:]} == {State.MISSING}
    write_snakefile(stages, tmp_path, study="toy")
    assert [state_of(tmp_path, one) for one in stages[:4]] == [State.DONE] * 3 + [State.MISSING]
    assert (tmp_path / stages[2].folder / stages[2].marker).read_text() == stages[2].digest


@pytest.fixture
def snakemake(stages: list[Stage], tmp_path: Path) -> Callable[..., str]:
    """Return a run of Snakemake on the study with PROGRAM: options -> what it printed."""
    program = os.environ.get("UNDERSTUDY_SNAKEMAKE") or shutil.which("snakemake")
    if program is None:
        pytest.skip("no snakemake (UNDERSTUDY_SNAKEMAKE names the program; `make cluster` makes one)")
    (tmp_path / "understudy").write_text(PROGRAM)
    (tmp_path / "understudy").chmod(0o755)
    processor = [replace(one, needs=Needs(threads=one.needs.threads)) for one in stages]
    write_snakefile(processor, tmp_path / "out", study="toy", program=str(tmp_path / "understudy"))

    def run(*options: str) -> str:
        command = [program, "--profile", "profile", *options]
        done = subprocess.run(command, cwd=tmp_path / "out", capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def calls(folder: Path) -> list[tuple[str, list[str]]]:
    return [ast.literal_eval(line) for line in (folder / "calls.txt").read_text().splitlines()]


def test_snakemake_runs_it_and_retries_what_was_killed(
    snakemake: Callable[..., str], stages: list[Stage], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    snakemake("--executor", "local", "--cores", "1")
    made = calls(out)
    assert len(made) == 6 + 2 + 1, "each training twice, and the evaluation, whose marker was deleted after its failure"
    assert (out / "run" / "run-seed0" / "checkpoint").read_text() == "..", "what a killed training left is kept"
    assert next(words for _, words in made if words[0] == "import") == list(WORDS)
    assert {(threads, words[0]) for threads, words in made} >= {("2", "train"), ("1", "sample")}, "not those of --cores"
    measured = [record for one in stages if (record := read_record(out, one))]
    assert len(measured) == 6 and all(record.state == "done" and record.seconds > 0 for record in measured)
    assert "Nothing to be done" in snakemake("--executor", "local", "--cores", "1")
    snakemake("--executor", "local", "--cores", "1", "--forceall")
    assert len(calls(out)) == 9 + 6 and json.loads((out / "utility" / "results.json").read_text()) == {}


def test_slurm_runs_it(snakemake: Callable[..., str], tmp_path: Path) -> None:
    if not shutil.which("sinfo") or subprocess.run(["sinfo"], capture_output=True, check=False).returncode:
        pytest.skip("no SLURM answers here (`make cluster` brings one up)")
    accounting = subprocess.run(["sacct"], capture_output=True, check=False).returncode == 0
    accounts = () if accounting else ("--slurm-no-account", "--slurm-status-command", "squeue")
    snakemake("--slurm-init-seconds-before-status-checks", "2", *accounts)
    assert len(calls(tmp_path / "out")) == 9


def test_every_word_is_one_text_of_python() -> None:
    for word in ("a\rb", "a\nb", "\\", '"', "\x00\x0c", "😀", "{}", '"""', "\\N{DEGREE SIGN}"):
        assert ast.literal_eval(_text(word)) == word
        assert not set("\r\n\x00") & set(_text(word))


def test_a_pipe_instead_of_a_snakefile_is_not_waited_for(stages: list[Stage], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Snakefile")
    with pytest.raises(UsageError, match="was not written by understudy"):
        write_snakefile(stages, tmp_path, study="x")
