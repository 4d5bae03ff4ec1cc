"""Each attack on a case worked out by hand, and what it must not know."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.attacks import ATTACKS, attribute, singling_out
from understudy.evaluation.privacy.attacks.membership import FOLDS, _folds
from understudy.evaluation.privacy.attacks.setup import NEAREST, AttackSetup, ScoreQuery

MakeScene = Callable[..., AttackSetup]


def correlations(setup: AttackSetup) -> np.ndarray:
    """Return r of each attacked (n,) with each released case (m,)."""
    assert setup.real.images is not None
    assert setup.synthetic.images is not None
    a, b = setup.real.images[setup.rows], setup.synthetic.images[:]
    n = len(a)
    return np.corrcoef(a.reshape(n, -1).astype(float), b.reshape(len(b), -1).astype(float))[:n, n:]


def chord(r: np.ndarray) -> np.ndarray:
    return np.sqrt(2 * np.maximum(1 - r, NEAREST))


def test_nearest_pixels_is_the_highest_correlation(setup: MakeScene) -> None:
    made = setup()
    (scored,) = ATTACKS["nearest_pixels"].run(made)
    assert scored.scores == pytest.approx(correlations(made).max(1), abs=1e-6)


def test_singling_out_by_hand(setup: MakeScene) -> None:
    made = setup(members=6, others=6)
    (scored,) = singling_out.singling_out(made)
    distances = chord(correlations(made))
    for case in (0, 7, 20, 33):
        group = made.is_member == made.is_member[case]
        others = group & (made.subjects != made.subjects[case])
        expected = np.log(distances[others].min(0) / distances[case]).max()
        assert scored.scores[case] == pytest.approx(expected, abs=1e-4)


def test_groups_are_of_one_size_and_everyone_stands_in_one(setup: MakeScene, monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = setup(members=24, others=7), []

    def watch(setup: AttackSetup, rows: np.ndarray) -> np.ndarray:
        seen.append(set(setup.subjects[rows].tolist()))
        return np.zeros(len(rows))

    monkeypatch.setattr(singling_out, "alone", watch)
    (scored,) = singling_out.singling_out(made)
    assert [len(group) for group in seen] == [7] * 5
    assert set.union(*seen) == set(made.subjects.tolist())
    assert np.isfinite(scored.scores).all()


def test_density_ratio_looks_at_no_other_person_of_the_own_fold(setup: MakeScene) -> None:
    made = setup()
    folds = _folds(made)
    for subject in np.unique(made.subjects):
        assert len(set(folds[made.subjects == subject])) == 1
    for side in (made.is_member, ~made.is_member):
        counts = [len(np.unique(made.subjects[side & (folds == fold)])) for fold in range(FOLDS)]
        assert max(counts) - min(counts) <= 1
    (scored,) = ATTACKS["density_ratio"].run(made)
    assert made.real.images is not None
    flat = made.real.images[made.rows].reshape(len(folds), -1).astype(float)
    among, to_released = chord(np.corrcoef(flat)), chord(correlations(made))
    for case in (0, 50, 75, 100):
        reference = (folds != folds[case]) & ~made.is_member
        expected = np.log(among[case][reference].min() / to_released[case].min())
        assert scored.scores[case] == pytest.approx(expected, abs=1e-4)


def test_features_do_not_depend_on_who_is_attacked(setup: MakeScene) -> None:
    made = setup()
    alone = AttackSetup(made.real, made.synthetic, made.members[:3], made.non_members[:3], 0)
    both, few = made.described[0].block(0, 3), alone.described[0].block(0, 3)
    assert both == pytest.approx(few, abs=1e-6)
    released = made.described[1].block(0, 60)
    assert released.mean() == pytest.approx(0, abs=1e-6)


def test_attribute_by_hand(setup: MakeScene) -> None:
    made = setup()

    class WithClass:
        def __init__(self, cohort: Cohort, values: np.ndarray) -> None:
            self.classes, self._values, self._cohort = ("finding=mass",), values.astype(np.float32), cohort

        def __getattr__(self, name: str) -> object:
            return getattr(self._cohort, name)

        def class_matrix(self, rows: np.ndarray | None = None) -> np.ndarray:
            return self._values[slice(None) if rows is None else rows, None]

    draw = np.random.default_rng(3)
    truth = draw.integers(0, 2, len(made.real)).astype(float)
    truth[4] = np.nan
    told = draw.integers(0, 2, 60)
    other = AttackSetup(WithClass(made.real, truth), WithClass(made.synthetic, told), made.members, made.non_members, 0)  # type: ignore[arg-type]
    (scored,) = attribute.attribute(other)
    assert scored.part == "mass"
    assert scored.success is not None
    r = correlations(made)
    guess = told[r.argmax(1)]
    known = np.arange(len(truth)) != 4
    assert np.array_equal(scored.success[known], (guess == truth[made.rows])[known])
    assert np.isnan(scored.scores[4])
    away = [chord(r[0, told == value].max()) for value in (0, 1)]
    own = int(truth[made.rows[0]])
    assert scored.scores[0] == pytest.approx(np.log(away[1 - own] / away[own]), abs=1e-4)


def test_score_queries_are_used_in_the_right_direction(setup: MakeScene) -> None:
    made = setup()
    asked = {name: ScoreQuery("x", lambda cohort, rows: rows * 1.0) for name in ("discriminator", "denoising_loss")}
    told = AttackSetup(made.real, made.synthetic, made.members, made.non_members, 0, score_queries=asked)
    assert np.array_equal(ATTACKS["discriminator"].run(told)[0].scores, made.rows)
    assert np.array_equal(ATTACKS["denoising_loss"].run(told)[0].scores, -made.rows)
    assert "needs the generator" in ATTACKS["discriminator"].lacks(made)
    bad = AttackSetup(
        made.real,
        made.synthetic,
        made.members,
        made.non_members,
        0,
        score_queries={"discriminator": ScoreQuery("x", lambda cohort, rows: np.full(len(rows), np.nan))},
    )
    with pytest.raises(UnderstudyError, match="120 that are not finite"):
        ATTACKS["discriminator"].run(bad)


def test_what_an_attack_lacks_is_said(setup: MakeScene) -> None:
    made = setup(others=9)
    assert "at least 10 non-member subjects, found 9" in ATTACKS["density_ratio"].lacks(made)
    assert "share no class column" in ATTACKS["attribute"].lacks(made)
    few = AttackSetup(made.real, made.synthetic, made.members, made.non_members, 0, features="encoder")
    assert ATTACKS["nearest_features"].lacks(few) == ""
    few.synthetic.__class__ = type("Short", (Cohort,), {"__len__": lambda self: 15})
    assert "at least 16 released cases, found 15" in ATTACKS["nearest_features"].lacks(few)
