"""The baseline: subject-disjoint halves, one n, and a copy of real cases that matches it."""

import numpy as np
import pytest

from understudy.evaluation import METRICS, quantities
from understudy.evaluation.fidelity.baseline import halves, real_baselines

SUBJECTS = np.repeat([f"s{i:02}" for i in range(21)], np.arange(21) % 5 + 3)


def features(seed: int) -> np.ndarray:
    """Return cases that resemble the other cases of their subject."""
    rng = np.random.default_rng(seed)
    own = {name: rng.normal(0, 1, 6) for name in np.unique(SUBJECTS)}
    return np.stack([own[s] + rng.normal(0, 0.3, 6) for s in SUBJECTS])


def test_halves_share_no_subject_and_leave_none_out() -> None:
    pairs = list(halves(SUBJECTS, 5, seed=0))
    for first, second in pairs:
        assert not set(SUBJECTS[first]) & set(SUBJECTS[second])
        assert sorted([*first, *second]) == list(range(len(SUBJECTS))) and len(set(SUBJECTS[first])) == 10
    assert len({tuple(first) for first, _ in pairs}) == 5


@pytest.mark.parametrize("name", [n for n, quantity in quantities().items() if "monotone under shift" in quantity.laws])
def test_new_subjects_of_one_distribution_match_the_floor_and_shifted_ones_do_not(name: str) -> None:
    metric = next(m for m in METRICS.values() if name in {quantity.name for quantity in m.quantities})
    function = {name: metric.function}
    near = real_baselines(function, features(0), SUBJECTS, features(1), 12, seed=0)[name]
    far = real_baselines(function, features(0), SUBJECTS, features(1) + 2, 12, seed=0)[name]
    assert np.array_equal(near.baseline, far.baseline) and near.n == far.n <= len(SUBJECTS) // 2
    apart, spread = (
        abs(near.size_matched.mean() - near.baseline.mean()),
        near.baseline.std() + 0.2 * abs(near.baseline.mean()),
    )
    if quantities()[name].better == "lower":
        assert apart < 4 * spread and far.size_matched.mean() > near.baseline.max() + 4 * spread
    else:  # shares, which end at 0
        assert apart < 0.6 * near.baseline.mean() and far.size_matched.max() < near.baseline.min()
        assert far.size_matched.mean() < 0.2 * near.baseline.mean()
    few = real_baselines(function, features(0), SUBJECTS, features(1)[:9], 3, seed=0)[name]
    assert few.n == 9


def test_metrics_together_find_what_each_finds_alone() -> None:
    functions, sides = {name: METRICS[name].function for name in METRICS}, (features(0), SUBJECTS, features(1))
    told: list[None] = []
    together = real_baselines(functions, *sides, 3, 5, lambda: told.append(None))
    assert len(told) == 3 and list(together) == list(quantities())
    for name, function in functions.items():
        for quantity, alone in real_baselines({name: function}, *sides, 3, 5).items():
            assert np.array_equal(alone.baseline, together[quantity].baseline)
            assert np.array_equal(alone.size_matched, together[quantity].size_matched)
