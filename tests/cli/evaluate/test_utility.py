"""``evaluate utility``: settings of the protocols, the task, and what is said of wrong ones."""

import re

import pytest
import yaml

from understudy.cli import main


def test_settings_of_the_protocols_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "utility", "--real", "r", "--synthetic", "s", "--out", "x", "--dry-run", "--set"]
    assert main.main([*line, "shares=[0.25, 0.5]", "--set", "network=pix2pix"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["arms"], shown["shares"], shown["real_subjects"]) == (["synthetic"], [0.25, 0.5], [])
    assert shown["finetune_share"] == 0.3 and shown["channels"] == [32, 64, 128, 256, 256]
    for wrong, says in (
        ("shares=[1.5]", "above 0 and below 1"),
        ("arms=[]", "nothing to compare"),
        ("share=[0.5]", "it has.*finetune_share.*real_subjects.*shares"),
    ):
        assert main.main([*line, wrong]) == 2
        assert re.search(says, capsys.readouterr().err)


def test_the_task_has_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    line = "evaluate utility --real r --synthetic s t --out x --dry-run --task"
    assert main.main([*line.split(), "classification"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["task"], shown["network"], shown["synthetic"]) == ("classification", "densenet", ["s", "t"])
    assert main.main([*line.split(), "guessing"]) == 2
    assert "there is no task 'guessing': choose from segmentation, classification" in capsys.readouterr().err
