"""Diversity of classes: which classes synthetic cases show, and how much cases of one class differ from one another.

Which classes a case shows comes from a classifier or from the class columns of both case tables (of synthetic cases
that is what was asked for); the rest knows arrays. **Shares**: how often each class is found, synthetic beside real.
**Distance**: half the sum of the absolute differences of the frequencies of all combinations of classes (total
variation, 0 the same, 1 nothing in common), with its baselines. **Within**: the mean distance between two cases of a
class in features of their images, synthetic / real, with as many cases on both sets and one case a real subject; 1: as
diverse as patients are, 0: always the same case.
**Source** of the question: Segal et al. (2021, arXiv 2010.03975): disease diversity of conditioned samples.
**Differs**: numbers instead of an overview. A cohort that was made with a classifier (``condition``) shows that very
classifier what it asked for: evaluate it with another one, trained with another seed.
**Checked** in tests/evaluation/fidelity/test_class_diversity.py (known distributions; a collapsed class; equal n; class
columns).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import percentile_interval
from understudy.evaluation.features.extractor import image_blocks
from understudy.evaluation.fidelity.baseline import RealBaselines, RealCases
from understudy.evaluation.guard import slug
from understudy.tasks.classification import Classifier

FOUND = 0.5  # probability from which a class counts as found
MAX_CASES = 1000  # cases of a class in a draw: enough for a mean distance, and memory does not grow with n
TABLE = ("cohort", "class", "real_share", "share", "real_within", "within", "n_within")


@dataclass(frozen=True)
class Seen:
    """Cases of a cohort: classes found, bool (n, K), features (n, F), whose the cases are (n,), probabilities (n, K).

    Classes of a case table have no probabilities.
    """

    found: np.ndarray
    features: np.ndarray
    subjects: np.ndarray
    probabilities: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


def from_classifier(classifier: Classifier, cohort: Cohort, rows: np.ndarray, encoding: Encoding) -> Seen:
    """Take the classes and features of some cases of a cohort from a classifier, block by block."""
    blocks = image_blocks(cohort, rows, encoding)
    pairs = [(classifier.predict(images), classifier.features(images)) for images in blocks]
    if not pairs:
        return Seen(np.empty((0, len(classifier.names)), bool), np.empty((0, 0)), cohort.column("subject_id")[rows])
    probabilities, features = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return Seen(probabilities >= FOUND, features, cohort.column("subject_id")[rows], probabilities)


def shared_columns(real: Cohort, synthetic: Cohort) -> list[str]:
    """Return the class columns that both case tables have, with no other values than 0, 1 and none."""
    found = []
    for case_set in (real, synthetic):
        values = case_set.class_matrix()
        plain = (np.isnan(values) | (values == 0) | (values == 1)).all(0)
        found.append([name for name, fits in zip(case_set.classes, plain, strict=True) if fits])
    return [name for name in found[0] if name in found[1]]


def from_table(cohort: Cohort, rows: np.ndarray, names: Sequence[str], features: np.ndarray) -> Seen:
    """Take the classes of some cases, with features (n, F), from the case table; a missing entry is not found."""
    columns = [cohort.classes.index(name) for name in names]
    return Seen(cohort.class_matrix(rows)[:, columns] == 1, features, cohort.column("subject_id")[rows])


def combination_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Return the total variation distance of class combinations, bool (n, K) and (m, K), 0..1, lower is better."""
    _, which = np.unique(np.concatenate([real, synthetic]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    r, s = (np.bincount(part, minlength=which.max() + 1) / len(part) for part in np.split(which, [len(real)]))
    return float(np.abs(r - s).sum() / 2)


def mean_distance(features: np.ndarray) -> float:
    """Return the mean Euclidean distance between two different rows of (n, F), n >= 2, in units of the features."""
    x = features.astype(np.float64)
    square = (x * x).sum(1)
    squared = (square[:, None] + square - 2 * x @ x.T).clip(0)
    np.fill_diagonal(squared, 0)
    return float(np.sqrt(squared).sum() / (len(x) * (len(x) - 1)))


def within(real: Seen, synthetic: Seen, k: int, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Measure how much the cases of class k differ on both sets, at equal n; one case of each real subject takes part.

    Returns mean distances (draws,) of real and of synthetic cases, and n; n below 2 gives nothing to measure.
    """
    ours, theirs = (np.flatnonzero(case_set.found[:, k]) for case_set in (real, synthetic))
    n = min(len(np.unique(real.subjects[ours])), len(theirs), MAX_CASES)
    distances = np.empty((2, draws if n > 1 else 0))
    for i in range(distances.shape[1]):
        draw = rng(seed, "diversity", k, i)
        mixed = draw.permutation(ours)
        _, first = np.unique(real.subjects[mixed], return_index=True)
        distances[0, i] = mean_distance(real.features[draw.permutation(mixed[first])[:n]])
        distances[1, i] = mean_distance(synthetic.features[draw.permutation(theirs)[:n]])
    return distances[0], distances[1], n


def diversity(
    name: str,
    names: Sequence[str],
    real: Seen,
    unseen: Seen,
    synthetic: Seen,
    draws: int,
    seed: int,
    by: str = "the classifier",
) -> Iterator[tuple[list[Result], list[Any]]]:
    """Measure the diversity of one synthetic cohort: for all classes together, then for each of the K classes.

    Yields results, whose names begin with `name` (``fidelity.diversity`` or ``fidelity.classes``), and a row of the
    table without the cohort's name. There are as many random choices of cases for the distance within a class as draws
    behind the baselines; `by` says where the classes of a case come from.
    """
    n = len(synthetic.found)
    yield list(_combinations(f"{name}.distance", real, unseen, synthetic, draws, seed, by)), []
    for k, label in enumerate(names):
        shares = [float(case_set.found[:, k].mean()) for case_set in (real, synthetic)]
        patients = len(np.unique(real.subjects[real.found[:, k]]))
        shown = patients >= MIN_SUBJECTS
        note = f"real {shares[0]:.3f}" if shown else f"real withheld: fewer than {MIN_SUBJECTS} subjects"
        share = Result(f"{name}.share.{slug(label)}", shares[1], n=n, seed=seed, note=note)
        ours, theirs, equal = within(real, synthetic, k, draws, seed)
        means = [float(d.mean()) if len(d) else None for d in (ours, theirs)]
        inside = _within_result(f"{name}.within.{slug(label)}", ours, theirs, equal, seed)
        row = [label, shares[0] if shown else None, shares[1], means[0] if shown else None, means[1], equal]
        yield [share, inside], row


def _combinations(
    name: str, real: Seen, unseen: Seen, synthetic: Seen, draws: int, seed: int, by: str
) -> Iterator[Result]:
    """Yield the distance of class combinations and its baselines."""

    def distance(*, real: np.ndarray, synthetic: np.ndarray, seed: int) -> Result:
        value, n = combination_distance(real, synthetic), min(len(real), len(synthetic))
        return Result(name, value, better="lower", n=n, seed=seed)

    what = f"total variation of class combinations according to {by}, against the real training cases"
    plain = replace(distance(real=real.found, synthetic=synthetic.found, seed=seed), note=what)
    yield plain
    cases = RealCases(real.found, unseen.found, unseen.subjects)
    yield from RealBaselines({name: distance}, cases, draws, seed).beside(synthetic.found)[name].results(plain, (0, 1))


def _within_result(name: str, real: np.ndarray, synthetic: np.ndarray, n: int, seed: int) -> Result:
    if n < MIN_SUBJECTS or not (real > 0).all():
        note = f"{n} case(s) on the smaller set show the class, and {MIN_SUBJECTS} are needed"
        return Result(name, None, better="higher", n=n, seed=seed, note=note)
    ratios = synthetic / real
    note = f"mean distance within the class, synthetic / real; mean and 95 % range of {len(real)} choices of cases"
    return Result(name, float(ratios.mean()), *percentile_interval(ratios), "", "higher", n, seed, note)
