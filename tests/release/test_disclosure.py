"""One real thing of each kind, planted in each kind of file of a finished bundle, is found; a clean bundle passes."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.release.disclosure import compare_with_real
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.report.figures import grid_figure

RULE = read_policy().policy.real_check
Fields = Callable[..., np.ndarray]


def compare(bench: Any, bundle: Path) -> dict[str, float]:
    return compare_with_real(bundle, Cohort.open(bench.real), RULE)


@pytest.fixture
def bundle(bench: Any, smooth: Fields) -> Path:
    """Return a bundle with a grid of synthetic cases, in the evidence and in the report."""
    evidence = bench.evidence()
    folder = next(path for path in evidence if path.name.endswith("privacy"))
    (folder / "images").mkdir()
    np.savez(folder / "images" / "synthetic.npz", images=smooth(6, 5).astype(np.float32) / 255)
    return release_cohort(bench.synthetic, evidence, bench.root / "bundle", real=bench.real)


def test_a_clean_bundle_tells_what_was_compared(bench: Any, bundle: Path) -> None:
    found = compare(bench, bundle)
    assert found["real_cases"] == 60 and found["pictures"] == 1 and found["names_too_short"] == 0
    assert found["files"] == len([path for path in bundle.rglob("*") if path.is_file()])
    assert 0.1 < found["highest_r"] < 0.9 and 0.1 < found["highest_r_drawn"] < 0.95


def test_what_is_planted_is_found(bench: Any, bundle: Path, smooth: Fields) -> None:
    real = Cohort.open(bench.real)
    assert real.images is not None and real.labels is not None
    images = smooth(6, 6)
    images[2] = real.images[11]
    arrays = images.astype(np.float32) / 255
    blurred = (arrays[2] * 0.8 + np.random.default_rng(0).normal(0, 0.005, (32, 32))).astype(np.float32)
    figure = grid_figure([("", np.repeat(arrays[:, 0, :, :, None], 3, -1), None)])
    page = f'<img src="data:image/png;base64,{b64encode(figure).decode()}">'
    file = bundle / "evidence" / "privacy" / "images" / "planted"

    def refused(suffix: str, says: str) -> None:
        with pytest.raises(UnderstudyError, match=says):
            compare(bench, bundle)
        file.with_suffix(suffix).unlink()

    np.savez_compressed(file.with_suffix(".npz"), images=arrays)
    refused(".npz", "planted.npz hold a real patch")
    np.savez_compressed(file.with_suffix(".npz"), images=blurred[None])
    refused(".npz", "planted.npz is a real one, or as good as that")
    np.savez_compressed(file.with_suffix(".npz"), labels=np.array(real.labels[3:4]))
    refused(".npz", "planted.npz hold a real label map")
    file.with_suffix(".png").write_bytes(figure)
    refused(".png", "planted.png is a real one")
    file.with_suffix(".html").write_text(page)
    refused(".html", r"planted.html \(picture 1\) is a real one")
    file.with_suffix(".csv").write_text(f"case\n{bench.names[1]}-0001\n")
    refused(".csv", "the name of a real case stands in|the pseudonym of a real subject stands in")
    file.with_suffix(".dcm").write_bytes(b"x")
    refused(".dcm", "is of a kind that is not looked into")
    assert compare(bench, bundle)


def test_a_real_label_map_in_the_cohort_is_found(bench: Any) -> None:
    real = Cohort.open(bench.real)
    assert real.labels is not None
    images = bench.images.copy()
    images[4] = np.where(real.labels[9][None] == 1, 151 + images[4] // 8, images[4] // 2)  # its map, another image
    cohort = bench.cohort("maps", images)
    with pytest.raises(UnderstudyError, match="cohort/labels.npy hold a real label map"):
        release_cohort(cohort, bench.evidence(cohort, "maps-"), bench.root / "out", real=bench.real)


def test_evidence_that_shows_a_real_case_is_never_released(bench: Any) -> None:
    evidence = bench.evidence()
    (evidence[0] / "images").mkdir()
    pixels = np.asarray(Cohort.open(bench.real).images, np.float32)[:3] / 255
    np.savez(evidence[0] / "images" / "synthetic.npz", images=pixels)
    with pytest.raises(UnderstudyError, match="synthetic.npz hold a real patch"):
        release_cohort(bench.synthetic, evidence, bench.root / "out", real=bench.real)
    assert not (bench.root / "out").exists()
