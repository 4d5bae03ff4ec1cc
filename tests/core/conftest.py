"""One small cohort, written as a test wants it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

SCHEME = LabelScheme(("background", "tumour"), (0, 255))


@pytest.fixture(scope="session")
def write() -> Callable[..., np.ndarray]:
    """Write two channels, label maps and a class column; return the images."""

    def go(
        out: Path, n: int = 5, splits: tuple[str, ...] = ("train", "test"), fail_at: int = -1, **changes: Any
    ) -> np.ndarray:
        images = np.random.default_rng(0).integers(0, 255, (n, 2, 8, 6)).astype(np.uint8)
        settings: dict[str, Any] = {
            "kind": "real",
            "modality": "MR",
            "size": (8, 6),
            "channels": [Channel("a", 0, 255), Channel("b", 0, 255)],
            "dtype": "uint8",
            "scheme": SCHEME,
            "label_source": "patient",
            "classes": ["ill"],
            "provenance": Provenance("test", {"x": (1, 2)}, 3),
            "key": b"secret",
        } | changes
        with CohortWriter(out, **settings) as writer:
            for i in range(n):
                if i == fail_at:
                    raise RuntimeError("stop")
                row = {
                    "case_id": f"c{i}",
                    "subject_id": f"s{i // 2}",
                    "split": splits[i // 2 % len(splits)],
                    "spacing": "1.0 2.0",
                    "ill": "" if i == 0 else str(i % 2),
                }
                writer.append(images[i], (images[i, 0] > 128).astype(np.uint8), row)
        return images

    return go
