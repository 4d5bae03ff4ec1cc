"""One small study through Snakemake on a real SLURM and through the local runner: are all files equal, byte for byte?

Run by ``make cluster``; the SLURM is this machine's own, or else brought up for it on 127.0.0.1 (slurm_up.sh) and taken
down again. On the way one training is cancelled with ``scancel``, after a checkpoint and before its end: the first call
of Snakemake fails, the second goes on. Logs and times are not compared. Then a training in two processes, which srun,
torchrun and understudy itself start in turn: the same networks. Exit code 0: all hold, or there is no SLURM to be had
and the reason is printed; 1: something does not hold.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
STUDY = HERE / "study.yaml"
UNDERSTUDY = [sys.executable, "-m", "understudy.cli.main"]
PACKAGES = "apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge"
SNAKEMAKE = ("snakemake==9.27.1", "snakemake-executor-plugin-slurm==2.8.0")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
ENGINE_FILES = {"Snakefile", "study.yaml", "log.jsonl"}  # log.jsonl: images per second
ENGINE_FOLDERS = {".snakemake", ".study", "logs", "profile"}
TIMES = {"report/report.html", "report/tables/cost.csv"}  # hold what stages took
CANCELLED = "run-seed0"
MOST_SECONDS = 600


class FailedCheckError(Exception):
    """Something does not hold."""


def answers(*command: str) -> bool:
    """Tell whether a program is there and succeeds."""
    return bool(shutil.which(command[0])) and not subprocess.run(command, capture_output=True, check=False).returncode


def reason_to_skip() -> str | None:
    """Say why no SLURM can be brought up here, if so."""
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"no {', '.join(missing)} here: {PACKAGES}"
    return "a SLURM of its own needs root" if os.geteuid() else None


def snakemake_program() -> str:
    """Return the Snakemake that UNDERSTUDY_SNAKEMAKE names or PATH has, else one in .venv-snakemake."""
    if found := shutil.which(os.environ.get("UNDERSTUDY_SNAKEMAKE") or "snakemake"):
        return found
    folder = Path(".venv-snakemake").absolute()
    if not (folder / "bin" / "snakemake").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *SNAKEMAKE], check=True)
    return str(folder / "bin" / "snakemake")


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Use the SLURM that answers here, or bring one up in a folder and take it down at the end."""
    if answers("sinfo"):
        yield
        return
    try:
        subprocess.run([HERE / "slurm_up.sh", folder], check=True)
        yield
    finally:
        subprocess.run([HERE / "slurm_down.sh", folder], check=True)


def start(snakemake: str, out: Path, log: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start Snakemake on the exported study, with what a SLURM without accounts asks for."""
    accounts = () if answers("sacct") else ("--slurm-no-account", "--slurm-status-command", "squeue")
    often = ("--slurm-init-seconds-before-status-checks", "2")
    with log.open("ab") as handle:
        return subprocess.Popen(
            [snakemake, "--profile", "profile", *often, *accounts, *options], cwd=out, stdout=handle, stderr=handle
        )


def wait(process: "subprocess.Popen[bytes]") -> int:
    """Return the exit code of a process that ends in time."""
    try:
        return process.wait(MOST_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        return -1


def cancel_a_training(out: Path, snakemake: "subprocess.Popen[bytes]") -> tuple[int, list[str]]:
    """Cancel the SLURM job of a training between a checkpoint and its end.

    Returns the images seen at the checkpoint, and the lines of the training's log up to there, at least one.
    """
    run, rule = out / "run" / CANCELLED, CANCELLED.replace("-", "_")
    while not logged(run, checkpoint(run)):
        if snakemake.poll() is not None:
            raise FailedCheckError("Snakemake ended before the training had a checkpoint and a line in its log")
        time.sleep(0.1)
    jobs = subprocess.run(["squeue", "--noheader", "--format=%i %k"], capture_output=True, text=True, check=True).stdout
    job = next((line.split()[0] for line in jobs.splitlines() if rule in line), None)
    if job is None:
        raise FailedCheckError(f"no job of SLURM is called {rule}: {jobs}")
    subprocess.run(["scancel", job], check=True)
    while state(job) in ("R", "CG"):
        time.sleep(0.1)
    if (run / "complete.json").exists():
        raise FailedCheckError("the training ended before it could be cancelled: give it more images")
    return checkpoint(run), logged(run, checkpoint(run))


def checkpoint(run: Path) -> int:
    """Return the images seen at the last checkpoint of a training; 0 without one."""
    return max((int(found.name) for found in run.glob("checkpoints/[0-9]*")), default=0)


def logged(run: Path, images_seen: int) -> list[str]:
    """Return the lines of a training's log up to so many images; they hold times, so no two trainings share them."""
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True) if (run / "log.jsonl").is_file() else []
    return [line for line in lines if line.endswith("\n") and json.loads(line)["images_seen"] <= images_seen]


