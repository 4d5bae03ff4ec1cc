"""Three published measures of how near released cases lie to training cases, each beside the same on non-members.

**Authenticity** (AuthPct): a case is authentic where its nearest training case has another training case nearer to it
than the case is.
**Distance ratio**: distance to the nearest training case over distance to the nearest of another subject; 1: no one in
particular, 0: a copy.
**C_T**: are released cases nearer to training cases than unseen real ones? The z-value of Mann and Whitney's U, in
cells of the space, weighted by the share of unseen cases; below 0: nearer, below -3: copied.
Distances are chords between centred unit vectors of pixels.
**Source**: AuthPct: Alaa, van Breugel, Saveliev, van der Schaar, "How Faithful is your Synthetic Data?" (ICML 2022,
arXiv 2102.08921), section 3.3. Distance ratio: Lowe's test of matches (Int. J. Comput. Vis. 60, 2004). C_T: Meehan,
Chaudhuri, Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative Models" (AISTATS 2020, arXiv
2004.05675), Z_U and C_T.
**Differs**: AuthPct: the other training case is of another subject; a subject's own slices lie so near that nothing
would ever be found. C_T: nearest over all training cases; from each unseen subject one case is drawn, 200 times, and
the z-values are averaged, since slices of a subject are not independent; cells of fewer than 20 released or 5 unseen
cases do not count.
**Checked** in tests/evaluation/privacy/attacks/test_authenticity.py (by hand; scipy's U).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.cluster import KMeans

from understudy.core.cohort import Cohort
from understudy.core.pooled import mean_interval
from understudy.core.result import Result
from understudy.core.seed import derive, rng
from understudy.core.statistics import by_subject, percentile_interval
from understudy.evaluation.nearest import Rows, nearest
from understudy.evaluation.privacy.attacks.membership import no_features
from understudy.evaluation.privacy.attacks.setup import AttackSetup, log_distance, withheld
from understudy.evaluation.privacy.calibration import ReferenceScores, clopper_pearson, order_interval
from understudy.evaluation.privacy.pearson import ImageVectors

DRAWS = 200
CELL = 20  # unseen subjects a cell
CELLS = 10
MIN_RELEASED, MIN_UNSEEN = 20, 5  # in a cell
AUTHENTIC = "share of released cases farther from their nearest training case than another patient is (AuthPct)"
RATIO = "distance to the nearest training case over distance to the nearest of another patient; low: the 5 % quantile"
CONTROL = "the same of non-members, each subject counting once: what is to be expected without copying"
C_T = "z-value of Mann-Whitney's U, released against non-members: below 0: nearer to training cases, below -3: copied"
NO_CELL = f"not measured: no cell holds {MIN_RELEASED} released cases and {MIN_UNSEEN} non-members"


@dataclass(frozen=True)
class NearestTraining:
    """Nearest training cases of n cases."""

    index: np.ndarray  # (n,) of the nearest, within the training cases
    r: np.ndarray  # (n,) its correlation
    other: np.ndarray  # (n,) that of the nearest of another subject; -inf where there is none
    authentic: np.ndarray  # (n,) mask

    @property
    def ratio(self) -> np.ndarray:
        """Distance ratios (n,), 0..1."""
        return np.asarray(np.exp(log_distance(self.r) - log_distance(self.other)))


def nearest_training(query: Rows, real: Cohort, rows: np.ndarray, memory_mib: int) -> NearestTraining:
    """Find the nearest of the real cohort's training cases, ``rows``, which are of two subjects or more."""
    subjects = by_subject(real.column("subject_id")[rows]).number
    index, r, other = two_subjects(query, ImageVectors(real, rows), subjects, memory_mib)
    used, inverse = np.unique(index, return_inverse=True)
    found, training = ImageVectors(real, rows[used]), ImageVectors(real, rows)
    whose = subjects[used]
    fellows = nearest(found, training, query_groups=whose, target_groups=subjects, memory_mib=memory_mib)
    return NearestTraining(index, r, other, fellows.r[inverse] > r)


