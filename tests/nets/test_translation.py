"""The U-Net of pix2pix and the residual generator of CycleGAN: shapes, skips, dropout by seed, precision."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from understudy.nets.spatial import halvings
from understudy.nets.translation import (
    ResidualGenerator,
    UNetGenerator,
    no_dropout,
    seeded_dropout,
)

CPU = torch.device("cpu")
SIZES = [(32, 32), (16, 24), (8, 16, 16), (16, 24, 16)]


def unet(size: tuple[int, ...] = (16, 16), **changes: Any) -> UNetGenerator:
    torch.manual_seed(0)
    return UNetGenerator(5, 3, halvings(size, 8, 2), **{"channels": 8, "channels_max": 16, **changes})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bf16", [False, True])
def test_shapes_and_gradients(size: tuple[int, ...], bf16: bool) -> None:
    x = torch.randn(2, 5, *size)
    for net in (unet(size), ResidualGenerator(5, 3, halvings(size, 2, 2), channels=8, blocks=2)):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = net(x)
        assert y.shape == (2, 3, *size) and y.dtype == torch.float32 and float(y.detach().abs().max()) <= 1
        y.square().mean().backward()
        for name, p in net.named_parameters():
            assert p.grad is not None and bool(p.grad.isfinite().all()) and float(p.grad.abs().sum()) > 0, name


def test_published_widths_of_the_unet() -> None:
    with torch.device("meta"):
        net = UNetGenerator(3, 3, halvings((256, 256), 8, 2), channels=64, channels_max=512)
    assert [layer.weight.shape[0] for layer in net.down] == [64, 128, 256, 512, 512, 512, 512]
    assert [tuple(layer.weight.shape[:2]) for layer in net.up][-4:] == [(1024, 256), (512, 128), (256, 64), (128, 3)]


def test_every_skip_is_used() -> None:
    """Without its way through the bottleneck a U-Net still answers; each level on the way up sees the one down."""
    net, x = unet(), torch.randn(1, 5, 16, 16)
    before = net(x, no_dropout)
    for i in range(len(net.down) - 1):
        inner = net.up[len(net.down) - 1 - i].weight
        kept = inner.detach().clone()
        inner.data[len(inner) // 2 :] = 0  # the second half of its inputs is the skip
        assert not torch.allclose(net(x, no_dropout), before, atol=1e-4), i
        inner.data.copy_(kept)


def test_dropout_by_seed() -> None:
    net, x = unet(), torch.randn(1, 5, 16, 16).expand(3, -1, -1, -1)
    a, b, alone = (
        net(x, seeded_dropout([1, 2, 1], CPU)),
        net(x, seeded_dropout([7, 2, 9], CPU)),
        net(x[:1], seeded_dropout([2], CPU)),
    )
    assert torch.equal(a[0], a[2]) and torch.equal(a[1], b[1]) and not torch.allclose(a[0], a[1], atol=1e-3)
    assert torch.allclose(a[1], alone[0], atol=1e-5)
    calm = net(x, no_dropout)
    assert torch.allclose(calm[0], calm[1], atol=1e-6)
    assert not torch.allclose(net(x), net(x), atol=1e-3)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_only_the_coarsest_layers_drop(layers: int) -> None:
    widths: list[int] = []

    def drop(x: torch.Tensor, p: float) -> torch.Tensor:
        assert p == 0.25
        widths.append(x.shape[-1])
        return x

    unet((32, 32), dropout=0.25, dropout_layers=layers)(torch.randn(1, 5, 32, 32), drop)
    assert widths == [4, 8, 16][:layers]


def test_dropout_keeps_the_mean() -> None:
    x = torch.ones(4, 8, 32, 32)
    for drop in (F.dropout, seeded_dropout([1, 2, 3, 4], CPU)):
        y = drop(x, 0.3)
        assert abs(float(y.mean()) - 1) < 0.05 and abs(float((y == 0).float().mean()) - 0.3) < 0.05


def test_logits_are_not_squashed() -> None:
    x = torch.randn(1, 5, 16, 16)
    for net in (unet(squash=False), ResidualGenerator(5, 3, halvings((16, 16), 2, 2), channels=4, squash=False)):
        last = net.up[-1] if isinstance(net, UNetGenerator) else net.conv_out
        last.bias.data.fill_(9)
        assert float(net(x).detach().min()) > 2


def test_outer_layers_pad_by_reflection() -> None:
    """A constant case has no border."""
    net = ResidualGenerator(1, 1, halvings((16, 16), 2, 2), channels=4, blocks=1)
    y = torch.nn.functional.relu(net.conv_in(torch.ones(1, 1, 16, 16)))
    assert float((y - y[..., :1, :1]).detach().abs().max()) < 1e-6
