"""Signals of the layers of StyleGAN3: the published design, and designs that cannot be."""

from typing import Any

import pytest
import torch

from understudy.core.errors import UsageError
from understudy.generators.gan.stylegan3 import StyleGAN3Network
from understudy.nets.signals import Design, schedule

VARIANTS: dict[str, dict[str, Any]] = {"t": {}, "r": {"conv_kernel": 1, "use_radial_filters": True}}


def generator(variant: str, resolution: int = 16, classes: int = 0, **changes: Any) -> StyleGAN3Network:
    torch.manual_seed(0)
    settings = {"channel_base": 128, "channel_max": 8, "num_layers": 6, **VARIANTS[variant], **changes}
    return StyleGAN3Network(8, classes, 8, resolution, 3, 2, Design(**settings))


def test_schedule_of_the_published_design() -> None:
    signals = schedule(64, 5, Design(channel_base=8192, channel_max=256))
    assert [s.size for s in signals] == [36] * 4 + [52] * 4 + [84] * 5 + [64] * 2
    assert [s.rate for s in signals] == [16] * 4 + [32] * 4 + [64] * 7
    assert [s.channels for s in signals] == [256] * 10 + [203, 161, 128, 128, 5]
    assert [s.cutoff for s in signals[-3:]] == [32.0] * 3
    for before, after in zip(signals, signals[1:], strict=False):
        assert after.cutoff >= before.cutoff and after.cutoff + after.half_width >= after.rate / 2 - 1e-9


def test_a_design_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="channel_base 32 leaves no feature map at 64 pixels"):
        generator("t", 64, channel_base=32)
    with pytest.raises(UsageError, match="num_layers must be greater than num_critical = 2"):
        generator("t", num_layers=2)
