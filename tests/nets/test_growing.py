"""Growing layers and their discriminator: resizing against definitions, scales, and fades without a jump."""

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.generators.gan.growing import faded
from understudy.nets.growing import (
    GrowingConv2d,
    GrowingDiscriminator,
    boxed,
    double,
    halve,
)


def discriminator(classes: int = 0, smooth: bool = False, group: int = 4) -> GrowingDiscriminator:
    torch.manual_seed(0)
    return perturbed(GrowingDiscriminator(classes, 16, 3, channel_base=128, channel_max=16, group=group, smooth=smooth))


def perturbed(net: Any) -> Any:
    """Make every parameter count: at the start biases are 0."""
    for p in net.parameters():
        p.data.add_(torch.randn_like(p) * 0.1)
    return net


def test_doubling_convolution_repeats_pixels_first() -> None:
    layer = perturbed(GrowingConv2d(3, 5, resize=2))
    x = torch.randn(2, 3, 4, 6)
    weight = layer.weight.flip(2, 3) * (2 / 27) ** 0.5
    torch.testing.assert_close(layer(x), F.conv2d(double(x), weight, layer.bias, padding=1), atol=1e-5, rtol=1e-5)


def test_halving_convolution_averages_pixels_last() -> None:
    layer = perturbed(GrowingConv2d(3, 5, resize=0.5))
    x = torch.randn(2, 3, 8, 6)
    expected = halve(F.conv2d(x, layer.weight * (2 / 27) ** 0.5, layer.bias, padding=1))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_boxed_kernel_is_a_convolution_with_four_ones() -> None:
    weight = torch.randn(1, 1, 3, 3)
    torch.testing.assert_close(boxed(weight), F.conv_transpose2d(weight, torch.ones(1, 1, 2, 2)))


def test_weights_are_stored_with_unit_variance_and_scaled_when_used() -> None:
    for layer, fan_in in ((GrowingConv2d(64, 64), 576), (GrowingConv2d(16, 256, 1), 16), (GrowingConv2d(8, 200), 72)):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.05)
        assert layer.weight_gain == pytest.approx((2 / fan_in) ** 0.5)


EPSILON = 1e-7


@pytest.mark.parametrize("smooth", [False, True])
def test_discriminator_is_continuous_on_faded_reals(smooth: bool) -> None:
    d, x = discriminator(smooth=smooth), torch.randn(4, 3, 16, 16)

    def logits(level: float) -> Tensor:
        return d(faded(x, level), None, level)

    torch.testing.assert_close(logits(3 + EPSILON), d(halve(x), None, 3.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits(4 - EPSILON), logits(4.0), atol=1e-5, rtol=0)
    levels = [3 + EPSILON, *(3 + i / 64 for i in range(1, 65))]
    values = [logits(level) for level in levels]
    jumps = [(b - a).abs().max().item() for a, b in pairwise(values)]
    spread = max((v - values[0]).abs().max().item() for v in values)
    assert 0 < max(jumps) < 6 * spread / 64  # Lipschitz: no step is much larger than its share
