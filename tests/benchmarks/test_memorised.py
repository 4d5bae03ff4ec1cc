"""The memoriser study on a generator of which it is known what it copied and what was flagged."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

Script = Callable[[str], ModuleType]


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["script", *map(str, words)])
    script.main()


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_copies_and_flags_are_counted(
    script: Script, study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (
        "--real",
        study.real,
        "--synthetic",
        study.synthetic,
        "--privacy",
        study.privacy,
        "--out",
        tmp_path / "out",
    )
    run(script("memorised"), monkeypatch, *given)
    (row,) = table(tmp_path / "out" / "memorised.csv")
    assert (row["training_subjects"], row["training_images"], row["training_images_copied"]) == ("4", "8", "3")
    judged = script("memorised").judge(study.real, study.synthetic, study.privacy)
    far, flagged = judged.found.rmse >= np.quantile(judged.unseen, 0.01), judged.flagged
    assert 0 < far.sum() <= 6
    counts = {what: (row[what], row[f"{what}_of"]) for what in
              ("true_copies", "copies_flagged", "flagged_copies_named", "others_flagged", "far_flagged")}  # fmt: skip
    assert counts == {
        "true_copies": ("6", "12"),
        "copies_flagged": ("4", "6"),
        "flagged_copies_named": ("3", "4"),
        "others_flagged": ("1", "6"),
        "far_flagged": (str(sum(flagged[far])), str(far.sum())),
    }
    exact = [4 / 6, beta.ppf(0.025, 4, 3), beta.ppf(0.975, 5, 2)]
    assert [float(row[f"copies_flagged_{end}"]) for end in ("share", "low", "high")] == pytest.approx(exact, abs=1e-4)
    bands = table(tmp_path / "out" / "distances.csv")
    assert (bands[0]["cases"], bands[0]["flagged"]) == ("6", "4")
    assert sum(int(band["cases"]) for band in bands) == 12
    assert (tmp_path / "out" / "memorised.png").read_bytes()[:4] == b"\x89PNG"


def test_without_a_detector_only_the_truth_is_told(
    script: Script, study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(script("memorised"), monkeypatch, "--real", study.real, "--synthetic", study.synthetic, "--out", tmp_path / "o")
    (row,) = table(tmp_path / "o" / "memorised.csv")
    assert row["true_copies"] == "6"
    assert not [name for name in row if "flagged" in name]


def test_a_cohort_of_another_training_and_flags_of_another_cohort_are_refused(
    script: Script, study: Any, tmp_path: Path
) -> None:
    memorised = script("memorised")
    with pytest.raises(SystemExit, match="was not trained on"):
        memorised.judge(study.synthetic, study.synthetic, None)
    pairs = study.privacy / "internal" / "pairs.csv"
    pairs.write_text(pairs.read_text().replace("c11,", "c99,"))
    with pytest.raises(SystemExit, match="says nothing of 1 cases"):
        memorised.judge(study.real, study.synthetic, study.privacy)


def test_the_sheet_shows_whom_it_says(
    script: Script, study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet, rmse = script("copies_sheet"), np.array([0.1, 0.4, 0.2, 0.26, 0.9, 0.0])
    assert sheet.chosen(rmse, "copies", 9, 0).tolist() == [5, 0, 2]
    assert sheet.chosen(rmse, "bound", 2, 0).tolist() == [2, 3]
    assert len(sheet.chosen(rmse, "far", 2, 0)) == 2
    assert set(sheet.chosen(rmse, "far", 2, 0)) < {1, 3, 4}
    run(sheet, monkeypatch, study.real, study.synthetic, "--out", tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"
