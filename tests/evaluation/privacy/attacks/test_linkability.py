"""Linking two records by released cases: by hand, in blocks, and which slices are paired."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.evaluation.nearest import UnitRows
from understudy.evaluation.privacy.attacks import ATTACKS, linkability
from understudy.evaluation.privacy.attacks import setup as attack_setup
from understudy.evaluation.privacy.attacks.linkability import linked
from understudy.evaluation.privacy.attacks.setup import AttackSetup, parts
from understudy.evaluation.privacy.calibration import next_slices

MakeScene = Callable[..., AttackSetup]


@pytest.mark.parametrize(("queries", "columns"), [(512, 1024), (4, 3)])
def test_linked_by_hand(queries: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkability, "QUERIES", queries)
    monkeypatch.setattr(attack_setup, "MOST_AT_ONCE", columns)
    draw = np.random.default_rng(0)
    sides = [draw.normal(size=(n, 3)) for n in (30, 30, 11, 11)]
    one, other, released_one, released_other = (UnitRows(side) for side in sides)
    scores, success = linked(one, other, released_one, released_other, 1024)
    r_one = np.corrcoef(sides[0], sides[2])[:30, 30:]
    r_other = np.corrcoef(sides[1], sides[3])[:30, 30:]
    assert scores == pytest.approx(np.minimum(r_one, r_other).max(1), abs=1e-6)
    assert np.array_equal(success, r_one.argmax(1) == r_other.argmax(1))
    assert 0 < success.sum() < 30


def test_parts_fit_the_bound() -> None:
    assert list(parts(UnitRows(np.zeros((1500, 3))), 1024)) == [(0, 1024), (1024, 2048)]
    large = UnitRows(np.broadcast_to(np.float32(0), (3, 128**3)))
    assert list(parts(large, 8)) == [(0, 1), (1, 2), (2, 3)] and list(parts(large, 1024))[0] == (0, 128)


def test_slices_are_paired_within_subjects_in_their_order(setup: MakeScene) -> None:
    made = setup(members=6, others=6, cases=3, real_changes={"slices": ["10", "9", ""] * 12})
    first, second = next_slices(made.real, made.rows)
    assert len(first) == 12  # a slice without a number stands in no pair
    assert np.array_equal(made.subjects[first], made.subjects[second])
    assert np.array_equal(first, second + 1)  # 9 stands before 10, though it comes after it as text
    (scored,) = ATTACKS["link_slices"].run(made)
    assert np.isfinite(scored.scores[second]).sum() + np.isfinite(scored.scores[first]).sum() == 12
    assert scored.success is None


def test_copies_are_linked_across_contrasts(setup: MakeScene) -> None:
    made = setup(released="copies", cases=1)
    (scored,) = ATTACKS["link_contrasts"].run(made)
    assert scored.success is not None
    assert scored.success[made.is_member].mean() == 1
    assert scored.success[~made.is_member].mean() < 0.4


def test_one_slice_a_subject_cannot_be_linked(setup: MakeScene) -> None:
    assert "two slices" in ATTACKS["link_slices"].lacks(setup(cases=1))
