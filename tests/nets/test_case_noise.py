"""A case's numbers are its own, come from all bits of its seed, and are normal or uniform."""

import math

import pytest
import torch
from torch import Tensor

from understudy.core.seed import derive
from understudy.nets.case_noise import CaseNoise

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(6,), (3, 5, 7), (1,)])
def test_noise_of_a_case_is_its_own(shape: tuple[int, ...]) -> None:
    def draws(*seeds: int) -> list[Tensor]:
        noise = CaseNoise(seeds, CPU)
        return [noise.normal(*shape), noise.uniform(*shape), noise.normal(*shape)]

    together = draws(1, 2, 3, 4)
    for found, alone in zip(together, draws(3), strict=True):
        assert found.shape == (4, *shape) and found.dtype == torch.float32
        assert torch.equal(found[2], alone[0])
        assert len(torch.unique(found[:, 0])) >= 4
    assert not torch.equal(together[0], together[2])


def test_every_bit_of_a_seed_counts() -> None:
    """These two seeds have the same 32 lower bits, all that torch's generator keeps on a CPU."""
    seeds = [derive(3, "case", i) for i in (20734, 51979)]
    assert seeds[0] % 2**32 == seeds[1] % 2**32 and seeds[0] != seeds[1]
    for drawn in (CaseNoise(seeds, CPU).normal(64), CaseNoise(seeds, CPU).uniform(64)):
        assert (drawn[0] != drawn[1]).all()
        assert abs(float(torch.corrcoef(drawn)[0, 1])) < 0.5


def test_numbers_are_normal_and_uniform() -> None:
    noise = CaseNoise(range(8), CPU)
    x, n = noise.normal(50, 1001).double().flatten(), 8 * 50 * 1001
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        spread = math.sqrt(math.prod(range(1, 2 * power, 2)) / n)
        assert abs(float((x**power).mean()) - moment) < 5 * spread
    normal = torch.distributions.Normal(0.0, 1.0)
    for values in (normal.cdf(x), noise.uniform(n // 8).flatten()):
        assert 0 <= values.min() < 1e-4 and 1 - 1e-4 < values.max() < 1
        assert abs(values.double().sort().values - torch.linspace(0, 1, n)).max() < 2 / math.sqrt(n)
    first, second = noise.normal(2, 20_000).transpose(0, 1)  # the two halves that Box and Muller draw together
    for f in (Tensor.clone, Tensor.abs):
        assert abs(float(torch.corrcoef(torch.stack([f(first).flatten(), f(second).flatten()]))[0, 1])) < 0.01
