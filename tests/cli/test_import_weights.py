"""import-weights as a user types it: a run that samples, dry runs, sentences and exit codes, nothing half made."""

import json
import os
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from understudy.cli import import_weights, main
from understudy.core.cohort import Cohort


@pytest.fixture(scope="module")
def folder(official_layout: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "network-snapshot-000007.pkl").write_bytes(official_layout.stylegan2_file())
    (folder / "classes.pkl").write_bytes(official_layout.stylegan2_file(2))
    (folder / "cut.pkl").write_bytes(official_layout.stylegan2_file()[:-100])
    (folder / "tf.pkl").write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00)\x81q\x01}b.")
    (folder / "evil.pkl").write_bytes(b"\x80\x04cposix\nsystem\n\x8c\x0ctouch canary\x85R.")
    (folder / "page.pkl").write_bytes(b"<!doctype html>")
    return folder


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    code = main.main(shlex.split(line))
    out, err = capsys.readouterr()
    return code, out, err


def test_weights_become_a_run_and_the_run_a_cohort(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = "--channels T1,T2,FLAIR --label-scheme 0=background,255=tumour --modality MR"
    command = f"import-weights stylegan2 {folder}/network-snapshot-000007.pkl {names} --out run"
    assert run(capsys, command) == (0, "run: run\n", "")
    assert run(capsys, command) == (0, "run: run\n", ""), "finished is kept"
    assert run(capsys, "sample run --n 4 --out cohort") == (0, "cohort: cohort\n", "")
    cohort = Cohort.open(tmp_path / "cohort")
    assert len(cohort) == 4 and cohort.modality == "MR" and cohort.provenance["config"]["images_seen"] == 7000
    assert [c.name for c in cohort.encoding.channels] == ["T1", "T2", "FLAIR"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cohort", "run"]


def test_classes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"import-weights stylegan2 {folder}/classes.pkl --classes ill,well --out {tmp_path}/run"
    assert run(capsys, command)[0] == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["classes"] == ["ill", "well"]
    assert run(capsys, f"sample {tmp_path}/run --n 2 --classes ill=1,well=0 --out {tmp_path}/cohort")[0] == 0


REFUSED = [
    ("stylegan2 {folder}/none.pkl", 2, "found nothing"),
    ("stylegan2 {folder}", 2, "found a folder"),
    ("stylegan1 {folder}/classes.pkl", 2, "there are official weights of stylegan2 and stylegan3"),
    ("stylegan2 {folder}/classes.pkl --classes a", 2, "trained with 2 classes, and 1 were named"),
    ("stylegan2 {folder}/classes.pkl --channels a,,b", 2, "names separated by commas"),
    ("stylegan2 {folder}/classes.pkl --channels a,b", 2, "draws 4 channels"),
    ("stylegan2 {folder}/classes.pkl --label-scheme tumour", 2, "a label scheme is written"),
    ("stylegan2", 2, "Missing argument"),
    ("stylegan2 {folder}/cut.pkl", 1, "is damaged"),
    ("stylegan2 {folder}/tf.pkl", 1, "TensorFlow"),
    ("stylegan2 {folder}/page.pkl", 1, "begins with"),
    ("stylegan2 {folder}/evil.pkl", 1, "asks for os.system"),
]


@pytest.mark.parametrize(("line", "code", "says"), REFUSED, ids=lambda part: str(part)[-40:])
def test_refusals(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str,
    code: int, says: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    found = run(capsys, f"import-weights {line.format(folder=folder)} --out run")
    assert found[:2] == (code, "") and says in found[2]
    assert found[2].startswith("error: ") and found[2].count("\n") == 1 and "fault in understudy" not in found[2]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("line", import_weights.EXAMPLE.split("\n\n")[1:], ids=lambda line: line[:45])
def test_the_examples_are_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.removeprefix("understudy ")
    code, out, err = run(capsys, f"{words} --dry-run")
    shown = yaml.safe_load(out)
    assert code == 0 and err == "" and shown["command"] == " ".join(words.split()[:2])
    assert shown["file"] == "network-snapshot-025000.pkl" and shown["out"] == words.split()[-1]
    assert os.listdir(tmp_path) == []
