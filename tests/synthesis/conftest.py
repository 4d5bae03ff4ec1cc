"""A tiny cohort with two classes and runs of tiny generators on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators.diffusion import Diffusion, DiffusionConfig

TINY = {"channels": (8, 8), "attention_levels": (), "patch": 1, "images_seen": 16, "batch_size": 4, "sampler_steps": 4,
        "sample_block": 4, "snapshot_every": 4, "precision": "fp32", "ema_images": 2, "learning_rate": 0.02,
        "warmup_images": 1}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_classes(out: Path, size: int = 8, high: float = 500, labels: bool = True, subjects: int = 24) -> Cohort:
    """Noise, brighter on the left where a case is ill; class combinations (1, 0), (0, 1) often and (1, 1) once."""
    random = np.random.default_rng(0)
    with CohortWriter(
        out, kind="real", modality="MR", size=(size, size), channels=[Channel("t1", 0, high)], dtype="uint16",
        scheme=LabelScheme(("background", "tumour"), (0, 1)) if labels else None,
        label_source="patient" if labels else None, classes=["ill", "well"], provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(subjects):
            ill, split = i // 6 % 3 == 0, ("train", "train", "train", "validation", "test", "control")[i % 6]
            image = random.integers(0, 300, (1, size, size))
            image[..., : size // 2] += 190 * ill
            values = {"ill": str(int(ill)), "well": str(int(not ill or i == 0))}
            row = {"case_id": f"{i}", "subject_id": f"secret{i:02d}", "split": split}
            label = random.integers(0, 2, (size, size)) if labels else None
            writer.append(image.astype(np.uint16), label, row | values)
    return Cohort.open(out)


@pytest.fixture(scope="session")
def classes_cohort() -> Callable[..., Cohort]:
    return write_classes


@pytest.fixture(scope="session")
def train() -> Callable[..., Path]:
    def go(cohort: Cohort, out: Path, seed: int = 0, **changes: Any) -> Path:
        return Diffusion(DiffusionConfig(**(TINY | changes))).fit(cohort, out, seed)

    return go
