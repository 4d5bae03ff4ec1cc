"""What the import wrote down is repeated; an entry of another form says nothing."""

from collections.abc import Callable

from understudy.core.cohort import Cohort
from understudy.data.checks.recorded import recorded


def test_remarks_are_warnings_and_what_was_passed_over_is_information(remade: Callable[..., Cohort]) -> None:
    notes = {"remarks": {"a tilt was ignored": 3}, "passed_over": {"no image of this name": 2}}
    found = [(notice.level, notice.sentence) for notice in recorded(remade(preprocessing=notes))]
    assert found == [
        ("warning", "import: a tilt was ignored (3)"),
        ("info", "import passed over 2: no image of this name"),
    ]


def test_other_forms_say_nothing(phantom: Cohort, remade: Callable[..., Cohort]) -> None:
    assert list(recorded(phantom)) == []
    assert list(recorded(remade(preprocessing={"remarks": ["x"], "passed_over": {"x": "y"}}))) == []
