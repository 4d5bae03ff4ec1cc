"""The verbs of a reader study: what is printed, what is refused, and the demo from end to end."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.cli import reader
from understudy.cli.main import main
from understudy.cli.reader import advice
from understudy.core.cohort import Cohort
from understudy.core.result import read_results


def run(line: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    capsys.readouterr()
    assert main(line.split()) == code
    return "".join(capsys.readouterr())


def test_the_demo_is_a_whole_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reader, "DEMO", reader.DEMO.replace("90", "40").replace("64", "16"))
    monkeypatch.setattr(reader, "DEMO_CASES", 12)
    said = run("reader demo --out demo", capsys)
    assert "no person looked at an image" in said and "simulated readers" in said
    links = re.findall(r"http://127\.0\.0\.1:8765/(?:admin)?#([\w-]{43})", said)
    assert len(set(links)) == 3
    results = {one.name: one for one in read_results(tmp_path / "demo" / "results")[0]}
    assert results["reader.auc"].n == 24 and 0.3 < (results["reader.auc"].value or 0) < 0.95
    assert results["reader.outline.rejected"].n > 15
    page = (tmp_path / "demo" / "report" / "report.html").read_text()
    assert "Reader study" in page and "equivalence to guessing" in page and ">simulated reader" not in page
    assert "exists already" in run("reader demo --out demo", capsys, 2)


def test_the_power_is_told_and_what_is_too_small() -> None:
    small = advice(3, 30, 64, 0.10, False, 0)
    assert [line.split(":")[0] for line in small] == ["warning", "warning", "power", "warning"]
    assert "64 pixels" in small[0] and "3 reader(s)" in small[1] and "30 + 30 cases" in small[2]
    fine = advice(12, 150, 256, 0.10, False, 0)
    assert len(fine) == 1 and "12 readers x 150 + 150 cases" in fine[0]
    assert "with one reader" in advice(1, 100, 256, 0.10, False, 0)[-1]
    assert "40 pairs" in advice(6, 40, 256, 0.10, True, 0)[0]


def test_create_prints_links_once_and_keeps_hashes(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    classes_cohort(Path("real"), subjects=60)
    drawn = classes_cohort(Path("drawn"), subjects=30)
    manifest = json.loads((drawn.path / "cohort.json").read_text())
    manifest |= {"kind": "synthetic", "label_source": "sampled"}
    (drawn.path / "cohort.json").write_text(json.dumps(manifest))
    table = (drawn.path / "cases.csv").read_text().replace("secret", "drawn")
    (drawn.path / "cases.csv").write_text(table)
    (tmp_path / "q.yaml").write_text("title: A test\nmargin: 0.15\n")
    line = "reader create --real real --synthetic drawn --n 6 --readers 2 --questions q.yaml --out study"
    assert "margin: 0.15" in run(f"{line} --dry-run", capsys) and not Path("study").exists()
    said = run(line, capsys)
    assert "power: 2 readers x 6 + 6 cases" in said and said.count("#") == 3 and "8 pixels a side" in said
    assert "exists already" in run(line, capsys, 2)
    assert "has answered every case" in run("reader analyze study --out results", capsys, 1)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("reader create --real /nowhere --synthetic /nowhere --out x", "a cohort was expected at /nowhere"),
        ("reader create --real {0} --synthetic {0} --questions /nowhere --out x", "the questions of a reader study"),
        ("reader serve {0}", "a reader study was expected"),
        ("reader analyze {0} --out x", "a reader study was expected"),
    ],
)
def test_what_is_not_there_is_told(line: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in run(line.format(tmp_path), capsys, 2)


def test_dry_runs_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("reader serve study", "reader analyze study --out x", "reader demo"):
        assert "command: reader" in run(f"{line} --dry-run", capsys)


def test_without_the_extra_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    import understudy.reader.documents as documents

    monkeypatch.setitem(sys.modules, "understudy.reader.serving", None)
    monkeypatch.setattr(documents, "read_study_document", lambda folder: None)
    assert "pip install 'understudy[reader]'" in run(f"reader serve {tmp_path}", capsys, 2)
