"""Every metric of the menu keeps the laws that it declares on matrices; a new entry is tested by being there.

What it notices on images: test_corruptions.py.
"""

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation import METRICS, quantities
from understudy.evaluation.metric import LAWS, Quantity

CASES, FEATURES = 400, 12
OF = {quantity: metric for metric in METRICS.values() for quantity in (q.name for q in metric.quantities)}


def modes(seed: int, kept: int = 8, n: int = CASES) -> np.ndarray:
    """Draw features around the first ``kept`` of eight centres."""
    centres = np.random.default_rng(99).normal(0, 2, (8, FEATURES))
    rng = np.random.default_rng(seed)
    return centres[rng.integers(0, kept, n)] + rng.normal(0, 0.5, (n, FEATURES))


def value(name: str, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> float:
    found = OF[name].results(real=real, synthetic=synthetic, seed=seed)[name].value
    assert found is not None
    return found


def with_law(law: str) -> list[str]:
    return [name for name, quantity in quantities().items() if law in quantity.laws]


def worse(name: str, values: list[float]) -> bool:
    ordered = values if quantities()[name].better == "lower" else values[::-1]
    return ordered == sorted(ordered) and ordered[0] < ordered[-1]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric(name: str) -> None:
    metric, real, made = METRICS[name], modes(0), modes(1, 4)
    results = metric.results(real=real, synthetic=made, seed=5)
    assert results == metric.results(real=real.copy(), synthetic=made.copy(), seed=5)
    for quantity in metric.quantities:
        result = results[quantity.name]
        assert (result.name, result.unit, result.better) == (quantity.name, quantity.unit, quantity.better)
        assert (result.seed, result.n) == (5, CASES) and quantity.better in ("lower", "higher") and quantity.title
        assert result.value is not None and quantity.bounds[0] <= result.value <= quantity.bounds[1]
    with pytest.raises(TypeError):
        metric.function(real, made)
    for wrong in (made[:, :-1], made[:1], made[0], np.where(made == made[0, 0], np.nan, made)):
        with pytest.raises(UnderstudyError):
            metric.function(real=real, synthetic=wrong, seed=0)


def test_laws_are_known_and_tested() -> None:
    assert {law for quantity in quantities().values() for law in quantity.laws} <= LAWS
    with pytest.raises(UnderstudyError, match="wishful"):
        Quantity("frechet", "Fréchet distance", "lower", frozenset({"wishful"}))


@pytest.mark.parametrize("name", with_law("symmetric"))
def test_symmetric(name: str) -> None:
    assert value(name, modes(0), modes(1, 5)) == pytest.approx(value(name, modes(1, 5), modes(0)), rel=1e-9)


@pytest.mark.parametrize("name", with_law("zero on identical"))
def test_zero_on_identical(name: str) -> None:
    assert value(name, modes(0), modes(0)) == pytest.approx(0, abs=1e-6 * modes(0).var(0).sum())


@pytest.mark.parametrize("name", with_law("one on identical"))
def test_one_on_identical(name: str) -> None:
    for n in (20, 150, CASES):
        assert value(name, modes(0, n=n), modes(0, n=n)) == 1


@pytest.mark.parametrize("name", with_law("never negative"))
def test_never_negative(name: str) -> None:
    for n in (2, 5, 40):
        assert value(name, modes(0, n=n), modes(1, n=n)) >= 0


@pytest.mark.parametrize("name", with_law("order irrelevant"))
def test_order_irrelevant(name: str) -> None:
    order = np.random.default_rng(0).permutation(CASES)
    assert value(name, modes(0)[order], modes(1, 5)[order[::-1]]) == pytest.approx(
        value(name, modes(0), modes(1, 5)), rel=1e-9
    )


@pytest.mark.parametrize("name", [name for name in OF if name not in with_law("order irrelevant")])
def test_order_decides_no_more_than_the_draw_of_subsets(name: str) -> None:
    order, (real, made) = np.random.default_rng(0).permutation(60), (modes(0, n=60), modes(1, 5, n=60))
    plain, shuffled = (
        np.array([value(name, *pair, seed) for seed in range(20)])
        for pair in ((real, made), (real[order], made[order[::-1]]))
    )
    assert plain.std() > 0 and not np.array_equal(plain, shuffled)
    assert abs(plain.mean() - shuffled.mean()) < 4 * np.hypot(plain.std(), shuffled.std()) / np.sqrt(20)


@pytest.mark.parametrize("name", with_law("unbiased"))
def test_unbiased(name: str) -> None:
    values = np.array([value(name, modes(2 * i, n=60), modes(2 * i + 1, n=60)) for i in range(40)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values)) and (values < 0).any()


@pytest.mark.parametrize("name", with_law("monotone under shift"))
def test_monotone_under_shift(name: str) -> None:
    assert worse(name, [value(name, modes(0), modes(1) + shift) for shift in (0, 0.3, 1, 3)])
