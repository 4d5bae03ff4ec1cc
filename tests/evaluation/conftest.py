"""A toy cohort: noisy discs on two channels, a few slices a subject."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

SCHEME = LabelScheme(("background", "Bright disc"), (0, 1))
SPLITS = ("train", "train", "train", "validation", "control", "test")


def draw(rng: np.random.Generator, size: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:size, :size]
    at, radius = rng.integers(size // 4, 3 * size // 4, 2), rng.integers(size // 8, size // 4)
    label = (y - at[0]) ** 2 + (x - at[1]) ** 2 < radius**2
    image = np.stack([60 + 90 * label + shift, 90 - 40 * label]) + rng.normal(0, 10, (2, size, size))
    return np.clip(image, 0, 255).astype(np.uint8), label.astype(np.uint8)


def write_toy(
    out: Path,
    kind: str,
    subjects: int,
    seed: int,
    *,
    size: int = 32,
    cases: int = 3,
    shift: float = 0,
    splits: tuple[str, ...] = SPLITS,
    depth: int = 0,
    generator: str = "",
    **changes: Any,
) -> Path:
    rng = np.random.default_rng(seed)
    shape = (depth, size, size) if depth else (size, size)
    settings: dict[str, Any] = {
        "kind": kind,
        "modality": "MR",
        "size": shape,
        "channels": [Channel("a", 0, 255), Channel("b", 0, 255)],
        "dtype": "uint8",
        "scheme": SCHEME,
        "label_source": "patient" if kind == "real" else "sampled",
        "provenance": Provenance("toy", {"generator": generator} if generator else {}, seed),
    } | changes
    with CohortWriter(out, **settings) as writer:
        for i in range(subjects):
            for j in range(cases):
                image, label = draw(rng, size, shift)
                if depth:
                    image, label = (np.repeat(a[..., None, :, :], depth, axis=-3) for a in (image, label))
                row = {
                    "case_id": f"{kind}-{i}-{j}",
                    "subject_id": f"{kind}-{i}",
                    "split": splits[i % len(splits)] if kind == "real" else "",
                }
                given = [
                    a if wanted else None for a, wanted in ((image, settings["channels"]), (label, settings["scheme"]))
                ]
                writer.append(*given, row)
    return out


@pytest.fixture(scope="session")
def toy() -> Callable[..., Path]:
    return write_toy


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy(tmp_path_factory.mktemp("cohorts") / "real", "real", 30, 0)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["real-0"]}]
    return write_toy(
        tmp_path_factory.mktemp("cohorts") / "synthetic", "synthetic", 30, 1, trained_on=seen, generator="StyleGAN 2"
    )
