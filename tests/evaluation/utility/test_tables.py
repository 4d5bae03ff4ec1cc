"""Tables of utility: comparisons are corrected together, and groups are withheld whole."""

import csv
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.groups import Group, grouped
from understudy.evaluation.utility.report import UtilityFindings
from understudy.evaluation.utility.segmentation import MapOutcome, MapScores, Segmentation

CONFIG = UtilityConfig(repeats=2, updates=7)


def outcome(overlap: int, subjects: int, missed: int = 0) -> MapOutcome:
    """Two repeats; each subject: 10 voxels in either map, ``overlap`` in both; the first ``missed`` predict nothing."""
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (subjects, 1, 1))
    counts[:missed] = [[110, 0], [10, 0]]
    return of_counts(counts)


def of_counts(counts: np.ndarray) -> MapOutcome:
    """Two repeats with the same counts; distances are 3 where one of the maps is not empty, NSD is 0.5."""
    there = np.where((counts.sum(1) + counts.sum(2))[:, 1:] > 0, 1, np.nan)[..., None]
    one_sided = (np.isfinite(there[..., 0]) & (np.einsum("skk->sk", counts)[:, 1:] == 0)).astype(int)
    reading = MapScores.of(counts, there * [3, 3, 3, 0.5], one_sided)
    return MapOutcome({"real": [[(5, 0.5), (7, 0.6)], [(5, 0.6), (7, 0.8)]]}, 1, "7 volume(s)", [reading, reading])


def write(
    folder: Path, cohort: Cohort, outcomes: dict[str, MapOutcome], subjects: int, by: list[Group] | None = None
) -> dict[str, Result]:
    task = Segmentation(cohort, [], CONFIG)
    task.subjects, task.validation_subjects = [f"s{i}" for i in range(subjects)], subjects
    task.sizes, task.by_column = np.arange(1.0, subjects + 1)[:, None], by or []
    cases = task.cases(cohort, cohort.rows("train"))
    cohorts = [name for name in outcomes if not name.startswith("real")]

    def arm(name: str) -> Arm:
        if name.startswith("real") and "+" not in name:
            return Arm(name, name, "", "", "", cases, 15, "", share=0)
        first, _, cohort = name.rpartition("+")
        told = (cohort, f".{cohort}" if len(cohorts) > 1 else "", "g", cases, 15, "", first or "real")
        return Arm(name, f"both{first.removeprefix('real')}" if first else "synthetic", *told, 0.5 if first else 1)

    arms = [arm(name) for name in outcomes]
    tested = {name: {"real": one} for name, one in outcomes.items()}
    UtilityFindings(task, arms, tested, CONFIG, Provenance("evaluate utility", {}, 0, {})).write(folder)
    return {r.name: r for r in read_results(folder)[0]}


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_side_is_compared_with_real_only_and_one_score_is_corrected(tmp_path: Path, real: Path) -> None:
    outcomes = {"real": outcome(8, 6), "g": outcome(4, 6), "real+g": outcome(8, 6, missed=1)}
    write(tmp_path, Cohort.open(real), outcomes, 6)
    rows = {(r["trained_on"], r["class"], r["score"]): r for r in read(tmp_path, "utility-comparisons")}
    assert len(rows) == 2 * 9  # the mean of one class is not compared again
    worse, one = rows["g", "Bright disc", "dice"], rows["real+g", "Bright disc", "dice"]
    assert float(worse["difference"]) == pytest.approx(-0.4) and float(one["difference"]) == pytest.approx(-0.8 / 6)
    assert float(worse["p"]) == 2 / 2**6 and float(one["p"]) == 1 and float(rows["g", "Bright disc", "hd"]["p"]) == 1
    smallest = [r for r in rows.values() if float(r["p"]) == 2 / 2**6]
    assert {r["score"] for r in smallest} == {"dice", "iou", "precision", "recall"} and worse["n_subjects"] == "6"
    assert float(worse["p_holm"]) == 2 * 2 / 2**6 and rows["g", "Bright disc", "iou"]["p_holm"] == ""


def test_groups_have_scores_of_their_own_unless_one_has_too_few(tmp_path: Path, real: Path) -> None:
    sites = grouped("site", np.array(["north"] * 9 + ["south"] * 6))
    outcomes = {"real": outcome(8, 15), "g": outcome(4, 15, missed=9)}
    write(tmp_path, Cohort.open(real), outcomes, 15, sites)
    rows = {(r["trained_on"], r["class"], r["group"]): r for r in read(tmp_path, "utility-by")}
    assert [g for t, c, g in rows if (t, c) == ("g", "Bright disc")] == ["small", "middle", "large", "north", "south"]
    north, south, small = (rows["g", "Bright disc", name] for name in ("north", "south", "small"))
    assert [float(r["dice"]) for r in (north, south, small)] == pytest.approx([0, 0.4, 0])
    assert float(south["mean_size"]) == 12.5 and south["size_unit"] == "pixels" and south["n_subjects"] == "6"
    nothing = np.array([[110, 0], [0, 0]])
    counts = np.tile(np.array([[100, 2], [2, 8]]), (15, 1, 1))
    counts[-2:] = nothing  # in the south only four are left: the north is withheld too
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", Cohort.open(real), {"real": of_counts(counts), "g": of_counts(counts)}, 15, sites)
    rows = {(r["trained_on"], r["class"], r["group"]): r for r in read(tmp_path / "b", "utility-by")}
    north, south = (rows["g", "Bright disc", name] for name in ("north", "south"))
    assert north["dice"] == north["mean_size"] == south["dice"] == "" and south["n_subjects"] == "4"
