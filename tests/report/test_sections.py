"""Sections of the report: which curves, histograms and pictures each folder gives."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results, write_results
from understudy.evaluation.folder import write_curve
from understudy.report import sections, write_report

Evidence = Callable[..., list[Path]]


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [np.asarray(Image.open(BytesIO(base64.b64decode(text))).convert("L"), float) for text in found]


def test_histograms_of_label_maps_are_shown(evidence: Evidence, tmp_path: Path) -> None:
    folders = evidence()
    before = write_report(folders, tmp_path / "before").read_text()
    series = [{"name": "real", "counts": [9, 30]}, {"name": "synthetic", "counts": [3, 12]}]
    panel = {"name": "volume", "x_label": "voxels", "scale": "log", "edges": [1, 4, 64], "series": series}
    (folders[1] / "histograms").mkdir()
    (folders[1] / "histograms" / "01-x.json").write_text(json.dumps({"title": "Label maps: tumour", "panels": [panel]}))
    page = write_report(folders, tmp_path / "after").read_text()
    assert "Label maps: tumour" in page and "at least five real subjects" in page
    assert len(pictures(page)) == len(pictures(before)) + 1


def test_the_mixing_curve_and_every_side_are_shown(evidence: Evidence, tmp_path: Path) -> None:
    plain = evidence()
    before = write_report(plain, tmp_path / "before").read_text()
    results, provenance = read_results(plain[0])
    further = [
        Result(f"utility.{side}.unet.dice", 0.6, 0.5, 0.7, n=22) for side in ("both-25", "finetuned@5", "real@5")
    ]
    write_results(plain[0], [*results, *further], Provenance("evaluate utility", {}, 0, provenance["inputs"]))
    one = {"g": ([0, 0.25, 1], [0.7, 0.8, 0.5], [0.6, 0.7, 0.4], [0.8, 0.9, 0.6])}
    write_curve(
        plain[0], "utility-mixing-unet", "Dice against the share", "share", "Dice", one, note="Bands: intervals"
    )
    page = write_report(plain, tmp_path / "after").read_text()
    assert "Dice against the share" in page and "Bands: intervals" in page and "Dice against the share" not in before
    assert "real + 25 % synthetic" in page and "synthetic, then real, 5 real subjects" in page
    assert len(pictures(page)) == len(pictures(before)) + 1
    scores = [next(p for p in pictures(text) if p.shape[1] == 750).shape[0] for text in (before, page)]
    assert scores[1] - scores[0] > 3 * 35  # a line for each of the three sides


def test_classes_are_drawn_of_real_and_synthetic_only(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"utility.{side}.unet.dice{k}" for k in ("", ".a", ".b") for side in ("real", "synthetic", "both-25@5")]
    drawn: list[str] = []
    original = sections.interval_figure
    watched = lambda rows, label: (drawn.extend(row[0] for row in rows), original(rows, label))[1]  # noqa: E731
    monkeypatch.setattr(sections, "interval_figure", watched)
    for kept in (names, names[:6]):  # two classes, one class
        write_report(evidence(utility=[Result(name, 0.5, n=9) for name in kept])[:1], tmp_path / f"{len(kept)}")
        shutil.rmtree(tmp_path / "utility")
        for other in ("fidelity", "privacy"):
            shutil.rmtree(tmp_path / other)
    mixed = "real + 25 % synthetic, 5 real subjects"
    assert drawn[:3] == ["mean of classes, real", "mean of classes, synthetic", f"mean of classes, {mixed}"]
    assert drawn[3:7] == ["a, real", "a, synthetic", "b, real", "b, synthetic"]
    assert drawn[7:] == ["a, real", "a, synthetic", f"a, {mixed}"]
