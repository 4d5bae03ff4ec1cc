"""Options of ``evaluate fidelity`` that stand for settings, and that belong to no other evaluation."""

from pathlib import Path

import pytest
import yaml

from understudy.cli import main

ASKED = "evaluate {kind} --real r --synthetic s --out o --dry-run"


def run(kind: str, more: str) -> int:
    return main.main(f"{ASKED.format(kind=kind)} {more}".split())


def test_options_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    digest = "AB" * 32
    assert run("fidelity", f"--features torchscript --network n.pt --network-sha256 {digest} --cache c") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["features"], shown["network_sha256"]) == ("torchscript", digest.lower())
    assert (shown["network"], shown["cache"], shown["network_range"]) == ("n.pt", "c", "0..255")
    assert run("fidelity", "--set features=texture") == 0
    assert yaml.safe_load(capsys.readouterr().out)["features"] == "texture"


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("fidelity", "--features inception", "the setting 'features'"),
        ("fidelity", "--features random --set features=texture", "features was given twice"),
        ("fidelity", "--features torchscript --network-sha256 abc", "the setting 'network_sha256'"),
        ("privacy", "--features texture", "No such option: --features"),
        ("consistency", "--network-sha256 abc", "No such option: --network-sha256"),
        ("privacy", "--cache c", "No such option: --cache"),
        ("fidelity", "--task segmentation", "No such option: --task"),
    ],
)
def test_what_is_refused(
    kind: str, more: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(kind, more) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and said in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
