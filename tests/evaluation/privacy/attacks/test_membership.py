"""Membership inference: each attack on a case worked out by hand, and what it must not know."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.evaluation.privacy.attacks import ATTACKS, singling_out
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


def mapped(
    setup: MakeScene, own: np.ndarray, made: np.ndarray, label_source: str = "sampled", **changes: Any
) -> AttackSetup:
    """Return a scene of one case a subject with these label maps of two classes."""
    scheme = LabelScheme(("background", "one", "two"), (0, 1, 2))
    real = {"maps": own, "scheme": scheme, "label_source": "patient"}
    kind = "synthetic" if label_source == "sampled" else "semi-synthetic"
    released = {"kind": kind, "maps": made, "scheme": scheme, "label_source": label_source}
    return setup(cases=1, real_changes=real, released_changes=released, **changes)


def test_nearest_pixels_is_the_highest_correlation(setup: MakeScene) -> None:
    made = setup()
    (scored,) = ATTACKS["nearest_pixels"].run(made)
    assert scored.scores == pytest.approx(correlations(made).max(1), abs=1e-6)


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
    assert scored.control is None  # everybody is a member or attacked


def test_control_of_the_density_ratio_is_its_score_had_bystanders_been_released(setup: MakeScene) -> None:
    made = setup(members=24, others=28)
    subjects = made.real.column("subject_id")
    attacked = np.flatnonzero(np.isin(subjects, np.unique(made.subjects[~made.is_member])[:16]))
    some = AttackSetup(made.real, made.synthetic, made.members, attacked, 0)
    assert len(np.unique(subjects[some.bystanders])) == 12 and not set(some.bystanders) & set(some.rows)
    (scored,) = ATTACKS["density_ratio"].run(some)
    assert made.real.images is not None and scored.control is not None
    flat, folds = made.real.images[:].reshape(len(made.real), -1).astype(float), _folds(some)
    among = chord(np.corrcoef(flat))
    for case in (0, 50, 75, 100):
        reference = some.rows[(folds != folds[case]) & ~some.is_member]
        own = among[some.rows[case]]
        expected = np.log(own[reference].min() / own[some.bystanders].min())
        assert scored.control[case] == pytest.approx(expected, abs=1e-4)
    few = AttackSetup(made.real, made.synthetic, made.members, made.non_members[: -9 * 3], 0)
    assert not len(few.bystanders)  # nine


def test_label_maps_are_compared_class_by_class_with_those_released_and_those_of_others(setup: MakeScene) -> None:
    draw = np.random.default_rng(0)
    own, made = draw.integers(0, 3, (40, 8, 8)), draw.integers(0, 3, (60, 8, 8))
    made[:24] = np.where(draw.random((24, 8, 8)) < 0.2, draw.integers(0, 3, (24, 8, 8)), own[:24])  # follows members
    own[[5, 30]] = 0
    scene = mapped(setup, own, made)
    (scored,) = ATTACKS["label_maps"].run(scene)
    assert np.flatnonzero(np.isnan(scored.scores)).tolist() == [5, 30]  # nothing to compare
    one, released = (np.stack([maps == 1, maps == 2], 1).reshape(len(maps), -1).astype(float) for maps in (own, made))
    folds, case = _folds(scene), 27
    others = np.flatnonzero((folds != folds[case]) & ~scene.is_member & (one.std(1) > 0))
    to = [max(np.corrcoef(one[case], row)[0, 1] for row in rows) for rows in (one[others], released)]
    expected = np.log(chord(np.array(to[0])) / chord(np.array(to[1])))
    assert scored.scores[case] == pytest.approx(expected, abs=1e-5)
    assert np.nanmin(scored.scores[:24]) > np.nanmax(scored.scores[24:])
    assert scored.control is None


def test_control_of_label_maps_does_not_see_what_was_released(setup: MakeScene) -> None:
    draw = np.random.default_rng(0)
    own, made = draw.integers(0, 3, (52, 8, 8)), draw.integers(0, 3, (60, 8, 8))
    made[:24] = own[:24]
    own[5] = 0
    scene = mapped(setup, own, made, others=28)
    attacked = AttackSetup(scene.real, scene.synthetic, scene.members, scene.non_members[:16], 0)
    (scored,) = ATTACKS["label_maps"].run(attacked)
    assert scored.control is not None and np.flatnonzero(np.isnan(scored.control)).tolist() == [5]
    assert np.nanmin(scored.scores[:24]) > 3 > np.nanmax(scored.control)  # copies, and none


def test_label_maps_say_what_they_lack(setup: MakeScene) -> None:
    lacks, some = ATTACKS["label_maps"].lacks, np.ones((60, 8, 8))
    assert "has no label maps" in lacks(setup(cases=1))
    assert "by design" in lacks(mapped(setup, some[:40], some, label_source="patient", seed=1))
    assert "at least 10 non-member subjects" in lacks(mapped(setup, some[:33], some, others=9, seed=2))


def test_features_do_not_depend_on_who_is_attacked(setup: MakeScene) -> None:
    made = setup()
    alone = AttackSetup(made.real, made.synthetic, made.members[:3], made.non_members[:3], 0)
    both, few = made.described[0].block(0, 3), alone.described[0].block(0, 3)
    assert both == pytest.approx(few, abs=1e-6)
    released = made.described[1].block(0, 60)
    assert released.mean() == pytest.approx(0, abs=1e-6)


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
