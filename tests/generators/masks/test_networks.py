"""The networks of the mask GAN in 2D and 3D: levels, probabilities, cases on their own, the condition, bf16."""

import pytest
import torch

from understudy.generators.masks.networks import Critic, MaskGenerator, coarse_size, feature_maps, halvings

SIZES = [(16, 16), (8, 32), (16, 24, 16), (8, 16, 32)]


def networks(size: tuple[int, ...], k: int = 3, classes: int = 0) -> tuple[MaskGenerator, Critic]:
    torch.manual_seed(0)
    return MaskGenerator(6, classes, k, size, finest=4, max_maps=12), Critic(classes, k, size, finest=4, max_maps=12)


def test_every_side_is_halved_on_its_own() -> None:
    assert halvings((64, 64)) == [(2, 2)] * 4 and coarse_size((64, 64)) == [4, 4]
    assert halvings((32, 40, 32)) == [(2, 2, 2)] * 3 and coarse_size((32, 40, 32)) == [4, 5, 4]
    assert halvings((8, 64, 48)) == [(2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 1)]
    assert coarse_size((8, 64, 48)) == [4, 4, 6] and coarse_size((88, 8)) == [11, 4]
    assert feature_maps(4, 16, 100) == [16, 32, 64, 100]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("k", [2, 30])
def test_probabilities_and_scores(size: tuple[int, ...], k: int) -> None:
    g, d = networks(size, k)
    p = g(torch.randn(2, 6))
    assert p.shape == (2, k, *size) and p.dtype == torch.float32 and p.min() >= 0
    torch.testing.assert_close(p.sum(dim=1), torch.ones(2, *size))
    assert d(p).shape == (2, 1) and d(p).dtype == torch.float32


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_case_does_not_depend_on_its_neighbours(size: tuple[int, ...]) -> None:
    g, d = networks(size)
    z = torch.randn(3, 6)
    torch.testing.assert_close(g(z)[1:2], g(z[1:2]), atol=1e-5, rtol=0)
    x = torch.rand(3, 3, *size)
    torch.testing.assert_close(d(x)[1:2], d(x[1:2]), atol=1e-5, rtol=1e-5)
    assert (g(z)[0] - g(z)[1]).abs().max() > 1e-3 and (d(x)[0] - d(x)[1]).abs().max() > 1e-4


def test_every_voxel_reaches_the_critic_and_depends_on_z() -> None:
    g, d = networks((16, 24, 16))
    x = torch.rand(1, 3, 16, 24, 16, requires_grad=True)
    d(x).sum().backward()
    assert x.grad is not None and (x.grad.abs().amax(dim=1) > 0).all()
    spread = g(torch.randn(8, 6)).std(dim=0)
    assert (spread.amax(dim=0) > 0).all()


def test_the_condition_is_heard() -> None:
    g, d = networks((16, 16), classes=2)
    z, none, first = torch.randn(1, 6), torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    assert (g(z, none) - g(z, first)).abs().max() > 1e-3
    x = torch.rand(1, 3, 16, 16)
    assert (d(x, none) - d(x, first)).abs() > 1e-4


@pytest.mark.parametrize("size", [(8, 16, 16), (16, 16, 16)], ids=str)
def test_gradients_of_volumes_in_bf16(size: tuple[int, ...]) -> None:
    found = {}
    for low in (False, True):
        g, d = networks(size)
        z = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            d(g(z)).mean().backward()
        found[low] = [p.grad for p in g.parameters()]
    for exact, low_precision in zip(found[False], found[True], strict=True):
        assert exact is not None and low_precision is not None
        assert (exact - low_precision).norm() < 0.25 * exact.norm()  # a part left unwritten makes it larger
