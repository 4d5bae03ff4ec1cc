"""The report as a whole: two editions, nothing real in the public one, nothing loaded, same bytes."""

import base64
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.signal import fftconvolve

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.report import write_report
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


def test_one_folder_alone_says_what_is_missing(evidence: Evidence, tmp_path: Path) -> None:
    page = write_report(evidence()[:1], tmp_path / "report").read_text()
    assert page.count("Not measured in these results.") == 2
    assert "Nothing about privacy" in page


def test_words_from_results_are_escaped(evidence: Evidence, tmp_path: Path) -> None:
    result = Result("utility.real.<b>x</b>", 1.0, note="<script>alert(1)</script>")
    page = write_report(evidence(utility=[result])[:1], tmp_path / "report").read_text()
    assert "<script>" not in page
    assert "<b>" not in page


def test_what_was_withheld_is_listed_by_its_reason(evidence: Evidence, tmp_path: Path) -> None:
    results = [Result(f"utility.real.unet.{name}", None, note="withheld: few") for name in ("dice", "iou")]
    page = write_report(evidence(utility=results)[:1], tmp_path / "report").read_text()
    assert "<li>withheld: few: utility · real · U-Net · Dice; utility · real · U-Net · IoU</li>" in page
