"""What steps are made of: every step that is named is built and measured, at a tiny size."""

from collections.abc import Callable
from types import ModuleType

import pytest

NAMES = ("stylegan2", "stylegan3", "stylegan1", "progan", "diffusion, patch 1", "diffusion, patch 2", "task U-Net",
         "copy encoder", "pair network")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_shares_of_a_step_add_up(script: Callable[[str], ModuleType], name: str) -> None:
    module = script("step_profile")
    known = module.steps(32, tiny=True)
    assert (*known,) == NAMES
    batch, build = known[name]
    row = module.measured(build(), batch, 1, 1e9)
    shares = [row[group] for group in (*module.GROUPS, module.REST)]
    assert sum(shares) == pytest.approx(1) and min(shares[0], shares[-1]) > 0
    assert row["gflop_per_image"] > 0 and row["peak"] > 0 and row["images_per_s"] > 0
