"""Authenticity, distance ratio and C_T, by hand and against scipy, on copies and on independent cases."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from understudy.core.cohort import Cohort
from understudy.core.result import Result
from understudy.evaluation import nearest as blocks
from understudy.evaluation.nearest import UnitRows
from understudy.evaluation.privacy.attacks.authenticity import (
    c_t,
    nearest_training,
    nearness_results,
    two_subjects,
    z_u,
)
from understudy.evaluation.privacy.attacks.setup import AttackSetup

Write = Callable[..., Path]


@pytest.mark.parametrize("columns", [4, 1024])
def test_two_nearest_subjects_by_hand(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "TARGET_ROWS", columns)
    draw = np.random.default_rng(0)
    query, target, subjects = draw.normal(size=(40, 4)), draw.normal(size=(30, 4)), draw.integers(0, 5, 30)
    r = np.corrcoef(query, target)[:40, 40:]
    index, best, other = two_subjects(UnitRows(query), UnitRows(target), subjects, 1)
    assert np.array_equal(index, r.argmax(1))
    assert best == pytest.approx(r.max(1), abs=1e-6)
    expected = [row[subjects != subjects[row.argmax()]].max() for row in r]
    assert other == pytest.approx(expected, abs=1e-6)


def test_z_is_mann_and_whitneys() -> None:
    draw = np.random.default_rng(0)
    released, unseen = draw.normal(size=30), draw.normal(0.4, 1, 20)
    found = mannwhitneyu(released, unseen, alternative="less", method="asymptotic", use_continuity=False)
    z = z_u(released, unseen)
    assert z < 0
    u = (z * np.sqrt(30 * 20 * 51 / 12)) + 300
    assert u == pytest.approx(found.statistic, abs=1e-9)


def test_c_t_of_one_case_a_subject_is_the_weighted_z_of_its_cells() -> None:
    draw = np.random.default_rng(1)
    released, unseen = draw.random(80), draw.random(24)
    cells = np.repeat([0, 1, 2], [40, 25, 15]), np.repeat([0, 1, 2], [8, 12, 4])
    z = [z_u(released[cells[0] == k], unseen[cells[1] == k]) for k in (0, 1)]  # cell 2 holds too few
    names = np.arange(24).astype(str)
    assert c_t(released, unseen, names, cells, 0) == pytest.approx(np.average(z, weights=[8, 12]))
    assert c_t(released[:10], unseen, names, (np.zeros(10), np.zeros(24)), 0) is None


def test_c_t_is_not_sharpened_by_many_slices() -> None:
    draw = np.random.default_rng(2)
    released, own = draw.normal(0, 1, 200), draw.normal(0.5, 1, 10)
    one = z_u(released, own)
    unseen, subjects = np.repeat(own, 30), np.repeat(np.arange(10), 30).astype(str)
    cells = np.zeros(200), np.zeros(300)
    assert c_t(released, unseen, subjects, cells, 0) == pytest.approx(one)
    assert abs(z_u(released, unseen)) > 2 * abs(one)


def setup_of(write: Write, copies: bool, people: int = 40) -> AttackSetup:
    draw = np.random.default_rng(0)
    images = draw.integers(60, 200, (2 * people, 2, 8, 8)).astype(float)
    images[1::2] = images[::2] + draw.normal(0, 20, images[::2].shape)  # a second slice that resembles the first
    half = people // 2
    made = images[: 2 * half] + draw.normal(0, 8, (2 * half, 2, 8, 8))
    released = made if copies else np.random.default_rng(1).integers(60, 200, made.shape)
    subjects, splits = np.repeat([f"p{i}" for i in range(people)], 2), ["train"] * 2 * half + ["control"] * 2 * half
    real = Cohort.open(write("real", images.clip(0, 255).astype(np.uint8), kind="real", scheme=None, label_source=None,
                             subjects=subjects.tolist(), splits=splits))  # fmt: skip
    synthetic = Cohort.open(write("synthetic", released.clip(0, 255).astype(np.uint8), scheme=None))
    return AttackSetup(real, synthetic, real.rows("train"), real.rows("control"), 0)


def named(setup: AttackSetup) -> dict[str, Result]:
    return {result.name: result for result in nearness_results("privacy.", setup, 100)}


def value(results: dict[str, Result], name: str) -> float:
    found = results[f"privacy.nearness.{name}"].value
    assert found is not None
    return found


def test_copies_are_not_authentic_and_point_to_one(write: Write) -> None:
    results = named(setup_of(write, copies=True))
    assert value(results, "authentic") == 0
    assert value(results, "authentic.control") > 0.2
    assert value(results, "distance_ratio.median") < 0.3
    assert value(results, "distance_ratio.median.control") > 0.8
    assert value(results, "c_t") < -3


def test_independent_cases_look_like_non_members(write: Write) -> None:
    results = named(setup_of(write, copies=False))
    control = results["privacy.nearness.authentic.control"]
    assert control.low is not None
    assert control.high is not None
    assert control.low - 0.15 < value(results, "authentic") < control.high + 0.15
    assert value(results, "distance_ratio.median") == pytest.approx(
        value(results, "distance_ratio.median.control"), abs=0.03
    )
    assert abs(value(results, "c_t")) < 2


def test_authentic_by_hand(write: Write) -> None:
    setup = setup_of(write, copies=True)
    near = nearest_training(setup.released, setup.real, setup.members, 64)
    assert setup.real.images is not None
    assert setup.synthetic.images is not None
    flat = setup.real.images[setup.members].reshape(len(setup.members), -1).astype(float)
    made = setup.synthetic.images[:].reshape(len(near.r), -1).astype(float)
    r = np.corrcoef(made, flat)[: len(made), len(made) :]
    among, subjects = np.corrcoef(flat), setup.subjects[: len(flat)]
    for i, row in enumerate(r):
        j = row.argmax()
        assert near.authentic[i] == (among[j][subjects != subjects[j]].max() > row[j])


def test_few_subjects_are_withheld(write: Write) -> None:
    results = named(setup_of(write, copies=True, people=8))
    assert list(results) == ["privacy.nearness"]
    assert "withheld: 4 members and 4 non-members" in results["privacy.nearness"].note
