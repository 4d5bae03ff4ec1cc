"""Optimisers, and a step of one network while the others stand still.

**Source**: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv 1912.04958, appendix B
(lazy regularisation).
**Differs**: nothing known.
**Checked**: tests/training/test_optimizer.py; each step of a method: tests/generators/gan/test_stylegan2.py.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.training.engine import Engine


def adam(
    parameters: Iterable[nn.Parameter],
    rate: float,
    interval: int | None = None,
    betas: tuple[float, float] = (0.0, 0.99),
) -> Optimizer:
    """Adam, without momentum unless asked for, slowed down to make up for the further steps of a lazy penalty.

    ``interval`` counts the steps from one lazy penalty to the next, each a step of its own; None: no such penalty.
    """
    c = 1.0 if interval is None else interval / (interval + 1)
    return torch.optim.Adam(parameters, lr=rate * c, betas=(betas[0] ** c, betas[1] ** c), eps=1e-8, fused=True)


def optimizer_step(
    engine: Engine, networks: Iterable[nn.Module], optimizer: Optimizer, loss: Callable[[], Tensor], gain: float = 1.0
) -> Tensor:
    """Take one step of the parameters that an optimiser holds, and return the 0-d loss, detached.

    Parameters of the other ``networks`` need no gradients meanwhile; those of the step are averaged over processes.
    ``gain`` makes up for a loss that is taken only every so many steps.
    """
    for network in networks:
        network.requires_grad_(False)
    learning = [p for group in optimizer.param_groups for p in group["params"]]
    for p in learning:
        p.requires_grad_(True)
    optimizer.zero_grad(set_to_none=True)
    value = loss()
    (value * gain).backward()
    engine.average_gradients(learning)
    optimizer.step()
    return value.detach()
