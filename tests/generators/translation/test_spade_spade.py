"""SPADE: the layer against equation 1, the pyramid of label maps, latents, the image encoder; 2D and 3D."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from understudy.generators.translation.spade import ImageEncoder, Spade, SpadeBlock, SpadeGenerator
from understudy.nets.spatial import halvings


def maps(n: int, classes: int, size: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    labels = torch.randint(classes, (n, *size), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(labels, classes).movedim(-1, 1).float()


def renderer(size: tuple[int, ...] = (16, 16), classes: int = 3, **changes: Any) -> SpadeGenerator:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"channels": 8, "channels_max": 16, "hidden": 8, **changes}
    return SpadeGenerator(4, classes, 2, size, halvings(size, 5, 4), **settings)


@pytest.mark.parametrize("size", [(6, 5), (4, 6, 5)])
def test_the_layer_is_equation_1(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, h, m = Spade(4, 3, 8, len(size)), torch.randn(2, 4, *size) * 2 + 1, maps(2, 3, size)
    convolve = F.conv2d if len(size) == 2 else F.conv3d
    seen = convolve(m, layer.shared.weight, layer.shared.bias, padding=1).clamp_min(0)
    gamma = 1 + convolve(seen, layer.gamma.weight, layer.gamma.bias, padding=1)
    beta = convolve(seen, layer.beta.weight, layer.beta.bias, padding=1)
    expected = torch.empty_like(h)
    for n in range(2):
        for c in range(4):
            mu, sigma = h[n, c].mean(), h[n, c].std(correction=0)
            expected[n, c] = gamma[n, c] * (h[n, c] - mu) / sigma + beta[n, c]
    assert torch.allclose(layer(h, m), expected, atol=1e-4)


def test_modulation_differs_from_pixel_to_pixel() -> None:
    torch.manual_seed(0)
    layer, h = Spade(4, 2, 8, 2), torch.randn(1, 4, 16, 16)
    for conv in (layer.shared, layer.gamma, layer.beta):
        conv.weight.data.mul_(20)
    m = torch.zeros(1, 2, 16, 16)
    m[:, 0] = 1
    other = m.clone()
    other[:, :, 4:8, 4:8] = torch.tensor([0.0, 1.0])[:, None, None]
    change = (layer(h, m) - layer(h, other)).detach().abs().amax(1)[0]
    assert float(change[4:8, 4:8].min()) > 1e-3 and float(change[:2].max()) == 0 and float(change[10:].max()) == 0


def test_the_shortcut_is_learned_where_channels_change() -> None:
    same, other = SpadeBlock(4, 4, 2, 8, 2, False), SpadeBlock(8, 4, 2, 8, 2, False)
    assert not hasattr(same, "conv_s") and other.conv_s.weight.shape == (4, 8, 1, 1) and other.conv_s.bias is None
    x, m = torch.randn(1, 4, 8, 8), maps(1, 2, (8, 8))
    for layer in (same.conv_0, same.conv_1):
        layer.weight.data.zero_()
    assert torch.equal(same(x, m), x)


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16), (8, 12, 8)])
@pytest.mark.parametrize("spectral", [False, True])
def test_shapes_and_gradients(size: tuple[int, ...], spectral: bool) -> None:
    net, z = renderer(size, classes=30, spectral=spectral), torch.randn(2, 4)
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = net(z, maps(2, 30, size))
        assert y.shape == (2, 2, *size) and y.dtype == torch.float32 and float(y.detach().abs().max()) <= 1
    y.square().mean().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and bool(p.grad.isfinite().all()), name


def test_published_widths() -> None:
    widths: dict[str, Any] = {"channels": 64, "channels_max": 1024, "hidden": 128, "spectral": False}
    with torch.device("meta"):
        net = SpadeGenerator(256, 3, 3, (256, 256), halvings((256, 256), 5, 4), **widths)
    assert net.start == (1024, 8, 8)
    assert [tuple(block.conv_1.weight.shape[:2]) for block in net.blocks] == [
        (1024, 1024), (1024, 1024), (512, 512), (256, 256), (128, 128), (64, 64),
    ]  # fmt: skip


def test_both_latent_and_map_matter_and_cases_are_apart() -> None:
    net, z = renderer().eval(), torch.randn(3, 4)
    for p in net.parameters():
        p.data.mul_(5)
    m = maps(3, 3, (16, 16))
    y = net(z, m)
    assert not torch.allclose(y, net(z.flip(0), m), atol=1e-3)
    assert not torch.allclose(y, net(z, m.flip(2)), atol=1e-3)
    assert torch.allclose(y[1], net(z[1:2], m[1:2])[0], atol=1e-5)


def test_a_small_lesion_reaches_the_coarsest_level() -> None:
    """One pixel in 256 changes what the first block is told."""
    net, told = renderer(), []
    net.blocks[0].register_forward_pre_hook(lambda _, inputs: told.append(inputs[1]))
    m = torch.zeros(1, 3, 16, 16)
    m[:, 0] = 1
    lesion = m.clone()
    lesion[0, :, 9, 9] = torch.tensor([0.0, 1.0, 0.0])
    net(torch.zeros(1, 4), m), net(torch.zeros(1, 4), lesion)
    assert told[0].shape == (1, 3, 4, 4)
    assert float(told[1][0, 1, 2, 2]) == 1 / 16 and float(told[1][0, 1].sum()) == 1 / 16
    assert torch.allclose(told[1].sum(1), torch.ones(1, 4, 4))


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_the_encoder_sees_brightness(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net, x = ImageEncoder(2, size, 4, channels=8, channels_max=16), torch.randn(2, 2, *size)
    mean, log_variance = net(x)
    assert mean.shape == log_variance.shape == (2, 4) and mean.dtype == torch.float32
    brighter, _ = net(x + 5)
    assert not torch.allclose(mean, brighter, atol=1e-4)
