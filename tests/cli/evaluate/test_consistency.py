"""``evaluate consistency`` as a user types it; results are in tests/cli/test_screen.py."""

import pytest
import yaml

from understudy.cli import main

LINE = "evaluate consistency --real r --synthetic s t --out x --dry-run --set"


def test_settings_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*LINE.split(), "quantile=0.1"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["network"], shown["quantile"], shown["synthetic"]) == ("segresnet", 0.1, ["s", "t"])
    for wrong, says in (("network=unet", "another architecture"), ("reference=test", "'reference'")):
        assert main.main([*LINE.split(), wrong]) == 2
        assert says in capsys.readouterr().err
