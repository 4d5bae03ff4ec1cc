"""The scripts in benchmarks/ as modules, and a generator that copies by half, with what a detector says of it."""

import csv
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
SPLITS = ("train", "train", "validation", "control", "test")


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Return a function that imports a script by its name."""

    def imported(name: str) -> ModuleType:
        sys.path.insert(0, BENCHMARKS)
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(BENCHMARKS)

    return imported


def write(out: Path, images: np.ndarray, subjects: list[str], splits: list[str], **changes: Any) -> Path:
    channels = [Channel(name, 0, 255) for name in "ab"]
    with CohortWriter(
        out, modality="MR", size=images.shape[2:], channels=channels, dtype="uint8", scheme=None, label_source=None,
        provenance=Provenance("test"), **changes
    ) as writer:  # fmt: skip
        for i, image in enumerate(images):
            writer.append(image, None, {"case_id": f"c{i}", "subject_id": subjects[i], "split": splits[i]})
    return out


@dataclass(frozen=True)
class Study:
    """10 real subjects with 2 cases each, 4 of them for training; 12 synthetic cases, the first 6 copies of 3 cases."""

    real: Path
    synthetic: Path
    privacy: Path


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A detector that flags 4 of the 6 copies, one of them under another subject, and 1 of the 6 others."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (32, 2, 12, 12)).astype(np.uint8)
    subjects = [f"s{i // 2}" for i in range(20)]
    splits = [SPLITS[i // 2 % 5] for i in range(20)]
    real = write(tmp_path / "real", images[:20], subjects, splits, kind="real", key=b"k")
    cohort = Cohort.open(real)
    assert cohort.images is not None
    rows = cohort.rows("train")
    copied = rows[[0, 0, 0, 3, 3, 7]]
    images[20:26] = cohort.images[copied][..., ::-1]
    synthetic = write(tmp_path / "synthetic", images[20:], [f"c{i}" for i in range(12)], [""] * 12, kind="synthetic",
                      trained_on=[cohort.seen("train")])  # fmt: skip
    said = cohort.column("subject_id")[copied].tolist() + ["s0"] * 6
    said[2] = "s8"
    flagged = [1, 1, 1, 0, 0, 1] + [0, 1, 0, 0, 0, 0]
    pairs = [
        [f, "p", s, f"c{i}", Cohort.open(synthetic).id] for i, (f, s) in enumerate(zip(flagged, said, strict=True))
    ]
    (tmp_path / "privacy" / "internal").mkdir(parents=True)
    with (tmp_path / "privacy" / "internal" / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["flagged", "view", "subject", "synthetic_case", "synthetic_cohort"], *pairs[::-1]])
    return Study(real, synthetic, tmp_path / "privacy")
