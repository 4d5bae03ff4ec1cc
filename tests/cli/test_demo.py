"""The demo: its commands, and what it says at the end."""

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


def test_the_last_line_says_in_words_what_the_better_generator_reached(tmp_path: Path) -> None:
    header = "trained_on,class,dice,ratio,ratio_low,ratio_high,n_subjects"
    rows = ["real,mean,0.5,,,,12", "gan,mean,0.3,0.6,0.5,0.7,12", "diffusion,mean,0.4,0.8,0.7,0.9,12"]
    (tmp_path / "t.csv").write_text("\n".join([header, "gan,tumour,0.9,1,1,1,12", *rows]) + "\n")
    said = demo.conclusion(tmp_path / "t.csv")
    assert "(diffusion;" in said
    assert "a Dice of 0.40 on 12 subjects whom no generator saw; one that learned the real cases 0.50" in said
    assert "80% (95 % interval 70% to 90%)" in said


def test_every_stage_reads_what_an_earlier_one_made(tmp_path: Path) -> None:
    made: set[str] = set()
    for line in demo.chain(tmp_path, 3):
        out = line[line.index("--out") + 1] if "--out" in line else None
        inside = {word for word in line if word.startswith(str(tmp_path)) and not word.endswith("demo.key")} - {out}
        assert inside <= made, line
        made |= {out} if out else set()
