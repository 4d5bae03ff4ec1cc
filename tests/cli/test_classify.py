"""``classify``: settings of the classifier; trained ones are in tests/cli/test_class_verbs.py."""

import pytest
import yaml

from understudy.cli import main


def test_settings_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    line = "classify xrays --out classifier --seed 3 --dry-run --set network="
    assert main.main(f"{line}densenet-small".split()) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["cohort"], shown["seed"]) == ("classify", "xrays", 3)
    assert shown["network"] == "densenet-small"
    assert main.main(f"{line}resnet".split()) == 2
    assert "one of densenet, densenet-small was expected, found 'resnet'" in capsys.readouterr().err
