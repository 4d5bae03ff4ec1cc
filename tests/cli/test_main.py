"""The error boundary: one sentence on stderr, the right exit code, no traceback; and help that shows an example."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from understudy.api import paths
from understudy.cli import check, main
from understudy.core.errors import UnderstudyError, UsageError

VERBS = list(main.VERBS)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(paths, "folder", fail)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UnderstudyError("the cohort is damaged:\n make it again"), 1, "error: the cohort is damaged: make it again\n"),
        (UsageError("no such thing"), 2, "error: no such thing\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "error: the system refused (Permission denied): /x/y\n"),
        (KeyboardInterrupt(), 130, "error: interrupted: run the same command again to go on\n"),
    ],
)
def test_an_error_is_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, says: str
) -> None:
    raising(monkeypatch, error)
    assert run(capsys, "check", "somewhere") == (code, "", says)


def test_a_traceback_on_request(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, UnderstudyError("broken"))
    monkeypatch.setenv("UNDERSTUDY_TRACEBACK", "1")
    code, _, err = run(capsys, "check", "somewhere")
    assert code == 1 and "Traceback" in err and err.endswith("error: broken\n")


def test_a_fault_of_the_program_is_named_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, ZeroDivisionError("a bug"))
    code, _, err = run(capsys, "check", "somewhere")
    assert code == 1 and err.startswith("error: a fault in understudy") and "ZeroDivisionError: a bug" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "a", "b"],
        ["check", "a", "--nope"],
        ["nope"],
        ["import", "phantom"],
        ["check", "a", "--planned", "many"],
        ["import", "phantom", "--out", "x", "--size", "big"],
        ["import", "phantom", "--out", "x", "--subjects", "0", "--fit", "stretch"],
    ],
)
def test_bad_usage_is_two(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert "understudy demo --out demo-output" in "".join(run(capsys)[1:])


def test_an_error_is_short_and_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = run(capsys, "check", "/\x1b[31m" + "a" * 20_000)
    assert "/?[31maaa" in err and err.isascii() and len(err) < 9000


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, "understudy 0.1.0\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    code, out, err = run(capsys, verb, "--help")
    assert code == 0 and err == ""
    assert "Example:" in out and f"understudy {verb}" in out.split("Example:")[1]


def test_the_module_exits_with_the_code() -> None:
    command = [sys.executable, "-m", "understudy.cli.main", "check", "/nowhere"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.startswith("error: ") and "/nowhere" in ran.stderr


def test_check_is_registered() -> None:
    assert {"import", "check"} <= set(VERBS) and main.VERBS["check"] is check


def test_verbose_lets_libraries_speak(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("UNDERSTUDY_VERBOSE", "0")
    assert run(capsys, "settings")[0] == 0 and os.environ["UNDERSTUDY_VERBOSE"] == "0"
    assert run(capsys, "--verbose", "settings")[0] == 0 and os.environ["UNDERSTUDY_VERBOSE"] == "1"
