"""Exponents of growth."""

from collections.abc import Callable
from types import ModuleType

import pytest


def test_exponents(script: Callable[[str], ModuleType]) -> None:
    exponent = script("chain_tables").exponent
    assert exponent([250, 500, 1000], [2, 4, 8]) == pytest.approx(1)
    assert exponent([4096, 16384], [3, 12]) == pytest.approx(1)
    assert exponent([1, 2, 4], [5, 20, 80]) == pytest.approx(2)
