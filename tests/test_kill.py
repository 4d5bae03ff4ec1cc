"""Kill -9 at random moments of import, train and sample; run again: the same bytes as an uninterrupted run.

One kill a verb and one generator here; ``make kill`` (UNDERSTUDY_KILLS=10) does ten, of two.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "1"))
TRAIN = ["--preset", "demo", "--set", "images_seen=48", "--set", "snapshot_every=24", "--set", "grid_every=24",
         "--set", "batch_size=8", "--set", "checkpoint_seconds=0.2", "--seed", "4"]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    """All bytes of an output, but for the training log, which holds times."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "log.jsonl")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def kill_and_finish(forked: Any, whole: Path, out: Path, marker: str, *arguments: str | Path) -> None:
    start = time.monotonic()
    done = forked.verb(*arguments, "--out", whole)
    assert done.returncode == 0, done.stderr
    seconds, moments = time.monotonic() - start, random.Random(0)
    hits = tries = 0
    while tries < KILLS or (not hits and tries < KILLS + 5):  # a machine that has become faster: kill ever earlier
        tries += 1
        process = forked.start(forked.VERB, *arguments, "--out", out)
        process.join(moments.uniform(0.1, 1) * seconds * (1 if hits else 0.5 ** (tries - 1)))
        process.kill()
        process.join()
        hits += process.exitcode == -signal.SIGKILL
        assert (out / marker).is_file() == (out / marker).exists()
        if hits == 0:
            shutil.rmtree(out, ignore_errors=True)  # whole: the next try makes it anew
        if marker != "complete.json":
            assert not out.exists() or content(out) == content(whole), "a half-written folder under the final name"
    sys.stdout.write(f"{arguments[0]}: {hits} of {tries} kills came before the end\n")
    assert hits, "no kill came before the end"
    done = forked.verb(*arguments, "--out", out)
    assert done.returncode == 0, done.stderr
    assert content(out) == content(whole)
    assert not [p.name for p in out.parent.glob(".*") if out.name in p.name]


@pytest.fixture(scope="module")
def cohort(forked: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    kill_and_finish(forked, folder / "whole", folder / "again", "cohort.json",
                    "import", "phantom", "--subjects", "12", "--size", "32", "--seed", "1")  # fmt: skip
    return folder / "whole"


@pytest.mark.parametrize("generator", ["stylegan2", "diffusion"] if KILLS > 1 else ["stylegan2"])
def test_train_and_sample(generator: str, forked: Any, cohort: Path, tmp_path: Path) -> None:
    kill_and_finish(
        forked, tmp_path / "run", tmp_path / "run-again", "complete.json", "train", generator, cohort, *TRAIN
    )
    kill_and_finish(forked, tmp_path / "sample", tmp_path / "sample-again", "cohort.json",
                    "sample", tmp_path / "run", "--n", "24", "--seed", "2")  # fmt: skip
