"""Known counts give a known mixing curve; few real subjects are compared with themselves; unrest is told."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.evaluation.utility.arms import make_arms
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.report import Findings
from understudy.evaluation.utility.segmentation import MapOutcome, Reading, Segmentation

REST = [(2, 0.1), (4, 0.6), (6, 0.7), (8, 0.7), (10, 0.7)]
CONFIG = UtilityConfig(
    repeats=2, updates=10, checks=5, shares=(0.25, 0.75), real_subjects=(5,), arms=("synthetic", "finetuned")
)
OVERLAPS = {  # of 10 voxels in either map: Dice is a tenth
    "real": 8, "g": 4, "75%real+25%g": 9, "25%real+75%g": 6, "g then real": 10,
    "real@5": 5, "75%real@5+25%g": 7, "25%real@5+75%g": 6, "g then real@5": 8,
}  # fmt: skip


def outcome(overlap: int, subjects: int, curve: list[tuple[int, float]] = REST) -> MapOutcome:
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (subjects, 1, 1))
    reading = Reading.of(counts, np.zeros((subjects, 1, 4)), np.zeros((subjects, 1), int))
    return MapOutcome([curve, curve], 1, "", [reading, reading])


def write(
    folder: Path, real: Path, other: Path, outcomes: dict[str, MapOutcome], config: UtilityConfig = CONFIG, n: int = 6
) -> dict[str, Result]:
    cohort, synthetic = Cohort.open(real), Cohort.open(other)
    task = Segmentation(cohort, [synthetic], config)
    arms = make_arms(task, cohort, [synthetic], config, 0)
    task.subjects, task.validation_subjects, task.sizes = [f"s{i}" for i in range(n)], n, np.ones((n, 1))
    Findings(task, arms, outcomes, config, Provenance("evaluate utility", {}, 0, {})).write(folder)
    return {r.name: r for r in read_results(folder)[0]}


def named(name: str) -> str:
    return "stylegan-2".join(name.split("g")) if "g" in name else name


def known(subjects: int = 6) -> dict[str, MapOutcome]:
    return {named(name): outcome(overlap, subjects) for name, overlap in OVERLAPS.items()}


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_side_is_compared_with_its_own_real_cases(tmp_path: Path, real: Path, synthetic: Path) -> None:
    found = write(tmp_path, real, synthetic, known())
    gains = {
        "gain-25": 0.1, "gain-75": -0.2, "gain-finetuned": 0.2,
        "gain-25@5": 0.2, "gain-75@5": 0.1, "gain-finetuned@5": 0.3,
    }  # fmt: skip
    for name, value in gains.items():
        gain = found[f"utility.{name}.unet.dice"]
        assert gain.value == pytest.approx(value), name
        below = "real@5 Dice 0.500 [0.500, 0.500]" if "@5" in name else "real-only Dice 0.800 [0.800, 0.800]"
        assert gain.note.startswith(f"gain over {below}") and f"utility.{name}.unet.iou" in found
        assert ("5 of 15 real training subjects (33 %)" in gain.note) == ("@5" in name)
    assert found["utility.real@5.unet.dice"].value == found["utility.ratio.unet.dice"].value == pytest.approx(0.5)
    assert found["utility.finetuned@5.unet.dice"].value == pytest.approx(0.8)
    ratios = [name for name in found if name.startswith("utility.ratio")]
    assert ratios == ["utility.ratio.unet.dice", "utility.ratio.unet.dice.bright-disc"]
    assert found["utility.test_readings.unet"].value == 2 * len(OVERLAPS)
    against = {r["trained_on"]: r["against"] for r in rows(tmp_path, "utility")}
    assert against == {named(n): "" if n in ("real", "real@5") else "real@5" if "@" in n else "real" for n in OVERLAPS}
    table = {r["trained_on"]: r for r in rows(tmp_path, "utility") if r["class"] == "mean"}
    assert float(table["stylegan-2 then real@5"]["gain"]) == pytest.approx(0.3) and table["real@5"]["gain"] == ""


def test_all_comparisons_are_corrected_together(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write(tmp_path, real, synthetic, known())
    compared = [r for r in rows(tmp_path, "utility-comparisons") if r["score"] == "dice"]
    assert {r["trained_on"]: r["against"] for r in compared} == {
        named(n): "real@5" if "@" in n else "real" for n in OVERLAPS if n not in ("real", "real@5")
    }
    every = [float(r["p"]) for r in rows(tmp_path, "utility-comparisons")]
    assert len(every) == 7 * 9
    smallest = [p for p in every if p == 2 / 2**6]
    found = {float(r["p_holm"]) for r in compared}
    assert found == {min(1.0, len(every) * smallest[0])}


def test_the_curve_goes_from_real_to_synthetic(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write(tmp_path, real, synthetic, known())
    table = [r for r in rows(tmp_path, "utility-mixing") if r["class"] == "mean"]
    told = [(r["real_arm"], r["share"], float(r["dice"]), float(r["gain"] or "nan")) for r in table]
    expected = [
        *[
            ("real", "0", 0.8, np.nan),
            ("real", "0.25", 0.9, 0.1),
            ("real", "0.75", 0.6, -0.2),
            ("real", "1", 0.4, -0.4),
        ],
        *[("real@5", "0", 0.5, np.nan), ("real@5", "0.25", 0.7, 0.2), ("real@5", "0.75", 0.6, 0.1)],
        ("real@5", "1", 0.4, np.nan),  # synthetic-only is compared with all real cases, which are not on this line
    ]
    assert [t[:2] for t in told] == [e[:2] for e in expected]
    np.testing.assert_allclose([t[2:] for t in told], [e[2:] for e in expected], atol=1e-8)
    assert {r["cohort"] for r in table} == {"stylegan-2"} and table[1]["trained_on"] == "75%real+25%stylegan-2"
    curve = json.loads((tmp_path / "curves" / "utility-mixing-unet.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["stylegan-2", "stylegan-2, real@5"]
    for series, ys in zip(curve["series"], ((0.8, 0.9, 0.6, 0.4), (0.5, 0.7, 0.6, 0.4)), strict=True):
        assert series["x"] == [0, 0.25, 0.75, 1]
        assert all(series[axis] == pytest.approx(ys) for axis in ("y", "low", "high"))


def test_without_shares_there_is_no_curve_and_without_synthetic_it_has_no_end(
    tmp_path: Path, real: Path, synthetic: Path
) -> None:
    for name, changes, xs in (
        ("plain", {"arms": ("both",), "shares": ()}, []),
        ("open", {"arms": (), "shares": (0.5, 0.25)}, [0, 0.25, 0.5]),
    ):
        (tmp_path / name).mkdir()
        config = CONFIG.model_copy(update={**changes, "real_subjects": ()})
        made = known() | {"real+stylegan-2": outcome(7, 6)}
        arms = ("real", "75%real+25%stylegan-2", "real+stylegan-2")
        kept = {arm: made[arm] for arm in arms if xs or "%" not in arm}
        write(tmp_path / name, real, synthetic, kept, config)
        file = tmp_path / name / "curves" / "utility-mixing-unet.json"
        assert file.exists() == bool(xs) == (tmp_path / name / "tables" / "utility-mixing.csv").exists()
        if xs:
            assert json.loads(file.read_text())["series"][0]["x"] == xs


def test_few_test_subjects_stay_inside(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write(tmp_path, real, synthetic, known(4), n=4)
    assert not (tmp_path / "curves").exists()
    table = rows(tmp_path, "utility-mixing")
    assert table and all(not r[name] for r in table for name in ("dice", "low", "high", "gain"))


def test_a_side_that_still_rose_is_named_in_all_that_rests_on_it(tmp_path: Path, real: Path, synthetic: Path) -> None:
    up = [(2, 0.1), (4, 0.2), (6, 0.3), (8, 0.4), (10, 0.5)]
    late = [(2, 0.1), (4, 0.1), (6, 0.1), (8, 0.1), (10, 0.7)]  # real cases from update 9 on: of one check nothing
    outcomes = known() | {"real@5": outcome(5, 6, up), "stylegan-2 then real": outcome(10, 6, late)}
    found = write(tmp_path, real, synthetic, outcomes, CONFIG.model_copy(update={"finetune_share": 0.2}))
    warned = {name for name, r in found.items() if "the validation score of real@5 still rose at the end" in r.note}
    kinds = {name.split(".")[1] for name in warned}
    assert kinds == {"real@5", "gain-25@5", "gain-75@5", "gain-finetuned@5"}
    assert not any("still rose" in r.note for name, r in found.items() if name not in warned)
