import sys

import pytest

from understudy.core.progress import progress, tracked


def test_nothing_is_shown_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(tracked([1, 2, 3], "count")) == [1, 2, 3]
    with progress("train", 3, "updates") as update:
        update(advance=1, description="more")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_what_is_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("train [both,finetuned]", 3, "updates") as update:
        update(completed=2)
    out, shown = capsys.readouterr()
    assert out == ""
    assert "train [both,finetuned]" in shown
    assert "updates" in shown
    with progress("train", 3, quiet=True) as update:
        update(completed=2)
    assert capsys.readouterr() == ("", "")
