"""The screen: no exact score lies above its bound, also where rounding conspires; and the bounds are not idle."""

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError
from understudy.evaluation.search import screen
from understudy.evaluation.search.rows import ArrayRows, UnitRows
from understudy.evaluation.search.screen import Block, read_block, upper_bounds

DTYPES = [torch.bfloat16, torch.float32]


def block(values: np.ndarray, dtype: torch.dtype, centre: float = 0) -> Block:
    return read_block(ArrayRows(values), 0, len(values), np.full(values.shape[1], centre), dtype)


def excess(a: np.ndarray, b: np.ndarray, dtype: torch.dtype, centre: float = 0) -> np.ndarray:
    """Return how far the bounds lie above the products in float64."""
    bias = np.linspace(-1, 1, len(b))
    bounds = upper_bounds(block(a, dtype, centre), slice(0, len(a)), block(b, dtype, centre), bias)
    return bounds.numpy() - ((a.astype(np.float64) - centre) @ (b.astype(np.float64) - centre).T + bias)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-25, 1, 1e12])
@pytest.mark.parametrize("dimension", [1, 7, 300, 3000])
def test_no_product_is_above_its_bound(dtype: torch.dtype, scale: float, dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    a, b = (scale * rng.normal(0.5, 1, (n, dimension)) for n in (20, 33))
    assert excess(a, b, dtype).min() >= 0
    assert excess(a.astype(np.float32), b.astype(np.float32), dtype, centre=scale / 2).min() >= 0


def test_rounding_that_always_errs_the_same_way_is_covered() -> None:
    """Every value is rounded down by half a step of bf16, so that no error cancels another."""
    a = np.full((1, 4000), 1 + 2.0**-8 - 2.0**-16, np.float32)
    assert block(a, torch.bfloat16).rounded.float().max() == 1
    below = float((a.astype(np.float64) ** 2).sum()) - 4000
    assert below > 30
    assert 0 <= excess(a, a, torch.bfloat16)[0, 0] < 3 * below


@pytest.mark.parametrize(("dtype", "wide"), [(torch.bfloat16, 0.015), (torch.float32, 0.002)])
def test_bounds_of_unit_rows_are_narrow(dtype: torch.dtype, wide: float) -> None:
    values = np.random.default_rng(0).normal(0, 1, (30, 12288))
    rows = read_block(UnitRows(ArrayRows(values)), 0, 30, np.zeros(12288), dtype)
    bounds = upper_bounds(rows, slice(0, 30), rows, np.zeros(30)).numpy()
    unit = rows.rows.astype(np.float64)
    assert (bounds - unit @ unit.T).min() >= 0
    assert (bounds - unit @ unit.T).max() < wide


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_worst_order_of_adding_is_allowed_for(dtype: torch.dtype) -> None:
    """No library adds so badly as to need it: the width itself is held, for values that rounding leaves alone."""
    a = np.ones((1, 4096))
    below = (4096 - 1) * 2.0**-24 * 4096  # d products in fp32, one after another, each sum rounded down
    assert excess(a, a, dtype)[0, 0] >= below + 4096 / 256 * (dtype == torch.bfloat16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_long_rows_are_multiplied_in_runs(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """fp32 sums of 2^24 products and more have no bound: what counts is the length of a run and how many there are."""
    monkeypatch.setattr(screen, "RUN", 64)
    rng = np.random.default_rng(0)
    assert excess(rng.normal(0.5, 1, (5, 4000)), rng.normal(0.5, 1, (7, 4000)), dtype).min() >= 0
    a, adding = np.ones((1, 4096)), (64 + 64) * 2.0**-24
    least, most = (4096 * (x + (dtype == torch.bfloat16) / 255) for x in (adding, adding + 2.0**-18))
    assert least <= excess(a, a, dtype)[0, 0] <= 1.01 * most


def test_a_row_as_long_as_a_volume_has_a_bound() -> None:
    row = read_block(ArrayRows(np.ones((1, 2**24 + 3), np.float32)), 0, 1, np.zeros(2**24 + 3), torch.float32)
    bound = float(upper_bounds(row, slice(0, 1), row, np.zeros(1))[0, 0])
    assert 2**24 + 3 <= bound < 1.01 * 2**24


def test_what_is_lost_is_measured() -> None:
    values = np.random.default_rng(0).normal(3, 1, (9, 500))
    made = block(values, torch.bfloat16, centre=3)
    lost = values - 3 - made.rounded.double().numpy()
    assert np.allclose(made.lost, np.sqrt((lost**2).sum(1)), rtol=1e-12)
    assert np.allclose(made.length, np.sqrt(((values - 3) ** 2).sum(1)), rtol=1e-12)
    assert np.array_equal(made.squares, (values**2).sum(1))
    assert 5e-4 < (made.lost / made.length).max() < 2.0**-8


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e16])
def test_values_that_cannot_be_bounded_are_refused(value: float) -> None:
    values = np.ones((4, 5))
    values[2, 1] = value
    with pytest.raises(UnderstudyError, match="finite rows"):
        block(values, torch.float32)


def test_bf16_is_chosen_where_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for quick, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(screen, "has_fast_bf16", lambda accelerator, quick=quick: quick)
        assert screen.screen_dtype() == dtype
