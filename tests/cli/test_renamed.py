"""Words of old end with exit 2 and their new name, and none of them means anything else today."""

import pytest

from understudy.api.settings import described, names, settings_of
from understudy.cli.main import main
from understudy.cli.renamed import OPTIONS, SETTINGS, VERBS


@pytest.mark.parametrize(("old", "new"), [*VERBS.items(), *OPTIONS.items()])
def test_an_old_word_is_told_its_new_name(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(old.split()) == 2
    assert f"error: `{old}` is called `{new}` now" in capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), SETTINGS.items())
def test_an_old_setting_is_told_its_new_name(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"evaluate utility --real r --synthetic s --out o --dry-run --set {old}=1"
    assert main(line.split()) == 2
    assert f"the setting {old} is called `{new}` now" in capsys.readouterr().err


def test_an_old_setting_is_no_setting_today_and_its_new_name_is() -> None:
    known = {one.name for group in names().values() for name in group for one in described(settings_of(name))}
    assert not known & set(SETTINGS)
    assert set(SETTINGS.values()) <= known
