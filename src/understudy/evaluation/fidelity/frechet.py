"""Frechet distance between two sets of features, each taken as a Gaussian.

**Source**: Dowson and Landau (1982); Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017, arXiv
1706.08500), equation 6: |mu_r - mu_s|^2 + tr(C_r + C_s - 2 (C_r C_s)^(1/2)).
**Differs**: no matrix square root of a product. C_r C_s has the eigenvalues of R^T C_s R with C_r = R R^T, a symmetric
matrix, so the last trace is the sum of the square roots of its eigenvalues: real, never complex, in float64. R is a
Cholesky factor with pivoting, which takes singular covariances and is then as narrow as their rank.
**Checked** in tests/evaluation/fidelity/test_frechet.py (closed form of known Gaussians 1e-6; torchmetrics 1e-4;
roles swapped with singular covariances 1e-9).
"""

import numpy as np
from scipy.linalg import lapack

from understudy.core.result import Result
from understudy.evaluation.metric import MONOTONE, Metric, check_features

CASES_PER_FEATURE = 2  # fewer cases than twice the features: the covariance is mostly noise


def frechet(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the Frechet distance of two feature matrices, squared units of the features, >= 0, lower is better.

    Args:
        real: (n, F).
        synthetic: (m, F).
        seed: recorded; nothing is random.

    Returns:
        The distance; ``n`` is the smaller side. It is biased upwards, the more the fewer cases: compare at equal n.

    Raises:
        UnderstudyError: matrices that cannot be compared.
    """
    check_features(real, synthetic)
    value = gaussian_distance(*moments(real), *moments(synthetic))
    return Result("frechet", value, better="lower", n=min(len(real), len(synthetic)), seed=seed)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (F,) and unbiased covariance (F, F), float64."""
    x = features.astype(np.float64)
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def gaussian_distance(mean_r: np.ndarray, cov_r: np.ndarray, mean_s: np.ndarray, cov_s: np.ndarray) -> float:
    """Return the squared Frechet (Wasserstein-2) distance of two Gaussians from means (F,) and covariances (F, F)."""
    root = cholesky(cov_r)
    overlap = np.sqrt(np.linalg.eigvalsh(root.T @ cov_s @ root).clip(0)).sum()
    distance = ((mean_r - mean_s) ** 2).sum() + np.trace(cov_r) + np.trace(cov_s) - 2 * overlap
    return float(max(distance, 0.0))


def cholesky(cov: np.ndarray) -> np.ndarray:
    """Return R (F, rank) with R R^T = cov (F, F), which may be singular."""
    packed, order, rank, _ = lapack.dpstrf(cov, lower=1)
    root = np.empty((len(cov), rank))
    root[order - 1] = np.tril(packed)[:, :rank]  # rows of the factor are in the order of the pivots
    return root


LAWS = ("symmetric", "zero on identical", "never negative", "order irrelevant")
METRIC = Metric(
    frechet,
    "lower",
    frozenset(LAWS) | MONOTONE,
    cases_per_feature=CASES_PER_FEATURE,
    few="biased upwards",
)
