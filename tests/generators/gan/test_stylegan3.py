"""StyleGAN3: what its training adds to StyleGAN2's: running means of power, blur at the start, variants, refusals."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.generators.gan.ada import blurred
from understudy.generators.gan.stylegan3 import (
    StyleGAN3,
    StyleGAN3Config,
    StyleGAN3Layer,
    StyleGAN3Network,
    StyleGAN3Synthesis,
)
from understudy.nets.signals import Design, schedule
from understudy.training.batches import Batch
from understudy.training.engine import Engine

SMALL: dict[str, Any] = {
    "z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "num_layers": 4, "margin": 4, "batch_size": 4,
    "group": 2, "precision": "fp32",
}  # fmt: skip
ENCODING = Encoding((Channel("T1", 0, 1), Channel("T2", 0, 1)), "float32", None)


def built(classes: int = 0, side: int = 16, **changes: Any) -> StyleGAN3:
    method = StyleGAN3(StyleGAN3Config(**{**SMALL, **changes}))
    method._start(ENCODING, (side, side), classes, 0, Engine(method.config.precision))
    return method


def batch(i: int) -> Batch:
    return Batch(torch.rand(4, 2, 16, 16, generator=torch.Generator().manual_seed(i)) * 2 - 1, None, i * 4)


def test_published_settings() -> None:
    method = built(batch_size=32, group=4)
    assert method.g.mapping.layers == 2
    assert method.adams["g"].param_groups[0]["lr"] == pytest.approx(0.0025)
    assert method.adams["d"].param_groups[0]["lr"] == pytest.approx(0.002 * 16 / 17)
    assert set(method.update(Batch(torch.zeros(4, 2, 16, 16), None, 0))) == {"g", "d", "r1", "augment_p"}
    assert method.g.synthesis.get_submodule("L0_24_8").beta == pytest.approx(0.5 ** (32 / 20_000))


def test_variant_r_has_small_kernels_radial_filters_and_twice_the_features() -> None:
    t, r = (built(variant=variant).g.synthesis.state_dict() for variant in ("t", "r"))
    assert t["L0_24_8.weight"].shape == (8, 8, 3, 3) and t["L0_24_8.down_filter"].shape == (12,)
    assert r["L0_24_16.weight"].shape == (16, 16, 1, 1) and r["L0_24_16.down_filter"].shape == (12, 12)


def test_power_is_tracked_once_a_step_and_reaches_the_ema() -> None:
    method = built()
    layer, copy = (net.synthesis.get_submodule("L1_24_8") for net in (method.g, method.ema))
    seen: list[Tensor] = []
    layer.register_forward_hook(lambda _, given, __: seen.append(given[0].detach().square().mean()))
    method.update(batch(0))
    # The generator step, then the discriminator step, which tracks.
    torch.testing.assert_close(layer.magnitude_ema, seen[1].lerp(torch.tensor(1.0), 0.5 ** (4 / 20_000)))
    assert torch.equal(copy.magnitude_ema, layer.magnitude_ema) and layer.magnitude_ema != 1


def test_every_parameter_of_the_generator_learns() -> None:
    method = built()
    before = {name: p.clone() for name, p in method.g.named_parameters()}
    for i in range(2):
        method.update(batch(i))
    still = [name for name, p in method.g.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_blur_against_its_definition() -> None:
    x, sigma = torch.randn(1, 1, 16, 16, dtype=torch.float64), 1.5
    taps = torch.tensor([2.0 ** -((i / sigma) ** 2) for i in range(-4, 5)], dtype=torch.float64)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    expected = torch.nn.functional.conv2d(x, kernel[None, None], padding=4)
    torch.testing.assert_close(blurred(x, sigma), expected, atol=1e-12, rtol=1e-12)
    assert blurred(x, 0.3) is x


def test_blur_fades_and_is_seen_by_the_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(variant="r", images_seen=400, augment="none")
    first = 10 * 16 / 256
    assert [method.blur_sigma(n, 16) for n in (0, 20, 40, 80)] == pytest.approx([first, first / 2, 0, 0])
    assert method.blur_sigma(0, 512) == 10
    assert built(images_seen=400).blur_sigma(0, 512) == 0
    assert built(blur=6.0, blur_images=80).blur_sigma(20, 16) == pytest.approx(4.5)
    seen: list[Tensor] = []
    monkeypatch.setattr(method.d, "forward", lambda x, _: seen.append(x) or x.mean(dim=(1, 2, 3)))
    x = batch(0).x
    method._logits(x, None)
    method.steps = 10
    method._logits(x, None)
    torch.testing.assert_close(seen[0], blurred(x, first))
    assert torch.equal(seen[1], x)


def test_r1_goes_through_the_blur() -> None:
    method = built(variant="r", images_seen=4000, augment="none", gamma=1.0)
    assert method.blur_sigma(0, 16) > 0
    loss = method.r1(batch(0).x, None)
    loss.backward()
    assert loss.item() > 0 and any(p.grad is not None and p.grad.abs().max() > 0 for p in method.d.parameters())


def test_generate_is_synthesise_of_style_and_differentiable() -> None:
    method = built(classes=2, truncation_psi=0.5)
    method.ema.mapping.w_avg.normal_()
    z, condition = torch.randn(2, 8, requires_grad=True), torch.eye(2)
    x = method.generate(z, condition)
    torch.testing.assert_close(x, method.synthesise(method.style(z, condition)))
    x.square().sum().backward()
    assert z.grad is not None and z.grad.abs().min() > 0 and math.isfinite(z.grad.sum().item())
    with pytest.raises(UsageError, match="trained with 2 classes and needs a condition"):
        method.draw([1])


def test_a_case_does_not_depend_on_its_neighbours() -> None:
    method = built()
    together, alone = method.draw([5, 6, 7]), method.draw([6])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("size", [(8, 8), (16, 32), (24, 24), (16, 16, 16)])
def test_sizes_that_cannot_be_are_refused(size: tuple[int, ...]) -> None:
    method = StyleGAN3(StyleGAN3Config(**SMALL))
    method.engine = Engine("fp32")
    with pytest.raises(UsageError, match="square images with a side of 16, 32, 64 .* import with another --size"):
        method.build(ENCODING, size)


@pytest.mark.parametrize("bad", [{"batch_size": 3}, {"path_weight": 2.0}, {"variant": "s"}, {"num_layers": 2}])
def test_configurations_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StyleGAN3Config(**{**SMALL, **bad})


@pytest.mark.parametrize("preset", StyleGAN3.PRESETS)
def test_presets_are_networks(preset: str) -> None:
    config = StyleGAN3Config(**StyleGAN3.PRESETS[preset])
    design = Design(config.channel_base, config.channel_max, config.num_layers, margin_size=config.margin)
    assert min(signal.channels for signal in schedule(64, 16, design)) >= 16


VARIANTS: dict[str, dict[str, Any]] = {"t": {}, "r": {"conv_kernel": 1, "use_radial_filters": True}}
SIDE, CROP, HALF = 32, 11, 8


def generator(variant: str, resolution: int = 16, classes: int = 0, **changes: Any) -> StyleGAN3Network:
    torch.manual_seed(0)
    settings = {"channel_base": 128, "channel_max": 8, "num_layers": 6, **VARIANTS[variant], **changes}
    return StyleGAN3Network(8, classes, 8, resolution, 3, 2, Design(**settings))


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
