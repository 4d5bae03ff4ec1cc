"""How far real is from real: the baseline that stands beside every fidelity number.

Subjects of the real training split are halved at random, subject-disjoint. **Baseline**: one half against the other.
**Size-matched**: as many synthetic cases against the first half. Both at one n, so that what an estimator owes to n is
in both; size-matched = baseline means: no farther than real subjects are from other real subjects. Size-matched better
than the baseline (below it, for a distance) means nearer than that, as copies of training cases would be: a question
for ``evaluate privacy``.
**Checked** in tests/evaluation/fidelity/test_baseline.py (halves are disjoint; a copy of real cases matches its
baseline).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from understudy.core.result import Result
from understudy.core.seed import derive, rng
from understudy.core.statistics import percentile_interval
from understudy.evaluation.folder import join_notes
from understudy.evaluation.metric import several

COMPARED = {
    "size_matched": "synthetic cases against half of the real subjects; read it beside the baseline",
    "baseline": "half of the real subjects against the other half",
}


@dataclass(frozen=True)
class Baseline:
    """Values (draws,) of the baseline and of the size-matched comparison, at n cases a set."""

    baseline: np.ndarray
    size_matched: np.ndarray
    n: int

    def spread(self, which: str) -> tuple[float, float, float]:
        """Return the mean and the 95 % range of "baseline" or "size_matched"."""
        values = getattr(self, which)
        return float(values.mean()), *percentile_interval(values)

    def results(
        self, plain: Result, before: str = "", after: str = "", compared: Mapping[str, str] = COMPARED
    ) -> Iterator[Result]:
        """Yield the size-matched result and the baseline beside a plain one, with notes before and after their own."""
        for which, text in compared.items():
            note = join_notes(before, text, f"mean and 95 % range of {len(self.baseline)} random halves", after)
            value, low, high = self.spread(which)
            name = f"{plain.name}.{which}"
            yield replace(plain, name=name, value=value, low=low, high=high, n=self.n, note=note)


def real_baselines(
    functions: Mapping[str, Callable[..., Result | Sequence[Result]]],
    real: np.ndarray,
    subjects: np.ndarray,
    synthetic: np.ndarray,
    draws: int,
    seed: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Baseline]:
    """Compare halves of the real subjects with each other, and synthetic cases with one of them.

    The metrics are given by name; of several results each has its own name. Matrices are (n, F) and (m, F), `subjects`
    (n,) says whose the real cases are; `advance` is called after each of the draws. Returns the values by name; ``n``
    is the same in all draws, so that they can be averaged.
    """
    pairs = list(halves(subjects, draws, seed))
    n = min(len(synthetic), *(len(half) for pair in pairs for half in pair))
    values: dict[str, tuple[list[Any], list[Any]]] = {}
    for i, (first, second) in enumerate(pairs):
        draw = rng(seed, "floor", "cases", i)
        one, other = (np.sort(draw.permutation(half)[:n]) for half in (first, second))
        own = derive(seed, "floor", "metric", i)
        chosen = synthetic[draw.permutation(len(synthetic))[:n]]
        for name, function in functions.items():
            found = [several(function(real=real[one], synthetic=s, seed=own)) for s in (real[other], chosen)]
            for base, made in zip(*found, strict=True):
                both = values.setdefault(base.name if len(found[0]) > 1 else name, ([], []))
                both[0].append(base.value)
                both[1].append(made.value)
        advance()
    return {name: Baseline(np.array(base, float), np.array(made, float), n) for name, (base, made) in values.items()}


def halves(subjects: np.ndarray, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of row numbers: the cases of one random half of the subjects, and those of the other."""
    names = np.unique(subjects)
    for i in range(draws):
        first = rng(seed, "floor", "halves", i).permutation(names)[: len(names) // 2]
        inside = np.isin(subjects, first)
        yield np.flatnonzero(inside), np.flatnonzero(~inside)
