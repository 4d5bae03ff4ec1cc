"""Attacks and their setup: released cases, real cases of members and of non-members, and scores by subject.

A **member** is a subject that the generator saw; a **non-member** is a control subject (or a test subject, where the
request says so). An attack does not know who is who. It gives each real case a score, higher where it is surer that its
subject was a member; risk.py measures how far the scores of members lie above those of non-members. An attacker has no
training images, so features are those of fixed random filters, or learned on the **released** cases alone: features
learned on the training split would know members beforehand. Similarity is Pearson's r of unit vectors (of pixels, or of
features), distance the chord sqrt(2 - 2 r) between them.
Scores of cases become one score a subject, so that slices of one patient count as that patient. **mean**: the mean over
a subject's cases; its expectation does not depend on how many there are. **highest**: one exposed slice exposes the
patient, but the highest of many is higher than the highest of few; so it is the expected highest of k cases drawn from
the subject's, with one k for all: the number that nine in ten subjects have. A subject with fewer gives the highest of
all it has, members and non-members alike.
**Source**: the expected highest of k drawn without replacement from sorted s_1 <= ... <= s_n is
sum_i s_i C(i - 1, k - 1) / C(n, k).
**Checked** in tests/evaluation/privacy/attacks/test_setup.py (all draws counted; chance does not favour subjects with
many slices).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import gammaln

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UnderstudyError
from understudy.core.statistics import by_subject
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import ExtractorInputs, image_blocks
from understudy.evaluation.nearest import Rows, UnitRows
from understudy.evaluation.privacy.pearson import ImageVectors

MIN_BYSTANDERS = 10  # subjects
MIN_SD = 1e-6  # a feature that does not differ among released cases is not divided
AGGREGATES = ("mean", "highest")
SHARE = 0.1  # of the subjects may have fewer than k cases
MOST_AT_ONCE = 1024  # released cases that are multiplied
NEAREST = 1e-5  # of 1 - r: products in single precision tell no less


@dataclass(frozen=True)
class ScoreQuery:
    """A white-box score query: what an attacker who holds the generator computes of a case."""

    identity: str  # what decides its answers, e.g. the hash of a snapshot; it stands in the provenance
    score: Callable[[Cohort, np.ndarray], np.ndarray]  # (cohort, rows) -> (n,), as the attack that needs it says


@dataclass
class AttackSetup:
    """One synthetic cohort under attack, and what the attacker knows (the threat model)."""

    real: Cohort
    synthetic: Cohort  # the released cases
    members: np.ndarray  # rows of the real cohort whose subjects the generator saw
    non_members: np.ndarray  # rows of subjects that it did not see
    seed: int
    features: str = "random"  # or "encoder": how images are described where an attack needs features
    score_queries: Mapping[str, ScoreQuery] = field(default_factory=dict)  # of the generator, by name
    memory_mib: int = 1024  # bound of each search; scores do not depend on it

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows (n,) of all attacked cases, members first."""
        return np.concatenate([self.members, self.non_members])

    @cached_property
    def subjects(self) -> np.ndarray:
        """The subject of each attacked case, (n,)."""
        return self.real.column("subject_id")[self.rows]

    @cached_property
    def is_member(self) -> np.ndarray:
        """Mask (n,) of the cases of members; no attack reads it, for it is what they guess."""
        return np.arange(len(self.rows)) < len(self.members)

    @cached_property
    def bystanders(self) -> np.ndarray:
        """Rows (m,) of the real cohort's other subjects, neither seen by the generator nor attacked; none if few."""
        everyone = self.real.column("subject_id")
        rows = np.flatnonzero(~np.isin(everyone, self.subjects))
        return rows if len(np.unique(everyone[rows])) >= MIN_BYSTANDERS else rows[:0]

    @cached_property
    def attacked(self) -> Rows:
        """Pixels of the attacked cases."""
        return ImageVectors(self.real, self.rows)

    @cached_property
    def released(self) -> Rows:
        """Pixels of the released cases."""
        return ImageVectors(self.synthetic, self.synthetic.rows())

    @cached_property
    def described(self) -> tuple[Rows, Rows]:
        """Features of the attacked and of the released cases, in SD of the released ones."""
        config = FeatureConfig(features=self.features)
        released = self.synthetic.rows()
        extract = EXTRACTORS[self.features](ExtractorInputs(self.synthetic, released, config))
        sides = []
        for cohort, rows in ((self.real, self.rows), (self.synthetic, released)):
            blocks = [extract(images) for images in image_blocks(cohort, rows, self.real.encoding)]
            sides.append(np.concatenate(blocks).astype(np.float64))
        mean, sd = sides[1].mean(0), sides[1].std(0)
        one, other = ((side - mean) / np.where(sd > MIN_SD, sd, 1) for side in sides)
        return UnitRows(one), UnitRows(other)

    def pixels(self, chosen: np.ndarray) -> Rows:
        """Pixels of some of the attacked cases; ``chosen`` counts within ``rows``."""
        return ImageVectors(self.real, self.rows[chosen])


