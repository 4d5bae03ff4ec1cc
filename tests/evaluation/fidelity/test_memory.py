"""Memory: what an evaluation holds grows with the rows of its feature matrices, not with images and not with n^2.

At 20,000 cases of 64 pixels ``benchmarks/fidelity.py --n 20000`` prints the peak; here the growth of it is measured on
fewer cases. A case of these cohorts has 32 KiB of images as float32; n^2 distances of 700 cases would be 5 KiB a case.
"""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.evaluation.features import extractor
from understudy.evaluation.fidelity.stage import FidelityConfig, evaluate_fidelity

CONFIG = FidelityConfig(draws=2, subsets=2, subset_size=50, sizes=2, pairs=10, features="random", grid=4)
FEW, MANY = 100, 700
KIB_PER_CASE = (
    8  # its rows: 128 features and copies of them in float64, intensities, spectra, the case table; measured: 4
)


def peak(real: Path, made: Path, out: Path) -> int:
    tracemalloc.start()
    evaluate_fidelity(real, [made], out, 0, CONFIG)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


@pytest.mark.parametrize("growing", ["real", "synthetic"])
def test_memory_grows_with_rows_only(
    growing: str, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "VOXELS_PER_BLOCK", 64 * 64 * 16)
    other = "synthetic" if growing == "real" else "real"

    def cohort(kind: str, n: int) -> Path:
        return toy(tmp_path / f"{kind}{n}", kind, n // 5, n, size=64, cases=5, splits=("train",))

    fixed, peaks = cohort(other, FEW), {}
    for n in (FEW, MANY):
        sides = {growing: cohort(growing, n), other: fixed}
        peaks[n] = peak(sides["real"], sides["synthetic"], tmp_path / f"out{n}")
    assert (peaks[MANY] - peaks[FEW]) / (MANY - FEW) < KIB_PER_CASE * 1024
