"""``condition``: which classes are wanted, and settings of the search."""

import pytest
import yaml

from understudy.cli import main


def test_a_dry_run_says_which_classes(capsys: pytest.CaptureFixture[str]) -> None:
    line = "condition run --classifier c --n 4 --out x --dry-run"
    requests: dict[str, object] = {
        "": "data",
        "--classes balanced": "balanced",
        "--classes a=1,b=0": {"a": 1.0, "b": 0.0},
    }
    for option, request in requests.items():
        assert (
            main.main([*line.split(), *option.split()]) == 0
            and yaml.safe_load(capsys.readouterr().out)["classes"] == request
        )


def test_settings_of_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    line = "condition run --classifier c --n 4 --out x --dry-run --set"
    assert main.main([*line.split(), "space=w"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["space"] == "w"
    assert main.main([*line.split(), "threshold=2"]) == 2
    assert "the setting 'threshold' of condition" in capsys.readouterr().err
