"""The network of StyleGAN3: equivariance, which tells it from a toy, layout of the published weights, precision."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.generators.gan.stylegan3 import StyleGAN3Layer, StyleGAN3Network, StyleGAN3Synthesis
from understudy.nets.signals import Design, schedule

VARIANTS: dict[str, dict[str, Any]] = {"t": {}, "r": {"conv_kernel": 1, "use_radial_filters": True}}
SIDE, CROP, HALF = 32, 11, 8


def generator(variant: str, resolution: int = 16, classes: int = 0, **changes: Any) -> StyleGAN3Network:
    torch.manual_seed(0)
    settings = {"channel_base": 128, "channel_max": 8, "num_layers": 6, **VARIANTS[variant], **changes}
    return StyleGAN3Network(8, classes, 8, resolution, 3, design=Design(**settings))


# ---------------------------------------------------------------------- equivariance
def random_synthesis(variant: str) -> tuple[StyleGAN3Synthesis, Tensor]:
    """A full network with random weights and biases, its layers' input power measured, and styles."""
    g = generator(variant, SIDE, channel_base=1024, channel_max=32, num_layers=14, magnitude_ema_beta=0.0)
    for p in g.synthesis.parameters():
        if p.ndim == 1:
            p.data.add_(torch.randn_like(p) * 0.1)
    ws = torch.randn(2, 1, 8).expand(-1, g.synthesis.num_ws, -1)
    with torch.no_grad():
        g.synthesis(ws, track=True)
    return g.synthesis, ws


