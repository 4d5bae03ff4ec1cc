"""A study to try things on, and a program that stands in for understudy: it makes outputs in no time."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from understudy.cli.main import app
from understudy.studies import runner
from understudy.studies.command_line import CommandLine
from understudy.studies.expand import expand
from understudy.studies.stage import Stage
from understudy.studies.study import StudyFile, read_study

STAND_IN = """
import json, os, pathlib, sys, time
words = sys.argv[1:]
out = pathlib.Path(words[words.index("--out") + 1])
markers = {"import": "cohort.json", "train": "complete.json", "sample": "cohort.json", "evaluate": "results.json"}
pathlib.Path("ran").mkdir(exist_ok=True)
(pathlib.Path("ran") / f"{out.name}-{time.monotonic_ns()}").touch()
if out.name in os.environ.get("FAIL", "").split():
    print("error: planted", file=sys.stderr)
    sys.exit(1)
time.sleep(float(os.environ.get("LAST", 0)))
out.mkdir(exist_ok=True)
told = {"words": words, "threads": os.environ["OMP_NUM_THREADS"], "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}
(out / markers[words[0]]).write_text(json.dumps(told))
"""


@pytest.fixture(scope="session")
def line() -> CommandLine:
    return CommandLine(typer.main.get_command(app))


@pytest.fixture
def small() -> dict[str, Any]:
    """A study of one cohort a fold, one run and one cohort a fold and seed, one evaluation a fold."""
    return {
        "study": "small",
        "loops": {"fold": [1, 2], "seed": [0, 1, 2]},
        "stages": {
            "cohort": {"import": "phantom", "subjects": 10, "fold": "$fold/2"},
            "run": {"train": ["diffusion", "$cohort"], "seed": "$seed", "set": {"images_seen": 100}},
            "cases": {"sample": "$run", "n": 4, "seed": "$seed"},
            "utility": {"evaluate": "utility", "real": "$cohort", "synthetic": "$cases", "joins": ["seed"]},
        },
    }


@pytest.fixture
def parsed(tmp_path: Path) -> Callable[[Any], StudyFile]:
    """Write a study as YAML and read it."""

    def go(content: Any) -> StudyFile:
        file = tmp_path / "study.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return read_study(file)

    return go


@pytest.fixture
def stages_of(parsed: Callable[[Any], StudyFile], line: CommandLine) -> Callable[[Any], list[Stage]]:
    return lambda content: expand(parsed(content), line)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runner start the stand-in."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(runner, "PROGRAM", (sys.executable, "-S", "-E", str(script)))
