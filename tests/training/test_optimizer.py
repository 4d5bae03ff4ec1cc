"""A step of one network while the others stand still, and what a lazy penalty does to the learning rate."""

import pytest
import torch
from torch import nn

from understudy.training.engine import Engine
from understudy.training.optimizer import adam, optimizer_step


@pytest.mark.parametrize(("interval", "c"), [(None, 1), (16, 16 / 17)])
def test_a_lazy_penalty_slows_adam_down(interval: int | None, c: float) -> None:
    group = adam(nn.Linear(2, 2).parameters(), 0.1, interval, (0.5, 0.99)).param_groups[0]
    assert group["lr"] == pytest.approx(0.1 * c)
    assert group["betas"] == pytest.approx((0.5**c, 0.99**c))


def test_one_network_learns_and_the_other_gets_no_gradient() -> None:
    torch.manual_seed(0)
    mine, other = nn.Linear(2, 1), nn.Linear(1, 1)
    before = [p.clone() for p in other.parameters()]
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.1)
    weight, x = mine.weight.clone(), torch.ones(1, 2)
    loss = optimizer_step(Engine("fp32", "cpu"), [mine, other], optimizer, lambda: other(mine(x)).sum(), gain=3)
    assert not loss.requires_grad
    assert torch.allclose(mine.weight, weight - 0.1 * 3 * other.weight * x)
    assert all(torch.equal(p, q) and p.grad is None for p, q in zip(other.parameters(), before, strict=True))
    assert not any(p.requires_grad for p in other.parameters())