def state(job: str) -> str:
    """Return a job's state in SLURM's short form: R running, CG completing, CA cancelled."""
    command = ["squeue", "--noheader", "--format=%t", "--states=all", f"--jobs={job}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def files(out: Path) -> dict[str, bytes]:
    """Return all files of a study's outputs with what they hold."""
    found = {}
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        place = file.relative_to(out)
        if not (place.parts[0] in ENGINE_FOLDERS or place.name in ENGINE_FILES or place.as_posix() in TIMES):
            found[str(place)] = file.read_bytes()
    return found


def compare(one: Path, other: Path) -> int:
    """Return how many files two studies share byte for byte; all do, or this is an error."""
    left, right = files(one), files(other)
    if differ := sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name)):
        raise FailedCheckError(f"{len(differ)} of {len(left | right)} files differ: {', '.join(differ[:5])}")
    return len(left)


def two_processes(cohort: Path, folder: Path) -> None:
    """Train in two processes, whoever starts them; all networks are the same, byte for byte."""
    words = ["train", "diffusion", str(cohort), "--preset", "demo", "--set", "images_seen=64", "--devices", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    starters = {
        "itself": UNDERSTUDY,
        "torchrun": [*torchrun, *UNDERSTUDY[2:]],
        "srun": ["srun", "-n", "2", *UNDERSTUDY],
    }
    environment, found = {**os.environ, "OMP_NUM_THREADS": "1"}, {}
    for name, command in starters.items():
        run = folder / f"two-{name}"
        done = subprocess.run(
            [*command, *words, "--out", run], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FailedCheckError(f"two processes that {name} starts: {done.stderr.strip()[-500:]}")
        found[name] = {file.name: file.read_bytes() for file in sorted((run / "snapshots").rglob("*.safetensors"))}
    if not found["itself"] or any(one != found["itself"] for one in found.values()):
        raise FailedCheckError("two processes give other networks by who started them")


def study(verb: str, out: Path, *options: str) -> str:
    """Run ``understudy study``; return the last line of what it printed."""
    command = [*UNDERSTUDY, "study", verb, str(STUDY), "--out", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedCheckError(f"study {verb} failed: {done.stderr.strip()}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def check(snakemake: str, folder: Path) -> str:
    """Run it all; return the result as one line."""
    cluster, local, log = folder / "slurm", folder / "local", folder / "snakemake.log"
    study("export", cluster, "--engine", "snakemake", "--program", shlex.join(UNDERSTUDY))
    with slurm(folder / "daemons"):
        began = time.monotonic()
        first = start(snakemake, cluster, log, "--retries", "0")
        seen, lines = cancel_a_training(cluster, first)
        if wait(first) == 0:
            raise FailedCheckError("Snakemake did not see that a job was cancelled")
        if wait(start(snakemake, cluster, log)) != 0:
            raise FailedCheckError(f"the second call of Snakemake failed: see {log}")
        took = time.monotonic() - began
        two_processes(cluster / "cohort", folder)
    if logged(cluster / "run" / CANCELLED, seen) != lines:
        raise FailedCheckError("the cancelled training did not go on at its checkpoint")
    study("run", local, "--jobs", "2")  # ends with the report
    study("report", cluster)
    equal = compare(cluster, local)
    if not (plan := study("plan", cluster)).startswith("6 of 6 stages are done"):
        raise FailedCheckError(f"the local runner does not see what Snakemake made: {plan}")
    return (
        f"cluster: 6 stages on SLURM in {took:.0f} s, one training cancelled at {seen} images and resumed; {equal} of "
        f"{equal} files are those of the local runner, byte for byte; two processes started by understudy, torchrun "
        "and srun train the same networks"
    )


def main() -> int:
    """Run the check in a new folder, which is removed if all hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("cluster-output"), help="a new folder, seen by all nodes")
    options = parser.parse_args()
    if not answers("sinfo") and (reason := reason_to_skip()):
        print(f"cluster: skipped, {reason}")
        return 0
    os.environ["UNDERSTUDY_KEY_FILE"] = str(options.out.absolute() / "key")  # the same pseudonyms on both sides
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir()
    try:
        print(check(snakemake_program(), options.out.absolute()))
    except FailedCheckError as error:
        print(f"cluster: FAILED: {error} (all is kept in {options.out})")
        return 1
    shutil.rmtree(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
