"""ProGAN's networks and what StyleGAN shares with them: layers against definitions, fading, scale, precision."""

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.generators.gan.growing import faded
from understudy.generators.gan.progan import ProGANNetwork, activate_normalise
from understudy.nets.growing import (
    GrowingConv2d,
    GrowingDiscriminator,
    boxed,
    double,
    halve,
)


def generator(classes: int = 0, resolution: int = 16) -> ProGANNetwork:
    torch.manual_seed(0)
    return perturbed(ProGANNetwork(8, classes, resolution, 3, channel_base=128, channel_max=16))


def discriminator(classes: int = 0, smooth: bool = False, group: int = 4) -> GrowingDiscriminator:
    torch.manual_seed(0)
    return perturbed(GrowingDiscriminator(classes, 16, 3, channel_base=128, channel_max=16, group=group, smooth=smooth))


def perturbed(net: Any) -> Any:
    """Make every parameter count: at the start biases are 0."""
    for p in net.parameters():
        p.data.add_(torch.randn_like(p) * 0.1)
    return net


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# ---------------------------------------------------------------------- layers
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


def plain(x: Tensor) -> Tensor:
    a = F.leaky_relu(x, 0.2)
    return a / (a.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def test_pixel_norm_gives_unit_vectors() -> None:
    x = torch.randn(2, 16, 5, 5) * torch.logspace(-2, 2, 25).view(5, 5)
    y = activate_normalise(x.clone())
    torch.testing.assert_close(y.square().mean(dim=1), torch.ones(2, 5, 5), atol=1e-3, rtol=0)
    torch.testing.assert_close(y, plain(x))


def test_pixel_norm_derivative() -> None:
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: activate_normalise(v.clone()), x)
    weights = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((f(x.clone()) * weights).sum(), x)[0] for f in (activate_normalise, plain))
    torch.testing.assert_close(ours, theirs)


def test_weights_are_stored_with_unit_variance_and_scaled_when_used() -> None:
    for layer, fan_in in ((GrowingConv2d(64, 64), 576), (GrowingConv2d(16, 256, 1), 16), (GrowingConv2d(8, 200), 72)):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.05)
        assert layer.weight_gain == pytest.approx((2 / fan_in) ** 0.5)


def test_layers_keep_the_scale_of_activations_at_the_start() -> None:
    torch.manual_seed(0)
    d = GrowingDiscriminator(0, 64, 3, channel_base=4096, channel_max=64)
    g = ProGANNetwork(64, 0, 64, 3, channel_base=4096, channel_max=64)
    ratios: list[float] = []

    def note(_: nn.Module, inputs: tuple[Tensor], out: Tensor) -> None:
        ratios.append((F.leaky_relu(out, 0.2).square().mean() / inputs[0].square().mean()).item())

    for module in (*d.modules(), *g.modules()):
        if isinstance(module, GrowingConv2d) and module.resize >= 1:
            module.register_forward_hook(note)
    d(torch.randn(8, 3, 64, 64), None, 6.0)
    g(torch.randn(8, 64), level=6.0)
    assert len(ratios) == 15 and all(0.4 < r < 1.8 for r in ratios), ratios


# ---------------------------------------------------------------------- growing
EPSILON = 1e-7


def test_generator_is_continuous_where_a_fade_begins_and_ends() -> None:
    g, z = generator(), torch.randn(4, 8)
    torch.testing.assert_close(g(z, level=3 + EPSILON), double(g(z, level=3.0)), atol=1e-5, rtol=0)
    torch.testing.assert_close(g(z, level=4 - EPSILON), g(z, level=4.0), atol=1e-5, rtol=0)
    assert (g(z, level=3.5) - double(g(z, level=3.0))).abs().max() > 0.1


def test_generator_is_linear_in_alpha() -> None:
    g, z = generator(), torch.randn(4, 8)
    old, new = double(g(z, level=3.0)), g(z, level=4.0)
    for alpha in (0.1, 0.5, 0.9):
        torch.testing.assert_close(g(z, level=3 + alpha), old.lerp(new, alpha), atol=1e-5, rtol=0)


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


