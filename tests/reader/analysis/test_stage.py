"""From a study folder to a results folder that the report takes up; the same answers give the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.result import read_results
from understudy.reader.analysis.stage import analyze_study
from understudy.reader.create import Created
from understudy.reader.simulated import answer_all
from understudy.reader.statistics.simulation import readers_with
from understudy.release.public import write_public
from understudy.report.reading import read_folders


def test_a_release_can_carry_it(make: Callable[..., Created], cohorts: dict[str, Path], tmp_path: Path) -> None:
    made = make(n=16, about="A long text. " * 200)
    answer_all(made.folder, readers_with(0.8))
    (folder,) = read_folders([analyze_study(made.folder, tmp_path / "results")])
    write_public(folder, tmp_path / "public", Cohort.open(cohorts["gan"]))
    results, provenance = read_results(tmp_path / "public")
    assert results[0].name == "reader.auc" and provenance["config"]["study.n"] == 16
    other = make("other", n=16, about="Another text.")
    answer_all(other.folder, readers_with(0.8))
    config = read_results(analyze_study(other.folder, tmp_path / "more"))[1]["config"]
    assert config["study"] != provenance["config"]["study"]


def test_a_results_folder(make: Callable[..., Created], tmp_path: Path) -> None:
    made = make(n=16)
    answer_all(made.folder, readers_with(0.8))
    out = analyze_study(made.folder, tmp_path / "results")
    results, provenance = read_results(out)
    assert provenance["command"] == "reader analyze" and set(provenance["inputs"]) == {"real", "synthetic"}
    assert results[0].name == "reader.auc" and results[0].n == 32 and all(r.n or r.value is None for r in results)
    assert all(r.low <= r.value <= r.high for r in results if None not in (r.low, r.value, r.high))
    assert (out / "internal").stat().st_mode & 0o077 == 0
    again = analyze_study(made.folder, tmp_path / "again")
    for file in ("results.json", "tables/readers.csv", "curves/roc.json"):
        assert (out / file).read_bytes() == (again / file).read_bytes()
    assert analyze_study(made.folder, out) == out  # finished
    with pytest.raises(UsageError, match="another request"):
        analyze_study(made.folder, out, seed=1)
