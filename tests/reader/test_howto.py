"""docs/how-to/reader-study.md as it stands: its questions, its commands, made small; readers are simulated."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.core.result import read_results
from understudy.reader.simulated import answer_all
from understudy.reader.statistics.simulation import readers_with

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "reader-study.md"


def test_the_page_runs(
    cohorts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(cohorts["real"], "cohort")
    shutil.copytree(cohorts["gan"], "synthetic")
    text = PAGE.read_text()
    (questions,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    Path("Q.yaml").write_text(questions)
    commands = re.findall(r"^    understudy ([^#\n]*)", text, re.MULTILINE)
    assert [" ".join(line.split()[:2]) for line in commands] == [
        "reader demo", "reader create", "reader serve", "reader serve", "reader analyze", "report results-reader",
    ]  # fmt: skip
    for command in commands:
        words = shlex.split(command.replace("--n 100", "--n 14").replace("--readers 6", "--readers 2"))
        dry = words[1] in ("demo", "serve") or words[0] == "report"  # tests/cli/test_reader.py runs them
        assert main([*words, *(["--dry-run"] if dry else [])]) == 0, command
        if words[1] == "create":
            assert "power: 2 readers" in capfd.readouterr().out
            answer_all(Path("study"), readers_with(0.6))
    names = {one.name for one in read_results(Path("results-reader"))[0]}
    told = set(re.findall(r"`(reader\.[\w.]+)`", text)) - {"reader.generators_p", "reader.difference.A.B"}
    assert {name for name in told if name in names} == told
    for image in re.findall(r"\((\.\./images/\w+\.png)\)", text):
        assert (PAGE.parent / image).is_file(), image
