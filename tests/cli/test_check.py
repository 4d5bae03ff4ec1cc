"""``check``: findings as sentences, counted; exit code 1 where something must be mended."""

from pathlib import Path

import pytest

from understudy.cli import main


def test_findings_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "import phantom --subjects 6 --slices 1 --size 16 --split train=0.5,test=0.5 --out"
    assert main.main([*line.split(), f"{tmp_path}/p"]) == 0
    capsys.readouterr()
    assert main.main(["check", f"{tmp_path}/p"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{tmp_path}/p: 0 errors, ") and last.endswith(" warnings")
    assert main.main(["check", f"{tmp_path}/p", "--planned", "10"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("error: ") for line in lines) and f"{tmp_path}/p: 1 errors" in lines[-1]
