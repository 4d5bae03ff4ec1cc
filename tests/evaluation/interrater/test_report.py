"""What evaluate interrater writes: few subjects are withheld, rows stay inside, and the report shows the ceiling."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results, write_results
from understudy.evaluation.interrater.config import InterraterConfig
from understudy.evaluation.interrater.stage import evaluate_interrater
from understudy.report import write_report

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


def test_few_subjects_are_withheld_and_rows_are_internal(tmp_path: Path, rater: Rater) -> None:
    one, two = (rater(tmp_path / name, maps) for name, maps in zip("ab", readings(5), strict=True))
    out = evaluate_interrater(one, two, tmp_path / "out", 0, QUICK)
    found = named(out)
    assert found["interrater.dice.core"].value is not None and found["interrater.dice.core"].n == 5
    assert found["interrater.dice.rim"].value is None and found["interrater.dice.rim"].note.startswith(
        "withheld: 4 subjects"
    )
    with (out / "tables" / "interrater.csv").open(newline="") as handle:
        rows = {row["class"]: row for row in csv.DictReader(handle)}
    assert list(rows) == ["mean", "core", "rim", "whole lesion"]
    assert rows["rim"]["dice"] == rows["rim"]["only_real"] == "" and rows["core"]["only_real"] == "0"
    text = (out / "internal" / "per_subject.csv").read_text()
    assert text.count("\n") == 1 + 5 * 3 and "s0,rim,,,,,,,,,,both empty" in text
    public = [file for file in out.rglob("*") if file.is_file() and "internal" not in file.parts]
    assert not any(f"s{i}," in file.read_text() for file in public for i in range(5))


def test_the_report_shows_the_ceiling_beside_segmenters(tmp_path: Path, rater: Rater) -> None:
    one, two = (rater(tmp_path / name, maps) for name, maps in zip("ab", readings(), strict=True))
    out = evaluate_interrater(one, two, tmp_path / "out", 0, QUICK)
    inputs = {"real": read_results(out)[1]["inputs"]["real"], "synthetic": "x"}
    (tmp_path / "utility").mkdir()
    scores = [Result("utility.real.unet.dice.core", 0.6, 0.5, 0.7, better="higher", n=6)]
    write_results(tmp_path / "utility", scores, Provenance("evaluate utility", {}, 0, inputs))
    alone = write_report([tmp_path / "utility"], tmp_path / "alone").read_text()
    page = write_report([tmp_path / "utility", out], tmp_path / "report").read_text()
    assert "Inter-rater agreement" in page and "Inter-rater agreement" not in alone
    pictures = [text.split('src="data:image/png;base64,')[1].split('"')[0] for text in (alone, page)]
    assert len(pictures[1]) > 1.3 * len(pictures[0])  # more lines in the one figure of Dice
