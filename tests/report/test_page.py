"""The report as a whole: two editions, nothing real in the public one, nothing loaded, same bytes."""

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
from scipy.signal import fftconvolve

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results, write_results
from understudy.evaluation.folder import write_curve
from understudy.report import sections, write_report
from understudy.report.figures import COLUMNS, DPI, GAP, MARGIN_INCHES, WIDTH_INCHES

Evidence = Callable[..., list[Path]]


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [np.asarray(Image.open(BytesIO(base64.b64decode(text))).convert("L"), float) for text in found]


def likeness(picture: np.ndarray, case: np.ndarray) -> float:
    """Return the highest normalised cross-correlation of a picture with a case (H, W) at the size it is drawn."""
    side = round((WIDTH_INCHES - MARGIN_INCHES) * DPI / COLUMNS * case.shape[0] / (case.shape[0] + GAP))
    template = np.asarray(Image.fromarray(np.uint8(case * 255)).resize((side, side), Image.Resampling.NEAREST), float)
    if min(picture.shape) < side:
        return 0.0
    template = (template - template.mean()) / template.std() / template.size
    ones = np.ones_like(template) / template.size
    mean, square = (fftconvolve(power, ones, "valid") for power in (picture, picture**2))
    return float(
        (fftconvolve(picture, template[::-1, ::-1], "valid") / np.sqrt(np.maximum(square - mean**2, 25))).max()
    )


def highest(page: str, file: Path) -> float:
    with np.load(file) as arrays:
        return max(likeness(picture, case) for picture in pictures(page) for case in arrays["images"][:2, 0])


def test_no_real_pixel_and_no_real_name_in_the_public_edition(evidence: Evidence, tmp_path: Path) -> None:
    folders = evidence()
    page = write_report(folders, tmp_path / "report", internal=True)
    public, internal = page.read_text(), (page.parent / "internal" / "report.html").read_text()
    real, synthetic = folders[1] / "internal" / "real.npz", folders[1] / "images" / "synthetic.npz"
    assert highest(internal, real) > 0.8  # the search finds them where they are
    assert highest(public, synthetic) > 0.8
    assert highest(public, real) < 0.5
    for name in ("real-case-5", "patient-of-77"):
        assert name not in public
        assert name in internal
        assert name not in (page.parent / "provenance.json").read_text()
    assert "INTERNAL" in internal
    assert "INTERNAL" not in public
    assert "PUBLIC EDITION" in public
    assert (page.parent / "internal" / "INTERNAL.txt").is_file()


def test_without_internal_nothing_internal_is_written(evidence: Evidence, tmp_path: Path) -> None:
    page = write_report(evidence(), tmp_path / "report")
    assert page == tmp_path / "report" / "report.html"
    assert {p.name for p in page.parent.iterdir()} == {"report.html", "provenance.json"}


def test_nothing_is_loaded_and_nothing_is_overstated(evidence: Evidence, tmp_path: Path) -> None:
    page = write_report(evidence(), tmp_path / "report", internal=True).read_text()
    assert set(re.findall(r'src="([^"]{10})', page)) == {"data:image"}
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?://|//[a-z]|<script|<link|@import|url\(", page)
    assert not re.search(r"anonym|proven\b|guarantee", page, re.IGNORECASE)
    for shown in ("0.712", "0.660 to 0.760", "80 %", "95 % interval 73 to 86 %; n = 22 test subjects", "3 of 1,000"):
        assert shown in page
    for shown in ("Not covered", "withheld: 3 subjects", "12.8 (10.9 to 14.6)"):
        assert shown in page


def test_same_results_same_bytes_and_not_made_twice(evidence: Evidence, tmp_path: Path) -> None:
    folders = evidence()
    first = write_report(folders, tmp_path / "a", internal=True)
    time = first.stat().st_mtime_ns
    assert write_report(folders, tmp_path / "a", internal=True) == first
    assert first.stat().st_mtime_ns == time
    other = write_report(folders[::-1], tmp_path / "b", internal=True)  # the order of the folders does not matter
    for name in ("report.html", "provenance.json", "internal/report.html"):
        assert (first.parent / name).read_bytes() == (other.parent / name).read_bytes()
    with pytest.raises(UsageError, match="another request"):
        write_report(folders, tmp_path / "a")


@pytest.mark.parametrize("role", ["real", "synthetic"])
def test_results_of_another_cohort_are_refused(evidence: Evidence, tmp_path: Path, role: str) -> None:
    inputs = {"real": "real0123456789", "synthetic": "synt0123456789"} | {role: "other"}
    with pytest.raises(UnderstudyError, match=f"results of another cohort.*{role} cohort other"):
        write_report(evidence({"privacy": inputs}), tmp_path / "report")
    assert not (tmp_path / "report").exists()


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


def test_one_folder_alone_says_what_is_missing(evidence: Evidence, tmp_path: Path) -> None:
    page = write_report(evidence()[:1], tmp_path / "report").read_text()
    assert page.count("Not measured in these results.") == 2
    assert "Nothing about privacy" in page


def test_words_from_results_are_escaped(evidence: Evidence, tmp_path: Path) -> None:
    result = Result("utility.real.<b>x</b>", 1.0, note="<script>alert(1)</script>")
    page = write_report(evidence(utility=[result])[:1], tmp_path / "report").read_text()
    assert "<script>" not in page
    assert "<b>" not in page
