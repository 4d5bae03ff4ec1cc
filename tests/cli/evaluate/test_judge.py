"""What the evaluations share: a setting is given once, as an option or by --set; a dry run shows all."""

from pathlib import Path

import pytest
import yaml

from understudy.cli.evaluate.judge import judge
from understudy.core.errors import UsageError


def test_options_stand_for_settings(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"real": Path("r"), "synthetic": [Path("s")], "classifier": None}
    judge("fidelity", Path("o"), ["draws=3"], 4, True, {"features": "random", "network_sha256": None}, **inputs)
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["out"], shown["seed"]) == ("evaluate fidelity", "o", 4)
    assert (shown["features"], shown["draws"], shown["synthetic"]) == ("random", 3, ["s"])
    assert shown["network_sha256"] == "" and "classifier" not in shown
    with pytest.raises(UsageError, match="features was given twice, by --features and by --set"):
        judge("fidelity", Path("o"), ["features=texture"], 0, True, {"features": "random"}, **inputs)
