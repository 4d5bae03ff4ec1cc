"""Exponential moving average of weights, in fp32; what samples are drawn from.

**Source**: Karras et al., Analyzing and Improving the Image Quality of StyleGAN (arXiv 1912.04958), official code: the
half-life is given in images, shortened while few were seen (``ema_rampup``). **Checked**: tests/training/test_ema.py.
"""

import torch
from torch import nn


def ema_decay(batch_size: int, half_life_images: float, images_seen: int, rampup: float | None = 0.05) -> float:
    """Return the factor of the old average for one step, before which ``images_seen`` images were seen.

    A weight counts half after ``half_life_images``, or the share ``rampup`` (None: no such limit) of
    ``images_seen`` if that is less.
    """
    if rampup is not None:
        half_life_images = min(half_life_images, images_seen * rampup)
    return 0.5 ** (batch_size / max(half_life_images, 1e-8))


@torch.no_grad()
def ema_update(target: nn.Module, source: nn.Module, decay: float) -> None:
    """Move the parameters of ``target`` towards ``source``: t = decay * t + (1 - decay) * s; buffers are copied."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), 1 - decay)
    for t, s in zip(target.buffers(), source.buffers(), strict=True):
        t.copy_(s)
