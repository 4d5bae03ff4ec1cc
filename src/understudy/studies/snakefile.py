"""A study as a plain Snakefile: one rule a stage, the same commands as the local runner's, and a profile for SLURM.

    OUT/Snakefile             read by ``snakemake`` in OUT; edit the study and export again, not this file
    OUT/profile/config.yaml   how jobs are submitted; yours to edit, a second export leaves it as it is

Snakemake is called as a program from an environment of its own and never imported. What it takes to live with it:

- The output of a rule is the file that completes the folder (``cohort.json``). A ``directory()`` is deleted when its
  job fails, and the checkpoints of a training with it.
- ``update()`` keeps that file where a rule runs again: the command sees its finished output and does nothing.
- The folder of an output is made before the job, and the output of a failed job is deleted. A folder without its file
  is therefore cleared first; a training's is kept, since the command resumes from its checkpoints.
- ``threads`` shrinks to the cores there are, and results depend on the number of threads in their last bits: the
  commands hold the number itself.
- A changed request is seen by export, which sets what stands there aside as the local runner does, and by ``params``;
  a changed ``shell`` line is no reason to run again (``rerun-triggers`` in the profile).
- ``benchmark`` measures what a job takes; record.py reads it, so that ``study plan`` and the report know it.
- ``gpu`` without ``tasks=0`` starts a command once for each GPU (snakemake-executor-plugin-slurm, issues 316 and 459).

**Source**: Köster and Rahmann 2012, "Snakemake: a scalable bioinformatics workflow engine"; Snakemake 9.27.
**Checked** in tests/studies/test_snakefile.py, with Snakemake itself where it is found; on a real SLURM by ``make
cluster`` (benchmarks/cluster/).
"""

import json
import keyword
import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from understudy.core.atomic import lock, whole_file
from understudy.core.errors import UsageError
from understudy.studies.record import MEASURED, Record, State, read_record, set_aside, state_of, write_record
from understudy.studies.stage import Needs, Stage

FIRST_LINE = "# Written by `understudy study export`: edit the study and export again, not this file."
HEAD = """{first_line}
# Study {study}, {count}. Run in this folder:
#     snakemake --profile profile                              on a SLURM cluster
#     snakemake --profile profile --executor local --cores 2   on this machine
workdir: workflow.basedir
localrules: all

UNDERSTUDY = config.get("understudy", {program})


rule all:
    input:
{targets}
"""
RULE = """

rule {rule}:{inputs}
    output: update({output})
    log: {log}
    benchmark: {measured}
    params: request={digest}
    threads: {threads}
    resources: {resources}
    shell:
{shell}
"""
PROFILE = """# How Snakemake runs this study; every line is also an option of the command line (executor: --executor).
executor: slurm          # --executor local --cores 2: on this machine
jobs: 100                # at most so many in the queue at once
retries: 3               # a preempted training goes on where its last checkpoint is
keep-going: true         # a failed stage does not stop independent ones
rerun-incomplete: true   # a finished stage that was cut off while it ended is asked again, and does nothing
rerun-triggers: [mtime, params]
latency-wait: 60         # seconds that a shared file system may take to show a file
printshellcmds: true
# What your site asks for:
# default-resources: [slurm_account=NAME, slurm_partition=NAME]
# slurm-no-account: true            # no accounts at this site
# slurm-status-command: squeue      # no sacct at this site
"""
MIN_MINUTES, TIME_FACTOR = 10, 2


