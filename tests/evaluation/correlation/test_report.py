"""What evaluate correlation writes: tables, scatters, and what makes a coefficient hard to read."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.result import read_results
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.stage import evaluate_correlation

Write = Callable[..., Path]
QUICK = CorrelationConfig(draws=100, permutations=100)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def folders(tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write) -> list[Path]:
    return [fidelity(tmp_path / "f", cohorts(14)), utility(tmp_path / "u", cohorts(14))]


def test_what_is_written(tmp_path: Path, folders: list[Path]) -> None:
    out = evaluate_correlation(folders, tmp_path / "correlation", 0, QUICK)
    results, provenance = read_results(out)
    named = {result.name: result for result in results}
    assert len(named) == 6 and provenance["inputs"]["synthetic"].startswith("id00,id01")
    rho = named["correlation.frechet.spearman"]
    assert (rho.value, rho.low, rho.high, rho.n) == (pytest.approx(1), pytest.approx(1), pytest.approx(1), 14)
    assert (
        "3 generators resampled with all their cohorts (10 different resamples: a rough interval, often too short), "
        "0 of 100 degenerate" in rho.note
    )
    assert "p 0.0099, by Holm over the metrics 0.02 (utilities exchanged within generators)" in rho.note
    rows = table(out / "tables" / "correlation-cohorts.csv")
    assert rows[1] == {
        **{
            "cohort": "progan-1",
            "generator": "ProGAN",
            "id": "id01",
            "kind": "finished",
            "n_synthetic": "50",
            "utility": "0.34",
        },
        **{"utility_low": "0.24", "utility_high": "0.44", "frechet": "9.5", "coverage": "0.0952380952"},
    }
    assert [row["metric"] for row in table(out / "tables" / "correlation.csv")] == ["frechet", "coverage"]
    before = {file.name: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert evaluate_correlation(folders, out, 0, QUICK) == out
    again = evaluate_correlation(folders, tmp_path / "again", 0, QUICK)
    assert {file.name: file.read_bytes() for file in again.rglob("*") if file.is_file()} == before


def test_subsets_stand_beside_the_whole_and_spoilt_cohorts_apart(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    rows = cohorts(14)
    rows[12:] = [("id12", "diffusion", 0.5, 0.1), ("id13", "ProGAN", 9.0, 0.1)]  # spoilt; the first is not seen by FID
    folders = [fidelity(tmp_path / "f", rows), utility(tmp_path / "u", rows)]
    marked = QUICK.model_copy(update={"spoilt": ("id12", "id13"), "unfinished": tuple(f"id0{i}" for i in range(7))})
    out = evaluate_correlation(folders, tmp_path / "correlation", 0, marked)
    named = {result.name: result for result in read_results(out)[0]}
    assert list(named)[::3] == [
        f"correlation.{m}{s}.spearman" for s in ("", ".unspoilt", ".finished") for m in ("frechet", "coverage")
    ]
    whole, unspoilt = (named[f"correlation.frechet{s}.spearman"] for s in ("", ".unspoilt"))
    assert (whole.value or 1) < 0.8 and unspoilt.value == pytest.approx(1) and (whole.n, unspoilt.n) == (14, 12)
    assert "unspoilt cohorts: 12, of which chance alone passes 0.58 one time in 20" in unspoilt.note
    few = named["correlation.frechet.finished.spearman"]
    assert few.value is None and few.note == "not measured: 5 cohorts, and a coefficient needs 6"
    subsets = [(row["subset"], row["n_cohorts"]) for row in table(out / "tables" / "correlation.csv")[::2]]
    assert subsets == [("all", "14"), ("unspoilt", "12"), ("finished", "5")]
    spoilt = table(out / "tables" / "correlation-spoilt.csv")
    assert [(row["id"], row["unspoilt_better_in_utility"], row["frechet"]) for row in spoilt] == [
        ("id12", "1", "0"), ("id13", "1", "0.75")
    ]  # fmt: skip
    kinds = [row["kind"] for row in table(out / "tables" / "correlation-cohorts.csv")]
    assert kinds == ["unfinished"] * 7 + ["finished"] * 5 + ["spoilt"] * 2
    assert "diffusion (spoilt)" in (out / "curves" / "correlation-frechet.json").read_text()


def test_few_cohorts_have_a_table_and_a_scatter_alone(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    few = [fidelity(tmp_path / "f", cohorts(5)), utility(tmp_path / "u", cohorts(5))]
    out = evaluate_correlation(few, tmp_path / "correlation", 0, QUICK)
    for result in read_results(out)[0]:
        assert result.value is None and result.note == "not measured: 5 cohorts, and a coefficient needs 12"
    assert len(table(out / "tables" / "correlation-cohorts.csv")) == 5
    assert "5 cohorts: too few for a coefficient" in (out / "curves" / "correlation-frechet.json").read_text()


def test_what_makes_a_coefficient_hard_to_read_is_said(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    rows = [(id_, "" if i < 7 else "diffusion", x, y) for i, (id_, _, x, y) in enumerate(cohorts(14))]
    folders = [
        fidelity(tmp_path / "f", rows[:8]),
        fidelity(tmp_path / "g", rows[8:], n=70),
        utility(tmp_path / "u", rows),
    ]
    out = evaluate_correlation(folders, tmp_path / "correlation", 0, QUICK)
    note = read_results(out)[0][0].note
    assert (
        "50 to 70 cases, and many metrics depend on that" in note and "7 cohort(s) without a recorded generator" in note
    )
    assert table(out / "tables" / "correlation-cohorts.csv")[0]["generator"] == "not recorded"
    alone = [(id_, "diffusion", x, y) for id_, _, x, y in rows]
    more = [fidelity(tmp_path / "h", alone), utility(tmp_path / "v", alone)]
    first = read_results(evaluate_correlation(more, tmp_path / "alone", 0, QUICK))[0][0]
    assert first.value is not None and first.low is None and "one generator made all cohorts" in first.note
