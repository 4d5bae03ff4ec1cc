"""StyleGAN3: what its training adds to StyleGAN2's: running means of power, blur at the start, variants, refusals."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.generators.gan.ada import blurred
from understudy.generators.gan.stylegan3 import StyleGAN3, StyleGAN3Config
from understudy.nets.signals import Design, schedule
from understudy.training.engine import Engine
from understudy.training.feed import Batch

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
    assert method.g_optimizer.param_groups[0]["lr"] == pytest.approx(0.0025)
    assert method.d_optimizer.param_groups[0]["lr"] == pytest.approx(0.002 * 16 / 17)
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
