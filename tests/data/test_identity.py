"""Who and which: forms of one name are one, words for "not known" are nobody, and what looks alike is told."""

import unicodedata

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.identity import ALIKE, FORMS, file_name, is_known, look, plain, remarks, subjects

UNKNOWN = [
    "",
    "NA",
    "N/A",
    "n/a",
    "nan",
    "NaN",
    "None",
    "NULL",
    "-",
    "--",
    "?",
    "unknown",
    "missing",
    "#N/A",
    "nil",
    ".",
]


@pytest.mark.parametrize(
    "word", [*UNKNOWN, " ", "\u200b", "\ufeff", "—", "???", "<NA>", "\xa0NA ", "n\u200ba", "#REF!", "Anonymous"]
)
def test_what_is_not_known_is_nobody(word: str) -> None:
    with pytest.raises(
        UnderstudyError, match=r"^the column 'patient' says no subject in 2 of 3 places .*; fill it in$"
    ):
        subjects(["a", word, word], "the column 'patient'", "fill it in")


@pytest.mark.parametrize(
    "name", ["0", "00", "x", "nana", "Nan Goldin", "N", "none1", "患者", "-1", "1.", "unknown-7", "🧠"]
)
def test_names_that_are_names(name: str) -> None:
    assert subjects([name], "", "") == [name]
    assert is_known(name)


def test_a_message_names_the_words_and_stays_short() -> None:
    with pytest.raises(UnderstudyError, match=r"in 5 of 5 places \('NA', 'None', 'nan', \.\.\.\)"):
        subjects(["NA", "nan", "None", "null", ""], "a", "b")


@pytest.mark.parametrize("name", ["Müller", "é", "Å", "가", "Jos\u00e9 \u00d1"])
def test_composed_and_decomposed_are_one(name: str) -> None:
    other = unicodedata.normalize("NFD", name)
    assert name != other
    found = subjects([name, other, f" {name}\u200b", f"\ufeff{other}"], "", "")
    assert set(found) == {unicodedata.normalize("NFC", name)}
    assert remarks([name, other], found[:2]) == {FORMS: 1}


def test_what_is_inside_a_name_stays() -> None:
    for name in ("pat 0", "tab\tname", 'quote\'d "x"', "comma,name", "A  B", "１２", "ﬁ"):
        assert plain(name) == name


@pytest.mark.parametrize("group", [
    ("007", "7"), ("1", "1.0", "1e0", "01", "1,0", "1.", "+1"), ("P1", "p1", "P01"),
    ("A B", "A  B", "a b", "A_B", "A-B"),
    ("１２", "12"), ("12", "12.0", "12.00", "1.2e1"), ("0", "00", "000", "0.0"), ("x.", "x", "x.."), ("1e5", "100000"),
    ("STRASSE", "straße"), ("9" * 40 + "0", "9" * 40 + "0.0"),
])  # fmt: skip
def test_near_twins_are_pointed_out_and_never_merged(group: tuple[str, ...]) -> None:
    assert len({look(name) for name in group}) == 1
    found = subjects(group, "", "")
    assert found == list(group)
    assert remarks([*group, "other"], [*found, "other"]) == {ALIKE: len(group)}
    assert "alike" in ALIKE and "leading zero" in ALIKE


@pytest.mark.parametrize(
    "pair",
    [("1", "10"), ("1", "-1"), ("0x1", "1"), ("9" * 40, "9" * 39 + "8"), ("a1", "a10"), ("1e5", "1e6"), ("a", "b")],
)
def test_others_are_not(pair: tuple[str, str]) -> None:
    assert look(pair[0]) != look(pair[1])
    assert remarks(pair, pair) == {}


def test_remarks_hold_no_name() -> None:
    told = remarks(["Smith", "smith", "Mu\u0308ller"], ["Smith", "smith", "Müller"])
    assert told == {ALIKE: 2}


def test_very_long_numbers_and_exponents_cost_nothing() -> None:
    assert look("1e999999") == look("10e999998") == "1e999999"
    assert look("1" + "0" * 100_000) == "1e100000"
    assert look("1e99999999999999999999") == "1e99999999999999999999"  # no number: as text


@pytest.mark.parametrize(("text", "one"), [
    ("./a.png", "a.png"), ("a//b.png", "a/b.png"), ("a/./b.png", "a/b.png"), ("e\u0301.png", "é.png"), ("", ""),
    ("../a.png", "../a.png"), ("/a.png", "/a.png"), ("a/../b.png", "a/../b.png"), ("A.PNG", "A.PNG"),
])  # fmt: skip
def test_a_file_has_one_name(text: str, one: str) -> None:
    assert file_name(text) == one
