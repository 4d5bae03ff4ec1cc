"""``verify``: what it looks at; whole and damaged bundles are in tests/release/test_verify.py."""

from pathlib import Path

import pytest
import yaml

from understudy.cli import main


def test_a_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["verify", "bundle", "--dry-run"]) == 0
    wanted = {"command": "verify", "bundle": "bundle", "key": None, "against": None}
    assert yaml.safe_load(capsys.readouterr().out) == wanted
    assert main.main(["verify", str(tmp_path)]) == 2
    assert f"{tmp_path} is not a bundle (no manifest.json in it)" in capsys.readouterr().err
