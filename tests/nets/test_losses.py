"""Losses and penalties against their definitions."""

import pytest
import torch
from torch import Tensor, nn

from understudy.nets.losses import (
    discriminator_loss,
    feature_matching,
    generator_loss,
    gradient_penalty,
    whole_classes,
)


def test_least_squares_wants_one_for_real_and_zero_for_synthetic() -> None:
    """Found by going down the loss; the released code of Platscher et al. asks for 1 on synthetic cases."""
    logits = torch.tensor([[0.3], [0.7]], requires_grad=True)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(discriminator_loss("least-squares", logits[:1], logits[1:]), logits)
        logits.data -= 0.1 * gradient
    assert torch.allclose(logits, torch.tensor([[1.0], [0.0]]), atol=1e-3)
    assert float(generator_loss("least-squares", torch.tensor([1.0]))) == 0
    assert float(generator_loss("least-squares", torch.tensor([0.0]))) == 1


def test_hinge() -> None:
    real, synthetic = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert float(discriminator_loss("hinge", real, synthetic)) == 0.25 + 0.5
    assert float(generator_loss("hinge", synthetic)) == 1.5


def test_whole_classes_have_the_gradients_of_probabilities() -> None:
    torch.manual_seed(0)
    logits, weights = torch.randn(2, 5, 4, 3, requires_grad=True), torch.randn(2, 5, 4, 3)
    whole = whole_classes(logits)
    expected = nn.functional.one_hot(logits.argmax(1), 5).movedim(-1, 1).float()
    assert torch.allclose(whole, expected, atol=1e-6)
    (ours,) = torch.autograd.grad((whole * weights).sum(), logits)
    (soft,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
    assert torch.allclose(ours, soft, atol=1e-6)


def test_feature_matching() -> None:
    synthetic = [
        [torch.zeros(1, 2, requires_grad=True), torch.full((1, 3), 2.0), torch.zeros(1)],
        [torch.ones(2), torch.zeros(1)],
    ]
    real = [
        [torch.ones(1, 2, requires_grad=True), torch.zeros(1, 3), torch.full((1,), 99.0)],
        [torch.ones(2), torch.zeros(1)],
    ]
    loss = feature_matching(synthetic, real)
    assert float(loss.detach()) == (1 + 2 + 0) / 2  # two scales; logits do not count
    loss.backward()
    assert synthetic[0][0].grad is not None and real[0][0].grad is None


def test_gradient_penalty_of_a_linear_critic() -> None:
    direction = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1) / 2

    def discriminate(x: Tensor) -> Tensor:
        return (x * direction).flatten(1).sum(1, keepdim=True) + 7

    value = gradient_penalty(discriminate, torch.rand(3, 2, 1, 1, 1), torch.rand(3, 2, 1, 1, 1))
    assert value.item() == pytest.approx((2.5 - 1) ** 2)
