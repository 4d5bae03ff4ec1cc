"""Our side of the step benchmarks, at another size than theirs."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.mark.parametrize("generator", ["stylegan2", "stylegan3"])
def test_our_step_is_made_for_a_setting(script: Callable[[str], ModuleType], generator: str) -> None:
    compare = script("compare")
    compare.our_step(generator, 4, compare.Setting("cpu", 32, 128, 8), z_dim=8, w_dim=8)()
