"""A wrong path is refused by every verb before torch is imported; help costs even less."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from understudy.cli.main import main
code = main(sys.argv[1:])
heavy = sorted({"torch", "monai", "sklearn", "matplotlib"} & set(sys.modules))
sys.exit(f"{heavy} imported" if heavy else 40 + code)
"""
WRONG = [
    "import folder /nowhere --out new",
    "import brats /nowhere --out new",
    "import phantom --out no/where",
    "check /nowhere",
    "train diffusion /nowhere --out new",
    "train diffusion {cohort} --start /nowhere --out new",
    "train diffusion {cohort} --out no/where",
    "train diffusion {cohort} --out {cohort}",
    "import-weights stylegan2 /nowhere.pkl --out new",
    "sample /nowhere --n 4 --out new",
    "sample {cohort} --n 4 --out new",
    "sample {run} --labels /nowhere --n 4 --out new",
    "edit /nowhere --anatomy 3 --out new",
    "edit {cohort} --lesion a --place /nowhere --out new",
    "edit {cohort} --anatomy /nowhere --out new",
    "classify /nowhere --out new",
    "segment /nowhere {cohort} --out new",
    "segment {cohort} /nowhere --out new",
    "condition /nowhere --classifier {cohort} --n 4 --out new",
    "condition {run} --classifier /nowhere --n 4 --out new",
    "evaluate utility --real /nowhere --synthetic {cohort} --out new",
    "evaluate fidelity --real {cohort} --synthetic {cohort} /nowhere --out new",
    "evaluate fidelity --real {cohort} --synthetic {cohort} --network /nowhere --out new",
    "evaluate privacy --real {cohort} --synthetic {cohort} --generator /nowhere --out new",
    "evaluate consistency --real {cohort} --synthetic {cohort} --out no/where",
    "evaluate correlation /nowhere --out new",
    "evaluate interrater --real {cohort} --other /nowhere --out new",
    "screen {cohort} --evidence /nowhere --out new",
    "report /nowhere --out new",
    "release {cohort} --evidence /nowhere --out new",
    "release {cohort} --evidence {results} --real /nowhere --out new",
    "verify /nowhere",
    "reader create --real /nowhere --synthetic {cohort} --out new",
    "reader analyze /nowhere --out new",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders that look like a cohort, a run and results from outside, which is all that is looked at."""
    root = tmp_path_factory.mktemp("folders")
    found = {}
    for name, file in (("cohort", "cohort.json"), ("run", "run.json"), ("results", "results.json")):
        found[name] = root / name
        found[name].mkdir()
        (found[name] / file).write_text("{}")
    return found


def seconds(arguments: list[str], folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the command line in a process of its own; return it and the processor time it took, busy machine or not."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", CODE, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ran, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_path_is_told_before_torch_is_imported(line: str, folders: dict[str, Path], tmp_path: Path) -> None:
    ran, took = seconds(line.format(**folders).split(), tmp_path)
    assert ran.returncode == 42, ran.stderr
    assert ran.stdout == "" and ran.stderr.startswith("error: ") and ran.stderr.count("\n") == 1
    assert took < 1.5, f"{took:.2f} s"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["--help", "evaluate --help", "train --help", "settings"])
def test_help_is_quick(line: str, tmp_path: Path) -> None:
    ran, took = seconds(line.split(), tmp_path)
    assert ran.returncode == 40, ran.stderr
    assert took < 1.0, f"{took:.2f} s"


def test_completion_writes_nothing_unless_asked(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_UNDERSTUDY_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "understudy.cli.main"]
    environment["COMP_WORDS"] = "understudy evalu"
    environment["_TYPER_COMPLETE_ARGS"] = "understudy evalu"
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert "evaluate" in ran.stdout and list(tmp_path.iterdir()) == [], ran.stderr
