"""``evaluate correlation`` as a user types it; results are in tests/evaluation/correlation."""

from pathlib import Path

import pytest
import yaml

from understudy.cli import main


def test_results_take_the_place_of_cohorts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["evaluate", "correlation", "a", "b", "--out", "x", "--set", "draws=500", "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["results"], shown["draws"]) == ("evaluate correlation", ["a", "b"], 500)
    assert main.main(["evaluate", "correlation", str(tmp_path), "--out", f"{tmp_path}/out"]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
