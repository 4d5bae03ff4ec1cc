"""Standard error of C libraries: kept from the screen, readable within, and back afterwards, whatever happens."""

import os

import pytest

from understudy.data.formats.stderr import kept_from_screen


def spoil() -> None:
    with kept_from_screen() as said:
        os.write(2, b"secret")
        said.seek(0)
        raise ValueError(said.read())


def test_what_is_written_is_kept_and_the_screen_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="secret"):
        spoil()
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"
    assert len(os.listdir("/proc/self/fd")) == before
