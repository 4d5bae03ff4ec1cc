"""Numbers and names as people read them."""

import subprocess
import sys

import pytest

from understudy.core.result import Result
from understudy.evaluation.privacy import attacks
from understudy.report.reading import Table
from understudy.report.tables import Footnotes, heading, interval, number, results_table, table_view, words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.71234, "", "0.712"), (1.0, "", "1.000"), (33.94, "", "33.9"), (3.456, "", "3.46"), (0.00012, "", "0.00012"),
     (1234, "cases", "1,234"), (3, "cases", "3"),
        (0.64, "cases", "0.6"), (-0.5, "", "-0.500"), (None, "", "–"), (0.0, "", "0.000")],
)  # fmt: skip
def test_number(value: float | None, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_interval_and_words() -> None:
    assert interval(0.1, 0.2) == "0.100 to 0.200"
    assert interval(1.887, 12.27) == "1.9 to 12.3"  # the same decimals on both sides
    assert interval(None, 0.2) == "–"
    assert words("ratio.unet.dice.tumour") == "synthetic / real · U-Net · Dice · tumour"
    assert words("gain-25@10.unet.dice") == "gain of real + 25 % synthetic, 10 real subjects · U-Net · Dice"
    assert words("real@5") == "real, 5 real subjects" and words("both.g") == "real + synthetic · g"
    assert words("difference.unet.assd") == "difference to real · U-Net · ASSD" and heading("p_holm") == "p (Holm)"
    assert words("frechet_infinity.unseen", "fidelity") == "Fréchet distance, n → ∞ of these subjects · unseen subjects"


def test_recall_is_another_number_for_images_than_for_copies() -> None:
    assert words("recall.size_matched", "fidelity") == "recall: real near a synthetic case · equal numbers"
    assert words("audit.recall.mean", "privacy") == "audit · recall · mean" and words("recall", "utility") == "recall"
    (one, other) = results_table("", [Result("fidelity.recall", 1), Result("interrater.unet.recall", 1)]).rows
    assert one[0].startswith("recall: real near") and other[0] == "U-Net · recall"
    assert table_view(Table("t", ("recall",), (("1",),)), "fidelity").header == ["Recall: real near a synthetic case"]


def test_results_table_has_interval_n_and_notes_once() -> None:
    view = results_table(
        "All", [Result("a.b", 0.5, 0.4, 0.6, "", "higher", 22, note="why"), Result("a.c", None, note="why")]
    )
    assert view.rows == [["b (a)", "0.500", "0.400 to 0.600", "22", "higher"], ["c (a)", "–", "–", "–", ""]]
    assert view.notes == (("a", "why"),)


def test_table_joins_intervals_and_drops_empty_columns() -> None:
    header = ("trained_on", "value", "low", "high", "ratio", "ratio_low", "ratio_high", "blank")
    rows = (
        ("real", "0.71234", "0.66", "0.76", "", "", "", ""),
        ("synthetic", "0.5", "0.4", "0.6", "0.8", "0.7", "0.9", ""),
    )
    view = table_view(Table("utility", header, rows))
    assert view.header == ["Trained on", "Value", "Synthetic / real"]
    assert view.rows == [
        ["real", "0.712 [0.660, 0.760]", ""],
        ["synthetic", "0.500 [0.400, 0.600]", "0.800 [0.700, 0.900]"],
    ]
    assert view.numeric == [False, True, True]


def test_wide_tables_say_once_what_is_the_same_in_every_row() -> None:
    header = tuple("abcdefg")
    view = table_view(Table("wide", header, (tuple("1234567"), tuple("1234568"))))
    assert view.header == ["G"]
    assert view.caption == "In every row: a 1; b 2; c 3; d 4; e 5; f 6."


def test_a_column_of_notes_becomes_footnotes() -> None:
    view = table_view(
        Table(
            "fidelity", ("metric", "value", "note"), (("kid", "1.5", "few"), ("frechet", "2.5", ""), ("x", "1", "few"))
        )
    )
    assert view.rows == [["kid (a)", "1.500"], ["frechet", "2.50"], ["x (a)", "1"]]
    assert view.notes == (("a", "few"),)


def test_cells_of_names_are_in_words_and_low_and_high_join_what_stands_before_them() -> None:
    header = ("network", "score", "dice", "low", "high")
    view = table_view(Table("t", header, (("unet", "volume_difference", "0.5", "0.25", "0.75"),)), "utility")
    assert view.header == ["Network", "Score", "Dice"]
    assert view.rows == [["U-Net", "volume difference", "0.500 [0.250, 0.750]"]]


def test_every_attack_has_a_title_and_a_report_loads_no_attack() -> None:
    assert set(attacks.TITLES) == set(attacks.ATTACKS) and words("link_slices") == "linking slices"
    code = "import sys; from understudy.report.page import write_report; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_footnotes_stand_once() -> None:
    notes = Footnotes()
    assert [notes.mark(text) for text in ("x", "", "y", "x")] == [" (a)", "", " (b)", " (a)"]
    assert notes.notes == (("a", "x"), ("b", "y"))
    assert [Footnotes().mark("z"), len({notes.mark(str(i)) for i in range(40)})] == [" (a)", 40]
