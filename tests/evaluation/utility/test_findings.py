"""Known voxel counts give known results; numbers of few subjects stay inside."""

import csv
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.findings import Findings
from understudy.evaluation.utility.segmentation import DiceOutcome, Segmentation
from understudy.evaluation.utility.task import Side

CONFIG = UtilityConfig(repeats=2, updates=7)


def outcome(overlap: int, subjects: int, missed: int = 0) -> DiceOutcome:
    """Two repeats; each subject: 10 voxels in either map, ``overlap`` in both; the first ``missed`` predict nothing."""
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (subjects, 1, 1))
    counts[:missed] = [[110, 0], [10, 0]]
    return DiceOutcome([[(5, 0.5), (7, 0.6)], [(5, 0.6), (7, 0.8)]], [counts, counts])


def write(folder: Path, cohort: Cohort, outcomes: dict[str, DiceOutcome], subjects: int) -> dict[str, Result]:
    task = Segmentation(cohort, [], CONFIG)
    task.subjects, task.validation_subjects = [f"s{i}" for i in range(subjects)], subjects
    cases = task.cases(cohort, cohort.rows("train"))
    cohorts = [name for name in outcomes if not name.startswith("real")]

    def label(name: str) -> str:
        if name == "real":
            return name
        ending = f".{name.removeprefix('real+')}" if len(cohorts) > 1 else ""
        return ("both" if name.startswith("real+") else "synthetic") + ending

    sides = [Side(name, label(name), "" if name == "real" else "g", cases, 15, "") for name in outcomes]
    Findings(task, sides, outcomes, CONFIG, Provenance("evaluate utility", {}, 0, {})).write(folder)
    return {r.name: r for r in read_results(folder)[0]}


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
    assert all(r.value is None and "withheld: 4 subjects" in r.note for r in found.values())
    assert "0.8" not in (tmp_path / "tables" / "utility.csv").read_text() and not (tmp_path / "curves").exists()
    assert (tmp_path / "internal" / "curves" / "utility-unet.json").is_file()


def test_what_cannot_be_computed_says_why(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(0, 6), "g": outcome(4, 6)}, 6)
    assert (
        found["utility.ratio.unet.dice"].value is None
        and found["utility.ratio.unet.dice"].note == "the real-only Dice is 0"
    )
    nothing = outcome(0, 6)
    nothing.counts = [c * np.array([[1, 0], [0, 0]]) for c in nothing.counts]
    (tmp_path / "b").mkdir()
    found = write(tmp_path / "b", Cohort.open(real), {"real": nothing, "g": nothing}, 6)
    assert (
        found["utility.real.unet.dice"].note == "no test subject counts"
        and found["utility.ratio.unet.dice"].value is None
    )
