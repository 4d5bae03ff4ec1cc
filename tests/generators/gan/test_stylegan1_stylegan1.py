"""The first StyleGAN's generator: a layer against its definition, derivatives, statistics, noise, mixing, fading."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.generators.gan.stylegan1 import Epilogue, StyleGAN1Block, StyleGAN1Network, layers_at
from understudy.nets.growing import double


def generator(classes: int = 0) -> StyleGAN1Network:
    torch.manual_seed(0)
    return perturbed(
        StyleGAN1Network(8, classes, 8, 16, 3, channel_base=128, channel_max=16, mapping_layers=2, first=4)
    )


def perturbed(net: Any) -> Any:
    """Make every parameter count: at the start biases and noise strengths are 0."""
    for p in net.parameters():
        p.data.add_(torch.randn_like(p) * 0.1)
    return net


def by_definition(layer: Epilogue, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    """Noise, bias, leaky ReLU, instance normalisation, style: one after the other."""
    x = x + noise * layer.noise_strength.view(1, -1, 1, 1)
    x = F.leaky_relu(x + layer.bias.view(1, -1, 1, 1), 0.2)
    x = x - x.mean(dim=(2, 3), keepdim=True)
    x = x / (x.square().mean(dim=(2, 3), keepdim=True) + 1e-8).sqrt()
    style = w @ layer.affine.weight.t() / w.shape[1] ** 0.5 + layer.affine.bias
    y_s, y_b = style.view(len(x), 2, -1, 1, 1).unbind(1)
    return x * (y_s + 1) + y_b


def test_epilogue_equals_definition() -> None:
    torch.manual_seed(0)
    layer = perturbed(Epilogue(6, 8, 5))
    x, w = torch.randn(3, 6, 5, 5) + torch.arange(6.0).view(6, 1, 1), torch.randn(3, 8)
    expected = by_definition(layer, x, w, layer.noise_const)
    torch.testing.assert_close(layer(x, w, random_noise=False), expected, atol=1e-5, rtol=1e-5)


def test_epilogue_derivatives() -> None:
    torch.manual_seed(0)
    layer = perturbed(Epilogue(3, 4, 4)).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    inputs = [x, w, *layer.parameters()]
    ours = torch.autograd.grad((layer(x, w, random_noise=False) * weights).sum(), inputs)
    theirs = torch.autograd.grad((by_definition(layer, x, w, layer.noise_const) * weights).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-6)
    state = torch.random.get_rng_state()  # noise that differs from case to case
    drawn = layer(x, w, random_noise=True)
    torch.random.set_rng_state(state)
    noise = torch.randn(2, 1, 4, 4).double()
    expected = by_definition(layer, x, w, noise)
    torch.testing.assert_close(drawn, expected)
    for a, b in zip(
        torch.autograd.grad((drawn * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-6)


def test_style_sets_mean_and_deviation() -> None:
    torch.manual_seed(0)
    layer = perturbed(Epilogue(6, 8, 16))
    w = torch.randn(3, 8)
    y = layer(torch.randn(3, 6, 16, 16) * 9 + 4, w, random_noise=True)
    scale, shift = layer.affine(w).chunk(2, dim=1)
    torch.testing.assert_close(y.mean(dim=(2, 3)), shift, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(y.std(dim=(2, 3), correction=0), (scale + 1).abs(), atol=1e-4, rtol=1e-4)


def test_block_repeats_convolves_smooths_then_styles() -> None:
    torch.manual_seed(0)
    block = perturbed(StyleGAN1Block(4, 5, 8, 8))
    x, ws = torch.randn(2, 4, 4, 4), torch.randn(2, 2, 8)
    first, second = (layer.weight * layer.weight_gain for layer in (block.conv0, block.conv1))
    taps = torch.tensor([1.0, 2.0, 1.0])
    kernel = (torch.outer(taps, taps) / 16).expand(5, 1, 3, 3)
    y = F.conv2d(F.conv2d(double(x), first.flip(2, 3), padding=1), kernel, padding=1, groups=5)
    y = by_definition(block.epilogue0, y, ws[:, 0], block.epilogue0.noise_const)
    y = by_definition(block.epilogue1, F.conv2d(y, second, padding=1), ws[:, 1], block.epilogue1.noise_const)
    torch.testing.assert_close(block(x, ws, random_noise=False), y, atol=1e-4, rtol=1e-4)


def test_noise_is_off_at_the_start_then_constant_or_random_with_a_strength_a_channel() -> None:
    torch.manual_seed(0)
    layer = Epilogue(6, 8, 5)
    x, w = torch.randn(2, 6, 5, 5), torch.randn(2, 8)
    assert torch.equal(layer(x, w, random_noise=True), layer(x, w, random_noise=False))
    layer.noise_strength.data[2] = 1.0
    a, b = (layer(x, w, random_noise=True) for _ in range(2))
    changed = (a != b).flatten(2).any(dim=2).any(dim=0)
    assert changed.tolist() == [False, False, True, False, False, False]
    assert torch.equal(layer(x, w, random_noise=False), layer(x, w, random_noise=False))


def test_each_w_in_use_reaches_its_layers() -> None:
    g = generator()
    ws = torch.randn(1, g.synthesis.num_ws, 8)
    assert g.synthesis.num_ws == 6 == layers_at(4.0) == layers_at(3.5) and layers_at(3.0) == 4
    for level in (3.0, 3.5):
        base = g.synthesis(ws, level)
        for i in range(6):
            other = ws.clone()
            other[:, i] += 1
            assert torch.equal(g.synthesis(other, level), base) == (i >= layers_at(level))
    torch.testing.assert_close(g.synthesis(ws[:, :4], 3.0), g.synthesis(ws, 3.0))


def test_generator_is_continuous_where_a_fade_begins_and_ends() -> None:
    g, z = generator(), torch.randn(4, 8)
    torch.testing.assert_close(g(z, level=3 + 1e-7), double(g(z, level=3.0)), atol=1e-5, rtol=0)
    torch.testing.assert_close(g(z, level=4 - 1e-7), g(z, level=4.0), atol=1e-5, rtol=0)
    old, new = double(g(z, level=3.0)), g(z, level=4.0)
    torch.testing.assert_close(g(z, level=3.3), old.lerp(new, 0.3), atol=1e-4, rtol=0)
    assert (old - new).abs().max() > 0.1


def test_average_of_w_moves_as_published() -> None:
    g = generator()
    g.track(torch.arange(8.0))
    g.track(torch.zeros(8))
    torch.testing.assert_close(g.mapping.w_avg, 0.995 * 0.005 * torch.arange(8.0))


def test_published_size() -> None:
    with torch.device("meta"):
        g = StyleGAN1Network(512, 0, 512, 1024, 3)
    trained = {n: p for n, p in g.named_parameters() if not n.startswith("synthesis.write") or "write1024" in n}
    assert sum(p.numel() for p in trained.values()) == pytest.approx(26.2e6, rel=2e-3)  # section 2 of the paper
    assert g.get_parameter("synthesis.b4.const").shape == (512, 4, 4)
    assert g.get_parameter("synthesis.b1024.conv0.weight").shape == (16, 32, 3, 3)
    assert not any(n.startswith("synthesis.write4.") for n, _ in g.named_parameters())  # growing starts from 8


@pytest.mark.parametrize("level", [3.5, 4.0])
def test_low_precision_inside_float32_outside(level: float) -> None:
    g, z = generator(), torch.randn(4, 8)
    seen: list[torch.dtype] = []
    for name in ("b4.epilogue1", "b8.epilogue1", "b16.epilogue1"):
        g.synthesis.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        image = g(z, level=level)
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16] and image.dtype == torch.float32
    exact = g(z, level=level)
    assert 0 < (image - exact).abs().mean().item() < 0.02 * exact.std().item()
    assert torch.unique(image).numel() > image.numel() // 2


def test_statistics_stay_exact_in_low_precision_when_the_mean_dwarfs_the_deviation() -> None:
    layer = Epilogue(1, 2, 32)
    x = torch.randn(1, 1, 32, 32) + 20
    rounded = x.bfloat16()
    low, high = (layer(v, torch.zeros(1, 2), random_noise=False).float() for v in (rounded, rounded.float()))
    assert (low - high).abs().mean() < 0.1 and low.std().item() == pytest.approx(1, abs=0.1)


def test_first_pictures_have_little_contrast_and_differ() -> None:
    torch.manual_seed(0)
    g = StyleGAN1Network(32, 0, 32, 32, 3, channel_base=1024, channel_max=64, mapping_layers=2)
    for level in (3.0, 4.0, 5.0):
        image = g(torch.randn(16, 32), level=level)
        assert 0.05 < image.std() < 0.4 and (image[0] - image[1]).std() > 0.05
    const = g.get_parameter("synthesis.b4.const")
    assert (const.std(dim=(1, 2)) > 0.3).all()  # something to normalise by