def write_snakefile(stages: Sequence[Stage], out: Path, *, study: str, program: str = "understudy") -> Path:
    """Hand a study over to Snakemake: write ``out``/Snakefile and, unless there is one, the profile.

    What stands in ``out`` of another request is set aside; what is done stays done. ``program`` is the shell's word, or
    words, for understudy on the machines that run the jobs. Returns the Snakefile.

    Raises:
        UsageError: ``out`` holds a Snakefile that another program wrote, or stages run there now.
    """
    file, profile = out / "Snakefile", out / "profile" / "config.yaml"
    if file.exists() and not (file.is_file() and file.read_bytes().startswith(FIRST_LINE.encode())):
        raise UsageError(f"{file} was not written by understudy and is not overwritten: choose another --out")
    for folder in (out / ".study", profile.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with lock(out / ".study" / "lock", f"running the study in {out}"):
        _hand_over(stages, out)
        for path, text in ((file, snakefile(stages, study, program)), (profile, PROFILE)):
            if path == file or not path.exists():
                with whole_file(path) as handle:
                    handle.write(text.encode())
    return file


def _hand_over(stages: Sequence[Stage], out: Path) -> None:
    """Set aside what is of another request; leave to the engine what is not done."""
    set_aside(out, stages)
    for stage in stages:
        record, state = read_record(out, stage), state_of(out, stage)
        if state is State.MISSING or (record is not None and state is not State.DONE):
            command = shlex.join(["understudy", *stage.arguments])
            record = record or Record(digest=stage.digest, command=command, state="exported")
            write_record(out, stage, record.model_copy(update={"state": "exported", "code": None}))


def snakefile(stages: Sequence[Stage], study: str, program: str = "understudy") -> str:
    """Return the text of the Snakefile: a rule for every stage, in their order, after a rule that asks for all."""
    marker = {stage.name: f"{stage.folder}/{stage.marker}" for stage in stages}
    names = rule_names([stage.name for stage in stages])
    head = HEAD.format(
        first_line=FIRST_LINE, study=study, count=f"{len(stages)} stages", program=_text(program),
        targets=_lines([marker[stage.name] for stage in stages]),
    )  # fmt: skip
    return head + "".join(_rule(stage, names[stage.name], marker) for stage in stages)


def rule_names(stages: Sequence[str]) -> dict[str, str]:
    """Return a name for each stage's rule, a Python identifier; equal ones get a number."""
    names: dict[str, str] = {}
    taken: dict[str, int] = {}  # with how often a name was wanted
    for stage in stages:
        plain = re.sub(r"\W", "_", stage, flags=re.ASCII)
        if keyword.iskeyword(plain) or plain == "all" or not plain.isidentifier():
            plain = f"stage_{plain}"
        name = plain
        while name in taken:
            taken[plain] += 1
            name = f"{plain}_{taken[plain]}"
        taken[name] = 1
        names[stage] = name
    return names


def _rule(stage: Stage, name: str, marker: dict[str, str]) -> str:
    inputs = [marker[read] for read in stage.inputs]
    command = " ".join(shlex.quote(word) for word in stage.arguments)
    lines = [f"OMP_NUM_THREADS={stage.needs.threads} {{UNDERSTUDY}} {_braced(command)} > {{log:q}} 2>&1"]
    if stage.verb != "train":
        lines.insert(0, f"test -e {{output:q}} || rm -rf {_braced(shlex.quote(stage.folder))}; ")
    return RULE.format(
        rule=name,
        inputs="\n    input:\n" + _lines(inputs) if inputs else "",
        output=_text(marker[stage.name]),
        log=_text(f"logs/{stage.name}.log"),
        measured=_text(f"{MEASURED}/{stage.name}.tsv"),
        digest=_text(stage.digest),
        threads=stage.needs.threads,
        resources=_resources(stage.needs),
        shell="\n".join(f"        {_text(line)}" for line in lines),
    )


def _resources(needs: Needs) -> str:
    """Write what a job asks for; of an unknown duration nothing is said, and the site's own limit holds."""
    wanted = {"mem_mb": math.ceil(1024 * needs.memory_gb), "cpus_per_task": needs.threads}
    if needs.minutes is not None:
        wanted["runtime"] = max(MIN_MINUTES, math.ceil(TIME_FACTOR * needs.minutes))
    wanted |= {"gpu": needs.gpus, "tasks": 0} if needs.gpus else {"tasks": 1}
    return ", ".join(f"{name}={value}" for name, value in wanted.items())


def _lines(files: Sequence[str]) -> str:
    return "\n".join(f"        {_text(file)}," for file in files)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # every such text is one of Python, too


def _braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
