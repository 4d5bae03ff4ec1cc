"""Scores of test subjects, read from ``internal/`` of ``evaluate utility``: read to be pooled, never shown.

**Checked** in tests/studies/report/test_scores.py.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.statistics import Means, Measurement
from understudy.evaluation.utility.arms import kind_and_cohort
from understudy.evaluation.utility.classification import AreaOutcome
from understudy.evaluation.utility.segmentation import WHOLE
from understudy.tasks.overlap import class_mean

MEAN = "mean"
Key = tuple[str, str]  # kind of an arm as results call it, and its cohort


@dataclass(frozen=True)
class NetworkScores:
    """What the networks of one evaluation scored on its test subjects.

    Attributes:
        subjects: who was tested, ascending.
        score: dice, iou ... or auc.
        classes: in the order of the file.
        network: unet, densenet ...
        measured: (arm, class or "mean") -> scores by repeat and subject.
        behind: class -> on how many subjects a public number would stand.
    """

    subjects: tuple[str, ...]
    score: str
    classes: tuple[str, ...]
    network: str
    measured: Mapping[tuple[Key, str], Measurement]
    behind: Mapping[str, int]

    @property
    def arms(self) -> list[Key]:
        """All arms, in the order of the file."""
        return list(dict.fromkeys(key for key, _ in self.measured))


def read_scores(folder: Path, score: str = "") -> NetworkScores:
    """Read a results folder of ``evaluate utility``.

    Args:
        folder: of results.
        score: a column of scores; empty: the first of the task.

    Raises:
        UnderstudyError: there are no scores of subjects, or none of this name.
    """
    for name, read in (("per_subject.csv", _of_subjects), ("per_case.csv", _of_cases)):
        file = folder / "internal" / name
        if file.is_file():
            try:
                with file.open(newline="", encoding="utf-8") as handle:
                    rows = list(csv.DictReader(handle))
                return read(rows, score)
            except (LookupError, ValueError, csv.Error) as error:
                raise UnderstudyError(
                    f"{file} is no table of scores with {score or 'a score'}: evaluate again"
                ) from error
    raise UnderstudyError(
        f"{folder}/internal holds no scores of test subjects, from which numbers are pooled: evaluate again"
    )


def _of_subjects(rows: list[dict[str, str]], score: str) -> NetworkScores:
    score = score or "dice"
    cells: dict[tuple[Key, str, str], dict[str, float]] = defaultdict(dict)
    for row in rows:
        value = float(row[score]) if row[score] else np.nan
        cells[kind_and_cohort(row["trained_on"]), row["class"], row["repeat"]][row["subject_id"]] = value
    subjects, classes = sorted({row["subject_id"] for row in rows}), tuple(dict.fromkeys(row["class"] for row in rows))
    table: dict[tuple[Key, str], list[list[float]]] = defaultdict(list)
    for (arm, name, _), of in cells.items():
        table[arm, name].append([of.get(subject, np.nan) for subject in subjects])
    scores = {key: np.array(values) for key, values in table.items()}
    measured: dict[tuple[Key, str], Measurement] = {key: Means(values) for key, values in scores.items()}
    for arm in dict.fromkeys(arm for arm, _ in scores):
        single = [scores[arm, name] for name in classes if name != WHOLE]
        measured[arm, MEAN] = Means(class_mean(np.stack(single, -1)))
    behind = {name: max(_counted(one) for (_, k), one in measured.items() if k == name) for name in (MEAN, *classes)}
    return NetworkScores(tuple(subjects), score, classes, rows[0]["network"], measured, behind)


def _counted(one: Measurement) -> int:
    return int(np.isfinite(one.scores).any(0).sum()) if isinstance(one, Means) else one.subjects


def _of_cases(rows: list[dict[str, str]], score: str) -> NetworkScores:
    if score not in ("", "auc"):
        raise ValueError(score)
    cases, classes = (list(dict.fromkeys(row[name] for row in rows)) for name in ("case_id", "class"))
    subject = {row["case_id"]: row["subject_id"] for row in rows}
    subjects = sorted(set(subject.values()))
    at, k = {name: i for i, name in enumerate(cases)}, {name: i for i, name in enumerate(classes)}
    targets = np.full((len(cases), len(classes)), np.nan)
    found: dict[Key, dict[str, np.ndarray]] = defaultdict(dict)
    for row in rows:
        place = at[row["case_id"]], k[row["class"]]
        targets[place] = float(row["has_class"]) if row["has_class"] else np.nan
        of = found[kind_and_cohort(row["trained_on"])]
        of.setdefault(row["repeat"], np.full(targets.shape, np.nan))[place] = float(row["probability"])
    number = np.searchsorted(subjects, [subject[name] for name in cases])
    measured: dict[tuple[Key, str], Measurement] = {}
    for arm, repeats in found.items():
        outcome = AreaOutcome({}, targets, number, len(subjects), tuple(classes), list(repeats.values()))
        measured |= {(arm, MEAN): outcome.measured(None), **{(arm, n): outcome.measured(i) for n, i in k.items()}}
    behind = {MEAN: outcome.behind(None), **{name: outcome.behind(i) for name, i in k.items()}}
    return NetworkScores(tuple(subjects), "auc", tuple(classes), rows[0]["network"], measured, behind)
