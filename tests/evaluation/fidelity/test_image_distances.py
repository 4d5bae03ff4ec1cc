"""Distances of images: a shifted cohort lies farther, few subjects are withheld."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.result import read_results
from understudy.evaluation import METRICS
from understudy.evaluation.fidelity.stage import FidelityConfig, evaluate_fidelity

CONFIG = FidelityConfig(draws=4, subsets=8, subset_size=30, bins=16, grid=9, pairs=20, features="random")
OF_FEATURES = [one.name for metric in METRICS.values() if metric.needs == "features" for one in metric.quantities]
COMPARED = (*OF_FEATURES, "intensity.a", "intensity.b", "spectrum")


def test_a_shifted_cohort_is_farther_than_a_faithful_one(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    near, far = (
        toy(tmp_path / f"s{shift}", "synthetic", 20, 5, shift=shift, generator=name)
        for shift, name in ((0, "near"), (25, "far"))
    )
    out = evaluate_fidelity(real, [near, far], tmp_path / "out", 0, CONFIG)
    found = {r.name: r.value or 0 for r in read_results(out)[0]}
    for metric in ("frechet", "frechet_infinity", "kid", "intensity.a"):
        assert found[f"fidelity.far.{metric}"] > 5 * abs(found[f"fidelity.near.{metric}"])
        beside = {k: found[f"fidelity.far.{metric}.{k}"] for k in ("size_matched", "unseen", "redrawn")}
        assert beside["size_matched"] > 3 * abs(beside["unseen"]) and beside["redrawn"] < beside["size_matched"]
        assert found[f"fidelity.far.{metric}.unseen_extrapolated"] <= beside["unseen"]
    for metric in ("precision", "recall", "density", "coverage"):
        assert found[f"fidelity.far.{metric}.size_matched"] < 0.5 * found[f"fidelity.far.{metric}.unseen"]
        assert found[f"fidelity.near.{metric}.size_matched"] > 0.5 * found[f"fidelity.near.{metric}.unseen"]
    with (out / "tables" / "fidelity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["cohort"], r["metric"]) for r in rows] == [(n, m) for m in COMPARED for n in ("near", "far")]
    assert rows[0]["n_real"] == "45" and rows[0]["features"] == "128" and "too few" in rows[0]["note"]
    assert found["fidelity.far.intensity.a"] == pytest.approx(25, abs=7)  # in units of the channel: the shift
    power = json.loads((out / "curves" / "spectrum-a.json").read_text())["series"]
    assert [s["name"] for s in power] == ["real", "near", "far"] and power[0]["x"][-1] == 0.5
    curve = json.loads((out / "curves" / "intensity-a.json").read_text())
    assert [s["name"] for s in curve["series"]] == ["real", "near", "far"]
    for series in curve["series"]:  # densities over 0..255 that sum to one
        assert sum(series["y"]) * 255 / 16 == pytest.approx(1) and len(series["x"]) == 16
    means = [np.dot(s["x"], s["y"]) * 255 / 16 for s in curve["series"]]
    assert means[2] - means[0] == pytest.approx(25, abs=6)


def test_few_subjects_are_withheld(toy: Callable[..., Path], synthetic: Path, tmp_path: Path) -> None:
    real = toy(tmp_path / "real", "real", 4, 0, splits=("train",))
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, CONFIG)
    told = [r for r in read_results(out)[0] if r.value is not None]
    assert [r.name for r in told] == [
        "fidelity.labels.empty",
        "fidelity.labels.bright-disc.without",
    ]  # of synthetic cases
    assert all("real withheld" in r.note for r in told)
    assert not any((out / name).exists() for name in ("curves", "histograms", "tables/labels.csv"))
