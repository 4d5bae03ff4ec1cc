"""Rank correlations of a sample, and of all its resamples at once, from the signs of differences of pairs.

With s_ij = sign(x_i - x_j), u_ij = sign(y_i - y_j), and w_i, how often item i stands in a resample of N items:
its midrank is (N + 1 + sum_j w_j s_ij) / 2, so that **Spearman** is the correlation of sum_j w_j s_ij with
sum_j w_j u_ij, and **Kendall**'s tau-b = sum_ij w_i w_j s_ij u_ij / sqrt(sum_ij w_i w_j s_ij^2 sum_ij w_i w_j u_ij^2).
Repeats of an item are ties, as they are where the resample is written out.
**Source**: Spearman, Am. J. Psychology 15 (1904); Kendall, The treatment of ties in ranking problems, Biometrika 33
(1945); over pairs within blocks alone: Korn, Kendall's tau with a blocking variable, Biometrics 40 (1984).
**Checked** in tests/evaluation/over/test_ranks.py (SciPy to 1e-12, ties and resamples included; by hand).
"""

import numpy as np

from understudy.core.seed import rng

ROUNDING = 1e-9  # of a sum of signs


def signs(values: np.ndarray) -> np.ndarray:
    """Return the signs (n, n) of the differences of values (n,)."""
    return np.sign(values[:, None] - values[None, :])


def spearman(s: np.ndarray, u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Spearman's coefficients (draws,) in -1..1; NaN where all values of a side are equal.

    Args:
        s: signs (n, n) of one side.
        u: of the other.
        weights: (draws, n), how often each item stands in each resample.
    """
    x, y = weights @ s.T, weights @ u.T  # twice the midranks less their means, (draws, n)
    return _share((weights * x * y).sum(1), (weights * x * x).sum(1), (weights * y * y).sum(1))


def kendall(s: np.ndarray, u: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Kendall's coefficients tau-b (draws,) in -1..1; NaN where all values of a side are equal.

    Args:
        s: signs (n, n) of one side.
        u: of the other.
        weights: (draws, n), how often each item stands in each resample.
    """
    return _share(*(((weights @ pairs) * weights).sum(1) for pairs in (s * u, s * s, u * u)))


def kendall_within(s: np.ndarray, u: np.ndarray, cluster: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return tau-b (draws,) over the pairs of items of one cluster alone; NaN where no such pair differs.

    Args:
        s: signs (n, n) of one side.
        u: of the other.
        cluster: (n,) the number 0..G-1 of each item's cluster.
        times: (draws, G), how often each cluster stands in each resample; its copies are clusters of their own.
    """
    member = np.eye(times.shape[1])[cluster]  # (n, G)
    return _share(*(times @ np.einsum("ig,ij,jg->g", member, pairs, member) for pairs in (s * u, s * s, u * u)))


def permutation_p(s: np.ndarray, y: np.ndarray, block: np.ndarray, permutations: int, seed: int) -> float | None:
    """Return the two-sided p that y is paired with x at random within blocks: of the sum of s_ij u_ij inside them.

    Args:
        s: signs (n, n) of x.
        y: (n,).
        block: (n,) the number of each item's block; items change places within it only.
        permutations: how many are drawn.
        seed: of these.

    Returns:
        (1 + those at least as far from 0) / (1 + permutations), as in Phipson and Smyth, Stat. Appl. Genet. Mol. Biol.
        9 (2010), so never 0; None where no pair of a block differs in x and in y.
    """
    inside = s * (block[:, None] == block[None, :])
    u, draw, extreme = signs(y), rng(seed, "permutations"), 0
    if not inside.any() or not (u * (block[:, None] == block[None, :])).any():
        return None
    observed = abs((inside * u).sum())
    places = [np.flatnonzero(block == b) for b in np.unique(block)]
    order = np.arange(len(y))
    for _ in range(permutations):
        for place in places:
            order[place] = draw.permutation(place)
        extreme += abs((inside * u[np.ix_(order, order)]).sum()) >= observed - ROUNDING
    return (1 + int(extreme)) / (1 + permutations)


def _share(both: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return both / sqrt(one other), NaN where a side does not vary."""
    below = np.sqrt(one * other)
    return np.divide(both, below, out=np.full(both.shape, np.nan), where=below > ROUNDING)
