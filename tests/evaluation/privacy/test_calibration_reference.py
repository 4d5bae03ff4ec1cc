"""Which real cases are searched, and the three references of nearness."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.calibration import (
    control_reference,
    neighbour_reference,
    training_reference,
    training_rows,
)

Write = Callable[..., Path]


def flat(cohort: Cohort) -> np.ndarray:
    assert cohort.images is not None
    return np.corrcoef(np.asarray(cohort.images).reshape(len(cohort), -1))


def test_training_rows_are_the_subjects_seen_else_the_split(write: Write, real: Path) -> None:
    cohort = Cohort.open(real)
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["patient5", "patient7"]}]
    images = np.zeros((1, 2, 8, 8), np.uint8)
    rows, note = training_rows(cohort, Cohort.open(write("some", images, trained_on=seen)))
    assert rows.tolist() == [10, 11, 14, 15]
    assert "every subject that the generator" in note
    rows, note = training_rows(cohort, Cohort.open(write("none", images)))
    assert rows.tolist() == list(range(8, 32))
    assert "does not record" in note


def test_references_equal_corrcoef(real: Path) -> None:
    cohort, rows = Cohort.open(real), np.arange(8, 32)
    full = flat(cohort)
    control = control_reference(cohort, rows, 16)
    assert np.allclose(control.r, full[32:, 8:32].max(1), atol=1e-6)
    assert control.subjects.tolist() == [f"patient{i}" for i in range(16, 22) for _ in range(2)]
    others = full[8:32, 8:32].copy()
    for i in range(12):
        others[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = -1
    assert np.allclose(training_reference(cohort, rows, 16, 0).r, others.max(1), atol=1e-6)
    neighbour = neighbour_reference(cohort, rows)
    assert np.allclose(np.sort(neighbour.r), np.sort([full[2 * i, 2 * i + 1] for i in range(4, 16)]), atol=1e-6)
    assert sorted(neighbour.subjects) == sorted(f"patient{i}" for i in range(4, 16))


def test_without_control_slices_or_company_references_are_empty(write: Write) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 2, 8, 8)).astype(np.uint8)
    cohort = Cohort.open(
        write("real", images, kind="real", label_source="patient", splits=["train"] * 4, subjects=["p"] * 4)
    )
    rows = np.arange(4)
    for reference in (
        control_reference(cohort, rows, 16),
        training_reference(cohort, rows, 16, 0),
        neighbour_reference(cohort, rows),
    ):
        assert not len(reference.r)
        assert reference.note
