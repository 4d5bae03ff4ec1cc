"""Layers against their definitions."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.nets.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchStd,
    activate,
    convolution_dtype,
    demodulation,
    modulated_conv2d,
    normalise_second_moment,
)


def by_definition(x: Tensor, weight: Tensor, styles: Tensor) -> Tensor:
    """StyleGAN2, eq. 1 and 3, one sample at a time with its own weights."""
    out = []
    for sample, style in zip(x, styles, strict=True):
        w = weight * style.view(1, -1, 1, 1)
        w = w / (w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        out.append(F.conv2d(sample[None], w, padding=weight.shape[-1] // 2))
    return torch.cat(out)


@pytest.mark.parametrize("side", [1, 3])
def test_modulated_convolution_equals_per_sample_weights(side: int) -> None:
    x, weight, styles = torch.randn(3, 5, 8, 8), torch.randn(4, 5, side, side), torch.randn(3, 5)
    y, factor = modulated_conv2d(x, weight, styles)
    torch.testing.assert_close(y * factor[..., None, None], by_definition(x, weight, styles), atol=1e-5, rtol=1e-5)


def test_demodulated_output_has_unit_variance() -> None:
    torch.manual_seed(0)
    x, weight, styles = torch.randn(8, 64, 32, 32), torch.randn(16, 64, 3, 3), torch.randn(8, 64) * 7
    y, factor = modulated_conv2d(x, weight, styles)
    spread = (y * factor[..., None, None])[:, :, 1:-1, 1:-1].std(dim=(2, 3))
    assert abs(spread.mean().item() - 1) < 0.05
    assert demodulation(weight, styles).shape == (8, 16)


def test_equalised_layers_keep_variance_and_learning_rate() -> None:
    torch.manual_seed(0)
    assert abs(EqualisedLinear(512, 256)(torch.randn(64, 512)).std().item() - 1) < 0.05
    slow = EqualisedLinear(512, 256, lr_multiplier=0.01)
    assert abs(slow.weight.std().item() - 100) < 2
    assert abs(slow(torch.randn(64, 512)).std().item() - 1) < 0.05
    y = EqualisedConv2d(64, 64, 3, activation=False)(torch.randn(4, 64, 16, 16))
    assert abs(y[:, :, 1:-1, 1:-1].std().item() - 1) < 0.05


def test_gain_activation_and_clamp_match_their_plain_order() -> None:
    layer = EqualisedConv2d(3, 4, 3, clamp=0.8, gain=0.5)
    assert layer.bias is not None
    layer.bias.data.normal_()
    x = torch.randn(2, 3, 8, 8)
    plain = F.leaky_relu(F.conv2d(x, layer.weight / 27**0.5, layer.bias, padding=1), 0.2) * 2**0.5 * 0.5
    torch.testing.assert_close(layer(x), plain.clamp(-0.4, 0.4), atol=1e-6, rtol=1e-5)
    assert layer(x).abs().max().item() == pytest.approx(0.4)


def test_halving_layer() -> None:
    assert EqualisedConv2d(3, 4, 3, down=True)(torch.zeros(2, 3, 8, 8)).shape == (2, 4, 4, 4)


def test_activate() -> None:
    torch.testing.assert_close(activate(torch.tensor([-1.0, 2.0, 9.0]), clamp=5.0), torch.tensor([-0.2, 2.0, 5.0]))


def test_second_moment_is_one() -> None:
    x = normalise_second_moment(torch.randn(4, 32) * 9)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(4))


def test_minibatch_deviation_by_hand() -> None:
    x = torch.randn(8, 3, 4, 4)
    y = MinibatchStd(4)(x)
    assert y.shape == (8, 4, 4, 4)
    for first in (0, 1):  # groups are cases 0, 2, 4, 6 and 1, 3, 5, 7
        expected = (x[first::2].var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(y[first::2, 3], expected.expand(4, 4, 4))


def test_minibatch_deviation_refuses_broken_groups() -> None:
    with pytest.raises(UsageError, match="multiple of the minibatch-std group 4, got 6"):
        MinibatchStd(4)(torch.zeros(6, 3, 4, 4))


def test_convolution_dtype_follows_autocast() -> None:
    x = torch.zeros(1, dtype=torch.float64)
    assert convolution_dtype(x) == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert convolution_dtype(x) == torch.bfloat16
