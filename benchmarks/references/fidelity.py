"""References of ``evaluate fidelity``: closed forms, torchmetrics, prdc and the equations of the papers."""

import contextlib
import io
from functools import partial

import numpy as np
import torch
from prdc import compute_prdc
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from references import Row, largest
from understudy.evaluation.fidelity.extrapolation import frechet_infinity, sample_sizes, subset
from understudy.evaluation.fidelity.frechet import frechet, gaussian_distance, moments
from understudy.evaluation.fidelity.kernel import kid, subset_rows
from understudy.evaluation.fidelity.label_distances import kolmogorov_smirnov, wasserstein
from understudy.evaluation.fidelity.manifold import coverage, density, precision, recall

FOUR = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


def clusters(seed: int, n: int, features: int, kept: int = 6) -> np.ndarray:
    """Draw n cases around some of six centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(0, 3, (6, features))
    return centres[rng.integers(0, kept, n)] + rng.normal(0, 1, (n, features))


def frechet_of_known_gaussians() -> float:
    """Covariances with the same axes, some of them singular: |m|^2 + sum (sqrt(a) - sqrt(b))^2; and 2 x 2 ones."""
    found, expected = [], []
    for seed, features in enumerate((3, 20, 128, 512)):
        rng = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(rng.normal(size=(features, features)))
        a, b = rng.uniform(0, 3, (2, features))
        mean = rng.normal(size=features)
        a[: features // 5] = b[features // 10 : features // 3] = 0
        found.append(gaussian_distance(np.zeros(features), axes * a @ axes.T, mean, axes * b @ axes.T))
        expected.append((mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum())
        one, other = (root @ root.T / 3 for root in rng.normal(size=(2, 2, 3)))
        cross = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
        found.append(gaussian_distance(np.zeros(2), one, np.zeros(2), other))
        expected.append(np.trace(one) + np.trace(other) - 2 * cross)
    return largest(found, expected, relative=True)


def frechet_of_torchmetrics() -> float:
    """The same moments handed to torchmetrics' formula; with fewer cases than features both are singular."""
    found, expected = [], []
    for seed, (n, features) in enumerate(((500, 64), (40, 64), (2000, 256))):
        rng = np.random.default_rng(seed)
        real = rng.normal(0, 1, (n, features))
        made = rng.normal(0.2, 1, (n, features)) @ rng.normal(0, 0.2, (features, features))
        found.append(frechet(real=real, synthetic=made).value or 0)
        expected.append(_compute_fid(*(torch.from_numpy(a) for x in (real, made) for a in moments(x))).item())
    return largest(found, expected, relative=True)


def infinity_by_hand() -> float:
    """A line by numpy.polyfit through distances of the same subsets."""
    found, expected = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        real, made = rng.normal(0, 1, (110, 16)), rng.normal(0.3, 1, (90, 16))
        taken = sample_sizes(90, 16, 15)
        pairs = (subset(real, made, size, seed, i) for i, size in enumerate(taken))
        distances = [frechet(real=one, synthetic=other).value or 0 for one, other in pairs]
        found.append(frechet_infinity(real=real, synthetic=made, seed=seed).value or 0)
        expected.append(np.polyfit(1 / taken, distances, 1)[1])
    return largest(found, expected, relative=True)


def kid_of_torchmetrics() -> float:
    """Kernel and estimator of torchmetrics on the same subsets."""
    found, expected = [], []
    for seed, features in enumerate((16, 128)):
        real, made = clusters(seed, 180, features), clusters(seed + 50, 240, features, 4)
        drawn = subset_rows(180, 240, 80, 20, seed)
        pairs = [(torch.from_numpy(real[a]), torch.from_numpy(made[b])) for a, b in drawn]
        expected.append(np.mean([poly_mmd(one, other, 3, None, 1.0).item() for one, other in pairs]))
        found.append(kid(real=real, synthetic=made, seed=seed, subsets=20, subset_size=80).value or 0)
    return largest(found, expected, relative=True)


def manifold_of_prdc(name: str) -> float:
    """The package prdc on the same features, several k and sizes."""
    found, expected = [], []
    for seed, (n, m, features, k) in enumerate(((300, 170, 20, 1), (90, 260, 20, 5), (500, 400, 128, 5))):
        real, made = clusters(seed, n, features), 1.1 * clusters(seed + 50, m, features, 4)
        with contextlib.redirect_stdout(io.StringIO()):  # prdc prints how many cases there are
            expected.append(float(compute_prdc(real, made, k)[name]))
        found.append(FOUR[name](real=real, synthetic=made, neighbours=k).value or 0)
    return largest(found, expected)


def label_wasserstein() -> float:
    """A shift by d has the distance d; uniform on [0, 1] against uniform on [0, s]: (s - 1) / 2."""
    grid = (np.arange(1000) + 0.5) / 1000
    values = np.random.default_rng(0).normal(0, 2, 500)
    pairs = [(values, values + d, d) for d in (0.1, 1, 7)] + [(grid, s * grid, (s - 1) / 2) for s in (2, 5)]
    return largest([wasserstein(real=r, synthetic=s).value or 0 for r, s, _ in pairs], [p[2] for p in pairs])


def label_ks() -> float:
    """Uniform on [0, 1] against uniform on [0, s]: 1 - 1 / s."""
    grid = (np.arange(1000) + 0.5) / 1000
    found = [kolmogorov_smirnov(real=grid, synthetic=s * grid).value or 0 for s in (1, 2, 4)]
    return largest(found, [0, 0.5, 0.75])


FILES = {name: f"evaluation/fidelity/test_{name}.py" for name in ("frechet", "extrapolation", "kernel", "manifold")}
LABELS = "evaluation/fidelity/test_label_distances.py"
GAUSSIANS = "closed form of Gaussians with known mean and covariance"
ROWS = [
    Row(("frechet",), GAUSSIANS, "F = 2 to 512, a third of the variances 0", 1e-6, FILES["frechet"],
        frechet_of_known_gaussians, relative=True),
    Row(("frechet",), "`_compute_fid` on the same moments", "n = 500 and 40, F = 64; n = 2,000, F = 256", 1e-4,
        FILES["frechet"], frechet_of_torchmetrics, "torchmetrics", relative=True),
    Row(("frechet_infinity",), "`polyfit` through distances of the same subsets", "n = 90, F = 16, 15 sizes", 1e-9,
        FILES["extrapolation"], infinity_by_hand, "numpy", relative=True),
    Row(("kid",), "`poly_mmd` on the same subsets", "n = 180 and 240, F = 16 and 128, 20 subsets of 80", 1e-6,
        FILES["kernel"], kid_of_torchmetrics, "torchmetrics", relative=True),
    *(Row((name,), "`compute_prdc`", "n = 90 to 500, F = 20 and 128, k = 1 and 5: equal counts", 1e-12,
          FILES["manifold"], partial(manifold_of_prdc, name), "prdc") for name in FOUR),
    Row(("labels.wasserstein",), "closed form of a shift and of uniform samples", "n = 500 and 1,000", 1e-6, LABELS,
        label_wasserstein),
    Row(("labels.ks",), "closed form of uniform samples", "n = 1,000", 1e-6, LABELS, label_ks),
]  # fmt: skip
