"""The how-to for DICOM folders, as it stands in docs/how-to/dicom.md: its script, then its commands, made small."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.core.cohort import Cohort

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "dicom.md"
SMALL = {
    "train": "--set channels=[8,16] --set head_channels=8 --set sampler_steps=2 --set sample_block=16",
    "sample": "--n 12",
}


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(script, str(PAGE), "exec"), {})
    commands = re.findall(r"^    understudy (.*)$", text, re.MULTILINE)
    assert len(commands) == 6
    shown = {}
    for command in commands:
        words = shlex.split(command.replace("images_seen=20000", "images_seen=16"))
        assert main([*words, *shlex.split(SMALL.get(words[0], ""))]) == 0, command
        out, err = capfd.readouterr()
        shown[command] = out + err
        if "--dry-run" in words:
            assert not (tmp_path / "cohort").exists() and "no DICOM" in shown[command]
    assert not [command for command, said in shown.items() if "Doe" in said or "P003" in said]
    cohort = Cohort.open(tmp_path / "cohort")
    assert len(cohort.subjects()) == 12 and cohort.scheme is not None
    assert cohort.scheme.names == ("background", "liver", "lesion")
    counts = np.bincount(np.asarray(cohort.labels[:]).ravel(), minlength=3)
    assert (counts > 0).all() and counts[1] > counts[2]
    assert (tmp_path / "look" / "look.html").is_file() and (tmp_path / "synthetic").is_dir()
