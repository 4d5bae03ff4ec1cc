"""Precision, recall, density and coverage: who lies within reach of whose nearest neighbours.

Around each case of a set lies a ball that reaches to its k-th nearest neighbour on that set (itself not counted).
Precision is the share of synthetic cases in a ball of a real one, recall that of real cases in a ball of a synthetic
one; density counts in how many real balls a synthetic case lies, over k; coverage is the share of real balls that hold
a synthetic case. Where a subject has several cases, these are one another's neighbours and real balls are small: read
each number beside its baseline, whose halves share no subject.
**Source**: Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models (2019, arXiv
1904.06991), equations 1 and 2; Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models (2020, arXiv
2002.09797), equations 2 to 5 and k = 5, with the open balls of their package prdc.
**Differs**: distances are held for a block of rows at a time, so that memory grows with n and not with n^2; a ball
whose radius is rounding error (more than k equal cases) is empty; a set of at most k cases takes a smaller k.
**Checked** in tests/evaluation/fidelity/test_prdc.py (by hand; prdc and its definition on the same features,
equal counts; any block size, equal counts).
"""

import hashlib
from collections import OrderedDict

import numpy as np

from understudy.core.result import Result
from understudy.evaluation.metric import Metric, check_features

BLOCK = 128  # rows of distances held at a time: they stay in the processor's cache, five times as fast as 1024
REMEMBERED = 4  # pairs of sets: a baseline and its size-matched comparison, either way round
ROUNDING = 1e-12  # of the largest squared norm: what a squared distance of two equal cases may come to


_counted: OrderedDict[tuple[bytes, bytes, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()


def precision(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, neighbours: int = 5) -> Result:
    """Return the share of synthetic cases that lie in the ball of a real one, 0 to 1, higher is better.

    Args:
        real: (n, F).
        synthetic: (m, F).
        seed: recorded; nothing is random.
        neighbours: k, how many neighbours a ball reaches to.

    Returns:
        The share; ``n`` is the smaller set. All four numbers depend on n and m: compare at equal ones.

    Raises:
        UnderstudyError: matrices that cannot be compared.
    """
    _, holders = ball_counts(real, synthetic, neighbours)
    return _result("precision", (holders > 0).mean(), real, synthetic, seed, neighbours)


def recall(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, neighbours: int = 5) -> Result:
    """Return the share of real cases that lie in the ball of a synthetic one; arguments as in ``precision``."""
    _, holders = ball_counts(synthetic, real, neighbours)
    return _result("recall", (holders > 0).mean(), synthetic, real, seed, neighbours)


def density(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, neighbours: int = 5) -> Result:
    """Return how many real balls hold a synthetic case, over k, on average; arguments as in ``precision``.

    About 1 for two samples of one distribution, above 1 where synthetic cases lie densest where real ones do.
    """
    _, holders = ball_counts(real, synthetic, neighbours)
    value = holders.mean() / reach(real, neighbours)
    return _result("density", value, real, synthetic, seed, neighbours, "can exceed 1")


def coverage(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, neighbours: int = 5) -> Result:
    """Return the share of real balls that hold a synthetic case; arguments as in ``precision``."""
    held, _ = ball_counts(real, synthetic, neighbours)
    return _result("coverage", (held > 0).mean(), real, synthetic, seed, neighbours)


def ball_counts(centres: np.ndarray, others: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Count whom the balls around one set hold of the other set.

    All four metrics ask for the same counts: those of the last few pairs are remembered, by the content of the sets.

    Args:
        centres: (n, F) cases with a ball each.
        others: (m, F) cases of the other set.
        neighbours: k.

    Returns:
        (n,) how many of the others each ball holds; (m,) how many balls hold each of the others.
    """
    check_features(centres, others)
    key = _digest(centres), _digest(others), neighbours
    if key not in _counted:
        _counted[key] = _count(centres, others, neighbours)
    _counted.move_to_end(key)
    while len(_counted) > REMEMBERED:
        _counted.popitem(last=False)
    return _counted[key]


def _digest(case_set: np.ndarray) -> bytes:
    about = f"{case_set.shape}{case_set.dtype}".encode()
    return hashlib.sha256(about + np.ascontiguousarray(case_set).tobytes()).digest()


def _count(centres: np.ndarray, others: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    middle, k = centres.mean(0, dtype=np.float64), reach(centres, neighbours)
    own, theirs = centres - middle, others - middle
    own_squares, their_squares = (own**2).sum(1), (theirs**2).sum(1)
    held, holders = np.zeros(len(own), np.int64), np.zeros(len(theirs), np.int64)
    for start in range(0, len(own), BLOCK):
        block = own[start : start + BLOCK]
        radii = np.partition(squared_distances(block, own, own_squares), k, axis=1)[:, k, None]  # place 0: itself
        radii[radii <= ROUNDING * own_squares.max()] = -np.inf
        inside = squared_distances(block, theirs, their_squares) < radii
        held[start : start + BLOCK] = inside.sum(1)
        holders += inside.sum(0)
    held.flags.writeable = holders.flags.writeable = False  # others are given the same ones
    return held, holders


def squared_distances(block: np.ndarray, x: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return |b - x|^2 = |b|^2 - 2 b.x + |x|^2 of rows (b, F) and (n, F) with |x|^2 (n,), as a matrix (b, n)."""
    distances: np.ndarray = (-2 * block) @ x.T
    distances += squares
    distances += (block**2).sum(1, keepdims=True)
    return distances


def reach(case_set: np.ndarray, neighbours: int) -> int:
    """Return k, smaller where a set has too few cases for it."""
    return min(neighbours, len(case_set) - 1)


def _result(
    name: str, value: float, balls: np.ndarray, others: np.ndarray, seed: int, neighbours: int, more: str = ""
) -> Result:
    """Return the result of ``others`` in ``balls``; its note tells k."""
    k = reach(balls, neighbours)
    few = f" in place of {neighbours}: {len(balls)} cases have no more" if k < neighbours else ""
    note = "; ".join(part for part in (f"balls reach to neighbour {k}{few}", more) if part)
    return Result(name, float(value), better="higher", n=min(len(balls), len(others)), seed=seed, note=note)


LAWS = ("one on identical", "never negative", "order irrelevant", "monotone under shift", "monotone under blur")
NOISE, LABELS, DROPPING = "monotone under noise", "monotone under label shift", "monotone under mode dropping"
PRECISION = Metric(precision, "higher", frozenset((*LAWS, NOISE)), settings=("neighbours",))
RECALL = Metric(recall, "higher", frozenset((*LAWS, DROPPING)), settings=("neighbours",))  # noise widens its balls
DENSITY = Metric(density, "higher", frozenset((*LAWS, NOISE)), settings=("neighbours",))
COVERAGE = Metric(coverage, "higher", frozenset((*LAWS, NOISE, LABELS, DROPPING)), settings=("neighbours",))
