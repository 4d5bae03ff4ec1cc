"""The magnitude-preserving U-Net: magnitudes, patches, 2D and 3D, condition, gradients of volumes in bf16."""

import pytest
import torch

from understudy.nets import unet
from understudy.nets.unet import (
    Attention,
    MPConv,
    UNet,
    UNetBlock,
    fixed_weights,
    from_patches,
    mp_cat,
    pixel_norm,
    to_patches,
    unit_rows,
)


@pytest.mark.parametrize("dims", [2, 3])
def test_patches_are_inverse(dims: int) -> None:
    x = torch.randn(2, 3, *[8] * dims)
    for p in (1, 2, 4):
        y = to_patches(x, p)
        assert y.shape == (2, 3 * p**dims, *[8 // p] * dims) and torch.equal(from_patches(y, p), x)


def test_convolutions_keep_the_magnitude() -> None:
    torch.manual_seed(0)
    for kernel, dims, shape in (
        (0, 2, (64, 32)),
        (1, 2, (8, 32, 16, 16)),
        (3, 2, (8, 32, 32, 32)),
        (3, 3, (4, 32, 12, 12, 12)),
    ):
        y = MPConv(32, 64, kernel, dims)(torch.randn(shape))
        assert 0.85 < float(y.detach().std()) < 1.1, (kernel, dims)


def test_normalize_does_not_change_the_output() -> None:
    conv = MPConv(8, 8, 3)
    x = torch.randn(1, 8, 8, 8)
    before = conv(x)
    conv.weight.data *= 7
    conv.normalize()
    assert torch.allclose(before, conv(x), atol=1e-5)
    assert torch.allclose(conv.weight.flatten(1).norm(dim=1), torch.full((8,), 72.0).sqrt())
    assert torch.allclose(unit_rows(conv.weight).flatten(1).norm(dim=1), torch.ones(8))


def test_blocks_keep_the_magnitude() -> None:
    torch.manual_seed(0)
    x, e = torch.randn(4, 32, 16, 16), torch.randn(4, 64)
    for encoder in (True, False):
        y = UNetBlock(32, 48, 64, 2, encoder=encoder)(x, e)
        assert 0.8 < float(y.detach().std()) < 1.2
    assert 0.8 < float(Attention(32, 16, 2)(x).detach().std()) < 1.2
    joined = mp_cat(x, torch.randn(4, 96, 16, 16))
    assert abs(float(joined[:, :32].square().sum() / joined[:, 32:].square().sum()) - 1) < 0.1
    assert torch.allclose(pixel_norm(x * 9).square().mean(1), torch.ones(4, 16, 16), atol=1e-4)


@pytest.mark.parametrize(("dims", "patch"), [(2, 1), (2, 2), (3, 2)])
def test_unet_shapes_and_start(dims: int, patch: int) -> None:
    torch.manual_seed(0)
    net = UNet(
        3, 2, (8, 16), 2, dims=dims, patch=patch, attention_levels=(1,), head_channels=8, classes=2, dropout=0.1
    ).eval()
    x, c = torch.randn(2, 3, *[16] * dims), torch.randn(2)
    assert torch.equal(net(x, c), torch.zeros(2, 2, *[16] * dims))  # the output gain starts at 0
    for name, gain in net.named_parameters():
        if "gain" in name:
            gain.data.fill_(1)
    y = net(x, c, torch.eye(2))
    assert y.dtype == torch.float32 and 0.5 < float(y.detach().std()) < 2
    assert not torch.allclose(y, net(x, c, torch.zeros(2, 2))) and not torch.allclose(y, net(x, c + 1, torch.eye(2)))


def test_the_noise_level_reaches_every_gain() -> None:
    net = UNet(2, 2, (8, 16), 1)
    net.conv_out_gain.data.fill_(1)
    net(torch.randn(2, 2, 8, 8), torch.randn(2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in net.named_parameters() if "gain" in n)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_weights_are_scaled_once_for_many_passes(precision: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits, and weights that change afterwards count."""
    torch.manual_seed(0)
    net, calls = UNet(2, 2, (8, 16), 1, attention_levels=(1,), head_channels=8), [0]
    x, noise, layers = torch.randn(2, 2, 8, 8), torch.zeros(2), sum(isinstance(m, MPConv) for m in net.modules())
    net.conv_out_gain.data.fill_(1)

    def counted(weight: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return unit_rows(weight)

    monkeypatch.setattr(unet, "unit_rows", counted)
    with torch.no_grad(), torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        plain = net(x, noise)
        calls[0] = 0
        with fixed_weights(net):
            assert all(torch.equal(net(x, noise), plain) for _ in range(3)) and calls[0] == layers
        net.conv_in.weight.data.neg_()
        assert not torch.equal(net(x, noise), plain)


@pytest.mark.parametrize(
    ("channels", "head_channels", "heads"),
    [(192, 64, 3), (200, 64, 2), (224, 64, 2), (7, 2, 1), (8, 64, 1), (8, 8, 1), (16, 8, 2)],
)
def test_heads_share_the_channels_evenly(channels: int, head_channels: int, heads: int) -> None:
    attention = Attention(channels, head_channels, 2)
    assert attention.heads == heads and attention(torch.randn(1, channels, 4, 4)).shape == (1, channels, 4, 4)


def test_the_null_condition() -> None:
    torch.manual_seed(0)
    net = UNet(1, 1, (8,), 1, classes=3)
    c, nan = torch.zeros(2), torch.nan
    nothing, zeros = torch.full((2, 3), nan), torch.zeros(2, 3)
    assert torch.equal(net._embed(c, None), net._embed(c, nothing))
    assert not torch.allclose(net._embed(c, zeros), net._embed(c, nothing), atol=1e-2)
    assert torch.equal(net._embed(c, torch.tensor([[0, nan, 0], [nan, 0, 0.0]])), net._embed(c, zeros))
    one_hot = net._embed(torch.randn(3), torch.eye(3)) - net._embed(torch.randn(3), None)
    assert 0.5 < float(one_hot.detach().std()) < 1.6


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_gradients_of_volumes_in_bf16(depth: int) -> None:
    """In bf16 the weights get the gradients of fp32 to within rounding, at every depth."""
    torch.manual_seed(0)
    conv, x = MPConv(16, 32, 3, dims=3), torch.randn(2, 16, depth, 8, 8)
    target = torch.randn(2, 32, depth, 8, 8)
    gradients = []
    for bf16 in (False, True, True):
        trash = [torch.full((size,), torch.nan) for size in (16 * 32 * 27, 16 * 32 * 27 // 2)]
        del trash  # memory that is not written shows as NaN
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = conv(x)
        (gradient,) = torch.autograd.grad((y.float() * target).mean(), conv.weight)
        gradients.append(gradient)
    assert all(torch.allclose(g, gradients[0], atol=0.05 * float(gradients[0].abs().max())) for g in gradients[1:])
