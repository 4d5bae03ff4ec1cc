"""The progress bar: seen on a terminal only, and it hands on what it counts."""

import sys

import pytest

from understudy.core.progress import progress, tracked


@pytest.mark.parametrize("looked_at", [True, False])
def test_silent_where_nobody_looks(
    looked_at: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: looked_at)
    with progress("training", 4) as update:
        update(advance=3)
    captured = capsys.readouterr()
    assert not captured.out
    assert ("training" in captured.err) == looked_at


def test_items_come_through_in_order() -> None:
    assert list(tracked(iter("abc"), "letters")) == ["a", "b", "c"]
    assert list(tracked([1, 2], "numbers")) == [1, 2]
    assert list(tracked(iter("bc"), "letters", 3, done=1, quiet=True)) == ["b", "c"]
