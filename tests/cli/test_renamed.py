"""Words of old end with exit 2 and their new name."""

import pytest

from understudy.cli.main import main
from understudy.cli.renamed import OPTIONS, VERBS


@pytest.mark.parametrize(("old", "new"), [*VERBS.items(), *OPTIONS.items()])
def test_an_old_word_is_told_its_new_name(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(old.split()) == 2
    assert f"error: `{old}` is called `{new}` now" in capsys.readouterr().err