def replace_filters_by_nearest_neighbours(synthesis: StyleGAN3Synthesis) -> None:
    """Upsampling repeats samples, downsampling takes every second one."""
    for layer in synthesis.modules():
        if isinstance(layer, StyleGAN3Layer):
            assert layer.up_filter is not None and layer.down_filter is not None
            up, taps, factor = torch.zeros_like(layer.up_filter), len(layer.up_filter), layer.rates.up
            up[(taps - factor) // 2 : (taps + factor) // 2] = 1 / factor
            down = torch.zeros(len(layer.down_filter))
            down[len(down) // 2] = 1
            layer.up_filter, layer.down_filter = up, down


@torch.no_grad()
def rendered(synthesis: StyleGAN3Synthesis, ws: Tensor, transform: Tensor) -> Tensor:
    synthesis.input.transform.copy_(transform)
    return synthesis(ws).double()


def sinc(distance: Tensor, half: int) -> Tensor:
    """Interpolation weights of samples at a distance, under a Kaiser window."""
    inside = (1 - (distance / (half + 1)).square()).clamp(min=0).sqrt()
    return torch.sinc(distance) * torch.special.i0(14 * inside) / torch.special.i0(torch.full_like(distance, 14))


def moved(x: Tensor, pixels: float) -> Tensor:
    """Content shifted to the right, by interpolation where the shift is no whole number."""
    whole = math.floor(pixels)
    if pixels != whole:
        n = torch.arange(-HALF, HALF + 1, dtype=torch.float64)
        kernel = sinc(n - (pixels - whole), HALF).flip(0).expand(x.shape[1], 1, 1, -1)
        x = F.conv2d(x, kernel, padding=(0, HALF), groups=x.shape[1])
    return x.roll(whole, 3)


def decibels(found: Tensor, expected: Tensor, base: Tensor) -> float:
    """Peak signal-to-noise ratio; the peak is the range of the output."""
    error = (found - expected).square().mean().item()
    return 10 * math.log10((base.max() - base.min()).item() ** 2 / max(error, 1e-30))


def translation_equivariance(synthesis: StyleGAN3Synthesis, ws: Tensor, shifts: tuple[float, ...]) -> float:
    """Shifts of the Fourier features, in pixels, against the same shifts of the output."""
    base, inner = rendered(synthesis, ws, torch.eye(3)), slice(CROP, -CROP)
    found, expected = [], []
    for pixels in shifts:
        transform = torch.eye(3)
        transform[0, 2] = -pixels / SIDE
        found.append(rendered(synthesis, ws, transform)[:, :, inner, inner])
        expected.append(moved(base, pixels)[:, :, inner, inner])
    return decibels(torch.stack(found), torch.stack(expected), base)


@pytest.mark.parametrize("shifts", [(1.0, 3.0), (0.5, 2.4)], ids=["whole", "fractional"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_translation_equivariance(variant: str, shifts: tuple[float, ...]) -> None:
    synthesis, ws = random_synthesis(variant)
    assert translation_equivariance(synthesis, ws, shifts) >= 50
    replace_filters_by_nearest_neighbours(synthesis)
    assert translation_equivariance(synthesis, ws, shifts) < 40


def rotation_equivariance(synthesis: StyleGAN3Synthesis, ws: Tensor, degrees: float) -> float:
    """Rotation of the Fourier features against the same rotation of the output, inside a disc."""
    base, c, s = rendered(synthesis, ws, torch.eye(3)), math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    found = rendered(synthesis, ws, torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]]))
    at = torch.arange(SIDE, dtype=torch.float64)
    y, x = torch.meshgrid(at - (SIDE - 1) / 2, at - (SIDE - 1) / 2, indexing="ij")
    inside = (x.square() + y.square()).sqrt() < HALF
    rows, columns = (sinc((p[inside] + (SIDE - 1) / 2)[:, None] - at, HALF + 6) for p in (s * x + c * y, c * x - s * y))
    expected = torch.einsum("py,px,ncyx->ncp", rows, columns, base)
    return decibels(found[:, :, inside], expected, base)


def test_rotation_equivariance_of_r_and_not_of_t() -> None:
    exact: dict[str, float] = {}
    oblique: dict[str, float] = {}
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for variant in VARIANTS:
        synthesis, ws = random_synthesis(variant)
        base = rendered(synthesis, ws, torch.eye(3))
        exact[variant] = decibels(rendered(synthesis, ws, quarter), base.rot90(1, (2, 3)), base)
        oblique[variant] = rotation_equivariance(synthesis, ws, 30)
    assert exact["r"] > 100 and exact["t"] < 40
    assert oblique["r"] > 50 and oblique["t"] < 40


def test_features_outside_the_band_fade() -> None:
    g = generator("t")
    x = rendered(g.synthesis, torch.zeros(1, g.synthesis.num_ws, 8), torch.diag(torch.tensor([9.0, 9.0, 1.0])))
    with torch.no_grad():
        features = g.synthesis.input(torch.zeros(1, 8))
    far = g.synthesis.input.freqs.norm(dim=1) * 9 > 8  # half the sampling rate of the features
    assert far.any() and torch.isfinite(x).all()
    weight = g.synthesis.input.weight
    with torch.no_grad():
        weight.copy_(torch.eye(len(weight)))
        features = g.synthesis.input(torch.zeros(1, 8))
    assert (features[:, far] == 0).all() and (features[:, ~far] != 0).any()


# ---------------------------------------------------------------------- layout
def test_schedule_of_the_published_design() -> None:
    signals = schedule(64, 5, Design(channel_base=8192, channel_max=256))
    assert [s.size for s in signals] == [36] * 4 + [52] * 4 + [84] * 5 + [64] * 2
    assert [s.rate for s in signals] == [16] * 4 + [32] * 4 + [64] * 7
    assert [s.channels for s in signals] == [256] * 10 + [203, 161, 128, 128, 5]
    assert [s.cutoff for s in signals[-3:]] == [32.0] * 3
    for before, after in zip(signals, signals[1:], strict=False):
        assert after.cutoff >= before.cutoff and after.cutoff + after.half_width >= after.rate / 2 - 1e-9


def test_names_and_shapes_of_the_published_layout() -> None:
    found = {name: tuple(value.shape) for name, value in generator("t", 32, classes=2).state_dict().items()}
    assert found["mapping.embed.weight"] == (8, 2)
    assert found["mapping.fc1.weight"] == (8, 8)
    assert found["mapping.w_avg"] == (8,)
    assert found["synthesis.input.weight"] == (8, 8)
    assert found["synthesis.input.affine.bias"] == (4,)
    assert found["synthesis.input.transform"] == (3, 3)
    assert found["synthesis.input.freqs"] == (8, 2)
    assert found["synthesis.input.phases"] == (8,)
    assert found["synthesis.L2_52_8.affine.weight"] == (8, 8)
    assert found["synthesis.L2_52_8.weight"] == (8, 8, 3, 3)
    assert found["synthesis.L2_52_8.up_filter"] == (24,)
    assert found["synthesis.L2_52_8.down_filter"] == (12,)
    assert found["synthesis.L2_52_8.magnitude_ema"] == ()
    assert found["synthesis.L6_32_3.weight"] == (3, 4, 1, 1)
    assert "synthesis.L6_32_3.up_filter" not in found and "mapping.fc2.weight" not in found
    turning = {name: tuple(value.shape) for name, value in generator("r", 32).state_dict().items()}
    assert turning["synthesis.L2_52_8.weight"] == (8, 8, 1, 1)
    assert turning["synthesis.L2_52_8.down_filter"] == (12, 12)
    assert turning["synthesis.L5_32_4.down_filter"] == (12,)  # critically sampled layers keep rows and columns


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_shapes(variant: str, resolution: int) -> None:
    g = generator(variant, resolution, classes=2)
    z, condition = torch.randn(2, 8), torch.eye(2)
    image = g(z, condition)
    assert image.shape == (2, 3, resolution, resolution) and image.dtype == torch.float32
    image.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in g.parameters())
    assert not torch.allclose(image, g(z, condition.flip(0)))


