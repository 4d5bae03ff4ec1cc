"""Results on disk: what is written is read; NaN and files of another kind are refused."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results, write_results


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = [Result("a.b", 0.5, 0.25, 0.75, "Dice", "higher", 9, 3), Result("a.c", None, note="too few")]
    write_results(tmp_path, made, Provenance("evaluate utility", seed=3))
    results, provenance = read_results(tmp_path)
    assert results == made
    assert (provenance["command"], provenance["seed"]) == ("evaluate utility", 3)


def test_an_interval_that_rests_on_one_subject_is_withheld(tmp_path: Path) -> None:
    one, wide, several = (
        Result("a.b", 0.5, low, 0.5, "Dice", "higher", n) for low, n in ((0.5, 1), (0.1, 1), (0.5, 2))
    )
    write_results(tmp_path, [one, wide, several], Provenance("x"))
    (first, *others), _ = read_results(tmp_path)
    assert (first.value, first.low, first.high) == (0.5, None, None) and "rests on one subject" in first.note
    assert others == [wide, several]


def test_a_result_as_text() -> None:
    assert str(Result("a", 0.5, 0.25, 0.75, "Dice", n=9)) == "0.500 [0.250, 0.750] Dice (n = 9)"
    assert str(Result("a", 1, n=2)) == "1.000 (n = 2)"
    assert str(Result("a", None, note="too few")) == "not available (too few)"


@pytest.mark.parametrize("wrong", [{"value": float("nan")}, {"value": 1.0, "high": float("inf")}])
def test_a_metric_says_none_and_why(tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(UnderstudyError, match="the result a.b is (nan|inf)"):
        write_results(tmp_path, [Result("a.b", **wrong)], Provenance("x"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": [{"nam": 1}], "provenance": {}}', '{"results": 3}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnderstudyError, match=r"holds no results\.json"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UnderstudyError, match="is not a results file"):
        read_results(tmp_path)
