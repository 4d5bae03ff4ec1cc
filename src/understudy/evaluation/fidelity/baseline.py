"""How far real is from real: the baseline that stands beside every fidelity number.

Subjects of the real training split are halved at random, subject-disjoint. **Baseline**: one half against the other.
**Size-matched**: as many synthetic cases against the first half. Both at one n, so that what an estimator owes to n is
in both; size-matched = baseline means: no farther than real subjects are from other real subjects. Size-matched better
than the baseline (below it, for a distance) means nearer than that, as copies of training cases would be: a question
for ``evaluate privacy``.
**Checked** in tests/evaluation/fidelity/test_baseline.py (halves are disjoint; a copy of real cases matches its
baseline).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from understudy.core.result import Result
from understudy.core.seed import derive, rng


@dataclass(frozen=True)
class Baseline:
    """Values (draws,) of the baseline and of the size-matched comparison, at n cases a set."""

    baseline: np.ndarray
    size_matched: np.ndarray
    n: int


def real_baselines(
    functions: Mapping[str, Callable[..., Result]],
    real: np.ndarray,
    subjects: np.ndarray,
    synthetic: np.ndarray,
    draws: int,
    seed: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Baseline]:
    """Compare halves of the real subjects with each other, and synthetic cases with one of them.

    Args:
        functions: metrics of the menu, by name.
        real: (n, F) features of real cases.
        subjects: (n,) whose they are.
        synthetic: (m, F).
        draws: number of random halves.
        seed: of halves and subsets.
        advance: is called after each draw.

    Returns:
        The values by name; ``n`` is the same in all draws, so that they can be averaged.
    """
    pairs = list(halves(subjects, draws, seed))
    n = min(len(synthetic), *(len(half) for pair in pairs for half in pair))
    values = np.empty((len(functions), 2, draws))
    for i, (first, second) in enumerate(pairs):
        draw = rng(seed, "floor", "cases", i)
        one, other = (np.sort(draw.permutation(half)[:n]) for half in (first, second))
        own = derive(seed, "floor", "metric", i)
        chosen = synthetic[draw.permutation(len(synthetic))[:n]]
        for function, found in zip(functions.values(), values, strict=True):
            found[:, i] = [function(real=real[one], synthetic=s, seed=own).value for s in (real[other], chosen)]
        advance()
    return {name: Baseline(found[0], found[1], n) for name, found in zip(functions, values, strict=True)}


def halves(subjects: np.ndarray, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of row numbers: the cases of one random half of the subjects, and those of the other."""
    names = np.unique(subjects)
    for i in range(draws):
        first = rng(seed, "floor", "halves", i).permutation(names)[: len(names) // 2]
        inside = np.isin(subjects, first)
        yield np.flatnonzero(inside), np.flatnonzero(~inside)
