"""Known scores give known numbers; what few subjects stand behind is withheld; nothing real in the public files."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.pooled import mean_interval
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results
from understudy.core.seed import derive
from understudy.evaluation.consistency.config import ConsistencyConfig
from understudy.evaluation.consistency.report import ConsistencyFindings, Side
from understudy.evaluation.consistency.scores import CaseScores

Toy = Callable[..., Path]


def side(name: str, cohort: Cohort, rows: np.ndarray, dice: list[float], rule: list[int], note: str = "") -> Side:
    return Side(
        name, cohort, rows, CaseScores(np.array(dice)[:, None], np.array(rule)[:, None], np.ones(len(rows))), note
    )


def found(
    toy: Toy, tmp_path: Path, controls: int = 20, several: bool = False, **changes: Any
) -> tuple[Path, dict[str, Result], Cohort, Cohort]:
    splits = ("train", "train", "validation", "validation", *["control"] * controls)
    real = Cohort.open(toy(tmp_path / "real", "real", len(splits), 0, cases=1, splits=splits, size=8, **changes))
    made = Cohort.open(toy(tmp_path / "made", "synthetic", 6, 1, cases=1, size=8, generator="diffusion"))
    dice = [0.05 * (i + 1) for i in range(controls)]
    reference = side("real", real, real.rows("control"), dice, [0] * controls)
    judged = side("diffusion", made, made.rows(), [0.04, 0.9, np.nan, 0.0, 0.5, 0.7], [0, 0, 3, 1, 0, 0], "a warning")
    others = [judged, side("other", made, made.rows(), [0.5] * 6, [0] * 6)] if several else [judged]
    segmenter: Any = type("S", (), {"curves": {"validation": [(10, 0.3), (20, float("nan"))]}})()
    provenance = Provenance("evaluate consistency", {}, 0, {"real": real.id, "synthetic": made.id})
    folder = tmp_path / "out"
    folder.mkdir()
    ConsistencyFindings(real, reference, others, segmenter, ConsistencyConfig(draws=200), provenance).write(folder)
    return folder, {r.name: r for r in read_results(folder)[0]}, real, made


def test_numbers(toy: Toy, tmp_path: Path) -> None:
    folder, results, _, made = found(toy, tmp_path)
    assert results["consistency.real.segresnet.dice"].value == pytest.approx(0.525)
    assert results["consistency.real.segresnet.quantile"].value == pytest.approx(0.05)  # the first of twenty
    synthetic = results["consistency.synthetic.segresnet.dice"]
    assert synthetic.value == pytest.approx((0.04 + 0.9 + 0 + 0.5 + 0.7) / 5) and synthetic.n == 5
    assert "1 missed, 0 false positive, 1 both empty" in synthetic.note and "a warning" in synthetic.note
    below = results["consistency.synthetic.segresnet.below"]
    assert below.value == pytest.approx(2 / 5) and below.better == "lower"
    assert below.low is not None and below.high is not None and below.low <= 0.4 <= below.high
    assert results["consistency.synthetic.segresnet.dice.bright-disc"].value == synthetic.value
    with (folder / "cases.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["synthetic_case"] for row in rows] == made.column("case_id").tolist()
    assert {row["synthetic_cohort"] for row in rows} == {made.id}
    assert [float(row["mean"]) for row in rows] == [0.04, 0.9, 1, 0, 0.5, 0.7]  # nothing there, and nothing seen
    assert [row["rule.Bright disc"] for row in rows] == ["", "", "both empty", "missed", "", ""]
    curve = json.loads((folder / "curves" / "consistency.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["real", "synthetic"] and curve["vertical"][0]["x"] == pytest.approx(
        0.05
    )
    real = curve["series"][0]
    widths = np.array([0.3, 0.25, 0.25, 0.2])  # of bins with five real subjects each
    assert real["x"] == pytest.approx([0.15, 0.425, 0.675, 0.9]) and real["y"] == pytest.approx(0.25 / (20 * widths))
    assert all(20 * widths @ s["y"] == pytest.approx(1) for s in curve["series"])


def test_means_have_the_interval_of_a_mean_and_a_far_quantile_has_none(toy: Toy, tmp_path: Path) -> None:
    _, results, _, _ = found(toy, tmp_path)
    dice, order = results["consistency.real.segresnet.dice"], np.argsort([f"real-{i + 4}" for i in range(20)])
    expected = mean_interval(0.05 * (order + 1)[None], derive(0, "interval", "real"), 200)
    assert (dice.low, dice.high) == pytest.approx((expected.low, expected.high))
    (tmp_path / "more").mkdir()
    quantile, below = (results[f"consistency.{n}"] for n in ("real.segresnet.quantile", "synthetic.segresnet.below"))
    assert quantile.low is None and "20 subjects are too few" in quantile.note and "cases alone" in below.note
    _, more, _, _ = found(toy, tmp_path / "more", controls=80)
    quantile, below = (more[f"consistency.{n}"] for n in ("real.segresnet.quantile", "synthetic.segresnet.below"))
    assert quantile.low is not None and "too few" not in quantile.note and "other real subjects" in below.note


def test_curves_tell_no_real_subject_from_four_others(toy: Toy, tmp_path: Path) -> None:
    folder, _, _, _ = found(toy, tmp_path, controls=17)
    shares, below = (
        json.loads((folder / "curves" / f"{name}.json").read_text())["series"]
        for name in ("consistency", "consistency-below")
    )
    steps = 17 * np.diff([*below[0]["y"], 1])
    assert (
        steps == pytest.approx([5, 5, 7])
        and below[0]["x"] == pytest.approx([0, 0.3, 0.55])
        and len(below[1]["x"]) == 51
    )
    assert shares[0]["y"] == pytest.approx(steps / 17 / 20 / [0.3, 0.25, 0.45])


def test_public_files_hold_no_real_case_and_no_real_subject(toy: Toy, tmp_path: Path) -> None:
    folder, _, real, _ = found(toy, tmp_path)
    public = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file() and "internal" not in p.parts)
    assert b"real-" not in public and b"synthetic-0-0" in public
    seen = json.loads((folder / "internal" / "seen.json").read_text())
    assert seen["seen"] == [
        {"cohort": real.id, "splits": ["train"], "subjects": ["real-0", "real-1"]},
        {"cohort": real.id, "splits": ["validation"], "subjects": ["real-2", "real-3"]},
    ]
    assert (
        seen["calibrated_on"][0]["splits"] == ["control"]
        and "INTERNAL" in (folder / "internal" / "INTERNAL.txt").read_text()
    )
    assert (folder / "internal" / "curves" / "consistency-training.json").is_file()  # two validation subjects
    assert not list(folder.rglob("*.safetensors"))


def test_who_else_is_in_the_real_label_maps_was_seen_too(toy: Toy, tmp_path: Path) -> None:
    others = {"cohort": "atlas", "splits": ["train"], "subjects": ["stranger"]}  # whom a translator to anatomy saw
    folder, _, real, _ = found(toy, tmp_path, trained_on=[others])
    seen = json.loads((folder / "internal" / "seen.json").read_text())["seen"]
    assert [entry["cohort"] for entry in seen] == ["atlas", real.id, real.id] and seen[0] == others


def test_few_control_subjects_are_withheld(toy: Toy, tmp_path: Path) -> None:
    folder, results, _, _ = found(toy, tmp_path, controls=4)
    for name, result in results.items():
        real = ".real." in name or ".below" in name
        assert (result.value is None) == real and (not real or "withheld: 4 subjects" in result.note), name
    curve = json.loads((folder / "curves" / "consistency.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["synthetic"] and curve["vertical"] == []
    with (folder / "tables" / "consistency.csv").open(newline="") as handle:
        row = next(csv.DictReader(handle))
    assert row["cohort"] == "real" and {row[name] for name in ("dice", "quantile", "missed", "cases")} == {""}


def test_several_cohorts_have_names(toy: Toy, tmp_path: Path) -> None:
    folder, results, _, _ = found(toy, tmp_path, several=True)
    assert results["consistency.synthetic.other.segresnet.dice"].value == pytest.approx(0.5)
    assert "consistency.synthetic.diffusion.segresnet.below" in results
    curve = json.loads((folder / "curves" / "consistency-below.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["real", "diffusion", "other"]
    other = curve["series"][2]
    assert [y for x, y in zip(other["x"], other["y"], strict=True) if x in (0.5, 0.52)] == [0, 1]
