"""Results as text: aligned, with intervals, and honest about what is withheld or not the right file."""

from pathlib import Path

import pytest

from understudy.cli.tables import results_table, show_results, show_table, utility_table
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results

UTILITY = """trained_on,class,dice,low,high,ratio,ratio_low,ratio_high,n_subjects,repeats
real,mean,0.75,0.7,0.8,,,,8,3
edm,mean,0.6,0.51,0.69,0.8,0.7,0.9,8,3
edm,tumour,,,,,,,4,3
"""


def test_dice_stands_beside_its_interval_its_ratio_and_n(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "utility.csv").write_text(UTILITY)
    show_table(*utility_table(tmp_path / "utility.csv"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["real", "mean", "0.750", "0.700", "to", "0.800", "8", "3"]
    assert lines[3].split()[2:] == ["0.600", "0.510", "to", "0.690", "0.800", "0.700", "to", "0.900", "8", "3"]
    assert lines[4].split() == ["edm", "tumour", "withheld", "4", "3"]
    assert {line.rindex("3") for line in lines[2:]} == {len(lines[2]) - 1}


def test_areas_have_the_same_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "utility.csv").write_text(UTILITY.replace("dice", "auc").replace("tumour,,,,,,,4", "tumour,,,,,,,0"))
    show_table(*utility_table(tmp_path / "utility.csv"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[3] == "AUC" and lines[3].split()[2] == "0.600" and lines[4].split()[2] == "none"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", UTILITY.replace("0.75", "much")])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "utility.csv").write_text(text)
    with pytest.raises(UnderstudyError, match=r"utility\.csv is not the table"):
        utility_table(tmp_path / "utility.csv")


def test_other_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(
        tmp_path,
        [
            Result("fidelity.kid", -0.0014, -0.003, 0.002, n=64),
            Result("fidelity.x", None, n=3),
            Result("fidelity.images", None, note="not measured: the synthetic cohort has no images"),
        ],
        Provenance("evaluate fidelity"),
    )
    show_results(tmp_path)
    shown = capsys.readouterr().out
    assert len(results_table(tmp_path)[1]) == 3 == len(shown.splitlines()) - 2
    assert shown.splitlines()[2].split() == ["fidelity.kid", "-0.0014", "-0.003", "to", "0.002", "64"]
    assert shown.splitlines()[3].split() == ["fidelity.x", "withheld", "3"]
    assert shown.splitlines()[4].split() == ["fidelity.images", "not", "measured", "0"]


def test_columns_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name", "n"), [("a", "1"), ("long [both,b] name", "10")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ["1", "10"] and {len(line) for line in lines[2:]} == {
        len(lines[1])
    }
    assert lines[3].startswith("long [both,b] name ") and all(line.isascii() for line in lines)
