"""Results of the privacy evaluation: what few subjects stand behind is withheld."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.result import Result, read_results
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.stage import evaluate_privacy

Write = Callable[..., Path]
PIXELS = PrivacyConfig(matchers=("pixels",), bootstrap=100)

pytestmark = pytest.mark.usefixtures("small_bank")


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 8, 8)).astype(np.uint8)


def named(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)[0]}


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_few_control_subjects_are_withheld_and_training_subjects_join_them(write: Write, tmp_path: Path) -> None:
    splits = ["train"] * 20 + ["control"] * 4
    real = write("real", images(24, 0), kind="real", label_source="patient", splits=splits)
    results = named(evaluate_privacy(real, [write("synthetic", images(10, 1))], tmp_path / "out", 0, PIXELS))
    assert results["privacy.correlation.control.max"].value is None
    assert "withheld" in results["privacy.correlation.control.max"].note
    assert results["privacy.copies.threshold"].n == 24
    assert "training subjects" in results["privacy.copies.flagged"].note
    curve = json.loads((tmp_path / "out" / "curves" / "privacy.json").read_text())
    assert "control subjects" not in {s["name"] for s in curve["series"]}


def test_four_training_subjects_say_nothing(write: Write, tmp_path: Path) -> None:
    real = write("real", images(4, 0), kind="real", label_source="patient", splits=["train"] * 4)
    out = evaluate_privacy(real, [write("synthetic", images(10, 1))], tmp_path / "out", 0, PIXELS)
    results = named(out)
    attacks = [results.pop(name) for name in list(results) if ".attack." in name]
    assert all(result.value is None and "withheld" in result.note for result in results.values())
    assert len(attacks) == len(PrivacyConfig().attacks)
    assert all(result.value is None and "no subjects in the splits" in result.note for result in attacks)
    assert not list(out.glob("curves/*"))
    assert not read(out / "tables" / "privacy_thresholds.csv")
