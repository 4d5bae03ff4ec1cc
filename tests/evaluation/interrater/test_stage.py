"""Two raters scored by hand, swapped, too few to publish, and beside utility in the report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.result import Result, read_results
from understudy.evaluation.interrater.config import InterraterConfig
from understudy.evaluation.interrater.stage import evaluate_interrater

Rater = Callable[..., Path]
Maps = dict[str, list[np.ndarray | None]]
QUICK = InterraterConfig(draws=200)


def box(y: int, x: int, height: int, width: int, label: int = 1) -> np.ndarray:
    drawn = np.zeros((16, 16), np.uint8)
    drawn[y : y + height, x : x + width] = label
    return drawn


def readings(subjects: int = 6) -> tuple[Maps, Maps]:
    """Return two raters' maps: 4 x 4 against 4 x 2 in the first slice, one in the second; subject 0 lacks rims."""
    one: Maps = {f"s{i}": [box(2, 2, 4, 4), box(8, 8, 2, 2, 2 * (i > 0))] for i in range(subjects)}
    two: Maps = {f"s{i}": [box(2, 2, 4, 2), box(8, 8, 2, 2, 2 * (i > 0))] for i in range(subjects)}
    return one, two


def named(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)[0]}


def test_scores_by_hand_with_slices_stacked(tmp_path: Path, rater: Rater) -> None:
    one, two = (rater(tmp_path / name, maps) for name, maps in zip("ab", readings(), strict=True))
    found = named(evaluate_interrater(one, two, tmp_path / "out", 0, QUICK))
    core = {name: found[f"interrater.{name}.core"].value for name in ("dice", "iou", "precision", "recall")}
    assert core == pytest.approx({"dice": 2 / 3, "iou": 1 / 2, "precision": 1, "recall": 1 / 2})
    assert found["interrater.volume_difference.core"].value == pytest.approx(1 / 3)
    assert found["interrater.hd.core"].value == pytest.approx(2) and found["interrater.hd.core"].unit == "pixels"
    assert found["interrater.dice.rim"].value == 1 and found["interrater.dice.rim"].n == 5
    assert found["interrater.dice"].value == pytest.approx((2 / 3 + 5 * (2 / 3 + 1) / 2) / 6)
    whole = 5 * 2 * (8 + 4) / (8 + 16 + 8) + 2 / 3
    assert found["interrater.dice.whole-lesion"].value == pytest.approx(whole / 6)
    assert "12 cases of 6 subjects (test) that both have" in found["interrater.dice"].note
    assert "0 only --real marks, 0 only --other, 1 both empty" in found["interrater.dice.rim"].note
    dice = found["interrater.dice"]
    assert dice.low is not None and dice.high is not None and dice.low < dice.value < dice.high  # type: ignore[operator]


def test_readers_change_places_and_only_precision_and_recall_do_too(tmp_path: Path, rater: Rater) -> None:
    random = np.random.default_rng(0)
    maps = [
        {f"s{i}": [random.integers(0, 3, (16, 16)).astype(np.uint8) * (i != r) for _ in range(3)] for i in range(6)}
        for r in range(2)
    ]
    one, two = (rater(tmp_path / name, m) for name, m in zip("ab", maps, strict=True))
    ahead = named(evaluate_interrater(one, two, tmp_path / "ahead", 0, QUICK))
    back = named(evaluate_interrater(two, one, tmp_path / "back", 0, QUICK))
    swap = {"precision": "recall", "recall": "precision"}
    for name, result in ahead.items():
        first, score, *rest = name.split(".")
        other = back[".".join([first, swap.get(score, score), *rest])]
        assert (result.value, result.low, result.high) == pytest.approx((other.value, other.low, other.high), abs=1e-12)
    assert ahead["interrater.precision.core"].value != pytest.approx(back["interrater.precision.core"].value)
    assert "1 only --real marks, 1 only --other" in ahead["interrater.dice.core"].note


def test_classes_split_and_the_same_request(tmp_path: Path, rater: Rater) -> None:
    one, two = (rater(tmp_path / name, maps, split="train") for name, maps in zip("ab", readings(), strict=True))
    config = InterraterConfig(draws=100, classes=("rim",), split="all")
    out = evaluate_interrater(one, two, tmp_path / "out", 0, config)
    found = named(out)
    assert (
        found["interrater.dice.rim"].value == 1 == found["interrater.dice"].value
        and "interrater.dice.core" not in found
    )
    before = (out / "results.json").read_bytes()
    assert evaluate_interrater(one, two, out, 0, config) == out and (out / "results.json").read_bytes() == before
