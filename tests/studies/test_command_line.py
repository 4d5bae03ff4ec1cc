"""Commands as they would be typed: flags, lists, settings; and what the verb's parser says of mistakes."""

from pathlib import Path

import pytest

from understudy.core.errors import UsageError
from understudy.studies.command_line import CommandLine


def test_lists_are_commas_or_come_several_times(line: CommandLine) -> None:
    said = line.arguments(["import", "folder", "x"], {"images": "i", "classes": ["a", "b"], "out": "o"}, {}, {})
    assert said == ("import", "folder", "x", "--images", "i", "--classes", "a,b", "--out", "o")
    said = line.arguments(["evaluate", "utility"], {"real": "r", "synthetic": ["a", "b"], "out": "o"}, {}, {})
    assert said == ("evaluate", "utility", "--real", "r", "--synthetic", "a", "--synthetic", "b", "--out", "o")


def test_flags_and_what_is_left_out(line: CommandLine) -> None:
    given = {"anatomy": 4, "mirror": True, "whole": False, "adapt": False, "at": None, "out": "o"}
    assert line.arguments(["edit", "c"], given, {}, {}) == (
        "edit", "c", "--anatomy", "4", "--mirror", "--no-adapt", "--out", "o")  # fmt: skip
    with pytest.raises(UsageError, match="'mirror' is true or false, found 3"):
        line.arguments(["edit", "c"], {"mirror": 3}, {}, {})


def test_settings_are_yaml_on_one_line(line: CommandLine) -> None:
    settings = {"labels": "given", "channels": [1, 2], "on": True, "none": None, "x": 0.1, "text": "a: b"}
    said = line.arguments(["train", "diffusion", "c"], {"out": "o"}, settings, {})
    assert said[5:][1::2] == (
        "labels=given", "channels=[1, 2]", "on=true", "none=null", "x=0.1", "text='a: b'")  # fmt: skip
    with pytest.raises(UsageError, match="`import` takes no settings"):
        line.arguments(["import", "phantom"], {"out": "o"}, settings, {})


def test_the_key_goes_where_a_verb_takes_one(line: CommandLine) -> None:
    key = {"key": "k"}
    assert line.arguments(["edit", "c"], {"anatomy": 4, "out": "o"}, {}, key)[-2:] == ("--key", "k")
    assert "--key" not in line.arguments(["train", "diffusion", "c"], {"out": "o"}, {}, key)


def test_nothing_is_opened(line: CommandLine, tmp_path: Path) -> None:
    assert line.arguments(["screen", "c"], {"evidence": "e", "out": "o"}, {}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "options", "says"),
    [
        (["evaluate", "beauty"], {}, "there is no 'beauty' here: choose from utility"),
        (["import", "floppy"], {}, "there is no source 'floppy'"),
        (["sample", "r"], {"n": "many", "out": "o"}, "'--n': .*valid integer"),
        (["sample", "r"], {"out": "o"}, "--n"),
        (["sample", "r"], {"n": 0, "out": "o"}, "greater than or equal to 1"),
        (["sample", "r"], {"n": {"a": 1}, "out": "o"}, "an option has one value"),
        (["sample", "r"], {"fast": True}, "no option 'fast'"),
        (["sample", "--help"], {}, "'--help' is no argument of `sample`"),
        (["sample", "a\nb"], {"n": 1, "out": "o"}, "one line without control characters"),
        (["sample", "r"], {"n": 1, "labels": "a\0b", "out": "o"}, "one line without control characters"),
        (["sample", "r"], {"n": 1, "labels": "\ud800", "out": "o"}, "one line without control characters"),
        (["sample", "r" * 100_001], {"n": 1, "out": "o"}, "over 100,000 characters"),
    ],
)
def test_mistakes(line: CommandLine, words: list[str], options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        line.arguments(words, options, {}, {})
