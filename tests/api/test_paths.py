"""What is looked at first: folders by the file that makes them what they are, and places for an output."""

from pathlib import Path

import pytest

from understudy.api import paths
from understudy.core.errors import UsageError


@pytest.mark.parametrize("holds", paths.KINDS)
def test_a_folder_is_what_it_holds(holds: str, tmp_path: Path) -> None:
    what, remedy = paths.KINDS[holds]
    with pytest.raises(UsageError, match="folder was expected at .*none: ") as caught:
        paths.folder(tmp_path / "none", holds)
    assert what in str(caught.value) and str(caught.value).endswith(remedy)
    with pytest.raises(UsageError, match=f"is not {what} \\(no {holds} in it\\)"):
        paths.folder(tmp_path, holds)
    (tmp_path / holds).touch()
    assert paths.folder(tmp_path, holds) == tmp_path


def test_a_cohort_or_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a cohort"):
        paths.cohort_or_run(tmp_path)
    (tmp_path / "run.json").touch()
    assert paths.cohort_or_run(tmp_path) == tmp_path


def test_one_or_several() -> None:
    assert paths.several("a") == paths.several(Path("a")) == paths.several(["a"]) == [Path("a")]


def test_an_output_is_free_or_finished(tmp_path: Path) -> None:
    for out in (tmp_path / "new", tmp_path):
        assert paths.output(out, "run.json") == out
    (tmp_path / "else").touch()
    with pytest.raises(UsageError, match="exists and is not a finished output"):
        paths.output(tmp_path, "run.json")
    with pytest.raises(UsageError, match="exists and is not a finished output"):
        paths.output(tmp_path / "else", "run.json")
    (tmp_path / "run.json").touch()
    assert paths.output(tmp_path, "run.json") == tmp_path
    with pytest.raises(UsageError, match="does not exist: make it first"):
        paths.output(tmp_path / "a" / "b", "run.json")


def test_an_output_lies_outside_of_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "results")
    for inside in (tmp_path / "results" / "report", tmp_path / "link" / "x" / "y"):
        with pytest.raises(UsageError, match="lies inside .*results, which is read and must stay as it is"):
            paths.outside(inside, [tmp_path / "other", tmp_path / "results"])
    paths.outside(tmp_path / "report", [tmp_path / "results"])
    paths.outside(tmp_path / "results", [tmp_path / "results"])  # told elsewhere: it exists