def test_a_grown_network_has_no_old_branch() -> None:
    g, d, z, x = generator(), discriminator(), torch.randn(4, 8), torch.randn(4, 3, 16, 16)
    (g(z, level=4.0).sum() + d(x, None, 4.0).sum()).backward()
    for net, old, new in ((g, "write8.weight", "write16.weight"), (d, "read8.weight", "read16.weight")):
        assert net.get_parameter(old).grad is None and net.get_parameter(new).grad is not None
    g.zero_grad(set_to_none=True)
    g(z, level=3.0).sum().backward()
    assert g.get_parameter("b16.conv0.weight").grad is None and g.get_parameter("b8.conv0.weight").grad is not None


def test_a_snapshot_knows_its_level() -> None:
    g, z = generator(), torch.randn(2, 8)
    assert g(z).shape == (2, 3, 4, 4)
    g.level.fill_(3.3)
    other = generator()
    other.load_state_dict(g.state_dict())
    assert other(z).shape == (2, 3, 16, 16) and torch.equal(other(z), g(z, level=3.3))


# ---------------------------------------------------------------------- the whole
def test_published_networks() -> None:
    with torch.device("meta"):
        g, d = ProGANNetwork(512, 0, 1024, 3), GrowingDiscriminator(0, 1024, 3)
    spare = sum(
        parameters(m)
        for net in (g, d)
        for name, m in net.named_children()
        if name.startswith(("read", "write")) and not name.endswith("1024")
    )
    assert parameters(g) + parameters(d) - spare == pytest.approx(2 * 23.1e6, rel=2e-3)  # table 2 of the paper
    assert g.get_parameter("b64.conv0.weight").shape == (256, 512, 3, 3)
    assert d.get_parameter("b1024.conv1.weight").shape == (32, 16, 3, 3)


def test_1024_pixels() -> None:
    g = ProGANNetwork(8, 0, 1024, 1, channel_base=2048, channel_max=4)
    d = GrowingDiscriminator(0, 1024, 1, channel_base=2048, channel_max=4)
    with torch.no_grad():
        image = g(torch.randn(1, 8), level=9.5)
        assert image.shape == (1, 1, 1024, 1024) and d(image, None, 9.5).shape == (1, 1)


def test_condition_reaches_both_networks() -> None:
    g, d, z, x = generator(2), discriminator(2), torch.randn(2, 8), torch.randn(2, 3, 16, 16)
    one, two = torch.eye(2), torch.eye(2).flip(0)
    assert not torch.allclose(g(z, one, 4.0), g(z, two, 4.0)) and not torch.allclose(d(x, one, 4.0), d(x, two, 4.0))
    both = torch.tensor([[1.0, 1.0], [0.0, 0.0]])  # several classes, or none
    assert torch.isfinite(g(z, both, 4.0)).all() and torch.isfinite(d(x, both, 4.0)).all()


def test_latents_are_put_on_the_sphere() -> None:
    g, z = generator(), torch.randn(2, 8)
    torch.testing.assert_close(g(z, level=4.0), g(z * 7, level=4.0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("level", [2.5, 3.5, 4.0])
def test_low_precision_inside_float32_outside(level: float) -> None:
    g, d, z = generator(), discriminator(), torch.randn(4, 8)
    seen: list[torch.dtype] = []
    for name in ("b4.conv", "b8.conv1"):
        g.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        image = g(z, level=level)
        logits = d(image, None, level)
    assert seen == [torch.float32, torch.bfloat16] and image.dtype == logits.dtype == torch.float32
    exact = g(z, level=level)
    assert 0 < (image - exact).abs().mean().item() < 0.02 * exact.std().item()
    assert torch.unique(image).numel() > image.numel() // 2  # not rounded to 8 significant bits
    torch.testing.assert_close(logits, d(exact, None, level), atol=0.1, rtol=0.05)
