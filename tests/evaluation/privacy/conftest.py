"""Small cohorts with known relations between their images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation.privacy.copies import likeness
from understudy.evaluation.privacy.copies.cases import SIDES, SmallCases
from understudy.evaluation.privacy.copies.likeness import affine_bank
from understudy.evaluation.privacy.copies.registration import blur

SHAPE = (2, 8, 8)
Write = Callable[..., Path]
Fields = Callable[..., SmallCases]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a cohort of given images (n, 2, 8, 8) uint8; label maps are drawn of the images."""

    def write_cohort(name: str, images: np.ndarray, **changes: Any) -> Path:
        subjects = changes.pop("subjects", [f"{name}-{i}" for i in range(len(images))])
        splits, slices = changes.pop("splits", [""] * len(images)), changes.pop("slices", [""] * len(images))
        scheme = changes.pop("scheme", LabelScheme(("background", "tumour"), (0, 1)))
        maps = changes.pop("maps", images[:, 0] > 128)
        settings: dict[str, Any] = {"kind": "synthetic", "modality": "MR", "size": images.shape[2:], "dtype": "uint8"}
        bare = changes.pop("label_maps_only", False)
        settings |= {"channels": [] if bare else [Channel(c, 0, 255) for c in "ab"], "scheme": scheme}
        settings |= {"label_source": "sampled" if scheme else None, "provenance": Provenance("test", {"name": name})}
        with CohortWriter(tmp_path / name, **(settings | changes)) as writer:
            for i, image in enumerate(images):
                row = {"case_id": f"{name}-case{i}", "subject_id": subjects[i], "split": splits[i]}
                writer.append(
                    None if bare else image,
                    maps[i].astype(np.uint8) if scheme else None,
                    row | {"slice_index": slices[i]},
                )
        return tmp_path / name

    return write_cohort


@pytest.fixture
def few_maps() -> Callable[[int], torch.Tensor]:
    """The shifts of the bank alone, to be quick."""

    def shifts(dims: int) -> torch.Tensor:
        whole = affine_bank(dims)
        return whole[(whole[:, :, :dims] == torch.eye(dims)).all((1, 2))]

    return shifts


@pytest.fixture
def small_bank(monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], torch.Tensor]) -> None:
    """Register from shifts alone, to be quick."""
    monkeypatch.setattr(likeness, "affine_bank", few_maps)


@pytest.fixture
def real(write: Write) -> Path:
    """A real cohort of noise: 4 test, 12 training and 6 control subjects, two slices each, in this order."""
    splits = np.repeat(["test"] * 4 + ["train"] * 12 + ["control"] * 6, 2).tolist()
    subjects = np.repeat([f"patient{i}" for i in range(22)], 2).tolist()
    return write("real", noise(44), kind="real", label_source="patient", key=b"k", splits=splits, subjects=subjects,
                 slices=["3", "4"] * 22)  # fmt: skip


def noise(n: int, seed: int = 0) -> np.ndarray:
    """Return independent noise images."""
    return np.random.default_rng(seed).integers(0, 256, (n, *SHAPE)).astype(np.uint8)


@pytest.fixture
def fields() -> Fields:
    """Return a function that draws independent smooth random fields: what the detector of copies calls cases."""

    def drawn(subjects: int, seed: int, cases: int = 1, channels: int = 1, first: int = 0, dims: int = 2) -> SmallCases:
        draw = torch.Generator().manual_seed(seed)
        images = blur(torch.randn((subjects * cases, channels, *[SIDES[dims]] * dims), generator=draw), 1 / 16)
        whose = torch.arange(first, first + subjects).repeat_interleave(cases)
        return SmallCases((images / images.std() / 3).clamp(-1, 1), None, whose)

    return drawn
