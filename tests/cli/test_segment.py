"""``segment`` as a user types it: what import leaves out gets label maps, and utility tests on patients' own."""

from pathlib import Path

import pytest
import yaml

from understudy.cli import main
from understudy.core.cohort import Cohort

SPLIT = "--split train=0.7,validation=0.15,test=0.15"
TINY = "--set channels=[4,8,8] --set updates=4 --set checks=1 --set batch_size=4 --set precision=fp32"


def test_settings_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    line = "segment labelled images --out both --seed 3 --dry-run --set network="
    assert main.main(f"{line}segresnet".split()) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["labelled"], shown["images"], shown["seed"]) == ("segment", "labelled", "images", 3)
    assert shown["network"] == "segresnet"
    assert main.main(f"{line}resnet".split()) == 2
    assert "found 'resnet'" in capsys.readouterr().err


def test_few_labelled_patients_and_many_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    start = f"import phantom --subjects 20 --slices 1 --size 16 {SPLIT}"
    assert main.main(f"{start} --train-subjects 4 --draw 0 --out labelled".split()) == 0
    assert main.main(f"{start} --unlabelled-beyond 4 --draw 0 --out images".split()) == 0
    assert main.main(f"segment labelled images --out both {TINY}".split()) == 0
    assert "3 validation subjects, by whom it was chosen" in capsys.readouterr().out
    labelled, both = Cohort.open("labelled"), Cohort.open("both")
    assert len(both.subjects("train")) == 14 and both.subjects("test") == labelled.subjects("test")
    assert main.main(["check", "both"]) == 0
    assert main.main(["edit", "both", "--lesion", "enhancing", "--grow", "2", "--out", "edited"]) == 0
    assert Cohort.open("edited").label_source == "edited patient"
