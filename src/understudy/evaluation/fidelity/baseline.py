"""How far real cases lie from real cases: the baselines that stand beside every fidelity number, at the same n.

All are distances to (or shares of) the same reference, the cases of the real **training split**:

- **size_matched**: n synthetic cases, drawn without replacement. Its interval is that of random halves of the synthetic
  cases, or of n where that is fewer: draws of n of hardly more would all be alike.
- **unseen**: n real cases of subjects outside the training split (validation and control). The generator learned from
  the reference, these subjects did not: a generator that draws new patients comes no nearer than they do.
- **unseen_extrapolated**, of distances: the same with as many subjects as cases. Real cases come in clusters (slices of
  one patient), synthetic ones do not, and few clusters lie farther from anything than independent cases.
- **redrawn**: n training cases drawn again with replacement: what a generator gives that only repeats them.

A number at *unseen_extrapolated* is what new patients would give; one that lies towards *redrawn* is nearer to the
training cases than patients are to each other, which is a question for ``evaluate privacy``, not praise.

With s_k the cases of subject k among n, a distance that rests on means over pairs of cases grows linearly in
x = sum_k s_k^2 / n^2, the share of pairs within one subject. The slope comes from random halves of the unseen subjects
against as many cases of all of them; the line is read at x = 1 / n. The interval of both is that of the halves, since a
half without replacement scatters about the whole as the whole scatters about its population.
**Source** of half-samples: McCarthy, Pseudo-replication: half samples (Rev. Int. Stat. Inst. 37, 1969); of the line:
Chong and Forsyth (2020, arXiv 1911.07023), there over cases. **Differs**: over subjects.
**Not covered**: the Frechet distance of fewer than about 16 unseen subjects, which stays too large (docs/baselines.md);
shares (recall above all) of clustered cases, which no line brings to those of independent ones: as
measured, *unseen* is then what these few subjects give, and a good generator's recall lies above it.
**Checked** in tests/evaluation/fidelity/test_baseline.py (a perfect generator, a repeating one and a wrong one told
apart; coverage of the interval; a line by hand; equal n).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.result import Result
from understudy.core.seed import derive, rng
from understudy.core.statistics import percentile_interval
from understudy.evaluation.folder import join_notes
from understudy.evaluation.metric import several

UNSEEN_SPLITS = ("validation", "control")  # test subjects are for utility alone
KINDS = ("size_matched", "unseen", "unseen_extrapolated", "redrawn")
Bounds = tuple[float, float]
Values = dict[str, np.ndarray]  # of each draw, (draws,), by metric
Metrics = Mapping[str, Callable[..., Result | Sequence[Result]]]


@dataclass(frozen=True)
class RealCases:
    """The real side: matrices of training cases (n, F) and of unseen cases (m, F), and whose these are, (m,)."""

    train: np.ndarray
    unseen: np.ndarray
    subjects: np.ndarray

    @property
    def unseen_subjects(self) -> int:
        """How many unseen subjects there are."""
        return len(np.unique(self.subjects))


@dataclass(frozen=True)
class Baselines:
    """Values of n cases against the training cases, (draws,) each; None: too few unseen subjects (of `subjects`)."""

    n: int
    subjects: int
    size_matched: np.ndarray
    redrawn: np.ndarray
    unseen: np.ndarray | None
    unseen_extrapolated: np.ndarray | None

    def spread(self, kind: str, bounds: Bounds = (-np.inf, np.inf)) -> tuple[float | None, float | None, float | None]:
        """Return the mean and the 95 % range, within bounds, of one of KINDS; None where it was not measured."""
        values = getattr(self, kind)
        if values is None:
            return None, None, None
        low, high = (float(np.clip(end, *bounds)) for end in percentile_interval(values))
        return float(np.clip(values.mean(), *bounds)), low, high

    def results(self, plain: Result, bounds: Bounds, before: str = "", after: str = "") -> Iterator[Result]:
        """Yield what stands beside a plain result, with notes before and after their own."""
        for kind in KINDS:
            if kind == "unseen_extrapolated" and plain.better != "lower":
                continue
            value, low, high = self.spread(kind, bounds)
            note = join_notes(before, self._note(kind), after)
            name = f"{plain.name}.{kind}"
            yield replace(plain, name=name, value=value, low=low, high=high, n=self.n, note=note)

    def _note(self, kind: str) -> str:
        draws = f"mean and 95 % range of {len(self.redrawn)} draws"
        if kind == "size_matched":
            of = f"mean of {len(self.size_matched)} draws, 95 % range from draws of at most half of the synthetic cases"
            return f"{self.n} synthetic cases against the real training cases; {of}"
        if kind == "redrawn":
            return f"training cases drawn again, with replacement, as a generator gives that only repeats them; {draws}"
        if self.unseen is None:
            return (
                f"not measured: {self.subjects} real subjects in the validation and control splits, and {MIN_SUBJECTS} "
                "are needed"
            )
        halves = f"95 % range from {len(self.redrawn)} random halves of these subjects"
        if kind == "unseen":
            return f"real cases of {self.subjects} subjects outside the training split against it; {halves}"
        return f"unseen, extrapolated from {self.subjects} subjects to one for each case, as of new patients; {halves}"


def mean_baselines(parts: Sequence[Baselines]) -> Baselines:
    """Return the means of several numbers of the same cases, draw by draw."""
    found = {kind: [getattr(part, kind) for part in parts] for kind in KINDS}
    means = {kind: None if any(v is None for v in values) else np.mean(values, 0) for kind, values in found.items()}
    return Baselines(parts[0].n, parts[0].subjects, **means)  # type: ignore[arg-type]


class RealBaselines:
    """The baselines of some metrics, given by name; of several results each has its own name.

    What does not depend on synthetic cases is measured once for each n.
    """

    def __init__(self, metrics: Metrics, cases: RealCases, draws: int, seed: int) -> None:
        self.metrics, self.cases, self.draws, self.seed = metrics, cases, draws, seed
        self.known: dict[int, tuple[Values, Values, Values]] = {}

    @property
    def measurable(self) -> bool:
        """Whether there are enough unseen subjects for a number, and for halves of them."""
        return self.cases.unseen_subjects >= MIN_SUBJECTS

    def beside(self, synthetic: np.ndarray, advance: Callable[[], object] = lambda: None) -> dict[str, Baselines]:
        """Return the baselines by name of synthetic cases (s, F) and of as many real ones; `advance`: once a draw."""
        n = min(len(synthetic), len(self.cases.unseen if self.measurable else self.cases.train))
        if n not in self.known:
            self.known[n] = self._redrawn(n), *(self._unseen(n) if self.measurable else ({}, {}))
        made = self._synthetic(synthetic, n, advance)
        redrawn, unseen, extrapolated = self.known[n]
        subjects = self.cases.unseen_subjects
        parts = {
            name: (values, redrawn[name], unseen.get(name), extrapolated.get(name)) for name, values in made.items()
        }
        return {name: Baselines(n, subjects, *values) for name, values in parts.items()}

    def _synthetic(self, synthetic: np.ndarray, n: int, advance: Callable[[], object]) -> Values:
        """Return the values of n of the synthetic cases; scattered as halves of these are, or as n, if fewer, are."""

        def drawn(size: int) -> Callable[[int, np.random.Generator], np.ndarray]:
            return lambda i, draw: synthetic[draw.permutation(len(synthetic))[:size]]

        whole, k = self._measured("synthetic", drawn(n), advance), min(n, max(2, len(synthetic) // 2))
        if k == n:
            return whole
        half = self._measured("half of synthetic", drawn(k))
        return {name: values.mean() + half[name] - half[name].mean() for name, values in whole.items()}

    def _measured(
        self,
        purpose: str,
        choose: Callable[[int, np.random.Generator], np.ndarray],
        advance: Callable[[], object] = lambda: None,
    ) -> Values:
        """Measure the cases that are chosen in each draw against the training cases."""
        values: dict[str, list[Any]] = {}
        for i in range(self.draws):
            chosen, own = (
                choose(i, rng(self.seed, "baselines", purpose, i)),
                derive(self.seed, "baselines", "metric", i),
            )
            for name, function in self.metrics.items():
                found = several(function(real=self.cases.train, synthetic=chosen, seed=own))
                for one in found:
                    values.setdefault(one.name if len(found) > 1 else name, []).append(one.value)
            advance()
        return {name: np.array(each, float) for name, each in values.items()}

    def _redrawn(self, n: int) -> Values:
        train = self.cases.train
        return self._measured("redrawn", lambda i, draw: train[draw.integers(0, len(train), n)])

    def _unseen(self, n: int) -> tuple[Values, Values]:
        """Return the values of n unseen cases as measured, and extrapolated over subjects; scattered as halves are."""
        cases, subjects = self.cases.unseen, self.cases.subjects
        first = [half for half, _ in halves(subjects, self.draws, self.seed)]
        k = min(n, *map(len, first))
        drawn: dict[str, list[np.ndarray]] = {"all": [], "half": [], "as many": []}

        def choose(what: str, size: int) -> Callable[[int, np.random.Generator], np.ndarray]:
            def chosen(i: int, draw: np.random.Generator) -> np.ndarray:
                rows = draw.permutation(first[i] if what == "half" else len(cases))[:size]
                drawn[what].append(rows)
                return cases[rows]

            return chosen

        whole, half, same = (
            self._measured(what, choose(what, size)) for what, size in zip(drawn, (n, k, k), strict=True)
        )
        at_whole, at_half, at_same = (
            float(np.mean([within_share(subjects[rows]) for rows in each])) for each in drawn.values()
        )
        unseen, extrapolated = {}, {}
        for name in whole:
            scatter = half[name] - half[name].mean()
            slope = (half[name].mean() - same[name].mean()) / (at_half - at_same) if at_half - at_same > 1e-9 else 0.0
            unseen[name] = whole[name].mean() + scatter
            extrapolated[name] = unseen[name] - max(0.0, slope) * (at_whole - 1 / n)
        return unseen, extrapolated


def within_share(subjects: np.ndarray) -> float:
    """Return the share of pairs of cases (with itself too) of one subject, (n,): 1 / n where each has one case."""
    counts = np.unique(subjects, return_counts=True)[1]
    return float((counts**2).sum() / len(subjects) ** 2)


def halves(subjects: np.ndarray, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of row numbers: the cases of one random half of the subjects, and those of the other."""
    names = np.unique(subjects)
    for i in range(draws):
        first = rng(seed, "floor", "halves", i).permutation(names)[: len(names) // 2]
        inside = np.isin(subjects, first)
        yield np.flatnonzero(inside), np.flatnonzero(~inside)
