"""A tiny cohort with two classes and runs of tiny generators on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig

TINY = {"channels": (8, 8), "attention_levels": (), "patch": 1, "images_seen": 16, "batch_size": 4, "sampler_steps": 4,
        "sample_block": 4, "snapshot_every": 4, "precision": "fp32", "ema_images": 2, "learning_rate": 0.02,
        "warmup_images": 1}  # fmt: skip


@pytest.fixture(scope="session")
def train() -> Callable[..., Path]:
    def go(cohort: Cohort, out: Path, seed: int = 0, **changes: Any) -> Path:
        return Diffusion(DiffusionConfig(**(TINY | changes))).fit(cohort, out, seed)

    return go


BODY = LabelScheme(("background", "grey", "white", "oedema", "core", "rim"), (0, 1, 2, 3, 4, 5))


def draw_body(dims: int, seed: int, spacing: tuple[float, ...], radius: float = 7.0) -> np.ndarray:
    """An ellipsoid of grey around white matter with a bumpy lesion of three nested classes in the white."""
    random = np.random.default_rng(seed)
    shape = tuple(round(64 / s) for s in spacing)
    place = np.indices(shape) * np.array(spacing).reshape(-1, *[1] * dims) - 32
    from_middle = np.sqrt((place**2).sum(0))
    labels = np.where(from_middle < 29, np.where(from_middle < 24, 2, 1), 0).astype(np.uint8)
    centre = random.uniform(-6, 6, dims).reshape(-1, *[1] * dims)
    noise = ndimage.gaussian_filter(random.standard_normal(shape), [2.5 / s for s in spacing])
    depth = np.sqrt(((place - centre) ** 2).sum(0)) + 1.2 * noise / noise.std()
    for k, limit in ((3, radius), (5, 0.65 * radius), (4, 0.4 * radius)):
        parts, n = ndimage.label(depth < limit)
        labels[parts == 1 + np.bincount(parts.reshape(-1))[1:].argmax() if n else parts > 0] = k
    return labels


@pytest.fixture(scope="session")
def body_map() -> Callable[..., np.ndarray]:
    return draw_body


@pytest.fixture(scope="session")
def body_scheme() -> LabelScheme:
    return BODY


@pytest.fixture(scope="session")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a cohort of label maps; case 2 of the first four has no lesion."""
    root = tmp_path_factory.mktemp("bodies")

    def go(name: str, n: int = 8, dims: int = 2, first: int = 0, **changes: Any) -> Path:
        sampling = changes.pop("sampling", {})
        spacing = changes.pop("spacing", (2.0, 2.0, 2.0)[:dims])
        size = tuple(round(64 / s) for s in spacing)
        settings: dict[str, Any] = {
            "kind": "real", "label_source": "patient", "scheme": BODY, "key": b"k", "modality": "MR",
            "preprocessing": {"source": "drawn"},
        } | changes  # fmt: skip
        with CohortWriter(
            root / name,
            size=size,
            channels=[],
            dtype="uint8",
            provenance=Provenance("test", {"name": name}),
            **settings,
        ) as writer:
            writer.sampling = sampling
            for i in range(n):
                labels = draw_body(dims, first + i, spacing, 7.0 if len(settings["scheme"]) == 6 else 5.0)
                labels = np.where(labels > 2, 2, labels) if i == 2 else labels
                if len(settings["scheme"]) == 2:
                    labels = (labels > 2).astype(np.uint8)
                split = {} if settings["kind"] != "real" else {"split": ("train", "train", "train", "test")[i % 4]}
                place = {"spacing": " ".join(map(str, spacing)), "slice_index": str(i), "affine": "1 0"}
                writer.append(None, labels, {"case_id": f"c{i}", "subject_id": f"{name}-s{i}", **split, **place})
        return root / name

    made: dict[str, Path] = {}

    def once(name: str, *args: Any, **changes: Any) -> Path:
        if name not in made:
            made[name] = go(name, *args, **changes)
        return made[name]

    return once
