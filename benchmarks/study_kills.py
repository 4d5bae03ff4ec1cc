"""kill -9 of a study at random moments, the runner or a stage: its outputs equal an uninterrupted run's, byte for byte.

    python benchmarks/study_kills.py --kills 20 --out FOLDER

A small phantom study runs once undisturbed and once with so many kills, each followed by the same command again; then
every file of every stage is compared, but logs and records, which hold times. Pauses between kills are at most 1.6
times an equal share of the undisturbed run. Exit code 1 where a file differs, or the study ended before all kills.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

STUDY = """
study: kills
loops: {seed: [0, 1]}
stages:
  cohort:
    import: phantom
    subjects: 30
    slices: 3
    size: 32
  masks:
    train: [mask_gan, $cohort]
    preset: demo
    seed: $seed
    set: {images_seen: 6000, checkpoint_seconds: 1}
  painter:
    train: [diffusion, $cohort]
    preset: demo-labels
    seed: $seed
    set: {images_seen: 1600, checkpoint_seconds: 1, grid_every: 800}
  painted:
    sample: $painter
    labels: $masks
    n: 60
    seed: $seed
  joint:
    train: [diffusion, $cohort]
    preset: demo
    set: {images_seen: 1200, checkpoint_seconds: 1, grid_every: 600}
  drawn:
    sample: $joint
    n: 60
  utility:
    evaluate: utility
    real: $cohort
    synthetic: [$painted, $drawn]
    joins: [seed]
    set: {updates: 30, batch_size: 8, repeats: 1, checks: 2}
  fidelity:
    evaluate: fidelity
    real: $cohort
    synthetic: [$painted, $drawn]
    joins: [seed]
    set: {features: random}
"""
TIMED = ("log.jsonl", "report.html", "cost.csv")  # what holds times: logs of trainings, the report's cost
COMMAND = (sys.executable, "-m", "understudy.cli.main", "study", "run")


def start(folder: Path, out: Path) -> "subprocess.Popen[bytes]":
    """Start the study, or go on with it."""
    words = [str(folder / "kills.yaml"), "--out", str(out), "--jobs", "2", "--keep-going", "--key", str(folder / "key")]
    with (folder / "screen.log").open("ab") as log:
        return subprocess.Popen([*COMMAND, *words], stdout=log, stderr=log)


def children(pid: int) -> list[int]:
    """Return the stages that a runner runs."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text() if Path(f"/proc/{pid}").exists() else ""
    return [int(word) for word in text.split()]


def disturbed(folder: Path, out: Path, kills: int, longest: float, draw: random.Random) -> list[str]:
    """Run with kills, at most so many seconds apart, and say which."""
    told: list[str] = []
    process = start(folder, out)
    while len(told) < kills:
        time.sleep(draw.uniform(0.5, longest))
        if process.poll() is not None:
            if process.returncode == 0:
                break  # done before all kills
            process = start(folder, out)
            continue
        stages = children(process.pid)
        victim = draw.choice([process.pid, *stages])
        told.append("runner" if victim == process.pid else "stage")
        os.kill(victim, signal.SIGKILL)
        if victim == process.pid:
            process.wait()
            process = start(folder, out)
    while process.wait() != 0:
        process = start(folder, out)
    return told


def hashes(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of every stage."""
    files = [file for file in sorted(out.rglob("*")) if file.is_file() and file.name not in TIMED]
    names = {file: file.relative_to(out).as_posix() for file in files}
    kept = [file for file in files if not names[file].startswith(("logs/", ".study/"))]
    return {names[file]: hashlib.sha256(file.read_bytes()).hexdigest() for file in kept}


def main() -> int:
    """Read the command line; run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    (given.out / "kills.yaml").write_text(STUDY)
    (given.out / "key").write_text("no secret: a phantom")
    before = time.monotonic()
    if start(given.out, given.out / "whole").wait():
        print(f"the undisturbed run failed: see {given.out / 'screen.log'}")
        return 1
    took = time.monotonic() - before
    longest = max(2.0, 1.6 * took / given.kills)
    told = disturbed(given.out, given.out / "killed", given.kills, longest, random.Random(given.seed))
    whole, killed = hashes(given.out / "whole"), hashes(given.out / "killed")
    differ = sorted(name for name in whole.keys() | killed.keys() if whole.get(name) != killed.get(name))
    print(
        f"{len(told)} kills ({told.count('runner')} of the runner, {told.count('stage')} of a stage) in a study of "
        f"{took:.0f} s: {len(whole)} files, {len(differ)} differ"
    )
    for name in differ:
        print(f"  differs: {name}")
    return 1 if differ or len(told) < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
