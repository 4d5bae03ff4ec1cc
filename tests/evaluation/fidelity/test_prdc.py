"""Precision, recall, density and coverage: by hand, against their definition and against prdc, in bounded memory."""

import tracemalloc

import numpy as np
import pytest
from prdc import compute_prdc
from scipy.spatial.distance import cdist

from understudy.evaluation.fidelity import prdc
from understudy.evaluation.fidelity.prdc import METRIC, ball_counts


def four(real: np.ndarray, synthetic: np.ndarray, neighbours: int) -> dict[str, float | None]:
    found = METRIC.results(real=real, synthetic=synthetic, neighbours=neighbours)
    return {name: result.value for name, result in found.items()}


def definition(real: np.ndarray, synthetic: np.ndarray, k: int) -> dict[str, float]:
    """Equations 2 to 5 of Naeem et al., with whole matrices of distances that are differences squared and added."""
    radius_r, radius_s = (np.sort(cdist(x, x), 1)[:, k] for x in (real, synthetic))
    distances = cdist(real, synthetic)
    in_real = distances < radius_r[:, None]
    return {
        "precision": in_real.any(0).mean(),
        "recall": (distances < radius_s).any(1).mean(),
        "density": in_real.sum() / (k * len(synthetic)),
        "coverage": (distances.min(1) < radius_r).mean(),
    }


def clusters(seed: int, n: int, kept: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.random.default_rng(9).normal(0, 3, (6, 20))[rng.integers(0, kept, n)] + rng.normal(0, 1, (n, 20))


def test_by_hand_on_a_line() -> None:
    """Real balls: -5 +- 5, 0 +- 1, 1 +- 1, 2 +- 1, 4 +- 2; synthetic: 0.5 +- 9.5, 10 +- 0.5, 10.5 +- 0.5."""
    real, made = np.array([[-5.0], [0], [1], [2], [4]]), np.array([[0.5], [10], [10.5]])
    assert four(real, made, 1) == pytest.approx({"precision": 1 / 3, "recall": 1, "density": 2 / 3, "coverage": 2 / 5})
    held, holders = ball_counts(real, made, 1)
    assert held.tolist() == [0, 1, 1, 0, 0] and holders.tolist() == [2, 0, 0]


def test_the_rim_of_a_ball_is_outside() -> None:
    real = np.array([[0.0], [1], [2]])
    assert four(real, np.array([[-1.0], [-9]]), 1)["precision"] == 0
    assert four(real, np.array([[-0.99], [-9]]), 1)["precision"] == 0.5


def test_an_outlier_s_ball_counts_for_precision_and_little_for_density() -> None:
    """Figure 2a of Naeem et al.: nothing lies near a real case but the one that is itself far from all others."""
    real = np.concatenate([clusters(0, 60, 1), np.full((1, 20), 50.0)])
    made = 30 + clusters(1, 40, 1)
    assert four(real, made, 5) == pytest.approx({"precision": 1, "recall": 0, "density": 1 / 5, "coverage": 1 / 61})


@pytest.mark.parametrize("neighbours", [1, 5, 20])
@pytest.mark.parametrize(("n", "m"), [(300, 170), (60, 257)])
@pytest.mark.parametrize("offset", [0, 1000])
def test_agrees_with_the_definition(neighbours: int, n: int, m: int, offset: float) -> None:
    real, made = clusters(0, n) + offset, (1.2 * clusters(1, m, 4) + offset)
    assert four(real, made, neighbours) == pytest.approx(definition(real, made, neighbours), abs=1e-12)


def test_agrees_with_prdc() -> None:
    for k, real, made in ((1, clusters(0, 300), clusters(1, 170, 4)), (5, clusters(2, 90), 1.2 * clusters(3, 260))):
        assert four(real, made, k) == pytest.approx(compute_prdc(real, made, k), abs=1e-12)


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    real, made = clusters(0, 300).astype(np.float32), clusters(1, 170, 4).astype(np.float32)
    whole = ball_counts(real, made, 5)
    monkeypatch.setattr(prdc, "BLOCK", block)
    assert all(np.array_equal(a, b) for a, b in zip(whole, ball_counts(real, made, 5), strict=True))


def test_four_numbers_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    count, counted = prdc.ball_counts, []
    monkeypatch.setattr(prdc, "ball_counts", lambda *sets: counted.append(len(sets[0])) or count(*sets))
    four(clusters(0, 90), clusters(1, 60), 5)
    assert counted == [90, 60]


def test_distances_are_held_for_a_block_of_rows() -> None:
    real, made = (np.random.default_rng(seed).normal(0, 1, (3000, 8)) for seed in (0, 1))
    tracemalloc.start()
    prdc.prdc(real=real, synthetic=made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(real) * len(made) * 8 / 4


def test_recall_is_precision_with_roles_swapped() -> None:
    real, made = clusters(0, 200), clusters(1, 150, 4)
    assert four(real, made, 5)["recall"] == four(made, real, 5)["precision"]


def test_more_than_k_equal_cases_have_empty_balls() -> None:
    real, made = clusters(0, 80) + 100, clusters(1, 60) + 100
    real[:7], made[:9] = real[0], real[0]
    found = four(real, made, 5)
    assert found == pytest.approx(definition(real, made, 5), abs=1e-12)
    assert not ball_counts(real, made, 5)[0][:7].any() and ball_counts(real[6:], made, 5)[0][0] >= 9
    assert set(four(np.ones((9, 3)), np.ones((9, 3)), 5).values()) == {0}


@pytest.mark.parametrize("seed", [149, 266, 476, 617])
def test_rounding_puts_nobody_into_an_empty_ball(seed: int) -> None:
    """Shapes for which a matrix product gives equal cases distances that differ in the last bit, on some processors."""
    rng = np.random.default_rng(seed)
    features, n, m = (int(rng.integers(low, 200)) for low in (2, 8, 3))
    real, made = rng.normal(0, 1, (n, features)), rng.normal(0, 1, (m, features))
    equal, copies = rng.permutation(n)[:7], rng.permutation(m)[:2]
    real[equal] = made[copies] = real[equal[0]]
    assert not ball_counts(real, made, 5)[0][equal].any()


def test_too_few_cases_for_k_are_noted() -> None:
    real, made = clusters(0, 50), clusters(1, 3)
    found = METRIC.results(real=real, synthetic=made)
    assert found["precision"].note == "balls reach to neighbour 5"
    assert found["recall"].note == "balls reach to neighbour 2 in place of 5: 3 cases have no more"
    assert found["density"].note.endswith("; can exceed 1")
    assert found["recall"].value == four(real, made, 2)["recall"]
