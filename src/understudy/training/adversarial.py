"""What the GANs share: one network descends while the others stand still, the logistic losses, the R1 penalty.

Source: Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv 1406.2661, section 3 (non-saturating loss);
    Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, arXiv 1801.04406, eq. 9 (R1);
    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958, appendix B (lazy
    regularisation).
Differs: nothing known.
Checked: tests/generators/test_stylegan2.py (R1 against finite differences; each step changes its own network).
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.training.engine import Engine


def adam(parameters: Iterable[nn.Parameter], rate: float, interval: int | None = None) -> Optimizer:
    """Adam with beta1 = 0, slowed down to make up for the further steps of a lazy penalty.

    Args:
        parameters: what it moves.
        rate: learning rate.
        interval: steps from one lazy penalty to the next, each a step of its own; None: no such penalty.
    """
    c = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(parameters, lr=rate * c, betas=(0.0, 0.99**c), eps=1e-8, fused=True)


def descend(
    engine: Engine,
    network: nn.Module,
    networks: Iterable[nn.Module],
    optimizer: Optimizer,
    loss: Callable[[], Tensor],
    gain: float = 1.0,
) -> Tensor:
    """Take one optimiser step of one network.

    Args:
        engine: averages gradients over processes.
        network: moves: the parameters that the optimiser holds.
        networks: all of them; the others need no gradients meanwhile.
        optimizer: of `network`.
        loss: computes a 0-d tensor.
        gain: makes up for a loss that is taken only every so many steps.

    Returns:
        The loss, detached.
    """
    for other in networks:
        other.requires_grad_(False)
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    for p in moved:
        p.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    value = loss()
    (value * gain).backward()
    engine.average_gradients(moved)
    optimizer.step()
    return value.detach()


def logistic_generator(synthetic: Tensor) -> Tensor:
    """Non-saturating loss of the generator from the logits (N, 1) of its cases."""
    return F.softplus(-synthetic).mean()


def logistic_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Logistic loss of the discriminator from logits (N, 1) of real and of synthetic cases."""
    return F.softplus(synthetic).mean() + F.softplus(-real).mean()


def r1(judge: Callable[[Tensor], Tensor], x: Tensor, gamma: float) -> Tensor:
    """R1 penalty gamma / 2 E |grad_x D(x)|^2 (eq. 9).

    Args:
        judge: D, cases to logits (N, 1).
        x: real cases (N, C + L, *S).
        gamma: weight.

    Returns:
        0-d, differentiable in the parameters of D.
    """
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean() * (gamma / 2)