@dataclass(frozen=True)
class AttackScores:
    """What one attack says of the rows of a setup."""

    scores: np.ndarray  # (n,), higher where the attacker is surer; NaN where a case does not count
    part: str = ""  # what is added to the attack's name, e.g. a class
    success: np.ndarray | None = None  # (n,) of 0 and 1, where it has a success of its own; else a threshold decides
    control: np.ndarray | None = None  # (n,), the scores had the bystanders' cases been released, where that is asked


@dataclass(frozen=True)
class Attack:
    """One entry of the menu."""

    run: Callable[[AttackSetup], list[AttackScores]]
    question: str  # what is attacked, as a data-protection officer would ask
    holds: str  # what the attacker is taken to hold
    aggregate: str  # how the scores of a subject's cases become one: "mean" or "highest" (:func:`join_by_subject`)
    lacks: Callable[[AttackSetup], str] = lambda setup: ""  # why the attack cannot be run on a setup, or ""


@dataclass(frozen=True)
class SubjectScores:
    """Scores (S,) of subjects, whose names (S,) are sorted, and how cases were joined."""

    subjects: np.ndarray
    scores: np.ndarray
    note: str


def parts(released: Rows, memory_mib: int) -> Iterator[tuple[int, int]]:
    """Yield where parts of the released cases start and end, each of which fits the bound of a search."""
    size = max(1, min(MOST_AT_ONCE, memory_mib * 2**18 // released.dimension))
    yield from ((start, start + size) for start in range(0, len(released), size))


def withheld(subjects: np.ndarray, is_member: np.ndarray) -> str:
    """Say that fewer than five members or non-members stand behind a number of cases (n,), or ""."""
    members, others = (len(np.unique(subjects[side])) for side in (is_member, ~is_member))
    counts = f"{members} members and {others} non-members stand behind it"
    few = f"withheld: {counts}, and a public number needs {MIN_SUBJECTS} of each"
    return few if min(members, others) < MIN_SUBJECTS else ""


def join_by_subject(scores: np.ndarray, subjects: np.ndarray, aggregate: str) -> SubjectScores:
    """Join the scores (n,) of each subject's cases to their "mean" or "highest"; NaN where a case does not count.

    UnderstudyError where the way to join is unknown, or no case counts.
    """
    counted = ~np.isnan(scores)
    if aggregate not in AGGREGATES or not counted.any():
        raise UnderstudyError(
            f"scores of at least one case, joined as {' or '.join(AGGREGATES)}, were expected; found "
            f"{int(counted.sum())} scores and {aggregate!r}"
        )
    names, number, counts = by_subject(subjects[counted])
    each = np.split(scores[counted][np.argsort(number, kind="stable")], np.cumsum(counts)[:-1])
    if aggregate == "mean":
        return SubjectScores(names, np.array([part.mean() for part in each]), "the mean of each subject's cases")
    k = int(np.quantile(counts, SHARE, method="lower"))
    joined = np.array([expected_highest(part, k) for part in each])
    return SubjectScores(names, joined, f"the expected highest of {k} cases a subject")


def expected_highest(scores: np.ndarray, k: int) -> float:
    """Return the expected highest of k scores drawn from these without replacement; of all where there are fewer."""
    n = len(scores)
    if k >= n:
        return float(scores.max())
    i = np.arange(k, n + 1)
    log = gammaln(i) - gammaln(k) - gammaln(i - k + 1) - (gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
    return float(np.sort(scores)[k - 1 :] @ np.exp(log))


def log_distance(r: np.ndarray) -> np.ndarray:
    """Return the logarithm of the distance between unit vectors of correlation r."""
    return np.asarray(0.5 * np.log(2 * np.maximum(1 - r, NEAREST)))
