"""Classes: which ones synthetic cases show, how much cases of one class differ, and whether cases show their labels.

Which classes a case shows comes from a classifier or from the class columns of both case tables (of synthetic cases
that is what was asked for); the rest knows arrays. **Shares**: how often each class is found, synthetic beside real.
**Distance**: half the sum of the absolute differences of the frequencies of all combinations of classes (total
variation, 0 the same, 1 nothing in common), with its baselines. **Within**: the mean distance between two cases of a
class in features of their images, synthetic / real, with as many cases on both sets and one case a real subject; 1: as
diverse as patients are, 0: always the same case. **Judge**: a classifier that learned real cases ranks synthetic cases
by each class; the area under its ROC curve (AUC) against the class columns, beside that on real cases of the control
split, with a note where it learned from them. The **guide**, the classifier that ``condition`` followed, is measured in
the same way.

Controls of latent class optimisation, in one table (tables/conditioning.csv):

1. *no search*: cohorts of ``condition --set method=label`` (random cases with the guide's own labels) and
   ``method=filter`` (random cases that the guide accepts); where they serve as well, the search added nothing.
2. *the guide's own AUC* on real cases: what labels can teach at most, if the archive only passes its knowledge on.
3. *another judge*: a classifier with another seed or network. A guide agrees with its own cohort by construction.
4. *diversity*: the distance within a class; a search that ends at typical cases lowers it.

**Source** of the questions: Segal et al. (2021, arXiv 2010.03975): disease diversity of conditioned samples; its judges
were a classifier and radiologists. **Differs**: numbers instead of an overview; the control split instead of the test
split, which is kept for utility; a class that fewer than five subjects have, or lack, takes no part in an AUC.
**Checked** in tests/evaluation/fidelity/test_class_diversity.py (known distributions; a collapsed class; equal n; class
columns; known probabilities; a guide in the place of a judge is told).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.encoding import Encoding
from understudy.core.pooled import interval
from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import by_subject, percentile_interval
from understudy.evaluation.features.extractor import image_blocks
from understudy.evaluation.fidelity.baseline import RealBaselines, RealCases
from understudy.evaluation.folder import join_notes, three
from understudy.evaluation.guard import slug
from understudy.evaluation.utility.auc import Areas, fewer_subjects
from understudy.tasks.classification import Classifier
from understudy.tasks.classify import Trained

FOUND = 0.5  # probability from which a class counts as found
MAX_CASES = 1000  # cases of a class in a draw: enough for a mean distance, and memory does not grow with n
TABLE = ("cohort", "class", "real_share", "share", "real_within", "within", "n_within")
CONTROL = "control"
ROLES = ("judge", "guide")
JUDGE_TABLE = (
    *("cohort", "generator", "n_synthetic", "asked", "accepted", "mean_steps"),
    *(f"{role}_auc{end}" for role in ROLES for end in ("", "_low", "_high", "_real")),
    *("within", "least_within", "note"),
)


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


def within(
    real: Seen, synthetic: Seen, k: int, draws: int, seed: int, most: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Measure how much the cases of class k differ on both sets, at equal n; one case of each real subject takes part.

    Returns mean distances (draws,) of real and of synthetic cases, and n, `most` or MAX_CASES at the most; n below 2
    gives nothing to measure.
    """
    ours, theirs = (np.flatnonzero(case_set.found[:, k]) for case_set in (real, synthetic))
    n = min(len(np.unique(real.subjects[ours])), len(theirs), MAX_CASES if most is None else most)
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
        half = within(real, synthetic, k, draws, seed, equal // 2)[:2]
        inside = _within_result(f"{name}.within.{slug(label)}", ours, theirs, half, equal, seed)
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


def _within_result(
    name: str, real: np.ndarray, synthetic: np.ndarray, half: tuple[np.ndarray, np.ndarray], n: int, seed: int
) -> Result:
    """Return the ratio of distances; its interval is that of half as many cases: choices of all would be all alike."""
    if n < MIN_SUBJECTS or not (real > 0).all():
        note = f"{n} case(s) on the smaller set show the class, and {MIN_SUBJECTS} are needed"
        return Result(name, None, better="higher", n=n, seed=seed, note=note)
    value, note = float((synthetic / real).mean()), "mean distance within the class, synthetic / real"
    if not (half[0] > 0).all():
        return Result(
            name, value, better="higher", n=n, seed=seed, note=f"{note}; no interval: some real pairs are equal"
        )
    ratios = half[1] / half[0]
    low, high = percentile_interval(value + ratios - ratios.mean())
    note += f"; mean of {len(real)} choices of cases, 95 % range from choices of half as many"
    return Result(name, value, max(0.0, low), high, "", "higher", n, seed, note)


@dataclass(frozen=True)
class ClassJudge:
    """A classifier in a role, judge or guide, and the AUC that it has on real control cases (Result)."""

    role: str
    trained: Trained
    real: Result

    @property
    def names(self) -> tuple[str, ...]:
        """The class columns that it knows."""
        return self.trained.classifier.names

    def result(self, name: str, cohort: Cohort, seen: Seen, seed: int) -> Result:
        """Return the AUC of what it saw (:func:`from_classifier`) in all cases of a synthetic cohort."""
        own = cohort.provenance.get("inputs", {}).get("classifier") == self.trained.id
        told = "this classifier guided the search: no independent judge" if own and self.role == "judge" else ""
        return area(name, seen, class_targets(cohort, cohort.rows(), self.names), seed, told)


def class_judge(role: str, trained: Trained, real: Cohort, encoding: Encoding, seed: int) -> ClassJudge:
    """Measure a classifier on the control cases of the real cohort."""
    rows = real.rows(CONTROL)
    seen = from_classifier(trained.classifier, real, rows, encoding)
    targets = class_targets(real, rows, trained.classifier.names)
    return ClassJudge(role, trained, area(role, seen, targets, seed, _foreknowledge(trained, real)))


def _foreknowledge(trained: Trained, real: Cohort) -> str:
    """Say whether a classifier never saw the real control cases, as far as it records whom it saw."""
    n = len({s for one in trained.trained_on for s in one.get("subjects", ())}.intersection(real.subjects(CONTROL)))
    if n:
        return f"real control cases; it learned from {n} of their subjects, so that this is too high"
    known = trained.trained_on and all(one.get("subjects") for one in trained.trained_on)
    return f"real control cases, {'which it never saw' if known else 'which it may have seen: that is not recorded'}"


def class_targets(cohort: Cohort, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the class columns (n, K) of some cases; NaN where an entry or a column is missing."""
    matrix = cohort.class_matrix(rows)
    columns = [matrix[:, cohort.classes.index(n)] if n in cohort.classes else np.full(len(rows), np.nan) for n in names]
    return np.stack(columns, 1)


def area(name: str, seen: Seen, targets: np.ndarray, seed: int, note: str = "") -> Result:
    """Return the mean AUC over classes of the probabilities of a classifier against targets (n, K), over subjects."""
    groups, k = by_subject(seen.subjects), targets.shape[1]
    kept = tuple(c for c in range(k) if fewer_subjects(targets[:, c], groups.number) >= MIN_SUBJECTS)
    if not kept:
        why = (
            f"not measured: no class column of the classifier that {MIN_SUBJECTS} subjects have and {MIN_SUBJECTS} lack"
        )
        return Result(name, None, better="higher", n=len(targets), seed=seed, note=join_notes(why, note))
    areas = Areas(targets, [seen.probabilities], groups.number, len(groups.names), kept)
    some = f"AUC, mean of {len(kept)} of {k} classes; 0.5 is chance"
    return Result(name, *three(interval(areas, seed)), "", "higher", len(targets), seed, join_notes(some, note))


def judged(
    name: str, prefix: str, cohort: Cohort, seen: Sequence[tuple[ClassJudge, Seen]], within: Sequence[Result], seed: int
) -> tuple[list[Result], list[Any]]:
    """Return the results and the row of the table of one synthetic cohort; `within`, its diversity by class."""
    results: list[Result] = []
    cells: dict[str, list[float | None]] = {role: [None] * 4 for role in ROLES}
    for judge, what in seen:
        made = judge.result(f"{prefix}.{judge.role}.auc", cohort, what, seed)
        real = Result(**{**vars(judge.real), "name": f"{prefix}.{judge.role}.auc.real"})
        results += [made, real]
        cells[judge.role] = [*three(made), real.value]
    ratios = [result.value for result in within if result.value is not None]
    inside = [float(np.mean(ratios)), min(ratios)] if ratios else [None, None]
    told = cohort.sampling or {}
    cost = [told.get(key) for key in ("asked", "accepted", "mean_steps")]
    numbers = [number for role in ROLES for number in cells[role]]
    note = next((r.note for r in results if "no independent judge" in r.note), "")
    return results, [name, cohort.generator, len(cohort), *cost, *numbers, *inside, note]


def withins(results: Sequence[Result]) -> Iterator[Result]:
    """Yield from results of :func:`class_diversity.diversity` those of the distance within a class."""
    return (result for result in results if ".within." in result.name)
