"""The residual discriminator: scale at the start and its condition."""

import torch
import torch.nn.functional as F

from understudy.nets.discriminator import Discriminator, DiscriminatorBlock


def test_discriminator_condition_and_scale() -> None:
    torch.manual_seed(0)
    d = Discriminator(2, 16, 3, 128, 16)
    x = torch.randn(8, 3, 16, 16)
    one, two = (d(x, F.one_hot(torch.full((8,), k), 2).float()) for k in (0, 1))
    assert one.shape == (8, 1)
    assert not torch.allclose(one, two)
    assert 0.01 < one.std().item() < 10


def test_a_block_halves_and_keeps_the_scale() -> None:
    torch.manual_seed(0)
    first, next_one = DiscriminatorBlock(8, 16, 3, None), DiscriminatorBlock(16, 16, 0, None)
    x = first(torch.randn(4, 3, 16, 16))
    assert x.shape == (4, 16, 8, 8)
    assert next_one(x).shape == (4, 16, 4, 4)
    with torch.no_grad():
        first.conv0.weight.zero_()  # what is left is the skip
        assert torch.allclose(first(torch.ones(1, 3, 8, 8)), first.skip(first.fromrgb(torch.ones(1, 3, 8, 8))))


def test_one_case_of_a_group_changes_the_others_only_through_its_deviation() -> None:
    torch.manual_seed(0)
    alone, grouped = (Discriminator(0, 8, 1, 64, 16, group=group) for group in (1, 4))
    x = torch.randn(4, 1, 8, 8)
    changed = torch.cat([x[:3], 2 * x[3:]])
    assert torch.allclose(alone(x)[:3], alone(changed)[:3], atol=1e-6)
    assert not torch.allclose(grouped(x)[:3], grouped(changed)[:3], atol=1e-6)
