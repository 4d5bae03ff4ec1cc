"""Diversity of classes: known distributions, a class that collapsed, equal numbers on both sides."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from understudy.core.result import Result
from understudy.evaluation.fidelity.diversity import Seen, combination_distance, diversity, mean_distance, within


def seen(shares: tuple[float, ...], n: int, seed: int, spread: float = 1.0, each: int = 1) -> Seen:
    """n cases, ``each`` of a subject, exclusive classes with these shares, features normal around the class."""
    random = np.random.default_rng(seed)
    kind = np.repeat(np.arange(len(shares)), np.round(np.array(shares) * n).astype(int))
    features = random.normal(0, spread, (n, 8)) + 5 * kind[:, None]
    return Seen(np.eye(len(shares), dtype=bool)[kind], features.astype(np.float32), np.arange(n) // each)


def results(real: Seen, synthetic: Seen) -> dict[str, Result]:
    pairs = list(diversity("fidelity.diversity", ("a", "Class B"), real, synthetic, 10, 3))
    return {r.name.removeprefix("fidelity.diversity."): r for made, _ in pairs for r in made}


def test_distance_of_known_distributions() -> None:
    real, other = seen((0.5, 0.5), 100, 0), seen((0.8, 0.2), 50, 1)
    assert combination_distance(real.found, real.found) == 0
    assert combination_distance(real.found, other.found) == pytest.approx(0.3)
    assert combination_distance(real.found[:50], real.found[50:]) == 1
    both = np.array([[True, True], [False, False]])
    assert combination_distance(both, np.array([[True, False], [False, True]])) == 1  # equal shares, other combinations


def test_mean_distance_is_that_of_scipy() -> None:
    features = np.random.default_rng(0).normal(100, 1, (20, 5)).astype(np.float32)
    assert mean_distance(features) == pytest.approx(pdist(features.astype(np.float64)).mean(), rel=1e-9)


def test_a_class_that_always_looks_the_same_is_noticed() -> None:
    real = seen((0.5, 0.5), 200, 0)
    alike, collapsed = results(real, seen((0.5, 0.5), 200, 1)), results(real, seen((0.5, 0.5), 200, 1, spread=0.1))
    for name in ("within.a", "within.class-b"):
        assert alike[name].value == pytest.approx(1, abs=0.1) and alike[name].better == "higher"
        assert collapsed[name].value == pytest.approx(0.1, abs=0.01)
    assert alike["distance"].value == 0 and alike["share.a"].value == 0.5 and alike["share.a"].note == "real 0.500"


def test_both_sides_show_as_many_cases_and_a_patient_counts_once() -> None:
    real, synthetic = seen((0.5, 0.5), 80, 0, each=4), seen((0.5, 0.5), 30, 1)
    ours, theirs, n = within(real, synthetic, 0, 5, 0)
    assert n == 10 and ours.shape == theirs.shape == (5,)  # 40 cases of 10 subjects against 15 cases
    same = seen((0.5, 0.5), 80, 0, each=4)
    same.features[:] = np.repeat(same.features[::4], 4, 0)  # the cases of a patient are copies of one another
    assert within(same, synthetic, 0, 5, 0)[0].min() > 3  # and make no class less diverse
    again = within(real, synthetic, 0, 5, 0)
    assert (again[0] == ours).all() and (again[1] == theirs).all()
    assert (within(real, synthetic, 0, 5, 1)[1] != theirs).any()


def test_few_cases_have_no_number() -> None:
    found = results(seen((0.96, 0.04), 100, 0), seen((1.0, 0.0), 50, 1))
    assert found["within.class-b"].value is None and "0 case(s) on the smaller side" in found["within.class-b"].note
    assert found["share.class-b"].value == 0 and found["share.class-b"].note == "real withheld: fewer than 5 subjects"
    rows = [row for _, row in diversity("x", ("a", "b"), seen((0.96, 0.04), 100, 0), seen((1.0, 0.0), 50, 1), 4, 0)]
    assert rows[0] == [] and rows[2] == ["b", None, 0.0, None, None, 0]
