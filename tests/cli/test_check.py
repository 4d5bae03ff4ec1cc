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


def test_a_look_is_written_beside_the_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "import phantom --subjects 6 --slices 1 --size 16 --split train=0.5,test=0.5 --out"
    assert main.main([*line.split(), f"{tmp_path}/p"]) == 0
    capsys.readouterr()
    assert main.main(["check", f"{tmp_path}/p", "--planned", "10", "--look", f"{tmp_path}/look"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"look: {tmp_path}/look/look.html"
    page = (tmp_path / "look" / "look.html").read_text()
    for level, _, sentence in (line.partition(": ") for line in lines[:-2]):
        assert f'<li class="{level}"><b>{level}</b> {sentence}</li>' in page
    assert main.main(["check", f"{tmp_path}/p", "--look", f"{tmp_path}/p"]) == 2
    assert "not a finished output of this command" in capsys.readouterr().err
    assert main.main(["check", f"{tmp_path}/p", "--look", f"{tmp_path}/none/look"]) == 2
