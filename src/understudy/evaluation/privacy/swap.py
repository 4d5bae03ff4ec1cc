"""The swap test: do flagged cases lie nearest to trained subjects more often than to unseen ones in their place?

Trained and unseen subjects are matched together, by an encoder that has learned both alike, and each flagged case
counts for the subject of its nearest case. Without copies a trained subject gets as many flags as an unseen one,
whatever the threshold and however odd some subjects are: the subjects are exchangeable. The counts are given for
reference sets of equal size. **p** comes from dealing the subjects anew (a permutation test, one-sided), each flag
weighed by how far beyond the threshold it lies, since copies lie farther than chance does. Ties count as evidence for
nothing, so that without any flag p is 1: whether cases that nobody would call copies lie nearer to trained subjects is
asked by the attacks. The interval of the difference resamples subjects.
**Source**: Fisher, The design of experiments (1935), section 21; the p-value of Phipson and Smyth (SAGMB 9, 2010).
**Differs**: a generator that copies one subject only gives p no lower than the share of trained subjects; such copies
are counted by the flags themselves.
**Checked** in tests/evaluation/privacy/test_swap.py; ``benchmarks/swap.py`` simulates p without copies, and the power.
"""

from dataclasses import dataclass

import numpy as np

from understudy.core.seed import rng
from understudy.core.statistics import Interval, percentile_interval, resample

DEALS = 9999
BLOCK = 1000  # deals at once


@dataclass(frozen=True)
class SwapTest:
    """Flagged cases nearest to trained subjects, and to unseen ones in their place; both for ``size`` subjects."""

    trained: float
    unseen: float
    size: int  # subjects of the smaller side
    difference: Interval  # of trained and unseen
    p: float
    members: int  # trained subjects
    non_members: int


def swap_test(
    excess: np.ndarray,
    subject: np.ndarray,
    members: np.ndarray,
    non_members: np.ndarray,
    seed: int,
    draws: int,
    deals: int = DEALS,
) -> SwapTest:
    """Test whether flags of synthetic cases fall on trained subjects more than on unseen ones.

    Of each case: by how much its nearness exceeds the threshold (n,), above 0 where it is flagged, and the subject of
    its nearest case (n,), one of the members (M,) or of the non-members (m,), at least one each. ``draws`` are
    resamples of subjects.
    """
    everyone, flagged = np.concatenate([members, non_members]), excess > 0
    at = np.argsort(everyone)[np.searchsorted(np.sort(everyone), subject)]
    counts = np.bincount(at[flagged], minlength=len(everyone)).astype(float)
    weighed = np.bincount(at, np.maximum(excess, 0), len(everyone))
    size, trained = min(len(members), len(non_members)), len(members)
    one, other = size * counts[:trained].mean(), size * counts[trained:].mean()
    difference = Interval(one - other, *_interval(counts[:trained], counts[trained:], size, seed, draws))
    return SwapTest(one, other, size, difference, _p(weighed, trained, seed, deals), trained, len(non_members))


def _p(weighed: np.ndarray, trained: int, seed: int, deals: int) -> float:
    """Return the share of deals in which as many subjects weigh at least as much as the trained ones, the first."""
    draw, least, above = rng(seed, "privacy", "swap", "deals"), weighed[:trained].sum() - 1e-12, 0
    for start in range(0, deals, BLOCK):
        keys = draw.random((min(BLOCK, deals - start), len(weighed)))
        chosen = np.argpartition(keys, trained - 1, axis=1)[:, :trained]
        above += int((weighed[chosen].sum(1) >= least).sum())
    return (1 + above) / (1 + deals)


def _interval(trained: np.ndarray, unseen: np.ndarray, size: int, seed: int, draws: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference, of counts (M,) and (m,); subjects are resampled on each side.

    Each side has one more subject than there are, with as many flags as one drawn from both, so that a side without
    flags does not pass for one that cannot have any.
    """
    draw, means = rng(seed, "privacy", "swap", "subjects"), []
    both = np.concatenate([trained, unseen])
    for side in (trained, unseen):
        fresh = np.maximum(draw.choice(both, draws), draw.poisson((both.sum() + 1) / len(both), draws))
        times = resample(draw, len(side) + 1, draws)
        means.append((times[:, :-1] @ side + times[:, -1] * fresh) / (len(side) + 1))
    return percentile_interval(size * (means[0] - means[1]))
