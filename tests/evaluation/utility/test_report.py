"""Known voxel counts give known results; numbers of few subjects stay inside."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.groups import Group, grouped
from understudy.evaluation.utility.report import Findings
from understudy.evaluation.utility.segmentation import MapOutcome, Reading, Segmentation

CONFIG = UtilityConfig(repeats=2, updates=7)
TOLD = {
    *("trained_on", "generator", "network", "class", "n_subjects", "repeats", "updates", "training_cases"),
    *("training_subjects", "score", "unit", "distance_unit", "against"),
}


def outcome(overlap: int, subjects: int, missed: int = 0) -> MapOutcome:
    """Two repeats; each subject: 10 voxels in either map, ``overlap`` in both; the first ``missed`` predict nothing."""
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (subjects, 1, 1))
    counts[:missed] = [[110, 0], [10, 0]]
    return of_counts(counts)


def of_counts(counts: np.ndarray) -> MapOutcome:
    """Two repeats with the same counts; distances are 3 where one of the maps is not empty, NSD is 0.5."""
    there = np.where((counts.sum(1) + counts.sum(2))[:, 1:] > 0, 1, np.nan)[..., None]
    one_sided = (np.isfinite(there[..., 0]) & (np.einsum("skk->sk", counts)[:, 1:] == 0)).astype(int)
    reading = Reading.of(counts, there * [3, 3, 3, 0.5], one_sided)
    return MapOutcome([[(5, 0.5), (7, 0.6)], [(5, 0.6), (7, 0.8)]], 1, "7 volume(s)", [reading, reading])


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
    Findings(task, arms, outcomes, CONFIG, Provenance("evaluate utility", {}, 0, {})).write(folder)
    return {r.name: r for r in read_results(folder)[0]}


def read(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_known_numbers(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(8, 6), "g": outcome(4, 6, missed=3)}, 6)
    assert list(found)[:3] == ["utility.real.unet.dice", "utility.synthetic.unet.dice", "utility.ratio.unet.dice"]
    for ending in ("", ".bright-disc"):
        real_only, made, ratio = (found[f"utility.{what}.unet.dice{ending}"] for what in ("real", "synthetic", "ratio"))
        assert (real_only.value, real_only.low, real_only.high, real_only.n) == (
            pytest.approx(0.8),
            pytest.approx(0.8),
            pytest.approx(0.8),
            6,
        )
        assert made.value == pytest.approx(0.2) and ratio.value == pytest.approx(0.25)
        assert (
            ratio.low is not None
            and ratio.low < 0.25
            and "real-only Dice 0.800" in ratio.note
            and "6 missed" in made.note
        )
    with (tmp_path / "tables" / "utility.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["trained_on"], r["class"], r["missed"]) for r in rows] == [
        ("real", "mean", "0"),
        ("g", "mean", "6"),
        ("real", "Bright disc", "0"),
        ("g", "Bright disc", "6"),
    ]
    assert float(rows[1]["ratio"]) == pytest.approx(0.25) and rows[0]["ratio"] == ""
    with (tmp_path / "internal" / "per_subject.csv").open(newline="") as file:
        inside = list(csv.DictReader(file))
    assert len(inside) == 2 * 2 * 6 and [r["rule"] for r in inside if r["trained_on"] == "g"].count("missed") == 6
    assert "0.7" in (tmp_path / "curves" / "utility-unet.json").read_text()


def test_several_cohorts_have_names_of_their_own(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(8, 6), "g-1": outcome(4, 6), "g-2": outcome(8, 6)}, 6)
    assert (
        found["utility.ratio.g-1.unet.dice"].value == pytest.approx(0.5)
        and found["utility.ratio.g-2.unet.dice"].value == 1
    )
    assert found["utility.synthetic.g-1.unet.dice.bright-disc"].value == pytest.approx(0.4)


def test_the_gain_of_synthetic_cases_beside_real_ones(tmp_path: Path, real: Path) -> None:
    outcomes = {"real": outcome(5, 6), "g": outcome(4, 6), "real+g": outcome(8, 6, missed=1)}
    found = write(tmp_path, Cohort.open(real), outcomes, 6)
    both, gain = found["utility.both.unet.dice"], found["utility.gain.unet.dice"]
    assert both.value == pytest.approx(0.8 * 5 / 6) and gain.value == pytest.approx(0.8 * 5 / 6 - 0.5)
    assert gain.low is not None and gain.high is not None and gain.low < gain.value < gain.high <= 0.3 + 1e-9
    assert "gain over real-only Dice 0.500" in gain.note and "utility.ratio.both.unet.dice" not in found
    with (tmp_path / "tables" / "utility.csv").open(newline="") as file:
        rows = {r["trained_on"]: r for r in csv.DictReader(file) if r["class"] == "mean"}
    assert float(rows["real+g"]["gain"]) == pytest.approx(gain.value)
    assert rows["real+g"]["ratio"] == rows["g"]["gain"] == rows["real"]["gain"] == ""


def test_few_subjects_stay_inside(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(8, 4), "g": outcome(4, 4)}, 4)
    networks = found.pop("utility.test_readings.unet")
    assert all(r.value is None and "withheld: 4 subjects" in r.note for r in found.values())
    assert networks.value == 4 and "4 subjects" in networks.note
    assert not (tmp_path / "curves").exists() and not (tmp_path / "tables" / "utility-by.csv").exists()
    for table in ("utility", "utility-scores", "utility-comparisons"):
        for row in read(tmp_path, table):
            shown = {k for k, v in row.items() if v and k not in TOLD}
            assert not shown, (table, shown)
    assert (tmp_path / "internal" / "curves" / "utility-unet.json").is_file()


def test_what_cannot_be_computed_says_why(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(0, 6), "g": outcome(4, 6)}, 6)
    assert (
        found["utility.ratio.unet.dice"].value is None
        and found["utility.ratio.unet.dice"].note == "the real-only Dice is 0"
    )
    nothing = of_counts(np.tile(np.array([[110, 0], [0, 0]]), (6, 1, 1)))
    (tmp_path / "b").mkdir()
    found = write(tmp_path / "b", Cohort.open(real), {"real": nothing, "g": nothing}, 6)
    assert (
        found["utility.real.unet.dice"].note == "no test subject counts"
        and found["utility.ratio.unet.dice"].value is None
    )


def test_every_score_has_its_name_unit_and_difference(tmp_path: Path, real: Path) -> None:
    outcomes = {"real": outcome(8, 6), "g": outcome(4, 6, missed=3), "real+g": outcome(9, 6)}
    found = write(tmp_path, Cohort.open(real), outcomes, 6)
    # 10 voxels in either map: precision = recall = Dice; a missed subject has the worst value
    expected = {
        "iou": (8 / 12, 4 / 16 / 2),
        "precision": (0.8, 0.2),
        "recall": (0.8, 0.2),
        "volume_difference": (0, 0.5),
    }
    expected |= {"hd": (3, 3), "hd95": (3, 3), "assd": (3, 3), "nsd": (0.5, 0.5)}
    for name, (real_only, made) in expected.items():
        for ending in ("", ".bright-disc"):
            one, other, gap = (
                found[f"utility.{what}.unet.{name}{ending}"] for what in ("real", "synthetic", "difference")
            )
            assert (one.value, other.value) == pytest.approx((real_only, made)) and one.n == 6
            assert gap.value == pytest.approx(made - real_only) and gap.better == one.better
            assert f"utility.gain.unet.{name}{ending}" in found
        lower, distance = name in ("volume_difference", "hd", "hd95", "assd"), name in ("hd", "hd95", "assd")
        assert one.better == ("lower" if lower else "higher") and one.unit == ("pixels" if distance else "")
    assert not any(name.startswith("utility.ratio") and "dice" not in name for name in found)
    assert "utility.difference.unet.dice" not in found  # Dice has a ratio
    assert "within 7 volume(s); 6 times one of these has the class" in found["utility.synthetic.unet.hd"].note
    scores = read(tmp_path, "utility-scores")
    assert [(r["trained_on"], r["class"]) for r in scores][:3] == [("real", "mean"), ("g", "mean"), ("real+g", "mean")]
    assert float(scores[1]["iou"]) == pytest.approx(0.125) and scores[1]["distance_unit"] == "pixels"


def test_each_side_is_compared_with_real_only_and_all_comparisons_are_corrected(tmp_path: Path, real: Path) -> None:
    outcomes = {"real": outcome(8, 6), "g": outcome(4, 6), "real+g": outcome(8, 6, missed=1)}
    write(tmp_path, Cohort.open(real), outcomes, 6)
    rows = {(r["trained_on"], r["class"], r["score"]): r for r in read(tmp_path, "utility-comparisons")}
    assert len(rows) == 2 * 9  # the mean of one class is not compared again
    worse, one = rows["g", "Bright disc", "dice"], rows["real+g", "Bright disc", "dice"]
    assert float(worse["difference"]) == pytest.approx(-0.4) and float(one["difference"]) == pytest.approx(-0.8 / 6)
    assert float(worse["p"]) == 2 / 2**6 and float(one["p"]) == 1 and float(rows["g", "Bright disc", "hd"]["p"]) == 1
    smallest = [r for r in rows.values() if float(r["p"]) == 2 / 2**6]
    assert {r["score"] for r in smallest} == {"dice", "iou", "precision", "recall"} and worse["n_subjects"] == "6"
    assert {float(r["p_holm"]) for r in smallest} == {18 * 2 / 2**6}


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


def test_all_classes_as_one_stand_apart_from_their_mean(tmp_path: Path, toy: Callable[..., Path]) -> None:
    scheme = LabelScheme(("background", "core", "edema"), (0, 1, 2))
    cohort = Cohort.open(toy(tmp_path / "c", "real", 12, 0, scheme=scheme))
    task = Segmentation(cohort, [], CONFIG)
    assert task.names == ("core", "edema", "whole lesion")
    counts = np.tile(np.array([[90, 0, 0], [0, 4, 4], [2, 4, 4]]), (5, 1, 1))
    made = MapOutcome([], 2, "", [Reading.of(counts, np.zeros((5, 3, 4)), np.ones((5, 3), int))])
    expected = [4 * 2 / 16, 4 * 2 / 18, 16 * 2 / 34]
    assert [made.measured(k).values()[0] for k in range(3)] == pytest.approx(expected)
    assert made.measured(None).values()[0] == pytest.approx(np.mean(expected[:2]))
    assert made.cells(None) == [0, 0, 0, 10] and made.cells(2) == [0, 0, 0, 5]
    other = LabelScheme(("background", "core", "Whole Lesion"), (0, 1, 2))
    with pytest.raises(UsageError, match="called 'whole lesion', and a class is too"):
        Segmentation(Cohort.open(toy(tmp_path / "d", "real", 12, 0, scheme=other)), [], CONFIG)
