"""``settings`` lists what may be set, and what has settings."""

import pytest

from understudy.api.settings import described, presets_of, settings_of
from understudy.cli.main import main
from understudy.core.errors import UsageError


def test_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    assert "generators: progan, " in capsys.readouterr().out
    assert main(["settings", "diffusion"]) == 0
    shown = capsys.readouterr().out
    assert all(one.name in shown for one in described(settings_of("diffusion"))) and "dp.epsilon" in shown
    assert all(f"preset {preset}: " in shown for preset in presets_of("diffusion"))
    assert main(["settings", "nothing"]) == 2
    assert "nothing called 'nothing' has settings: choose from progan, " in capsys.readouterr().err
    with pytest.raises(UsageError):
        settings_of("nothing")
