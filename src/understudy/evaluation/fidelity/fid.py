"""Frechet distance between two sets of features, each taken as a Gaussian.

**Source**: Dowson and Landau (1982); Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017, arXiv
1706.08500), equation 6: |mu_r - mu_s|^2 + tr(C_r + C_s - 2 (C_r C_s)^(1/2)).
**Differs**: no matrix square root of a product. C_r C_s has the eigenvalues of R^T C_s R with C_r = R R^T, a symmetric
matrix, so the last trace is the sum of the square roots of its eigenvalues: real, never complex, in float64. R is a
Cholesky factor with pivoting, which takes singular covariances and is then as narrow as their rank; of fewer cases than
features R is the centred features themselves, transposed.
**Checked** in tests/evaluation/fidelity/test_fid.py (closed form of known Gaussians 1e-6; torchmetrics 1e-4;
roles swapped with singular covariances 1e-9).

Frechet distance at infinitely many cases: a line through distances of smaller samples, read where 1/n is 0.

**Source**: Chong and Forsyth, Effectively Unbiased FID and Inception Score and where to find them (2020, arXiv
1911.07023), section 3: the bias is about proportional to 1/n; 15 sizes from a tenth of n to n at regular intervals, a
new random subset at each, least squares against 1/n.
**Differs**: both sets are cut to each size, not the synthetic one alone against a fixed reference of 50,000, since
here the real set is as small and as biased; the smallest size is at least twice the features (they: 2.4 times), and
at most half of n; a subset takes the same rows of both sets, so that equal sets have distance 0 at every size.
What is left of the bias, its sign turned, between samples of one mixture of Gaussians: a sixth at 5 cases a feature, a
tenth at 10, nothing to be seen at 33.
**Checked** in tests/evaluation/fidelity/test_fid.py (closed form of known Gaussians: nearer than the plain
distance; by hand on the same subsets).
"""

import math

import numpy as np
from scipy.linalg import lapack

from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.evaluation.metric import DISTANCE, MONOTONE, Metric, Quantity, check_features

CASES_PER_FEATURE = 2  # fewer cases than twice the features: the covariance is mostly noise


def frechet(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the Frechet distance of two feature matrices, squared units of the features, >= 0, lower is better.

    It is biased upwards, the more the fewer cases: compare at equal n. ``n`` is that of the smaller set.
    """
    check_features(real, synthetic)
    return Result("frechet", distance(real, synthetic), better="lower", n=min(len(real), len(synthetic)), seed=seed)


def distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the Frechet distance of (n, F) and (m, F); what it costs grows with the smallest of n, m and F."""
    few, many = sorted((real, synthetic), key=len)
    if len(few) > few.shape[1]:
        return gaussian_distance(*moments(real), *moments(synthetic))
    mean, cov = moments(many)
    centred = few.astype(np.float64) - few.mean(0, dtype=np.float64)
    root = centred.T / math.sqrt(len(few) - 1)  # of the covariance, as a Cholesky factor is
    return _distance(few.mean(0, dtype=np.float64), root, mean, cov)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (F,) and unbiased covariance (F, F), float64."""
    x = features.astype(np.float64)
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def gaussian_distance(mean_r: np.ndarray, cov_r: np.ndarray, mean_s: np.ndarray, cov_s: np.ndarray) -> float:
    """Return the squared Frechet (Wasserstein-2) distance of two Gaussians from means (F,) and covariances (F, F)."""
    return _distance(mean_r, cholesky(cov_r), mean_s, cov_s)


def _distance(mean_r: np.ndarray, root: np.ndarray, mean_s: np.ndarray, cov_s: np.ndarray) -> float:
    """Return the distance of Gaussians, one of them by a root (F, rank) of its covariance."""
    overlap = np.sqrt(np.linalg.eigvalsh(root.T @ cov_s @ root).clip(0)).sum()
    found = ((mean_r - mean_s) ** 2).sum() + (root**2).sum() + np.trace(cov_s) - 2 * overlap
    return float(max(found, 0.0))


def cholesky(cov: np.ndarray) -> np.ndarray:
    """Return R (F, rank) with R R^T = cov (F, F), which may be singular."""
    packed, order, rank, _ = lapack.dpstrf(cov, lower=1)
    root = np.empty((len(cov), rank))
    root[order - 1] = np.tril(packed)[:, :rank]  # rows of the factor are in the order of the pivots
    return root


def frechet_infinity(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, sizes: int = 15) -> Result:
    """Return the Frechet distance extrapolated to n = infinity, squared units of the features, lower is better.

    It is where a line through distances at `sizes` sample sizes meets 1/n = 0, and may be negative. It is about 0 for
    two samples of independent cases of one distribution. Of clustered cases it is the distance of **these subjects**,
    since more cases of the same subjects bring no other patient: halves of 48 real subjects lay at 79.5 (plain: 83.1).
    ``n`` is the smaller set.
    """
    check_features(real, synthetic)
    n, features = min(len(real), len(synthetic)), real.shape[1]
    taken = sample_sizes(n, features, sizes)
    pairs = (subset(real, synthetic, size, seed, i) for i, size in enumerate(taken))
    values = np.array([distance(first, second) for first, second in pairs])
    note = f"of these subjects; line through {sizes} sample sizes from {taken[0]} to {n}; may be negative"
    return Result("frechet_infinity", intercept(1 / taken, values), better="lower", n=n, seed=seed, note=note)


def sample_sizes(n: int, features: int, sizes: int) -> np.ndarray:
    """Return sample sizes (sizes,) at regular intervals up to n, the smallest at most half of it (but two cases)."""
    smallest = max(2, n // 10, min(CASES_PER_FEATURE * features, n // 2))
    return np.linspace(smallest, n, sizes).astype(int)


def subset(real: np.ndarray, synthetic: np.ndarray, size: int, seed: int, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the i-th random subset of so many cases of each set; sets of equal length give the same rows."""
    keys = rng(seed, "extrapolation", i).random(max(len(real), len(synthetic)))
    first, second = (case_set[np.argsort(keys[: len(case_set)])[:size]] for case_set in (real, synthetic))
    return first, second


def intercept(x: np.ndarray, y: np.ndarray) -> float:
    """Return where the least squares line through points (x, y) meets x = 0; their mean where all x are equal."""
    centred = x - x.mean()
    slope = centred @ y / max(centred @ centred, np.finfo(float).tiny)
    return float(y.mean() - slope * x.mean())


METRIC = Metric(
    frechet,
    (Quantity("frechet", "Fréchet distance", "lower", DISTANCE),),
    cases_per_feature=CASES_PER_FEATURE,
    few="biased upwards",
)
# no law that rows may be shuffled, since subsets depend on their order, and none of the sign: what is left of the bias
LAWS = MONOTONE | {"symmetric", "zero on identical"}
INFINITY = Metric(
    frechet_infinity,
    (
        Quantity(
            "frechet_infinity", "Fréchet distance, n → ∞ of these subjects", "lower", LAWS, bounds=(-math.inf, math.inf)
        ),
    ),
    settings=("sizes",),
    cases_per_feature=2 * CASES_PER_FEATURE,  # so that half of them are enough for the smallest sample
    few="the line may bend",
)
