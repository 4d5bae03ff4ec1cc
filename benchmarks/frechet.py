"""Frechet distance: understudy's against MONAI's FIDMetric on the same features, paired in one run.

    .venv/bin/python benchmarks/frechet.py [--rounds 6] [--features 2048] [--cases 4096] [--least 4]

Features are normal with a decaying spectrum, mixed by a random matrix; the synthetic side is shifted a little. Each
round times both, one right after the other, from the feature matrices to the distance; who goes first alternates, and
the ratio is taken round by round, so that what else the machine does weighs on both. MONAI takes the square root of a
product of covariances (scipy.linalg.sqrtm), understudy the eigenvalues of a symmetric matrix. Exits with 1 where the
median ratio is below ``--least``, or where the two distances differ by more than 1e-4.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from monai.metrics import FIDMetric

from understudy.evaluation.fidelity.fid import frechet

MONAI, OURS = "MONAI FIDMetric", "understudy"
APART = 1e-4  # relative
Timed = dict[str, list[tuple[float, float]]]  # seconds and distance of each round


def made_up(cases: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of two sides, float64 (cases, features)."""
    rng = np.random.default_rng(0)
    mix = rng.normal(0, 1, (features, features)) / (1 + np.arange(features))[:, None] ** 0.5
    real, synthetic = (rng.normal(shift, 1, (cases, features)) @ mix for shift in (0, 0.05))
    return real, synthetic


def sides(real: np.ndarray, synthetic: np.ndarray) -> dict[str, Callable[[], float]]:
    """Return how either side gets from the features to the distance."""
    metric, tensors = FIDMetric(), (torch.from_numpy(synthetic), torch.from_numpy(real))
    return {
        MONAI: lambda: metric(*tensors).item(),
        OURS: lambda: frechet(real=real, synthetic=synthetic).value or 0.0,
    }


def timed(measures: Mapping[str, Callable[[], float]], rounds: int) -> Timed:
    """Time both sides in pairs; the one that goes first is the other one in the next round."""
    found: Timed = {name: [] for name in measures}
    for i in range(rounds):
        for name in list(measures)[:: 1 if i % 2 == 0 else -1]:
            start = time.perf_counter()
            value = measures[name]()
            found[name].append((time.perf_counter() - start, value))
    return found


def complaints(found: Timed, least: float) -> list[str]:
    """Print both sides and their ratios; return what is not as it should be."""
    for name, rounds in found.items():
        print(f"{name:16s} {statistics.median(s for s, _ in rounds):7.2f} s  distance {rounds[0][1]:.9g}")
    ratios = [theirs / ours for (theirs, _), (ours, _) in zip(found[MONAI], found[OURS], strict=True)]
    median, apart = statistics.median(ratios), abs(found[OURS][0][1] / found[MONAI][0][1] - 1)
    print(
        f"ratios {' '.join(f'{r:.2f}' for r in ratios)}: median {median:.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
    )
    print(f"distances {apart:.1e} apart")
    said = [f"the median ratio {median:.2f} is below {least:g}"] if median < least else []
    return said if apart <= APART else [*said, f"the distances are {apart:.1e} apart, more than {APART:g}"]


def main() -> None:
    """Compare, and fail where understudy is too slow or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 6), ("features", 2048), ("cases", 4096)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--least", type=float, default=4.0, help="lowest median ratio that passes")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # sqrtm(disp=False), at every call of MONAI's
    for measure in sides(*made_up(64, 32)).values():  # loads what is loaded at the first call
        measure()
    measures = sides(*made_up(arguments.cases, arguments.features))
    setting = f"{torch.get_num_threads()} threads, {arguments.cases} cases a side, {arguments.features} features"
    print(f"{setting}, {arguments.rounds} rounds in alternating order")
    if said := complaints(timed(measures, arguments.rounds), arguments.least):
        sys.exit("; ".join(said))


if __name__ == "__main__":
    main()
