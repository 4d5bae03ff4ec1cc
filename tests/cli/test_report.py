"""``report``: several results, two editions; pages are in tests/report and tests/cli/test_verbs.py."""

import pytest
import yaml

from understudy.cli import main


def test_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["report", "a", "b", "--internal", "--out", "page", "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown == {"command": "report", "results": ["a", "b"], "out": "page", "internal": True}
    assert main.main(["report", "--out", "page"]) == 2
    assert "Missing argument 'RESULTS" in capsys.readouterr().err
