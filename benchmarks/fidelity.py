"""``evaluate fidelity`` with its default settings on made-up cohorts: seconds of each part, and peak memory.

    .venv/bin/python benchmarks/fidelity.py [--n 5000] [--real 5000] [--size 64] [--features encoder]

Cases are noisy ellipses in ellipses on three channels with a label map of three classes, five cases a subject; the
synthetic side is drawn a little larger. The budgets: 5,000 + 5,000 cases of 64 pixels in 3 minutes on two cores;
20,000 (``--n 20000``, and also ``--real 20000``) below 4 GiB. Peak memory is that of the process, mapped files
included; the cohorts are made by another process.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

SCHEME = LabelScheme(("background", "body", "oedema", "core"), (0, 1, 2, 3))
CHANNELS = [Channel(name, 0, 255) for name in ("T1", "T2", "FLAIR")]
SIGNAL = np.array([[10, 120, 90, 60], [10, 90, 170, 200], [10, 100, 200, 140]])  # (channels, classes)
CASES_OF_A_SUBJECT = 5
BLOCK = 500


def draw(rng: np.random.Generator, n: int, size: int, larger: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw images uint8 (n, 3, size, size) and label maps uint8 (n, size, size): an ellipse, and two in it."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    labels = np.zeros((n, size, size), np.uint8)
    at = rng.uniform(-0.15, 0.15, (n, 2, 1, 1)) * np.array([0, 1, 1])[:, None, None, None, None]
    for k, radius in enumerate((0.42, 0.16 * larger, 0.08 * larger)):
        sides = radius * rng.uniform(0.7, 1.1, (n, 2, 1, 1))
        inside = ((y - at[k, :, 0]) / sides[:, 0]) ** 2 + ((x - at[k, :, 1]) / sides[:, 1]) ** 2 < 1
        labels[inside] = k + 1
    means = SIGNAL[:, labels].swapaxes(0, 1) * rng.uniform(0.8, 1.2, (n, 3, 1, 1))
    noise = rng.normal(0, 12, means.shape)
    return np.clip(means + noise, 0, 255).astype(np.uint8), labels


def make(out: Path, kind: str, n: int, size: int) -> None:
    """Write a cohort of n training cases, real or synthetic."""
    settings: dict[str, Any] = {"kind": kind, "modality": "MR", "size": (size, size), "channels": CHANNELS}
    settings |= {"dtype": "uint8", "scheme": SCHEME, "label_source": "patient" if kind == "real" else "sampled"}
    rng = np.random.default_rng(0 if kind == "real" else 1)
    with CohortWriter(out, **settings, provenance=Provenance("benchmark")) as writer:
        for start in range(0, n, BLOCK):
            images, labels = draw(rng, min(BLOCK, n - start), size, 1.0 if kind == "real" else 1.1)
            for i, (image, label) in enumerate(zip(images, labels, strict=True), start):
                row = {"case_id": f"{kind}-{i}", "subject_id": f"{kind}-{i // CASES_OF_A_SUBJECT}"}
                writer.append(image, label, row | ({"split": "train"} if kind == "real" else {}))


class Parts:
    """Seconds spent in functions that were wrapped, without those of wrapped functions within them."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.seconds: dict[str, float] = defaultdict(float)
        self.within = 0.0

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock."""

        def timed(*given: Any, **named: Any) -> Any:
            outer, self.within, start = self.within, 0.0, time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                taken = time.perf_counter() - start
                self.seconds[name] += taken - self.within
                self.within = outer + taken

        return timed

    def patch(self, name: str, module: Any, function: str) -> None:
        """Put a clock on a function of a module."""
        setattr(module, function, self.wrap(name, getattr(module, function)))
