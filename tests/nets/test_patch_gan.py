"""PatchGAN: how much of a case one logit sees, at which scales, in two and three dimensions."""

import pytest
import torch

from understudy.nets import patch_gan
from understudy.nets.patch_gan import PatchDiscriminator, PatchGAN


def field_of_view(net: PatchDiscriminator, size: tuple[int, ...]) -> tuple[int, ...]:
    """Sides of the region on which the middle logit depends, by gradients."""
    x = torch.randn(1, 1, *size, requires_grad=True)
    logits = net(x)[-1]
    middle = tuple(s // 2 for s in logits.shape[2:])
    (gradient,) = torch.autograd.grad(logits[(0, 0, *middle)], x)
    seen = gradient[0, 0].nonzero()
    return tuple((seen.max(0).values - seen.min(0).values + 1).tolist())


@pytest.mark.parametrize(("layers", "pixels"), [(1, 16), (2, 34), (3, 70)])
def test_field_of_view(layers: int, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_gan, "instance_norm", lambda x: x)  # in which every pixel sees all others
    torch.manual_seed(0)
    net = PatchDiscriminator(1, (160, 160), channels=2, layers=layers)
    assert field_of_view(net, (160, 160)) == (pixels, pixels)


def test_field_of_view_in_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_gan, "instance_norm", lambda x: x)
    torch.manual_seed(0)
    net = PatchDiscriminator(1, (40, 40, 40), channels=2, layers=1)
    assert field_of_view(net, (40, 40, 40)) == (16, 16, 16)


@pytest.mark.parametrize("size", [(64, 64), (16, 16), (8, 16, 16), (32, 48, 32), (2, 16, 16), (8, 8)])
def test_every_size_has_logits(size: tuple[int, ...]) -> None:
    net = PatchGAN(3, size, scales=2, channels=4, layers=3, spectral=True)
    found = net(torch.randn(2, 3, *size))
    assert len(found) == (1 if min(size) < 3 else 2)
    for scale in found:
        assert scale[-1].shape[:2] == (2, 1) and min(scale[-1].shape[2:]) >= 1 and len(scale) >= 2
        assert scale[-1].dtype == torch.float32 and scale[0].shape[1] == 4
    assert found[0][-1].numel() >= found[-1][-1].numel()


def test_published_widths() -> None:
    with torch.device("meta"):
        net = PatchDiscriminator(6, (256, 256), channels=64, layers=3)
    assert [layer.weight.shape[0] for layer in net.layers] == [64, 128, 256, 512, 1]
    assert [layer.stride for layer in net.layers] == [(2, 2)] * 3 + [(1, 1)] * 2
    assert [layer.bias is not None for layer in net.layers] == [True, False, False, False, True]


def test_a_case_is_judged_by_itself() -> None:
    torch.manual_seed(0)
    net, x = PatchGAN(2, (16, 16), scales=2, channels=4, layers=3), torch.randn(3, 2, 16, 16)
    for together, alone in zip(net(x), net(x[1:2]), strict=True):
        assert torch.allclose(together[-1][1], alone[-1][0], atol=1e-5)
