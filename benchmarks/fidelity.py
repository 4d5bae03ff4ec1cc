"""``evaluate fidelity`` with its default settings on made-up cohorts: seconds of each part, and peak memory.

    .venv/bin/python benchmarks/fidelity.py [--n 5000] [--real 5000] [--size 64] [--threads 2] [--set draws=5]

Cases are noisy ellipses in ellipses on three channels with a label map of three classes, five cases a subject; the
lesions of the synthetic side are a little larger. The budgets: 5,000 + 5,000 cases of 64 pixels in 3 minutes on two
cores; 20,000 synthetic ones (``--n 20000``, also with ``--real 20000``) below 4 GiB. Peak memory is that of the whole
process, pages of the mapped cohorts included.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import understudy as us
from understudy.cli.options import parse_settings
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation import METRICS
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.fidelity import image_distances, stage
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.stage import evaluate_fidelity

SCHEME = LabelScheme(("background", "body", "oedema", "core"), (0, 1, 2, 3))
CHANNELS = [Channel(name, 0, 255) for name in ("T1", "T2", "FLAIR")]
SIGNAL = np.array([[10, 120, 90, 60], [10, 90, 170, 200], [10, 100, 200, 140]])  # (channels, classes)
CASES_OF_A_SUBJECT = 5
BLOCK = 500


def draw(rng: np.random.Generator, n: int, size: int, larger: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw images uint8 (n, 3, size, size) and label maps uint8 (n, size, size): an ellipse, and two in it."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    labels = np.zeros((n, size, size), np.uint8)
    lesion = rng.uniform(-0.15, 0.15, (2, n, 1, 1))
    for k, (radius, at) in enumerate(((0.42, 0 * lesion), (0.16 * larger, lesion), (0.08 * larger, lesion))):
        down, across = radius * rng.uniform(0.7, 1.1, (2, n, 1, 1))
        labels[((y - at[0]) / down) ** 2 + ((x - at[1]) / across) ** 2 < 1] = k + 1
    means = SIGNAL[:, labels].swapaxes(0, 1) * rng.uniform(0.8, 1.2, (n, 3, 1, 1))
    return np.clip(means + rng.normal(0, 12, means.shape), 0, 255).astype(np.uint8), labels


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


def clocks(parts: Parts) -> None:
    """Put a clock on all that an evaluation does."""
    for name, metric in METRICS.items():
        METRICS[name] = replace(metric, function=parts.wrap(name, metric.function))
    for name, build in EXTRACTORS.items():
        EXTRACTORS[name] = parts.wrap(f"{name}: learning", build)
    functions = (
        (image_distances, "measure", "reading, features"),
        (image_distances.RealBaselines, "beside", "baselines"),
        (image_distances, "set_result", "MS-SSIM"),
        (stage, "compare_labels", "label maps"),
    )
    for module, function, name in functions:
        setattr(module, function, parts.wrap(name, getattr(module, function)))


def lines(parts: Parts, whole: float) -> Iterator[str]:
    """Yield the table, the longest part first."""
    for name, seconds in sorted(parts.seconds.items(), key=lambda part: -part[1]):
        yield f"{name:20s} {seconds:8.1f} s"
    yield f"{'the rest':20s} {whole - sum(parts.seconds.values()):8.1f} s"
    yield f"{'in all':20s} {whole:8.1f} s"


def main() -> None:
    """Make the cohorts, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("n", 5000), ("real", 5000), ("size", 64), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the evaluation")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config, parts = FidelityConfig(**parse_settings(given.set, us.evaluate)), Parts()
    with tempfile.TemporaryDirectory() as folder:
        real, synthetic = Path(folder, "real"), Path(folder, "synthetic")
        make(real, "real", given.real, given.size)
        make(synthetic, "synthetic", given.n, given.size)
        clocks(parts)
        start = time.perf_counter()
        evaluate_fidelity(real, [synthetic], Path(folder, "out"), 0, config)
        whole = time.perf_counter() - start
    print(f"{given.real} real and {given.n} synthetic cases of {given.size} pixels, {given.threads} threads")
    print("\n".join(lines(parts, whole)))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
