"""The networks menu: shapes, odd sizes, seeds, and names that are not on it."""

import pytest
import torch

from understudy.core.errors import UsageError
from understudy.tasks.networks import NETWORKS, build_network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(32, 32), (30, 37), (4, 4), (3, 16, 16)])
def test_any_size_goes_in_and_the_same_comes_out(name: str, size: tuple[int, ...]) -> None:
    network = build_network(name, len(size), 2, 3, (4, 8, 8), seed=0).eval()
    x = torch.randn(2, 2, *size)
    y = network(x)
    assert network.train()(x).shape == y.shape
    network.eval()
    assert y.shape == (2, 3, *size) and torch.isfinite(y).all()
    assert torch.allclose(network(x[1:]), y[1:], atol=1e-5)  # a case does not depend on its neighbours


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_depend_on_the_seed_only(name: str) -> None:
    before = torch.get_rng_state()
    weights = [
        torch.cat([p.flatten() for p in build_network(name, 2, 1, 2, (4, 4, 8), s).parameters()]) for s in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_not_on_the_menu() -> None:
    with pytest.raises(UsageError, match="one of unet.*found 'swan'"):
        build_network("swan", 2, 1, 2, (4, 4, 8), 0)
    with pytest.raises(UsageError, match="at least three levels"):
        build_network("unet", 2, 1, 2, (4, 8), 0)
