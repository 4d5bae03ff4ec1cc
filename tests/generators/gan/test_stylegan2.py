"""StyleGAN2: penalties against finite differences, lazy terms, state, sampling."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.generators.gan.ada import blurred
from understudy.generators.gan.stylegan2 import (
    StyleGAN2,
    StyleGAN2Config,
    StyleGAN2Layer,
    StyleGAN2Network,
    StyleGAN2Output,
)
from understudy.nets.discriminator import Discriminator
from understudy.nets.filters import fir_kernel, upsample
from understudy.training.batches import Batch
from understudy.training.engine import Engine

SMALL: dict[str, Any] = {
    "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8, "batch_size": 4, "group": 2,
    "precision": "fp32",
}  # fmt: skip


def built(encoding: Encoding, classes: int = 0, side: int = 16, **changes: Any) -> StyleGAN2:
    method = StyleGAN2(StyleGAN2Config(**{**SMALL, **changes}))
    method._start(encoding, (side, side), classes, 0, Engine(method.config.precision))
    return method


def batch(i: int, side: int = 16, classes: int = 0) -> Batch:
    g = torch.Generator().manual_seed(i)
    x = torch.rand(4, 3, side, side, generator=g) * 2 - 1
    condition = torch.eye(classes)[torch.arange(4) % classes] if classes else None
    return Batch(x, condition, i * 4)


def perturb(*nets: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for net in nets:
        for p in net.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)


def test_r1_against_finite_differences() -> None:
    encoding = Encoding((Channel("T1", 0, 1),), "float32", None)
    method = built(encoding, gamma=3.0, augment="none", side=8)
    perturb(method.d)
    method.d.double()
    pair = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    step = 1e-5
    # Cases j and j + 256 of a batch of 512 share a minibatch-deviation group: 256 pairs, each with one pixel changed.
    changes = torch.cat([step * torch.eye(128, dtype=torch.float64), -step * torch.eye(128, dtype=torch.float64)])
    pairs = pair + changes.view(256, 2, 1, 8, 8)
    with torch.no_grad():
        logits = method.d(pairs.transpose(0, 1).reshape(512, 1, 8, 8)).view(2, 256).sum(dim=0)
    slopes = (logits[:128] - logits[128:]) / (2 * step)
    expected = 3.0 / 2 * slopes.square().sum().item() / 2
    assert method.r1(pair, None).item() == pytest.approx(expected, rel=1e-6)


def test_path_lengths_against_finite_differences(encoding: Encoding) -> None:
    method = built(encoding, side=8)
    perturb(method.g)
    method.g.double()
    layers = method.g.synthesis.num_ws
    ws = torch.randn(2, layers, 8, dtype=torch.float64)
    y = torch.randn(2, 3, 8, 8, dtype=torch.float64) / 8
    step = 1e-6
    changes = step * torch.eye(layers * 8, dtype=torch.float64).view(-1, 1, layers, 8)
    with torch.no_grad():
        ahead, behind = (method.g.synthesis((ws + d).flatten(0, 1)).view(-1, *y.shape) for d in (changes, -changes))
    slopes = ((ahead - behind) * y).sum(dim=(2, 3, 4)) / (2 * step)
    expected = slopes.view(layers, 8, 2).square().sum(dim=1).mean(dim=0).sqrt()
    ws.requires_grad_()
    lengths = method.path_lengths(method.g.synthesis(ws), ws, y)
    torch.testing.assert_close(lengths.detach(), expected, rtol=1e-5, atol=0)


def test_path_penalty_can_be_descended(encoding: Encoding) -> None:
    method = built(encoding, path_weight=2.0)
    method.g.requires_grad_(True)
    loss = method._path_loss(4, None)
    loss.backward()
    assert loss.item() > 0
    assert method.path_mean.item() > 0
    weight = method.g.synthesis.get_parameter("b16.conv1.weight")
    assert weight.grad is not None
    assert weight.grad.abs().max().item() > 0


def test_lazy_penalties_come_at_their_intervals(encoding: Encoding) -> None:
    method = built(encoding, side=8, path_interval=2, r1_interval=3, gamma=1.0)
    names = [set(method.update(batch(i, side=8))) for i in range(4)]
    assert [i for i, n in enumerate(names) if "path" in n] == [0, 2]
    assert [i for i, n in enumerate(names) if "r1" in n] == [0, 3]
    without = built(encoding, side=8, path_weight=0.0, gamma=0.0)
    assert set(without.update(batch(0, side=8))) == {"g", "d", "augment_p"}


def test_each_step_changes_its_own_network(encoding: Encoding) -> None:
    method = built(encoding)
    before = {name: [p.clone() for p in net.parameters()] for name, net in (("g", method.g), ("d", method.d))}

    def changed(name: str, net: torch.nn.Module) -> bool:
        return any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True))

    method._step("g", lambda: method.generator_loss(4, None))
    assert changed("g", method.g)
    assert not changed("d", method.d)
    before["g"] = [p.clone() for p in method.g.parameters()]
    method._step("d", lambda: method.discriminator_loss(batch(0).x, None))
    assert changed("d", method.d)
    assert not changed("g", method.g)


def test_ada_hears_of_real_cases_only(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, ada_images=40)

    def sure(x: Tensor, condition: Tensor | None) -> Tensor:
        real = x.flatten(1).abs().mean(dim=1, keepdim=True) > 90
        return torch.where(real, 1.0, -1.0) * method.d.b4.out.bias.new_ones(len(x), 1).requires_grad_()

    monkeypatch.setattr(method, "_logits", sure)
    for _ in range(4):
        method.discriminator_loss(torch.full((4, 3, 16, 16), 99.0), None)
    assert method.ada.p == pytest.approx(4 * 4 / 40)
    for _ in range(4):
        method.discriminator_loss(torch.zeros(4, 3, 16, 16), None)
    assert method.ada.p == 0


def test_average_style_is_tracked_and_ema_follows(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding)
    seen: list[Tensor] = []
    generate = method._generate

    def watched(*given: Any, **how: Any) -> Any:
        drawn = generate(*given, **how)
        seen.append(drawn[2])
        return drawn

    monkeypatch.setattr(method, "_generate", watched)
    method.update(batch(0))
    # The generator step, the path penalty, then the discriminator step, whose styles are tracked.
    torch.testing.assert_close(method.g.mapping.w_avg, 0.002 * seen[-1].mean(dim=0))
    assert torch.equal(method.ema.mapping.w_avg, method.g.mapping.w_avg)
    assert torch.equal(method.ema.synthesis.b4.const, method.g.synthesis.b4.const)  # images_seen 0: no memory yet


@pytest.mark.parametrize("classes", [0, 2])
def test_resumed_training_is_the_uninterrupted_one(encoding: Encoding, classes: int) -> None:
    def train(method: StyleGAN2, steps: range) -> None:
        for i in steps:
            torch.manual_seed(100 + i)
            method.update(batch(i, side=8, classes=classes))

    options: dict[str, Any] = {"path_interval": 2, "r1_interval": 3, "augment_p": 0.3, "ada_images": 400}
    whole, first, second = (built(encoding, classes, side=8, **options) for _ in range(3))
    train(whole, range(5))
    train(first, range(3))
    tensors, scalars = first.state()
    second.load_state({k: v.clone() for k, v in tensors.items()}, scalars)
    train(second, range(3, 5))
    expected, found = whole.state(), second.state()
    assert expected[1] == found[1]
    assert all(torch.equal(expected[0][key], found[0][key]) for key in expected[0])


def test_a_case_does_not_depend_on_its_neighbours(encoding: Encoding) -> None:
    method = built(encoding)
    perturb(method.ema)
    together = method.draw([5, 6, 7])
    alone = method.draw([6])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1])
    assert together.shape == (3, 3, 16, 16)
    assert together.dtype == torch.float32


def test_truncation_zero_gives_the_average_case(encoding: Encoding) -> None:
    method = built(encoding, truncation_psi=0.0)
    perturb(method.ema)
    method.ema.mapping.w_avg.normal_()
    drawn = method.draw([1, 2])
    torch.testing.assert_close(drawn[0], drawn[1])
    full = built(encoding)
    perturb(full.ema)
    assert not torch.allclose(full.draw([1]), full.draw([2]))


def test_condition_changes_the_case_and_is_required(encoding: Encoding) -> None:
    method = built(encoding, classes=2)
    perturb(method.ema)
    one, two = (method.draw([1], torch.eye(2)[k : k + 1]) for k in (0, 1))
    assert not torch.allclose(one, two)
    with pytest.raises(UsageError, match="trained with 2 classes and needs a condition"):
        method.draw([1])


def test_missing_classes_count_as_absent(encoding: Encoding) -> None:
    method = built(encoding, classes=2)
    known = batch(0, classes=2)
    assert known.condition is not None
    losses = method.update(Batch(known.x, torch.full_like(known.condition, torch.nan), 0))
    assert all(torch.isfinite(torch.as_tensor(v)) for v in losses.values())


@pytest.mark.parametrize("size", [(16, 32), (24, 24), (4, 4), (16, 16, 16)])
def test_sizes_that_cannot_be_are_refused(encoding: Encoding, size: tuple[int, ...]) -> None:
    method = StyleGAN2(StyleGAN2Config(**SMALL))
    method.engine = Engine("fp32")
    with pytest.raises(UsageError, match="square images with a side of 8, 16, 32"):
        method.build(encoding, size)


@pytest.mark.parametrize("bad", [{"batch_size": 3}, {"style_mixing": 2.0}, {"gama": 1.0}, {"augment": "some"}])
def test_configurations_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StyleGAN2Config(**{**SMALL, **bad})


@pytest.mark.parametrize("preset", StyleGAN2.PRESETS)
def test_presets_are_configurations(preset: str) -> None:
    assert StyleGAN2Config(**StyleGAN2.PRESETS[preset]).batch_size > 0


def test_gamma_default_follows_resolution_and_batch(encoding: Encoding) -> None:
    assert built(encoding).gamma == pytest.approx(0.0002 * 256 / 4)
    assert built(encoding, gamma=8.0).gamma == 8.0


def test_frozen_layers_of_the_discriminator_stay(encoding: Encoding) -> None:
    method = built(encoding, freeze_d=1)
    before = {name: p.clone() for name, p in method.d.named_parameters()}
    for i in range(2):
        method.update(batch(i))
    moved = {name.split(".")[0] for name, p in method.d.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"b8", "b4"}
    with pytest.raises(UsageError, match="at most the 2 resolutions"):
        built(encoding, freeze_d=3)


def test_generate_is_differentiable_in_the_latent(encoding: Encoding) -> None:
    method = built(encoding)
    perturb(method.ema)
    z = torch.randn(2, 8, requires_grad=True)
    method.generate(z).square().sum().backward()
    assert z.grad is not None and (z.grad != 0).all()
    assert torch.equal(method.generate(z), method.synthesise(method.style(z)))


def test_without_noise_its_strengths_stay_zero(encoding: Encoding) -> None:
    method = built(encoding, noise=False)
    for i in range(2):
        method.update(batch(i))
    strengths = [p for name, p in method.g.named_parameters() if name.endswith("noise_strength")]
    assert len(strengths) == 5 and not any(p.any() for p in strengths)
    ws = torch.randn(2, method.g.synthesis.num_ws, 8)
    torch.testing.assert_close(method.g.synthesis(ws, random_noise=True), method.g.synthesis(ws), atol=0, rtol=0)


def test_the_discriminator_may_see_blurred_images_at_first(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, blur=2.0, blur_images=8, augment="none")
    seen: list[Tensor] = []
    monkeypatch.setattr(method, "d", lambda x, condition: seen.append(x) or x.mean(dim=(1, 2, 3)).unsqueeze(1))
    x = batch(0).x
    for method.steps in range(3):
        method._logits(x, None)
    torch.testing.assert_close(seen[0], blurred(x, 2.0))
    torch.testing.assert_close(seen[1], blurred(x, 1.0))
    assert seen[2] is x and built(encoding).blur_sigma(0, 16) == 0


@pytest.mark.parametrize(
    ("images", "expected"), [(4_999, {"ada_images": 100_000}), (5_000, {}), (100_000, {"augment": "none"})]
)
def test_preset_auto_looks_at_the_number_of_images(images: int, expected: dict[str, Any]) -> None:
    assert StyleGAN2.settings_for(images) == expected


def generator(classes: int = 0, **changes: float) -> StyleGAN2Network:
    torch.manual_seed(0)
    return StyleGAN2Network(8, classes, 8, 16, 3, channel_base=128, channel_max=16, mapping_layers=2, **changes)  # type: ignore[arg-type]


def perturb_all(net: torch.nn.Module) -> None:
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
    perturb_all(layer)
    x, w = torch.randn(3, 6, 8 if up else 16, 8 if up else 16), torch.randn(3, 8)
    torch.testing.assert_close(layer(x, w, random_noise=False), layer_by_definition(layer, x, w), atol=1e-5, rtol=1e-5)


def test_output_layer_is_modulated_not_demodulated() -> None:
    layer = StyleGAN2Output(6, 3, 8, clamp=None)
    perturb_all(layer)
    x, w = torch.randn(2, 6, 4, 4), torch.randn(2, 8)
    style = layer.affine(w) / 6**0.5
    expected = torch.einsum("nihw,oi,ni->nohw", x, layer.weight[:, :, 0, 0], style) + layer.bias.view(-1, 1, 1)
    torch.testing.assert_close(layer(x, w), expected, atol=1e-5, rtol=1e-5)


def test_image_is_the_sum_of_upsampled_outputs() -> None:
    g = generator()
    perturb_all(g)
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
    perturb_all(g)
    ws = torch.randn(1, g.synthesis.num_ws, 8)
    assert g.synthesis.num_ws == 6
    base = g.synthesis(ws)
    for i in range(6):
        changed = ws.clone()
        changed[:, i] += 1
        assert not torch.equal(g.synthesis(changed), base)


def test_noise_is_constant_or_random() -> None:
    g = generator()
    perturb_all(g)
    z = torch.randn(2, 8)
    assert torch.equal(g(z), g(z))
    assert not torch.equal(g(z, random_noise=True), g(z, random_noise=True))


def test_low_precision_inside_float32_outside() -> None:
    g, d = generator(), Discriminator(0, 16, 3, 128, 16)
    perturb_all(g)
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


def test_clamp_limits_activations() -> None:
    g = generator(clamp=0.1)
    top: list[float] = []
    g.synthesis.get_submodule("b8.conv1").register_forward_hook(lambda _, __, out: top.append(out.abs().max().item()))
    g(torch.randn(2, 8))
    assert top[0] == pytest.approx(0.1)
