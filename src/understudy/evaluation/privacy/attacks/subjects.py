"""From scores of cases to one score a subject, so that slices of one patient count as that patient.

**mean**: the mean over a subject's cases; its expectation does not depend on how many there are.
**highest**: one exposed slice exposes the patient, so the highest counts; but the highest of many is higher than the
highest of few. So it is the expected highest of k cases drawn from the subject's, with one k for all: the number that
nine in ten subjects have. A subject with fewer gives the highest of all it has, members and non-members alike.
**Source**: the expected highest of k drawn without replacement from sorted s_1 <= ... <= s_n is
sum_i s_i C(i - 1, k - 1) / C(n, k).
**Checked** in tests/evaluation/privacy/attacks/test_subjects.py (all draws counted out; chance does not favour subjects
with many slices).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from understudy.core.errors import UnderstudyError

SHARE = 0.1  # of the subjects may have fewer than k cases


@dataclass(frozen=True)
class Scored:
    """Scores of subjects.

    Attributes:
        subjects: (S,) names, sorted.
        scores: (S,).
        note: how cases were joined.
    """

    subjects: np.ndarray
    scores: np.ndarray
    note: str

    def of(self, names: np.ndarray) -> np.ndarray:
        """Return the scores of those subjects that are among some names."""
        return self.scores[np.isin(self.subjects, names)]


def by_subject(scores: np.ndarray, subjects: np.ndarray, aggregate: str) -> Scored:
    """Join the scores of each subject's cases.

    Args:
        scores: (n,), NaN where a case does not count.
        subjects: (n,) names.
        aggregate: "mean" or "highest".

    Raises:
        UnderstudyError: an unknown way to join, or no case counts.
    """
    counted = ~np.isnan(scores)
    if aggregate not in AGGREGATES or not counted.any():
        raise UnderstudyError(
            f"scores of at least one case, joined as {' or '.join(AGGREGATES)}, were expected; found "
            f"{int(counted.sum())} scores and {aggregate!r}"
        )
    names, inverse, counts = np.unique(subjects[counted], return_inverse=True, return_counts=True)
    each = np.split(scores[counted][np.argsort(inverse, kind="stable")], np.cumsum(counts)[:-1])
    if aggregate == "mean":
        return Scored(names, np.array([part.mean() for part in each]), "the mean of each subject's cases")
    k = int(np.quantile(counts, SHARE, method="lower"))
    joined = np.array([expected_highest(part, k) for part in each])
    return Scored(names, joined, f"the expected highest of {k} cases a subject")


def expected_highest(scores: np.ndarray, k: int) -> float:
    """Return the expected highest of k scores drawn from these without replacement; of all where there are fewer."""
    n = len(scores)
    if k >= n:
        return float(scores.max())
    i = np.arange(k, n + 1)
    log = gammaln(i) - gammaln(k) - gammaln(i - k + 1) - (gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
    return float(np.sort(scores)[k - 1 :] @ np.exp(log))


AGGREGATES: Mapping[str, str] = {"mean": "the mean", "highest": "the highest"}
