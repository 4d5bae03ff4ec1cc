"""Files of the privacy evaluation: public ones hold no case and no subject."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.result import Result, read_results
from understudy.evaluation.privacy.stage import evaluate_privacy

Write = Callable[..., Path]
TRAINED_ON = [{"cohort": "x", "splits": ["train"], "subjects": [f"patient{i}" for i in range(4, 16)]}]

pytestmark = pytest.mark.usefixtures("small_bank")


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 8, 8)).astype(np.uint8)


def named(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)[0]}


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_public_files_hold_no_case_and_no_subject(write: Write, real: Path, tmp_path: Path) -> None:
    out = evaluate_privacy(real, [write("synthetic", images(10, 1), trained_on=TRAINED_ON)], tmp_path / "out", 0)
    public = b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file() and "internal" not in p.parts)
    assert not re.search(rb"patient\d", public)
    assert b"real-case" not in public
    curve = json.loads((out / "curves" / "privacy.json").read_text())
    assert {s["name"] for s in curve["series"]} >= {"synthetic", "control subjects"}
    assert all(sum(s["y"]) == pytest.approx(1) for s in curve["series"])
    table = read(out / "tables" / "privacy_thresholds.csv")
    assert float(table[0]["share_of_unseen"]) <= 0.01
    assert table[1]["share_of_unseen"] == "0"
    attacks = read(out / "tables" / "privacy_attacks.csv")
    assert {row["attack"] for row in attacks} >= {"nearest pixels", "singling out", "denoising loss"}
    inside = read(out / "internal" / "attacks.csv")
    pixels = [row for row in inside if row["attack"] == "nearest_pixels"]
    assert sorted(row["subject"] for row in pixels) == sorted({f"patient{i}" for i in range(4, 22)})
    assert sum(int(row["member"]) for row in pixels) == 12
    neighbour = named(out)["privacy.correlation.neighbour.median"]
    assert neighbour.n == 12
    assert abs(neighbour.value or 9) < 0.4
