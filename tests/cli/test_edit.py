"""The verb edit, as a user types it, on a tiny phantom: edits, transplants, placing, anatomy; dry runs and refusals."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from understudy.cli import edit, main
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError

LESION = "--lesion necrosis,oedema,enhancing"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("edit")
    line = f"import phantom --subjects 6 --slices 2 --size 32 --split train=0.5,test=0.5 --out {root}/phantom"
    assert main.main(shlex.split(line)) == 0
    assert main.main(shlex.split(f"edit {root}/phantom --anatomy 3 --out {root}/tissues")) == 0
    return root


def run(root: Path, line: str) -> Cohort:
    arguments = shlex.split(line.format(root=root))
    assert main.main(arguments) == 0
    return Cohort.open(arguments[arguments.index("--out") + 1])


def test_anatomy_keeps_images_and_splits(phantom: Path) -> None:
    before, after = Cohort.open(phantom / "phantom"), Cohort.open(phantom / "tissues")
    assert after.kind == "real" and np.array_equal(after.images, before.images)  # type: ignore[arg-type]
    assert after.scheme is not None
    assert after.scheme.names == ("background", "tissue1", "tissue2", "tissue3", "necrosis", "oedema", "enhancing")
    assert after.column("split").tolist() == before.column("split").tolist()


def test_grown_and_moved(phantom: Path, tmp_path: Path) -> None:
    source = Cohort.open(phantom / "tissues")
    line = f"edit {{root}}/tissues {LESION} --grow 1.5 --move 0,1 --out {tmp_path}/e"
    cohort = run(phantom, line)
    assert source.labels is not None and cohort.labels is not None and cohort.images is None
    assert len(cohort) > 2 and cohort.sampling["made"] == len(cohort)
    for new, case in zip(cohort.labels, cohort.column("edited_from"), strict=True):
        old = source.labels[source.column("case_id").tolist().index(case)]
        assert (new > 3).sum() == pytest.approx(1.5 * (old > 3).sum(), rel=0.05, abs=0.51)
    before = (tmp_path / "e" / "cohort.json").stat().st_mtime_ns
    run(phantom, line)
    assert (tmp_path / "e" / "cohort.json").stat().st_mtime_ns == before  # a finished output is not made twice


def test_varied(phantom: Path, tmp_path: Path) -> None:
    options = "--grow 0.5:1.5 --move 0:4mm --rotate -90:90 --deform 0:0.3 --per-case 2 --splits train,test --seed 3"
    cohort = run(phantom, f"edit {{root}}/tissues {LESION} {options} --out {tmp_path}/e")
    assert all(text.endswith(" mm") for text in cohort.column("move")) and len(set(cohort.column("rotate"))) > 4
    assert {s for e in cohort.trained_on for s in e["splits"]} == {"train", "test"}


def test_transplanted_and_placed(phantom: Path, tmp_path: Path) -> None:
    there = run(phantom, f"edit {{root}}/tissues {LESION} --transplant {{root}}/phantom --out {tmp_path}/t")
    anywhere = run(
        phantom, f"edit {{root}}/tissues {LESION} --place {{root}}/phantom --forbidden tissue1 --out {tmp_path}/p"
    )
    assert (there.column("lesion_from") != "").all() and there.kind == anywhere.kind == "semi-synthetic"
    at = run(phantom, f"edit {{root}}/tissues {LESION} --transplant {{root}}/phantom --at 16,15 --out {tmp_path}/a")
    assert at.labels is not None
    assert all(np.abs(np.argwhere(m > 3).mean(0) - (16, 15)).max() <= 0.5 for m in at.labels)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("edit {root}/tissues --grow 2 --out {new}", 2),
        (f"edit {{root}}/tissues {LESION} --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow 0 --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow 2:1 --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow much --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --move 1,x --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --move 1,2,3 --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --move 0,500 --out {{new}}", 1),
        (f"edit {{root}}/tissues {LESION} --deform 2 --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow 2 --inside bone --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow 2 --splits dev --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --grow 2 --per-case 2 --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --place {{root}}/tissues --transplant {{root}}/tissues --out {{new}}", 2),
        (f"edit {{root}}/tissues {LESION} --anatomy 3 --out {{new}}", 2),
        ("edit {root}/phantom --mirror --anatomy 3 --out {new}", 2),
        ("edit {root}/phantom --augment 0 --anatomy 3 --out {new}", 2),
        ("edit {root}/tissues --anatomy 99 --out {new}", 2),
        ("edit {root}/phantom --anatomy {root}/tissues --out {new}", 2),
        ("edit {root}/nowhere --anatomy 3 --out {new}", 2),
    ],
)
def test_what_is_refused(
    phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int
) -> None:
    capsys.readouterr()
    assert main.main(shlex.split(arguments.format(root=phantom, new=tmp_path / "new"))) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and len(err) > 40
    assert "a fault in understudy" not in err and list(tmp_path.iterdir()) == []


EXAMPLES = [shlex.split(line)[1:] for line in edit.EXAMPLE.split("\n\n")[1:]]


@pytest.mark.parametrize("line", EXAMPLES, ids=" ".join)
def test_the_examples_of_the_help_are_understood(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main([*line, "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["command"] == "edit" and shown["out"] == line[line.index("--out") + 1]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_would_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(shlex.split("edit c --lesion a,b --grow 0.5:2 --move -4,0.5mm --out x --dry-run")) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["lesion"] == ["a", "b"] and shown["request"]["grow"] == [0.5, 2] and shown["splits"] == ["train"]
    assert shown["request"]["move"] == [-4, 0.5] and shown["request"]["unit"] == "mm"


def test_numbers_and_ranges() -> None:
    assert (
        edit.span("2", "--grow") == (2, 2) and edit.span("-5:5", "--rotate") == (-5, 5) and edit.span(None, "x") is None
    )
    assert edit.vector("4,0,-2", "--move") == (4, 0, -2)
    with pytest.raises(UsageError, match="--grow 0.5:2; found '1:b'"):
        edit.span("1:b", "--grow")
