"""The demo says which commands it is made of, and they are the commands that it runs."""

import shlex
from pathlib import Path

import pytest

from understudy.cli import demo, main


def test_a_dry_run_of_the_demo_prints_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["demo", "--dry-run", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [shlex.split(line)[1:] for line in lines] == demo.chain(Path("demo-output-3"), 3)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_are_a_chain_from_phantom_to_report() -> None:
    lines = demo.chain(Path("a b"), 2)
    assert lines[0][:2] == ["import", "phantom"] and lines[-1][0] == "report"
    made = {line[line.index("--out") + 1] for line in lines if "--out" in line}
    used = {word for line in lines for word in line if word.startswith("a b/") and not word.endswith(".key")}
    assert used == made and all(line[-2:] == ["--seed", "2"] for line in lines if line[0] in ("train", "sample"))
