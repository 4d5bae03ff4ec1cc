"""Cohorts made in seconds: blobs on noise, the blob as label map; for shapes, times and memory, for nothing else."""

from pathlib import Path

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

SPLITS = ("train", "train", "train", "validation", "control", "test")
SCHEME = LabelScheme(("background", "lesion"), (0, 1))


def blobs(n: int, channels: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, C, S, S) and label maps (n, S, S), uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    centre, size = random.uniform(-0.5, 0.5, (2, n, 1, 1)), random.uniform(0.15, 0.5, (n, 1, 1))
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / size**2)
    gain = random.uniform(80, 150, (n, channels, 1, 1))
    images = 40 + gain * blob[:, None] + random.normal(0, 12, (n, channels, side, side))
    return np.clip(images, 0, 255).astype(np.uint8), (blob > 0.6).astype(np.uint8)


def write_cohort(
    out: Path, n: int, channels: int, side: int, kind: str = "real", per_subject: int = 4, seed: int = 0, **more: object
) -> None:
    """Write a cohort of n cases, unless it is there; real ones with splits by subject, block by block."""
    if (out / "cohort.json").is_file():
        return
    with CohortWriter(
        out, kind=kind, modality="MR", size=(side, side), channels=[Channel(f"c{i}", 0, 255) for i in range(channels)],
        dtype="uint8", scheme=SCHEME, label_source="patient" if kind == "real" else "sampled",
        provenance=Provenance("made"), key=b"made" if kind == "real" else None, **more,  # type: ignore[arg-type]
    ) as writer:  # fmt: skip
        for start in range(0, n, 256):
            images, labels = blobs(min(256, n - start), channels, side, seed + start)
            for i, (image, label) in enumerate(zip(images, labels, strict=True), start):
                subject, split = f"made-{i}", ""
                if kind == "real":
                    number = i // per_subject
                    subject, split = f"s{number}", SPLITS[number % len(SPLITS)]
                writer.append(image, label, {"case_id": f"{i}", "subject_id": subject, "split": split})
