"""Precision, recall, density and coverage: which cases lie within reach of the other set's nearest neighbours.

Around each case of a set lies a ball that reaches to its k-th nearest neighbour on that set (itself not counted).
Precision is the share of synthetic cases in a ball of a real one, recall that of real cases in a ball of a synthetic
one; density counts in how many real balls a synthetic case lies, over k; coverage is the share of real balls that hold
a synthetic case. Where a subject has several cases, these are one another's neighbours and real balls are small: read
each number beside its baselines, of which unseen subjects share none with the training cases.
**Source**: Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models (2019, arXiv
1904.06991), equations 1 and 2; Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models (2020, arXiv
2002.09797), equations 2 to 5 and k = 5, with the open balls of their package prdc.
**Differs**: distances are held for a block of rows at a time, so that memory grows with n and not with n^2; a ball
whose radius is rounding error (more than k equal cases) is empty; a set of at most k cases takes a smaller k.
**Checked** in tests/evaluation/fidelity/test_prdc.py (by hand; prdc and its definition on the same features,
equal counts; any block size, equal counts).
"""

import numpy as np

from understudy.core.result import Result
from understudy.evaluation.folder import join_notes
from understudy.evaluation.metric import Metric, Quantity, check_features

BLOCK = 128  # rows of distances held at a time: they stay in the processor's cache, five times as fast as 1024
ROUNDING = 1e-12  # of the largest squared norm: what a squared distance of two equal cases may come to


def prdc(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0, neighbours: int = 5) -> tuple[Result, ...]:
    """Return precision, recall, density and coverage, higher is better; `neighbours` is k.

    Density is about 1 for two samples of one distribution, above 1 where synthetic cases lie densest where real ones
    do. ``n`` is the smaller set; all four depend on n and m: compare at equal ones.
    """
    held, holders = ball_counts(real, synthetic, neighbours)
    _, real_holders = ball_counts(synthetic, real, neighbours)
    in_real_balls = (real, synthetic, seed, neighbours)
    return (
        _result("precision", (holders > 0).mean(), *in_real_balls),
        _result("recall", (real_holders > 0).mean(), synthetic, real, seed, neighbours),
        _result("density", holders.mean() / reach(real, neighbours), *in_real_balls, "can exceed 1"),
        _result("coverage", (held > 0).mean(), *in_real_balls),
    )


def ball_counts(centres: np.ndarray, others: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of the others (m, F) the ball around each centre (n, F) holds, (n,), and how many hold each,
    (m,).
    """
    check_features(centres, others)
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
    """Return the result of ``others`` in ``balls``; its note names k."""
    k = reach(balls, neighbours)
    few = f" in place of {neighbours}: {len(balls)} cases have no more" if k < neighbours else ""
    note = join_notes(f"balls reach to neighbour {k}{few}", more)
    return Result(name, float(value), better="higher", n=min(len(balls), len(others)), seed=seed, note=note)


LAWS = frozenset(
    {"one on identical", "never negative", "order irrelevant", "monotone under shift", "monotone under blur"}
)
NOISE, LABELS, DROPPING = "monotone under noise", "monotone under label shift", "monotone under mode dropping"
RECALL, COVERAGE = LAWS | {DROPPING}, LAWS | {NOISE, LABELS, DROPPING}  # noise widens the balls of recall
METRIC = Metric(
    prdc,
    (
        Quantity("precision", "precision: synthetic near a real case", "higher", LAWS | {NOISE}, bounds=(0, 1)),
        Quantity("recall", "recall: real near a synthetic case", "higher", RECALL, bounds=(0, 1)),
        Quantity("density", "density: real cases near a synthetic one / k", "higher", LAWS | {NOISE}),
        Quantity("coverage", "coverage: real cases with a synthetic one near", "higher", COVERAGE, bounds=(0, 1)),
    ),
    settings=("neighbours",),
)
