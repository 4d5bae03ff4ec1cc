"""Simulated readers with a known AUC: the power of a planned study, and how often its interval holds the truth.

A reader's impression of a case is normal: what the case is to all readers, what synthetic cases add (for this reader),
and the rest; it becomes a rating from 1 to 10 at fixed thresholds.
**Source**: the model of Roe and Metz, Acad Radiol 4:298 (1997), for one treatment.
**Checked** in tests/reader/statistics/test_simulation.py; coverage and power in docs/reader-statistics.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from understudy.core.seed import rng
from understudy.reader.statistics.mrmc import Estimate, equivalence_p, over_readers
from understudy.reader.statistics.roc import areas, means

ALPHA = 0.05
THRESHOLDS = np.array([-1.6, -1.0, -0.6, -0.3, 0, 0.3, 0.6, 1.0, 1.6])  # between ten ratings, five for each call


@dataclass(frozen=True)
class SimulatedReaders:
    """A population of readers and cases: standard deviations over cases, over readers, and of the rest.

    ``separation`` is what a synthetic case adds to the impression of the average reader.
    """

    separation: float = 0.0
    case: float = 0.7
    reader: float = 0.15
    rest: float = 0.8

    def auc(self) -> float:
        """Return the AUC that readers have on average: ratings of one real and one synthetic case are independent."""
        real = _chances(0, np.hypot(self.case, self.rest))
        synthetic = _chances(self.separation, np.sqrt(self.case**2 + self.rest**2 + self.reader**2))
        below = np.r_[0, real.cumsum()[:-1]]
        return float((synthetic * (below + real / 2)).sum())

    def ratings(self, draw: np.random.Generator, readers: int, real: int, synthetic: int) -> tuple[np.ndarray, ...]:
        """Return ratings 1 to 10, int (R, n) of real and (R, m) of synthetic cases."""
        bias = self.separation + draw.normal(0, self.reader, (readers, 1))
        found = []
        for n, shift in ((real, np.zeros((readers, 1))), (synthetic, bias)):
            seen = draw.normal(0, self.case, n) + shift + draw.normal(0, self.rest, (readers, n))
            found.append(np.digitize(seen, THRESHOLDS) + 1)
        return tuple(found)


def readers_with(auc: float) -> SimulatedReaders:
    """Return readers whose average AUC is this one, between 0.01 and 0.99."""
    found = optimize.brentq(lambda x: SimulatedReaders(x).auc() - auc, -8, 8)
    return SimulatedReaders(float(found))


@dataclass(frozen=True)
class Power:
    """How many of the simulated studies show equivalence, and how wide the 95 % interval is on average."""

    share: float
    width: float
    studies: int


def power(readers: int, cases: int, margin: float, seed: int, studies: int = 200, pairs: bool = False) -> Power:
    """Return the power of the equivalence test at a true AUC of 0.5, by simulation.

    Args:
        readers: number of readers, at least 2.
        cases: real cases, and as many synthetic ones; or pairs.
        margin: the AUC, or the share of pairs told, lies within 0.5 +- margin.
        seed: of the simulation.
        studies: how many are simulated.
        pairs: whether a real and a synthetic case are shown side by side.
    """
    people = SimulatedReaders()
    found = [estimate(people, rng(seed, "reader", "power", i), readers, cases, pairs) for i in range(studies)]
    shown = [equivalence_p(one, 0.5 - margin, 0.5 + margin) < ALPHA for one in found]
    widths = [np.subtract(*one.interval()[::-1]) for one in found]
    return Power(float(np.mean(shown)), float(np.mean(widths)), studies)


def estimate(
    people: SimulatedReaders, draw: np.random.Generator, readers: int, cases: int, pairs: bool = False
) -> Estimate:
    """Simulate one study and return its AUC over readers, or its share of pairs in which the synthetic one is told."""
    real, synthetic = people.ratings(draw, readers, cases, cases)
    if not pairs:
        return over_readers(areas(real=real, synthetic=synthetic))
    told = np.where(real == synthetic, draw.random(real.shape) < 0.5, synthetic > real)
    return over_readers(means(told.astype(float)))


def _chances(mean: float, sd: float) -> np.ndarray:
    """Return the probability of each rating (10,) of a normal impression."""
    return np.diff(np.r_[0, stats.norm.cdf((THRESHOLDS - mean) / sd), 1])
