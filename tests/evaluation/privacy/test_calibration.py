"""Thresholds by subject: weights, quantiles, intervals, false-positive rate; which real cases are the reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.calibration import (
    ReferenceScores,
    calibrate,
    clopper_pearson,
    control_reference,
    learned_rows,
    neighbour_reference,
    order_interval,
    training_reference,
    training_rows,
)


def test_each_subject_counts_once() -> None:
    # "a" has three cases, "b" one: b weighs as much as all of a
    reference = ReferenceScores(np.array([0.1, 0.2, 0.3, 0.9]), np.array(list("aaab")), "")
    assert np.allclose(reference.weights(), [1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert reference.quantiles(0.5)[0] == 0.3
    assert reference.quantiles(0.51)[0] == 0.9
    assert reference.quantiles(1.0)[0] == 0.9
    assert reference.share_above(0.3) == pytest.approx(0.5)


def test_false_positives_keep_to_the_rate() -> None:
    draw = np.random.default_rng(0)
    rates = []
    for i in range(20):
        shift = draw.normal(0, 0.05, 200)
        r = np.clip(0.5 + np.repeat(shift, 5) + draw.normal(0, 0.05, 1000), -1, 1)
        subjects = np.repeat(np.arange(200), 5)
        threshold = calibrate(ReferenceScores(r[:500], subjects[:500], ""), 0.05, 100, i)
        assert ReferenceScores(r[:500], subjects[:500], "").share_above(threshold.value) <= 0.05
        rates.append(threshold.flags(r[500:]).mean())
    assert np.mean(rates) == pytest.approx(0.05, abs=0.015)


def test_resampling_subjects_is_wider_than_resampling_cases() -> None:
    draw = np.random.default_rng(0)
    r = 0.5 + np.repeat(draw.normal(0, 0.1, 20), 30) + draw.normal(0, 0.01, 600)
    by_subject = calibrate(ReferenceScores(r, np.repeat(np.arange(20), 30), ""), 0.1, 300, 0).resampled.std()
    by_case = calibrate(ReferenceScores(r, np.arange(600), ""), 0.1, 300, 0).resampled.std()
    assert by_subject > 2 * by_case


def test_a_copy_is_flagged_whatever_the_reference_says() -> None:
    reference = ReferenceScores(np.ones(8), np.arange(8), "")  # the control subjects hold copies themselves
    threshold = calibrate(reference, 0.01, 100, 0)
    assert threshold.flags(np.array([1.0, 0.999])).tolist() == [True, False]
    assert threshold.flagged_interval(np.array([1.0, 0.999]), 1) == (1, 1)
    with pytest.raises(UnderstudyError, match="unseen subject"):
        calibrate(ReferenceScores(np.empty(0), np.empty(0), ""), 0.01, 100, 0)


def test_flagged_interval_holds_the_count() -> None:
    r = np.random.default_rng(1).uniform(0, 1, 400)
    threshold = calibrate(ReferenceScores(np.linspace(0, 0.9, 100), np.arange(100), ""), 0.1, 500, 0)
    low, high = threshold.flagged_interval(r, 0)
    assert low < threshold.flags(r).sum() < high


def test_exact_intervals() -> None:
    assert clopper_pearson(0, 100) == (0.0, pytest.approx(1 - 0.025 ** (1 / 100)))
    assert clopper_pearson(10, 10)[1] == 1
    expected = stats.binomtest(3, 50).proportion_ci(0.95, "exact")
    assert clopper_pearson(3, 50) == (pytest.approx(expected.low), pytest.approx(expected.high))
    low, high = order_interval(np.arange(1000) / 1000, 0.5)
    assert (low, high) == (pytest.approx(0.469, abs=0.002), pytest.approx(0.531, abs=0.002))


@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (200, 0.99), (200, 0.9), (1000, 0.99)])
def test_the_interval_of_a_quantile_holds_it(n: int, q: float) -> None:
    draw, held = np.random.default_rng(0), []
    for _ in range(2000):
        low, high = order_interval(draw.uniform(size=n), q)
        held.append((low is None or low <= q) and (high is None or q <= high))
    assert np.mean(held) > 0.945


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
    assert "every subject that the generator" in note and "not looked for" not in note
    chosen_by = {"cohort": "x", "splits": ["validation"], "subjects": ["patient9"]}  # of a network that screened
    screened = Cohort.open(write("screened", images, trained_on=[*seen, chosen_by]))
    searched, _ = training_rows(cohort, screened)
    assert searched.tolist() == [10, 11, 14, 15, 18, 19]
    assert learned_rows(cohort, screened, searched).tolist() == rows.tolist()
    seen.append({"cohort": "y", "splits": ["train"], "subjects": ["elsewhere"]})
    again, note = training_rows(cohort, Cohort.open(write("more", images, trained_on=seen)))
    assert again.tolist() == rows.tolist() and "seen others, and copies of them are not looked for" in note
    rows, note = training_rows(cohort, Cohort.open(write("none", images)))
    assert rows.tolist() == list(range(8, 32))
    assert learned_rows(cohort, Cohort.open(write("nobody", images)), rows).tolist() == rows.tolist()
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
