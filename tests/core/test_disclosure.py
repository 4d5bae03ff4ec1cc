from pathlib import Path

from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.result import Result


def test_fewer_than_five_subjects_are_withheld() -> None:
    result = Result("a", 0.5, 0.4, 0.6, n=4)
    assert MIN_SUBJECTS == 5
    assert public(result, 5) is result
    held = public(result, 4)
    assert (held.value, held.low, held.high) == (None, None, None)
    assert "4 subjects" in held.note


def test_a_reason_that_is_there_stays() -> None:
    result = Result("a", None, note="no test subject counts")
    assert public(result, 1) is result


def test_internal_is_made_once_and_stamped(tmp_path: Path) -> None:
    assert internal(tmp_path) == internal(tmp_path) == tmp_path / "internal"
    assert "never leaves" in (tmp_path / "internal" / "INTERNAL.txt").read_text()
