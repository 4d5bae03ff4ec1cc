"""Kernel distance (KID): squared maximum mean discrepancy of two sets of features under a cubic polynomial kernel.

**Source**: Binkowski et al., Demystifying MMD GANs (2018, arXiv 1801.01401), kernel (x.y / F + 1)^3 and the unbiased
estimator of Gretton et al., A Kernel Two-Sample Test (JMLR 2012), equation 3, averaged over random subsets.
**Differs**: subsets come from an explicit seed; one Gram matrix is held at a time.
**Checked** in tests/evaluation/fidelity/test_kid.py (torchmetrics' kernel and estimator on the same subsets, 1e-6).
"""

import math

import numpy as np

from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import percentile_interval
from understudy.evaluation.metric import MONOTONE, Metric, Quantity, check_features


def kid(
    *, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, subsets: int = 100, subset_size: int = 1000
) -> Result:
    """Return the kernel distance of two feature matrices, lower is better; it may be negative.

    It is unbiased for independent cases; cases of few subjects lie farther from one another than 0 (baseline.py).
    It is the mean over random subsets, with the range that holds 95 % of them (of subsets, not of subjects). A subset
    holds `subset_size` cases of each set, at most half of the smaller set, so that subsets differ.
    """
    check_features(real, synthetic)
    n = min(len(real), len(synthetic))
    size = min(subset_size, max(2, n // 2))
    pairs = subset_rows(len(real), len(synthetic), size, subsets, seed)
    values = np.array([squared_mmd(real[chosen], synthetic[other]) for chosen, other in pairs])
    note = f"SD {values.std():.3g} over {subsets} subsets of {size}; the interval is that of subsets"
    return Result("kid", float(values.mean()), *percentile_interval(values), "", "lower", n, seed, note)


def subset_rows(n: int, m: int, size: int, subsets: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs of rows (size,) of either set, drawn without replacement within a subset."""
    draws = [rng(seed, "kid", i) for i in range(subsets)]
    return [(g.permutation(n)[:size], g.permutation(m)[:size]) for g in draws]


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Return the unbiased squared MMD of (n, F) and (m, F) under the cubic kernel."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    return _within(x) + _within(y) - 2 * float(_cube(x @ y.T / x.shape[1] + 1).mean())


def _within(x: np.ndarray) -> float:
    """Return the mean kernel of pairs of different cases."""
    gram = _cube(x @ x.T / x.shape[1] + 1)
    return float(gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))


def _cube(x: np.ndarray) -> np.ndarray:
    return x * x * x  # ten times as fast as x**3


METRIC = Metric(
    kid,
    (Quantity("kid", "KID", "lower", MONOTONE | {"unbiased"}, bounds=(-math.inf, math.inf)),),
    settings=("subsets", "subset_size"),
)