def test_a_design_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="channel_base 32 leaves no feature map at 64 pixels"):
        generator("t", 64, channel_base=32)
    with pytest.raises(UsageError, match="num_layers must be greater than num_critical = 2"):
        generator("t", num_layers=2)


def test_each_w_reaches_its_layer() -> None:
    g = generator("t")
    g.synthesis.input.affine.weight.data.normal_()
    ws = torch.randn(1, g.synthesis.num_ws, 8)
    base = g.synthesis(ws)
    assert g.synthesis.num_ws == 8
    for i in range(8):
        changed = ws.clone()
        changed[:, i] += 1
        assert not torch.equal(g.synthesis(changed), base)


# ---------------------------------------------------------------------- scale and precision
def test_running_power_normalises_the_input() -> None:
    g = generator("t", magnitude_ema_beta=0.5)
    ws = torch.randn(2, 1, 8).expand(-1, g.synthesis.num_ws, -1)
    layer = g.synthesis.get_submodule("L0_36_8")
    with torch.no_grad():
        power = g.synthesis.input(ws[:, 0]).square().mean()
        image = g.synthesis(ws)
        assert layer.magnitude_ema == 1
        g.synthesis(ws, track=True)
    torch.testing.assert_close(layer.magnitude_ema, 0.5 + 0.5 * power)
    g.synthesis.get_submodule("L6_16_3").magnitude_ema.fill_(4.0)
    for name in g.synthesis.names[:-1]:
        g.synthesis.get_submodule(name).magnitude_ema.fill_(1.0)
    torch.testing.assert_close(g.synthesis(ws), image / 2)


def test_low_precision_inside_float32_outside() -> None:
    g = generator("t", 32, channel_base=1024, channel_max=32, num_fp16_res=1)
    seen: list[torch.dtype] = []
    for name in g.synthesis.names:
        g.synthesis.get_submodule(name).register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    z = torch.randn(4, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        image = g(z)
    # Two layers at half the sampling rate of the image, four at the whole, the output.
    assert seen == [torch.float32] * 2 + [torch.bfloat16] * 4 + [torch.float32]
    with torch.no_grad():
        exact = g(z)
    assert 0 < (image - exact).abs().max().item() < 0.05 * exact.std().item()
    assert torch.unique(image).numel() > image.numel() // 2  # not rounded to 8 significant bits


def test_clamp_limits_the_output_before_its_scale() -> None:
    g = generator("t", conv_clamp=0.1)
    g.synthesis.get_parameter("L6_16_3.bias").data.fill_(-5.0)
    torch.testing.assert_close(g(torch.randn(2, 8)), torch.full((2, 3, 16, 16), -0.1 * 0.25))
