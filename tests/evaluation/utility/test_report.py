"""Known voxel counts give known results; numbers of few subjects stay inside."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.evaluation.utility.arms import Arm, make_arms
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.groups import Group
from understudy.evaluation.utility.report import UtilityFindings
from understudy.evaluation.utility.segmentation import MapOutcome, MapScores, Segmentation

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
    reading = MapScores.of(counts, there * [3, 3, 3, 0.5], one_sided)
    return MapOutcome({"real": [[(5, 0.5), (7, 0.6)], [(5, 0.6), (7, 0.8)]]}, 1, "7 volume(s)", [reading, reading])


def write(
    folder: Path,
    cohort: Cohort,
    outcomes: dict[str, MapOutcome],
    subjects: int,
    by: list[Group] | None = None,
    choice: str = "real",
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
    arms = [replace(one, choices=(choice,)) if one.kind == "synthetic" else one for one in arms]
    tested = {one.name: {one.choices[0]: outcomes[one.name]} for one in arms}
    UtilityFindings(task, arms, tested, CONFIG, Provenance("evaluate utility", {}, 0, {})).write(folder)
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


def test_on_whose_subjects_a_difference_is(tmp_path: Path, real: Path) -> None:
    """The first subject has none of the class: it counts where something is found in it, and not where nothing is."""
    counts = np.tile(np.array([[100, 2], [2, 8]]), (7, 1, 1))
    nothing, something = counts.copy(), counts.copy()
    nothing[0], something[0] = [[112, 0], [0, 0]], [[102, 10], [0, 0]]
    for name, mine, both, told in (
        ("same", nothing, 6, "the same subjects"),
        ("other", something, 6, "those that count"),
    ):
        (tmp_path / name).mkdir()
        found = write(tmp_path / name, Cohort.open(real), {"real": of_counts(nothing), "g": of_counts(mine)}, 7)
        difference, ratio = found["utility.difference.unet.hd95"], found["utility.ratio.unet.dice"]
        assert f"networks on {told}" in difference.note and difference.n == both
        apart = "subjects that count: 7 here, 6 real-only; n and p are of the 6 in both"
        assert (apart in ratio.note) == (apart in difference.note) == (name == "other")


def test_several_cohorts_have_names_of_their_own(tmp_path: Path, real: Path) -> None:
    found = write(tmp_path, Cohort.open(real), {"real": outcome(8, 6), "g-1": outcome(4, 6), "g-2": outcome(8, 6)}, 6)
    assert (
        found["utility.ratio.g-1.unet.dice"].value == pytest.approx(0.5)
        and found["utility.ratio.g-2.unet.dice"].value == 1
    )
    assert found["utility.synthetic.g-1.unet.dice.bright-disc"].value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("choice", "expected"), [("synthetic", (0.5 + 0.8) / 2), ("last", (0.6 + 0.8) / 2), ("real", None)]
)
def test_a_generator_is_chosen_by_validation_subjects(
    tmp_path: Path, real: Path, choice: str, expected: float | None
) -> None:
    made = outcome(4, 6)
    made.curves["synthetic"] = [[(5, 0.9), (7, 0.1)], [(5, float("nan")), (7, 0.2)]]
    found = write(tmp_path, Cohort.open(real), {"real": outcome(8, 6), "g": made}, 6, choice=choice)
    one = found.get("utility.validation.unet.dice")
    assert (one and (one.value, one.low, one.n)) == (expected and (pytest.approx(expected), None, 6))


def test_the_gain_of_synthetic_cases_beside_real_ones(tmp_path: Path, real: Path) -> None:
    outcomes = {"real": outcome(5, 6), "g": outcome(4, 6), "real+g": outcome(8, 6, missed=1)}
    found = write(tmp_path, Cohort.open(real), outcomes, 6)
    both, gain = found["utility.both.unet.dice"], found["utility.gain.unet.dice"]
    assert both.value == pytest.approx(0.8 * 5 / 6) and gain.value == pytest.approx(0.8 * 5 / 6 - 0.5)
    assert gain.low is not None and gain.high is not None and gain.low < gain.value < gain.high
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


REST = [(2, 0.1), (4, 0.6), (6, 0.7), (8, 0.7), (10, 0.7)]
MIXING = UtilityConfig(
    repeats=2, updates=10, checks=5, shares=(0.25, 0.75), real_subjects=(5,), arms=("synthetic", "finetuned")
)
OVERLAPS = {  # of 10 voxels in either map: Dice is a tenth
    "real": 8, "g": 4, "75%real+25%g": 9, "25%real+75%g": 6, "g then real": 10,
    "real@5": 5, "75%real@5+25%g": 7, "25%real@5+75%g": 6, "g then real@5": 8,
}  # fmt: skip


def mixing_outcome(overlap: int, subjects: int, curve: list[tuple[int, float]] = REST) -> MapOutcome:
    counts = np.tile(np.array([[100, 10 - overlap], [10 - overlap, overlap]]), (subjects, 1, 1))
    reading = MapScores.of(counts, np.zeros((subjects, 1, 4)), np.zeros((subjects, 1), int))
    return MapOutcome({"real": [curve, curve]}, 1, "", [reading, reading])


def write_mixing(
    folder: Path, real: Path, other: Path, outcomes: dict[str, MapOutcome], config: UtilityConfig = MIXING, n: int = 6
) -> dict[str, Result]:
    cohort, synthetic = Cohort.open(real), Cohort.open(other)
    task = Segmentation(cohort, [synthetic], config)
    arms = make_arms(task, cohort, [synthetic], config, 0)
    task.subjects, task.validation_subjects, task.sizes = [f"s{i}" for i in range(n)], n, np.ones((n, 1))
    tested = {arm.name: dict.fromkeys(arm.choices, outcomes[arm.name]) for arm in arms}
    UtilityFindings(task, arms, tested, config, Provenance("evaluate utility", {}, 0, {})).write(folder)
    return {r.name: r for r in read_results(folder)[0]}


def named(name: str) -> str:
    return "stylegan-2".join(name.split("g")) if "g" in name else name


def known(subjects: int = 6) -> dict[str, MapOutcome]:
    return {named(name): mixing_outcome(overlap, subjects) for name, overlap in OVERLAPS.items()}


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_side_is_compared_with_its_own_real_cases(tmp_path: Path, real: Path, synthetic: Path) -> None:
    found = write_mixing(tmp_path, real, synthetic, known())
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
    assert found["utility.test_readings.unet"].value == 2 * (len(OVERLAPS) + 2)
    against = {r["trained_on"]: r["against"] for r in rows(tmp_path, "utility")}
    assert against == {named(n): "" if n in ("real", "real@5") else "real@5" if "@" in n else "real" for n in OVERLAPS}
    table = {r["trained_on"]: r for r in rows(tmp_path, "utility") if r["class"] == "mean"}
    assert float(table["stylegan-2 then real@5"]["gain"]) == pytest.approx(0.3) and table["real@5"]["gain"] == ""


def test_the_primary_score_is_corrected_over_the_arms(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write_mixing(tmp_path, real, synthetic, known())
    compared = [r for r in rows(tmp_path, "utility-comparisons") if r["score"] == "dice"]
    assert {r["trained_on"]: r["against"] for r in compared} == {
        named(n): "real@5" if "@" in n else "real" for n in OVERLAPS if n not in ("real", "real@5")
    }
    every = rows(tmp_path, "utility-comparisons")
    assert len(every) == 7 * 9 and all(r["p"] for r in every)
    assert {float(r["p_holm"]) for r in compared} == {7 * 2 / 2**6}  # over the arms
    rest = [r for r in every if r["score"] != "dice"]
    assert not any(r["p_holm"] for r in rest) and all("not primary" in r["note"] for r in rest)


def test_the_curve_goes_from_real_to_synthetic(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write_mixing(tmp_path, real, synthetic, known())
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
        config = MIXING.model_copy(update={**changes, "real_subjects": ()})
        made = known() | {"real+stylegan-2": mixing_outcome(7, 6)}
        arms = ("real", "75%real+25%stylegan-2", "real+stylegan-2")
        kept = {arm: made[arm] for arm in arms if xs or "%" not in arm}
        write_mixing(tmp_path / name, real, synthetic, kept, config)
        file = tmp_path / name / "curves" / "utility-mixing-unet.json"
        assert file.exists() == bool(xs) == (tmp_path / name / "tables" / "utility-mixing.csv").exists()
        if xs:
            assert json.loads(file.read_text())["series"][0]["x"] == xs


def test_few_test_subjects_stay_inside(tmp_path: Path, real: Path, synthetic: Path) -> None:
    write_mixing(tmp_path, real, synthetic, known(4), n=4)
    assert not (tmp_path / "curves").exists()
    table = rows(tmp_path, "utility-mixing")
    assert table and all(not r[name] for r in table for name in ("dice", "low", "high", "gain"))


def test_a_side_that_still_rose_is_named_in_all_that_rests_on_it(tmp_path: Path, real: Path, synthetic: Path) -> None:
    up = [(2, 0.1), (4, 0.2), (6, 0.3), (8, 0.4), (10, 0.5)]
    late = [(2, 0.1), (4, 0.1), (6, 0.1), (8, 0.1), (10, 0.7)]  # real cases from update 9 on: of one check nothing
    outcomes = known() | {"real@5": mixing_outcome(5, 6, up), "stylegan-2 then real": mixing_outcome(10, 6, late)}
    found = write_mixing(tmp_path, real, synthetic, outcomes, MIXING.model_copy(update={"finetune_share": 0.2}))
    warned = {name for name, r in found.items() if "the validation score of real@5 still rose at the end" in r.note}
    kinds = {name.split(".")[1] for name in warned}
    assert kinds == {"real@5", "gain-25@5", "gain-75@5", "gain-finetuned@5"}
    assert not any("still rose" in r.note for name, r in found.items() if name not in warned)