def two_subjects(
    query: Rows, target: Rows, subjects: np.ndarray, memory_mib: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nearest of m targets (n,), its r (n,), and the highest r (n,) to a target of another subject.

    Subjects (m,) are those of the targets, as numbers from 0.
    """
    first = nearest(query, target, memory_mib=memory_mib)
    second = nearest(query, target, query_groups=subjects[first.index], target_groups=subjects, memory_mib=memory_mib)
    return first.index, first.r, np.where(second.index < 0, -np.inf, second.r)


def z_u(released: np.ndarray, unseen: np.ndarray) -> float:
    """Return the z-value of Mann and Whitney's U of distances to the nearest training case; below 0: released nearer.

    Distances of released cases are (m,), those of unseen real cases (n,).
    """
    m, n = len(released), len(unseen)
    u = rankdata(np.r_[released, unseen])[:m].sum() - m * (m + 1) / 2
    return float((u - m * n / 2) / np.sqrt(m * n * (m + n + 1) / 12))


def c_t(
    released: np.ndarray, unseen: np.ndarray, subjects: np.ndarray, cells: tuple[np.ndarray, np.ndarray], seed: int
) -> float | None:
    """Return Meehan's C_T, the weighted z-value; None where no cell holds enough cases.

    Args:
        released: (m,) distances to the nearest training case.
        unseen: (n,) those of unseen real cases.
        subjects: (n,) of the unseen cases.
        cells: in which cell each released (m,) and each unseen (n,) case lies.
        seed: of the case that stands for a subject.
    """
    order, values = rng(seed, "attack", "c_t"), []
    numbers = by_subject(subjects).number
    for _ in range(DRAWS):
        shuffled = order.permutation(len(subjects))
        drawn = shuffled[np.unique(numbers[shuffled], return_index=True)[1]]
        weights, z = [], []
        for cell in np.unique(cells[1]):
            ours, theirs = released[cells[0] == cell], unseen[drawn][cells[1][drawn] == cell]
            if len(ours) >= MIN_RELEASED and len(theirs) >= MIN_UNSEEN:
                weights.append(len(theirs))
                z.append(z_u(ours, theirs))
        if z:
            values.append(np.average(z, weights=weights))
    return float(np.mean(values)) if values else None


def cells_of(setup: AttackSetup) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each released case (m,) and of each non-member's case (n,), by k-means on training features.

    One cell for all where there are fewer than twice 20 non-members, or where features cannot be learned.
    """
    sizes = len(setup.synthetic), len(setup.non_members)
    k = min(CELLS, len(np.unique(setup.subjects[~setup.is_member])) // CELL, len(setup.members))
    if k < 2 or no_features(setup):
        return np.zeros(sizes[0], np.int64), np.zeros(sizes[1], np.int64)
    attacked, released = (side.block(0, len(side)) for side in setup.described)
    state = derive(setup.seed, "attack", "cells") % 2**32
    means = KMeans(k, n_init=3, random_state=state).fit(attacked[setup.is_member])
    return means.predict(released), means.predict(attacked[~setup.is_member])


def nearness_results(prefix: str, setup: AttackSetup, draws: int) -> list[Result]:
    """Return the three measures of released cases, and the same of non-members; withheld where subjects are few.

    The prefix is ``privacy.`` or ``privacy.NAME.``.
    """
    name = f"{prefix}nearness"
    if few := withheld(setup.subjects, setup.is_member):
        return [Result(name, None, seed=setup.seed, note=few)]
    unseen = ImageVectors(setup.real, setup.non_members)
    sides = [nearest_training(query, setup.real, setup.members, setup.memory_mib) for query in (setup.released, unseen)]
    theirs, seed, m = setup.subjects[~setup.is_member], setup.seed, len(setup.synthetic)
    copying = c_t(-sides[0].r, -sides[1].r, theirs, cells_of(setup), seed)
    told = NO_CELL if copying is None else C_T
    return [
        *_authentic(name, sides, theirs, seed, draws),
        *_ratios(name, sides, theirs, seed, draws),
        Result(f"{name}.c_t", copying, unit="z", better="higher", n=m, seed=seed, note=told),
    ]


def _authentic(name: str, sides: list[NearestTraining], theirs: np.ndarray, seed: int, draws: int) -> list[Result]:
    released, m = sides[0].authentic, len(sides[0].authentic)
    names, number, counts = by_subject(theirs)
    means = np.bincount(number, sides[1].authentic) / counts
    found = mean_interval(means[None], derive(seed, "attack", "authentic"), draws)
    exact = clopper_pearson(int(released.sum()), m)
    return [
        Result(f"{name}.authentic", float(released.mean()), *exact, "", "higher", m, seed, AUTHENTIC),
        Result(f"{name}.authentic.control", found.value, found.low, found.high, "", "", len(names), seed, CONTROL),
    ]


def _ratios(name: str, sides: list[NearestTraining], theirs: np.ndarray, seed: int, draws: int) -> list[Result]:
    released, control = sides[0].ratio, ReferenceScores(sides[1].ratio, theirs, "")
    results = []
    for word, q in (("median", 0.5), ("low", 0.05)):
        value, resampled = control.quantiles(q, draws, seed)
        low, high = percentile_interval(resampled)
        own, m = float(np.quantile(released, q, method="inverted_cdf")), len(released)
        ends = order_interval(released, q)
        at = f"{name}.distance_ratio.{word}"
        results += [
            Result(at, own, *ends, "", "higher", m, seed, RATIO),
            Result(f"{at}.control", value, low, high, "", "", control.n_subjects, seed, CONTROL),
        ]
    return results
