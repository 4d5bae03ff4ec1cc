"""A tiny cohort whose encoding looks at nobody, and subjects whose gradient is what they hold."""

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
from understudy.training.batches import Batch
from understudy.training.dp.subjects import SubjectBatch


def _write(
    out: Path,
    subjects: int = 9,
    high: float = 255,
    leave_out: str = "",
    called: str = "s",
    ill: Callable[[int], str] = lambda i: "1",
    **options: Any,
) -> Cohort:
    """Subject i has 1 + i mod 4 slices; the last one is a test subject."""
    random = np.random.default_rng(0)
    with CohortWriter(
        out, kind="real", modality="MR", size=(16, 16), channels=[Channel("a", 0, high)], dtype="uint8",
        scheme=LabelScheme(("background", "tumour"), (0, 1)), label_source="patient", classes=["ill"],
        provenance=Provenance("test"), key=b"k", **options,
    ) as writer:  # fmt: skip
        for i in range(subjects):
            for j in range(1 + i % 4):
                image = random.integers(0, 255, (1, 16, 16)).astype(np.uint8)
                label = random.integers(0, 2, (16, 16)).astype(np.uint8)
                row = {"case_id": f"{i}-{j}", "subject_id": f"{called}{i}", "ill": ill(i)}
                if f"s{i}" != leave_out:
                    writer.append(image, label, row | {"split": "train" if i < subjects - 1 else "test"})
    return Cohort.open(out)


@pytest.fixture(scope="session")
def write_cohort() -> Callable[..., Cohort]:
    return _write


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return _write(tmp_path_factory.mktemp("privacy") / "cohort")


def _subject(*gradients: torch.Tensor, seed: int = 0) -> SubjectBatch:
    """A subject whose gradient in the parameters a, b ... is given."""
    return SubjectBatch(Batch(torch.stack(gradients), None, 0), seed)


def _linear(parameters: dict[str, torch.Tensor], cases: Batch) -> torch.Tensor:
    """A loss whose gradient in parameter number i is row i of the cases."""
    return sum(((p * g).sum() for p, g in zip(parameters.values(), cases.x, strict=True)), start=torch.zeros(()))


@pytest.fixture(scope="session")
def subject() -> Callable[..., SubjectBatch]:
    return _subject


@pytest.fixture(scope="session")
def linear() -> Callable[..., torch.Tensor]:
    return _linear
