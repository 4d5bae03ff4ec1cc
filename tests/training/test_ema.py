"""The average of weights: its half-life, and that buffers are copied."""

import pytest
import torch
from torch import nn

from understudy.training.ema import ema_decay, ema_update


def test_ema_half_life() -> None:
    assert ema_decay(100, 1000, 10**9) == pytest.approx(0.5**0.1)
    assert ema_decay(100, 1000, 2000, rampup=0.05) == pytest.approx(0.5)
    source, target = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    source.weight.data.fill_(3.0)
    source.running_mean.fill_(5.0)  # type: ignore[union-attr,operator]
    ema_update(target, source, 0.75)
    assert torch.allclose(target.weight, torch.full((2,), 1.5)) and target.running_mean.tolist() == [5, 5]  # type: ignore[union-attr]
