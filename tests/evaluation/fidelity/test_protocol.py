"""The fidelity stage end to end on toy cohorts."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import read_results
from understudy.evaluation.fidelity.protocol import FidelityConfig, evaluate_fidelity

CONFIG = FidelityConfig(draws=4, subsets=8, subset_size=30, bins=16, grid=9)
FILES = [
    "results.json",
    "tables/fidelity.csv",
    "curves/intensity-a.json",
    "curves/intensity-b.json",
    "images/stylegan-2.npz",
    "internal/real.npz",
    "internal/INTERNAL.txt",
]


def test_end_to_end_is_reproducible_and_made_once(real: Path, synthetic: Path, tmp_path: Path) -> None:
    first = evaluate_fidelity(real, [synthetic], tmp_path / "first", 0, CONFIG)
    evaluate_fidelity(real, [synthetic], tmp_path / "second", 0, CONFIG)
    assert sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file()) == sorted(FILES)
    for file in FILES:
        assert (first / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    results, provenance = read_results(first)
    assert [r.name for r in results] == [
        f"fidelity.{m}{e}" for m in ("frechet", "kid") for e in ("", ".matched", ".floor")
    ]
    assert provenance["inputs"] == {"real": Cohort.open(real).id, "synthetic": Cohort.open(synthetic).id}
    before = (first / "results.json").stat().st_mtime_ns
    assert (
        evaluate_fidelity(real, [synthetic], first, 0, CONFIG) == first
        and (first / "results.json").stat().st_mtime_ns == before
    )
    with pytest.raises(UsageError, match="made by another request"):
        evaluate_fidelity(real, [synthetic], first, 1, CONFIG)


def test_a_shifted_cohort_is_farther_than_a_faithful_one(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    near, far = (
        toy(tmp_path / f"s{shift}", "synthetic", 20, 5, shift=shift, generator=name)
        for shift, name in ((0, "near"), (25, "far"))
    )
    out = evaluate_fidelity(real, [near, far], tmp_path / "out", 0, CONFIG)
    found = {r.name: r.value or 0 for r in read_results(out)[0]}
    for metric in ("frechet", "kid"):
        assert found[f"fidelity.far.{metric}"] > 5 * abs(found[f"fidelity.near.{metric}"])
        assert found[f"fidelity.far.{metric}.matched"] > 3 * abs(found[f"fidelity.far.{metric}.floor"])
    with (out / "tables" / "fidelity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["cohort"], r["metric"]) for r in rows] == [(n, m) for m in ("frechet", "kid") for n in ("near", "far")]
    assert rows[0]["n_real"] == "45" and rows[0]["features"] == "128" and "too few" in rows[0]["note"]
    curve = json.loads((out / "curves" / "intensity-a.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["real", "near", "far"]
    for series in curve["series"]:  # densities over 0..255 that sum to one
        assert sum(series["y"]) * 255 / 16 == pytest.approx(1) and len(series["x"]) == 16
    means = [np.dot(s["x"], s["y"]) * 255 / 16 for s in curve["series"]]
    assert means[2] - means[0] == pytest.approx(25, abs=6)


def test_grids_hold_synthetic_cases_and_real_ones_stay_inside(real: Path, synthetic: Path, tmp_path: Path) -> None:
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, CONFIG)
    cohort, other = Cohort.open(real), Cohort.open(synthetic)
    with np.load(out / "images" / "stylegan-2.npz") as grid, np.load(out / "internal" / "real.npz") as held:
        assert other.images is not None and np.allclose(grid["images"] * 255, other.images[:9], atol=1e-4)
        assert cohort.images is not None and np.allclose(
            held["images"] * 255, cohort.images[cohort.rows("train")[:9]], atol=1e-4
        )


def test_volumes_and_missing_labels(toy: Callable[..., Path], tmp_path: Path) -> None:
    plain = {"size": 16, "depth": 8, "scheme": None, "label_source": None}
    real = toy(tmp_path / "real", "real", 12, 0, cases=1, splits=("train",), **plain)
    made = toy(tmp_path / "made", "synthetic", 6, 1, cases=1, **plain)
    assert (evaluate_fidelity(real, [made], tmp_path / "out", 0, CONFIG) / "results.json").is_file()


def test_few_subjects_are_withheld(toy: Callable[..., Path], synthetic: Path, tmp_path: Path) -> None:
    real = toy(tmp_path / "real", "real", 4, 0, splits=("train",))
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, CONFIG)
    assert all(r.value is None and "withheld" in r.note for r in read_results(out)[0]) and not (out / "curves").exists()


def test_refusals_leave_nothing(real: Path, synthetic: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    seen = [{"cohort": "x", "splits": [], "subjects": Cohort.open(real).subjects("control")}]
    leaky = toy(tmp_path / "leaky", "synthetic", 3, 1, trained_on=seen)
    for sides, error in (((real, leaky), UnderstudyError), ((synthetic, real), UsageError)):
        with pytest.raises(error):
            evaluate_fidelity(sides[0], [sides[1]], tmp_path / "out", 0, CONFIG)
    assert [p.name for p in tmp_path.iterdir()] == ["leaky"]
