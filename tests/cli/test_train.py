"""``train``: presets and settings, said by a dry run; trained runs are in tests/cli/test_verbs.py."""

from pathlib import Path

import pytest
import yaml

from understudy.cli import main

PHANTOM = "import phantom --subjects 4 --slices 1 --size 16 --split train=1 --out"


def test_the_preset_auto_looks_at_the_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["train", "progan", "p", "--out", "run", "--dry-run"]) == 2
    assert "a cohort folder was expected at p" in capsys.readouterr().err
    assert main.main([*PHANTOM.split(), "p"]) == 0
    capsys.readouterr()
    assert main.main(["train", "progan", "p", "--out", "run", "--set", "images_seen=5", "--dry-run"]) == 0
    auto = yaml.safe_load(capsys.readouterr().out)
    assert main.main(["train", "progan", "p", "--preset", "demo", "--out", "run", "--dry-run"]) == 0
    demo = yaml.safe_load(capsys.readouterr().out)
    assert auto["command"] == demo["command"] == "train progan" and auto["images_seen"] == 5
    assert (auto["preset"], demo["preset"]) == ("auto", "demo") and auto["batch_size"] and auto != demo


@pytest.mark.parametrize(("line", "says"), [
    ("nope cohort", "there is no generator 'nope': choose from progan, "),
    ("spade cohort --preset nope", "there is no preset of spade 'nope': choose from auto, "),
    ("spade cohort --preset demo --set images_sen=5", "spade has no setting 'images_sen': it has "),
    ("spade cohort --preset demo --set images_seen=many", "the setting 'images_seen' of spade"),
    ("spade cohort --devices 0", "--devices"),
])  # fmt: skip
def test_what_is_refused(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["train", *line.split(), "--out", "run", "--dry-run"]) == 2
    assert says in capsys.readouterr().err
