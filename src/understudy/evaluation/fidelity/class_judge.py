"""Do synthetic cases show the classes of their case table, as classifiers that learned real cases see them?

For cohorts whose class columns were asked for (``sample --classes``) or found (``condition``). A **judge** ranks
synthetic cases by each class: the area under its ROC curve (AUC) against the class columns, beside that on real cases
of the **control** split, whom it never saw. The **guide**, the classifier that ``condition`` followed, is measured in
the same way. Together with the diversity within each class (class_diversity.py), and with two further cohorts of the
same run, these are the controls of latent class optimisation, and stand in one table (tables/conditioning.csv):

1. *no search*: ``condition --set method=label`` (random cases with the guide's own labels) and ``method=filter``
   (random cases that the guide accepts); where they serve as well, the search added nothing.
2. *the guide's own AUC* on real cases: what labels can teach at most, if the archive only passes its knowledge on.
3. *another judge*: a classifier with another seed or network. A guide agrees with its own cohort by construction.
4. *diversity*: the distance within a class, synthetic / real; a search that ends at typical cases lowers it.

**Source** of the questions: Segal et al. (2021, arXiv 2010.03975), whose judges were a classifier and radiologists.
**Differs**: real cases of the control split, not of the test split, which is kept for utility; a class that fewer than
five subjects have, or fewer than five lack, takes no part.
**Checked** in tests/evaluation/fidelity/test_class_judge.py (known probabilities; its own guide is told; few subjects).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.statistics import by_subject, interval
from understudy.evaluation.fidelity.class_diversity import Seen, from_classifier
from understudy.evaluation.folder import join_notes, three
from understudy.evaluation.utility.auc import Areas
from understudy.tasks.classify import Trained

CONTROL = "control"
ROLES = ("judge", "guide")
TABLE = (
    *("cohort", "generator", "n_synthetic", "asked", "accepted", "mean_steps"),
    *(f"{role}_auc{end}" for role in ROLES for end in ("", "_low", "_high", "_real")),
    *("within", "least_within", "note"),
)


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
    return ClassJudge(role, trained, area(role, seen, targets, seed, "real control cases, which it never saw"))


def class_targets(cohort: Cohort, rows: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the class columns (n, K) of some cases; NaN where an entry or a column is missing."""
    matrix = cohort.class_matrix(rows)
    columns = [matrix[:, cohort.classes.index(n)] if n in cohort.classes else np.full(len(rows), np.nan) for n in names]
    return np.stack(columns, 1)


def area(name: str, seen: Seen, targets: np.ndarray, seed: int, note: str = "") -> Result:
    """Return the mean AUC over classes of the probabilities of a classifier against targets (n, K), over subjects."""
    groups, k = by_subject(seen.subjects), targets.shape[1]

    def having(column: int, value: int) -> int:
        return len(np.unique(groups.number[targets[:, column] == value]))

    kept = tuple(c for c in range(k) if min(having(c, 0), having(c, 1)) >= MIN_SUBJECTS)
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
