"""study: new, plan and run on the command line, with the real verbs where they are quick."""

import os
from pathlib import Path

import pytest

from understudy.cli.main import main

STUDY = """
study: small
values: {slices: 2}
loops: {seed: [0, 1]}
stages:
  cohort:
    import: phantom
    subjects: 6
    slices: $slices
    size: 16
    seed: $seed
  tissues:
    edit: $cohort
    only: {seed: [0]}
    anatomy: 2
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    return file


def test_plan_and_run(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(study), "--out", str(tmp_path / "out")]
    assert main(["study", "plan", *asked, "--stages"]) == 0
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().out
    assert "to do    tissues-seed0: understudy edit cohort/cohort-seed0 --anatomy 2 --out tissues/tissues-seed0" in said
    assert "0 of 3 stages are done" in said
    assert main(["study", "run", *asked, "--jobs", "2"]) == 0
    assert "done   tissues-seed0" in capsys.readouterr().out
    assert (tmp_path / "out/tissues/tissues-seed0/cohort.json").is_file()
    assert main(["study", "plan", *asked]) == 0
    assert "3 of 3 stages are done" in capsys.readouterr().out
    assert main(["study", "plan", *asked, "--set", "slices=3"]) == 0
    assert "2 changed" in capsys.readouterr().out


def test_a_report_is_of_the_study_that_is_given(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another study is refused; the page shows the YAML whose report it is, not an earlier one."""
    out, other = tmp_path / "out", tmp_path / "other.yaml"
    assert main(["study", "run", str(study), "--out", str(out), "--only", "seed=1"]) == 0
    page = (out / "report/report.html").read_bytes()
    name = STUDY.partition("study: ")[2].partition("\n")[0]
    other.write_text(STUDY.replace(f"study: {name}", "study: another"))
    assert main(["study", "report", str(other), "--out", str(out)]) == 2
    assert f"holds the study {name}, and this is another" in capsys.readouterr().err
    assert (out / "report/report.html").read_bytes() == page
    study.write_text(STUDY + "report: {not_measured: [Nobody looked.]}\n")
    assert main(["study", "report", str(study), "--out", str(out)]) == 0
    assert (out / "report/report.html").read_text().count("Nobody looked.") == 2


def test_a_part_of_a_study_first(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(study), "--out", str(tmp_path / "out")]
    assert main(["study", "plan", *asked, "--only", "seed=1"]) == 0
    assert "0 of 1 stages are done" in capsys.readouterr().out
    assert main(["study", "run", *asked, "--only", "seed=1"]) == 0
    assert "done   cohort-seed1" in capsys.readouterr().out
    assert (tmp_path / "out/report/report.html").is_file() and not (tmp_path / "out/cohort/cohort-seed0").exists()
    assert main(["study", "plan", *asked]) == 0
    assert "1 of 3 stages are done" in capsys.readouterr().out
    assert main(["study", "run", *asked, "--only", "seed=2"]) == 2
    assert "--only seed=2 is nothing of this study" in capsys.readouterr().err


def test_a_failure_is_told_with_its_reason(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(STUDY.replace("subjects: 6", "subjects: 2"))
    assert main(["study", "run", str(study), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "3 of 3 stages are not done; cohort-seed0 failed: error: 2 subject(s) are too few" in said


@pytest.mark.parametrize(
    ("change", "more", "says", "code"),
    [
        (("subjects", "people"), [], "stage cohort-seed0: `import` has no option 'people'", 2),
        (("", ""), ["--set", "size=3"], "--set size is no value of the study: it has slices", 2),
        (("study: small", "study: small\nmore: 1"), [], "more: Extra inputs", 1),
        (("anatomy: 2", "anatomy: 2\n  run: {train: [spade, $cohort], set: {speed: 1}}"), [], "no setting 'speed'", 2),
        (
            ("anatomy: 2", "anatomy: 2\n  u: {evaluate: fidelity, real: a, synthetic: b, set: {x: 1}}"),
            [],
            "no setting",
            2,
        ),
        (
            ("anatomy: 2", "anatomy: 2\nreport: {samples: [{from: tisues}]}"),
            [],
            "the report asks for the stage 'tisues'",
            1,
        ),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], more: list[str],
    says: str, code: int,
) -> None:  # fmt: skip
    study.write_text(STUDY.replace(*change) if change[0] else STUDY)
    assert main(["study", "run", str(study), "--out", str(tmp_path / "out"), *more]) == code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    assert main(["study", "run", str(study), "--out", str(tmp_path / "out")]) == 2
    assert "is no study's folder, and not empty" in capsys.readouterr().err
    (tmp_path / "out" / "study.yaml").write_text(STUDY.replace("study: small", "study: large"))
    assert main(["study", "run", str(study), "--out", str(tmp_path / "out")]) == 2
    assert "holds the study large, and this is small" in capsys.readouterr().err


def test_a_study_is_kept_whole_in_a_folder_that_can_be(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "absent/out"):
        assert main(["study", "run", str(study), "--out", str(tmp_path / place)]) == 2
        assert "--out is a study's folder, or a new one" in capsys.readouterr().err
    kept = tmp_path / "out" / "study.yaml"
    kept.parent.mkdir()
    kept.write_text("study: small\nstages: {cohort: {import: phantom}}")

    def full(*_: object) -> None:
        raise OSError("planted")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["study", "run", str(study), "--out", str(tmp_path / "out")]) == 1
    assert kept.read_text() == "study: small\nstages: {cohort: {import: phantom}}"


def test_data_are_one_folder_however_they_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s.yaml").write_text("study: s\ndata: scans\nstages: {cohort: {import: [folder, $data], images: .}}")
    for name in ("x", "scans"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    said = []
    for more in ([], ["--data", "x/../scans"]):
        assert main(["study", "plan", "s.yaml", "--out", "out", "--stages", *more]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_new_and_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    assert "crossval" in capsys.readouterr().out
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").touch()
    asked = ["study", "new", "--data", str(tmp_path / "scans"), "--out", str(tmp_path / "mine.yaml")]
    assert main(asked) == 0
    assert "study: " in capsys.readouterr().out
    assert main(["study", "plan", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]) == 0
    assert main(asked) == 2
    assert "exists already: choose another --out" in capsys.readouterr().err


FOLDER = "study: f\ndata: images\nstages: {c: {import: [folder, $data], images: IMAGES}}\n"


def test_a_folder_among_the_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images" / "of").mkdir(parents=True)
    file, out = tmp_path / "f.yaml", tmp_path / "images" / "out"
    for verb in ("run", "export"):
        file.write_text(FOLDER.replace("IMAGES", "."))
        assert main(["study", verb, str(file), "--out", str(out)]) == 2
        assert "lies among the data that are imported" in capsys.readouterr().err and not out.exists()
    file.write_text(FOLDER.replace("IMAGES", "of"))
    assert main(["study", "export", str(file), "--out", str(out)]) == 0


def test_data_that_are_not_there(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "plan", str(study), "--out", str(tmp_path / "o"), "--data", str(tmp_path / "no")]) == 2
    assert "and there are none: correct --data" in capsys.readouterr().err


def test_a_link_for_the_kept_yaml_is_replaced_and_not_followed(study: Path, tmp_path: Path) -> None:
    out, precious = tmp_path / "out", tmp_path / "precious.yaml"
    out.mkdir()
    precious.write_text(STUDY + "title: precious\n")
    (out / "study.yaml").symlink_to(precious)
    assert main(["study", "export", str(study), "--out", str(out)]) == 0
    assert "precious" in precious.read_text() and (out / "study.yaml").read_text() == STUDY
