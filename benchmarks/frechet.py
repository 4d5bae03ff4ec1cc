"""Frechet distance: understudy's against MONAI's FIDMetric on the same features, paired in one run.

    .venv/bin/python benchmarks/frechet.py [--rounds 5] [--features 2048] [--cases 4096]

Features are normal with a decaying spectrum, mixed by a random matrix; the synthetic side is shifted a little. Each
round times both once, in turn, from the feature matrices to the distance; the ratio is taken round by round. MONAI
takes the square root of a product of covariances (scipy.linalg.sqrtm), understudy the eigenvalues of a symmetric
matrix.
"""

import argparse
import statistics
import time
import warnings

import numpy as np
import torch
from monai.metrics import FIDMetric

from understudy.evaluation.fidelity.frechet import frechet


def made_up(cases: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of two sides, float64 (cases, features)."""
    rng = np.random.default_rng(0)
    mix = rng.normal(0, 1, (features, features)) / (1 + np.arange(features))[:, None] ** 0.5
    real, synthetic = (rng.normal(shift, 1, (cases, features)) @ mix for shift in (0, 0.05))
    return real, synthetic


def main() -> None:
    """Print seconds of both sides, their ratio, and how far the two distances lie apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 5), ("features", 2048), ("cases", 4096)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # sqrtm(disp=False), at every call of MONAI's
    real, synthetic = made_up(arguments.cases, arguments.features)
    metric, tensors = FIDMetric(), (torch.from_numpy(synthetic), torch.from_numpy(real))
    rows = {
        "MONAI FIDMetric": lambda: metric(*tensors).item(),
        "understudy": lambda: frechet(real=real, synthetic=synthetic).value,
    }
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    values = {}
    for _ in range(arguments.rounds):
        for name, measure in rows.items():
            start = time.perf_counter()
            values[name] = measure()
            seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    setting = f"{torch.get_num_threads()} threads, {arguments.cases} cases a side, {arguments.features} features"
    print(f"{setting}, medians of {arguments.rounds} rounds")
    for name, times in seconds.items():
        print(f"{name:16s} {statistics.median(times):7.2f} s  distance {values[name]:.9g}")
    reference, ours = values.values()
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f}), "
          f"distances {abs(ours / reference - 1):.1e} apart")  # fmt: skip


if __name__ == "__main__":
    main()
