"""Whose image is whose by the names of files."""

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.identity import ALIKE
from understudy.data.sources.naming import NamedSubjects, refuse_unclear, subjects


def test_a_pattern_or_every_image() -> None:
    names = ["pat1_0", "pat1_1", "pat2_0"]
    assert subjects(names, NamedSubjects(subject_pattern="^[^_]+")) == (["pat1", "pat1", "pat2"], {})
    assert subjects(names, NamedSubjects(subject_pattern=r"pat(\d+)")) == (["1", "1", "2"], {})
    assert subjects(names, NamedSubjects(one_image_per_subject=True)) == (names, {})


def test_what_looks_alike_is_told() -> None:
    found, told = subjects(["P1_a", "p1_b", "P2_c"], NamedSubjects(subject_pattern="^[^_]+"))
    assert found == ["P1", "p1", "P2"] and told == {ALIKE: 2}


@pytest.mark.parametrize(("names", "pattern", "says"), [
    (["a"], r"\d+", "finds no subject in 'a'"),
    (["a"], r"(\d+)?a", "finds no subject in 'a'"),
    (["NA_1", "b_1"], "^[^_]+", r"--subject-pattern says no subject in 1 of 2 places \('NA'\)"),
])  # fmt: skip
def test_names_without_a_subject(names: list[str], pattern: str, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        subjects(names, NamedSubjects(subject_pattern=pattern))


def test_options_that_do_not_say_it_in_one_way() -> None:
    refuse_unclear(NamedSubjects(one_image_per_subject=True), {"--subject COLUMN": False})
    for options, other in ((NamedSubjects(), False), (NamedSubjects(subject_pattern="a"), True)):
        with pytest.raises(UsageError, match="--subject COLUMN, --subject-pattern REGEX .* found [02] of them"):
            refuse_unclear(options, {"--subject COLUMN": other})
    with pytest.raises(UsageError, match="is not a regular expression"):
        refuse_unclear(NamedSubjects(subject_pattern="["), {})
