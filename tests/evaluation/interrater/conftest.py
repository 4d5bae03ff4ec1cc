"""Two raters' cohorts of the same images: known label maps on slices of known volumes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

SIZE = 16
SCHEME = LabelScheme(("background", "core", "rim"), (0, 1, 2))


def write_rater(
    out: Path,
    drawn: dict[str, list[np.ndarray | None]],
    *,
    split: str = "test",
    scheme: LabelScheme | None = SCHEME,
    slices: bool = True,
    noise: int = 0,
    images: bool = True,
    kind: str = "real",
) -> Path:
    """Write one rater's label maps by subject, one a slice; a slice that is None was not imported."""
    settings: dict[str, Any] = {
        "kind": kind,
        "modality": "MR",
        "size": (SIZE, SIZE),
        "channels": [Channel("a", 0, 255)] if images else [],
        "dtype": "uint8",
        "scheme": scheme,
        "label_source": None if scheme is None else "patient" if kind == "real" else "sampled",
        "provenance": Provenance("import", {"rater": out.name}),
    }
    with CohortWriter(out, **settings) as writer:
        for subject, maps in sorted(drawn.items()):
            cases = [(i, label) for i, label in enumerate(maps) if label is not None]
            for number, (i, label) in enumerate(cases, 1):
                image = (
                    np.random.default_rng((noise, ord(subject[-1]), i))
                    .integers(0, 255, (1, SIZE, SIZE))
                    .astype(np.uint8)
                )
                row = {"case_id": f"{subject}-{number:04d}", "subject_id": subject, "split": split}
                writer.append(
                    image if images else None,
                    label if scheme else None,
                    row | ({"slice_index": str(i)} if slices else {}),
                )
    return out


@pytest.fixture
def rater() -> Callable[..., Path]:
    return write_rater
