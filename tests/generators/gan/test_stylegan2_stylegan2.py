"""The networks of StyleGAN2: layout of the published weights, equations inside the network, precision."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.generators.gan.stylegan2 import StyleGAN2Layer, StyleGAN2Network, StyleGAN2Output
from understudy.nets.discriminator import Discriminator
from understudy.nets.filters import fir_kernel, upsample
from understudy.nets.layers import normalise_second_moment
from understudy.nets.mapping import Mapping


def generator(classes: int = 0, **changes: float) -> StyleGAN2Network:
    torch.manual_seed(0)
    return StyleGAN2Network(8, classes, 8, 16, 3, channel_base=128, channel_max=16, mapping_layers=2, **changes)  # type: ignore[arg-type]


def perturb(net: torch.nn.Module) -> None:
    """Make every parameter count: at the start biases and noise strengths are 0."""
    for p in net.parameters():
        p.data.add_(torch.randn_like(p) * 0.1)


def test_names_and_shapes_of_the_published_layout() -> None:
    g = {name: tuple(value.shape) for name, value in generator(classes=2).state_dict().items()}
    assert g["mapping.embed.weight"] == (8, 2)
    assert g["mapping.fc0.weight"] == (8, 16)
    assert g["mapping.w_avg"] == (8,)
    assert g["synthesis.b4.const"] == (16, 4, 4)
    assert g["synthesis.b16.conv0.weight"] == (8, 16, 3, 3)
    assert g["synthesis.b16.conv0.affine.bias"] == (16,)
    assert g["synthesis.b16.conv1.noise_const"] == (16, 16)
    assert g["synthesis.b16.conv1.noise_strength"] == ()
    assert g["synthesis.b16.torgb.weight"] == (3, 8, 1, 1)
    assert g["synthesis.b16.resample_filter"] == (4, 4)
    assert "synthesis.b4.conv0.weight" not in g
    d = {name: tuple(value.shape) for name, value in Discriminator(2, 16, 3, 128, 16).state_dict().items()}
    assert d["b16.fromrgb.weight"] == (8, 3, 1, 1)
    assert d["b16.skip.weight"] == (16, 8, 1, 1)
    assert d["b8.conv1.weight"] == (16, 16, 3, 3)
    assert d["b4.conv.weight"] == (16, 17, 3, 3)
    assert d["b4.fc.weight"] == (16, 256)
    assert d["b4.out.weight"] == (16, 16)
    assert d["mapping.embed.weight"] == (16, 2)
    assert d["mapping.fc7.weight"] == (16, 16)
    assert not any(name.endswith("skip.bias") for name in d)


def layer_by_definition(layer: StyleGAN2Layer, x: Tensor, w: Tensor) -> Tensor:
    """Modulate and demodulate the weights of each sample, convolve, add constant noise and bias, activate."""
    style = w @ layer.affine.weight.t() / w.shape[1] ** 0.5 + layer.affine.bias
    out = []
    for sample, s in zip(x, style, strict=True):
        k = layer.weight * s.view(1, -1, 1, 1)
        k = k / (k.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.up:
            full = F.conv_transpose2d(sample[None], k.transpose(0, 1), stride=2)
            out.append(F.conv2d(full.transpose(0, 1), 4 * fir_kernel()[None, None], padding=1).transpose(0, 1))
        else:
            out.append(F.conv2d(sample[None], k, padding=1))
    y = torch.cat(out) + layer.noise_const * layer.noise_strength + layer.bias.view(-1, 1, 1)
    return F.leaky_relu(y, 0.2) * 2**0.5


@pytest.mark.parametrize("up", [False, True])
def test_synthesis_layer_equals_definition(up: bool) -> None:
    torch.manual_seed(0)
    layer = StyleGAN2Layer(6, 5, 8, 16, up=up, clamp=None)
    perturb(layer)
    x, w = torch.randn(3, 6, 8 if up else 16, 8 if up else 16), torch.randn(3, 8)
    torch.testing.assert_close(layer(x, w, random_noise=False), layer_by_definition(layer, x, w), atol=1e-5, rtol=1e-5)


def test_output_layer_is_modulated_not_demodulated() -> None:
    layer = StyleGAN2Output(6, 3, 8, clamp=None)
    perturb(layer)
    x, w = torch.randn(2, 6, 4, 4), torch.randn(2, 8)
    style = layer.affine(w) / 6**0.5
    expected = torch.einsum("nihw,oi,ni->nohw", x, layer.weight[:, :, 0, 0], style) + layer.bias.view(-1, 1, 1)
    torch.testing.assert_close(layer(x, w), expected, atol=1e-5, rtol=1e-5)


def test_image_is_the_sum_of_upsampled_outputs() -> None:
    g = generator()
    perturb(g)
    collected: list[Tensor] = []
    for resolution in (4, 8, 16):
        block = g.synthesis.get_submodule(f"b{resolution}.torgb")
        block.register_forward_hook(lambda _, __, output: collected.append(output))
    image = g(torch.randn(2, 8))
    expected = upsample(upsample(collected[0], fir_kernel()) + collected[1], fir_kernel()) + collected[2]
    torch.testing.assert_close(image, expected)
    assert image.shape == (2, 3, 16, 16)


def test_each_w_reaches_its_layers() -> None:
    g = generator()
    perturb(g)
    ws = torch.randn(1, g.synthesis.num_ws, 8)
    assert g.synthesis.num_ws == 6
    base = g.synthesis(ws)
    for i in range(6):
        changed = ws.clone()
        changed[:, i] += 1
        assert not torch.equal(g.synthesis(changed), base)


def test_truncation() -> None:
    g = generator()
    perturb(g)
    g.mapping.w_avg.normal_()
    z = torch.randn(4, 8)
    average = g.synthesis(g.mapping.w_avg.expand(1, g.synthesis.num_ws, -1))
    torch.testing.assert_close(g(z, truncation_psi=0.0), average.expand(4, -1, -1, -1), atol=1e-5, rtol=1e-5)
    w = g.mapping(z)
    torch.testing.assert_close(g.mapping.truncate(w, 0.25), 0.25 * w + 0.75 * g.mapping.w_avg)
    torch.testing.assert_close(g.mapping.truncate(w, 1.0), w)


def test_running_average_of_w() -> None:
    mapping = Mapping(8, 0, 8, 2)
    mapping.track(torch.arange(8.0))
    mapping.track(torch.zeros(8))
    torch.testing.assert_close(mapping.w_avg, 0.998 * 0.002 * torch.arange(8.0))


def test_mapping_normalises_its_input_and_uses_the_condition() -> None:
    mapping = Mapping(8, 2, 8, 2)
    z, condition = torch.randn(2, 8), torch.eye(2)
    torch.testing.assert_close(mapping(z, condition), mapping(z * 5, condition), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(mapping(z, condition), mapping(z, condition.flip(0)))
    assert normalise_second_moment(z).shape == z.shape


def test_noise_is_constant_or_random() -> None:
    g = generator()
    perturb(g)
    z = torch.randn(2, 8)
    assert torch.equal(g(z), g(z))
    assert not torch.equal(g(z, random_noise=True), g(z, random_noise=True))


def test_low_precision_inside_float32_outside() -> None:
    g, d = generator(), Discriminator(0, 16, 3, 128, 16)
    perturb(g)
    seen: list[torch.dtype] = []
    for name in ("b4.conv1", "b8.conv1", "b16.conv1"):
        g.synthesis.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    z = torch.randn(4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        image = g(z)
        logits = d(image)
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16]
    assert image.dtype == logits.dtype == torch.float32
    exact = g(z)
    assert 0 < (image - exact).abs().max().item() < 0.05 * exact.std().item()
    assert torch.unique(image).numel() > image.numel() // 2  # not rounded to 8 significant bits


def test_discriminator_condition_and_scale() -> None:
    torch.manual_seed(0)
    d = Discriminator(2, 16, 3, 128, 16)
    x = torch.randn(8, 3, 16, 16)
    one, two = (d(x, F.one_hot(torch.full((8,), k), 2).float()) for k in (0, 1))
    assert one.shape == (8, 1)
    assert not torch.allclose(one, two)
    assert 0.01 < one.std().item() < 10


def test_clamp_limits_activations() -> None:
    g = generator(clamp=0.1)
    top: list[float] = []
    g.synthesis.get_submodule("b8.conv1").register_forward_hook(lambda _, __, out: top.append(out.abs().max().item()))
    g(torch.randn(2, 8))
    assert top[0] == pytest.approx(0.1)
