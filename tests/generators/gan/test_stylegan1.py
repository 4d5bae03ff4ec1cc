"""The first StyleGAN: R1 against finite differences, style mixing, truncation, average of w, growing, sampling."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.generators.gan.stylegan1 import (
    W_AVERAGE_DECAY,
    Epilogue,
    StyleGAN1,
    StyleGAN1Block,
    StyleGAN1Config,
    StyleGAN1Network,
    layers_at,
)
from understudy.nets.growing import double
from understudy.training.batches import Batch
from understudy.training.engine import Engine

SMALL: dict[str, Any] = {
    "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8, "batch_size": 4, "group": 2,
    "precision": "fp32", "images_seen": 100, "stable_images": 12, "fade_images": 12,
}  # fmt: skip


def built(encoding: Encoding, classes: int = 0, side: int = 16, **changes: Any) -> StyleGAN1:
    method = StyleGAN1(StyleGAN1Config(**{**SMALL, **changes}))
    method._start(encoding, (side, side), classes, 0, Engine(method.config.precision))
    return method


def train(method: StyleGAN1, steps: range, classes: int = 0) -> list[dict[str, Any]]:
    losses = []
    for images_seen in steps:
        size, side = method.schedule(images_seen)
        x = torch.rand(size, 3, side, side, generator=torch.Generator().manual_seed(images_seen)) * 2 - 1
        condition = torch.eye(classes)[torch.arange(size) % classes] if classes else None
        torch.manual_seed(100 + images_seen)
        losses.append(method.update(Batch(x, condition, images_seen)))
    return losses


def perturb(*nets: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for net in nets:
        for p in net.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)


def test_r1_against_finite_differences() -> None:
    method = built(Encoding((Channel("T1", 0, 1),), "float32", None), side=8, gamma=3.0, group=1)
    perturb(method.d)
    method.d.double()
    x, step = torch.randn(3, 1, 8, 8, dtype=torch.float64), 1e-6
    changes = step * torch.eye(64, dtype=torch.float64).view(64, 1, 1, 8, 8)
    with torch.no_grad():
        ahead, behind = (method.d((x + d).flatten(0, 1), None, 3.0).view(64, 3) for d in (changes, -changes))
    slopes = (ahead - behind) / (2 * step)
    expected = 3.0 / 2 * slopes.square().sum(dim=0).mean().item()
    assert method.r1(x, None).item() == pytest.approx(expected, rel=1e-6)


def test_r1_is_measured_every_step_on_its_share(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, penalty_share=0.5)
    sizes: list[int] = []
    monkeypatch.setattr(method, "r1", lambda x, _: sizes.append(len(x)) or x.new_tensor(2.0))
    losses = train(method, range(0, 8, 4))
    assert sizes == [2, 2] and [float(each["r1"]) for each in losses] == [2, 2]
    assert "r1" not in train(built(encoding, gamma=0.0), range(0, 4, 4))[0]


def test_styles_cross_over_at_one_layer_in_use(encoding: Encoding) -> None:
    method = built(encoding, style_mixing=1.0)
    perturb(method.g)
    for level, layers in ((3.0, 4), (3.5, 6)):
        method.level = level
        cuts = set()
        for seed in range(40):
            torch.manual_seed(seed)
            ws, w = method.styles(2, None)
            own = (ws == w.unsqueeze(1)).all(dim=2)
            assert ws.shape == (2, layers, 8) and torch.equal(own[0], own[1])
            cut = int(own[0].sum())
            assert own[0, :cut].all() and not own[0, cut:].any()
            assert (ws[:, cut:] == ws[:, -1:]).all()  # one other style above the cut
            cuts.add(cut)
        assert cuts == set(range(1, layers))
    unmixed = built(encoding, style_mixing=0.0)
    ws, w = unmixed.styles(2, None)
    assert torch.equal(ws, w.unsqueeze(1).expand(-1, 4, -1))


def test_average_style_is_tracked_and_the_ema_follows(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding)
    seen: list[Tensor] = []
    styles = method.styles
    monkeypatch.setattr(method, "styles", lambda *given: seen.append((drawn := styles(*given))[1]) or drawn)
    train(method, range(0, 4, 4))
    torch.testing.assert_close(method.g.mapping.w_avg, 0.005 * seen[0].mean(dim=0))
    assert torch.equal(method.ema.mapping.w_avg, method.g.mapping.w_avg)


def test_truncation(encoding: Encoding) -> None:
    method, full = built(encoding, truncation_psi=0.25), built(encoding)
    for each in (method, full):
        perturb(each.ema)
        each.ema.mapping.w_avg.normal_(generator=torch.Generator().manual_seed(0))
    z = torch.randn(2, 8)
    average = full.ema.mapping.w_avg
    torch.testing.assert_close(method.style(z), average + 0.25 * (full.style(z) - average))
    none = built(encoding, truncation_psi=0.0)
    perturb(none.ema)
    torch.testing.assert_close(none.generate(z)[0], none.generate(z)[1])


def test_truncation_can_stop_at_a_layer(encoding: Encoding) -> None:
    method = built(encoding, growing_share=0, truncation_psi=0.25, truncation_layers=4)
    perturb(method.ema)
    method.ema.mapping.w_avg.normal_()
    z = torch.randn(2, 8)
    w, average = method.ema.mapping(z), method.ema.mapping.w_avg
    ws = torch.stack([average + 0.25 * (w - average)] * 4 + [w] * 2, dim=1)
    torch.testing.assert_close(method.generate(z), method.ema.synthesis(ws, 4.0), atol=1e-4, rtol=1e-4)


def test_style_and_synthesis_make_the_case_and_are_differentiable(encoding: Encoding) -> None:
    method = built(encoding, 2, growing_share=0, truncation_psi=0.7)
    perturb(method.ema)
    z, condition = torch.randn(2, 8, requires_grad=True), torch.eye(2)
    w = method.style(z, condition)
    assert w.shape == (2, 8) and torch.equal(method.generate(z, condition), method.synthesise(w))
    for source in (z, w):
        (gradient,) = torch.autograd.grad(method.synthesise(w)[0].square().sum(), source, retain_graph=True)
        assert (gradient[0] != 0).any() and (gradient[1] == 0).all()
    with pytest.raises(UsageError, match="trained with 2 classes and needs a condition"):
        method.style(z)


def test_constant_noise_when_sampling(encoding: Encoding) -> None:
    method = built(encoding, growing_share=0)
    perturb(method.ema)
    torch.testing.assert_close(method.draw([5, 6, 7])[1:2], method.draw([6]), atol=1e-5, rtol=1e-5)
    assert torch.equal(method.draw([5]), method.draw([5]))


@pytest.mark.parametrize("classes", [0, 2])
def test_resumed_within_a_fade_is_the_uninterrupted_training(encoding: Encoding, classes: int) -> None:
    options: dict[str, Any] = {"augment": "ada", "augment_p": 0.3, "ada_images": 400}
    whole, first, second = (built(encoding, classes, **options) for _ in range(3))
    train(whole, range(8, 28, 4), classes)
    train(first, range(8, 20, 4), classes)
    tensors, scalars = first.state()
    second.load_state({k: v.clone() for k, v in tensors.items()}, scalars)
    train(second, range(20, 28, 4), classes)
    expected, found = whole.state(), second.state()
    assert expected[1] == found[1]
    assert all(torch.equal(expected[0][key], found[0][key]) for key in expected[0])


def test_samples_have_the_full_size_from_the_start(encoding: Encoding) -> None:
    method = built(encoding, side=32)
    train(method, range(0, 4, 4))
    x = method.draw([1])
    assert x.shape == (1, 3, 32, 32) and torch.equal(x[..., ::4, ::4], x[..., 3::4, 3::4])


def test_the_published_preset() -> None:
    paper = StyleGAN1Config(**StyleGAN1.PRESETS["paper"])
    growth = paper.growth(1024, paper.images_seen)
    assert growth.level(0) == 3 and growth.begin(16) == 600_000 and growth.end() == 8_400_000
    assert (paper.gamma, paper.penalty_share, paper.style_mixing, paper.truncation_psi) == (10, 1, 0.9, 0.7)
    assert [paper.batch_sizes.get(r, paper.batch_size) for r in (8, 16, 32, 64, 128, 1024)] == [
        256,
        128,
        64,
        32,
        32,
        32,
    ]


@pytest.mark.parametrize("bad", [{"truncation_psi": 0.0, "truncation_layers": 2}, {"style_mixing": 2.0}, {"gama": 1.0}])
def test_configurations_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StyleGAN1Config(**{**SMALL, **bad})


def test_without_noise_its_strengths_stay_zero(encoding: Encoding) -> None:
    method = built(encoding, noise=False)
    train(method, range(0, 60, 4))
    strengths = [p for name, p in method.g.named_parameters() if name.endswith("noise_strength")]
    assert len(strengths) == 6 and not any(p.any() for p in strengths)


@pytest.mark.parametrize("classes", [0, 2])
def test_wasserstein_loss_is_progans(encoding: Encoding, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, classes, loss="wasserstein", growing_share=0, penalty=7.0, drift=0.5)
    logits = iter([torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[0.0], [1.0], [0.0], [1.0]])])
    conditions: list[Tensor | None] = []
    monkeypatch.setattr(method, "discriminate", lambda _, condition: conditions.append(condition) or next(logits))
    monkeypatch.setattr(method, "gradient_penalty", lambda *_: torch.tensor(3.0))
    condition = torch.eye(2)[torch.arange(4) % 2] if classes else None
    losses = method.d_losses(torch.zeros(4, 3, 16, 16), condition)
    assert {name: float(value) for name, value in losses.items()} == {"d": -2.0, "drift": 0.5 * 7.5, "penalty": 3.0}
    assert conditions == [condition, condition]
    monkeypatch.setattr(method, "discriminate", lambda *_: torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    assert float(method.g_losses(torch.zeros(4, 3, 16, 16), condition)["g"]) == -2.5


def test_wasserstein_loss_trains_and_tracks_styles(encoding: Encoding) -> None:
    method = built(encoding, loss="wasserstein")
    losses = train(method, range(0, 8, 4))
    assert set(losses[0]) == {"d", "drift", "penalty", "g", "level", "augment_p"}
    assert method.ema.mapping.w_avg.any()


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
    g.mapping.track(torch.arange(8.0), W_AVERAGE_DECAY)
    g.mapping.track(torch.zeros(8), W_AVERAGE_DECAY)
    torch.testing.assert_close(g.mapping.w_avg, 0.995 * 0.005 * torch.arange(8.0))


def test_published_size() -> None:
    with torch.device("meta"):
        g = StyleGAN1Network(512, 0, 512, 1024, 3, 8, first=8)
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
    g = StyleGAN1Network(32, 0, 32, 32, 3, mapping_layers=2, channel_base=1024, channel_max=64, first=8)
    for level in (3.0, 4.0, 5.0):
        image = g(torch.randn(16, 32), level=level)
        assert 0.05 < image.std() < 0.4 and (image[0] - image[1]).std() > 0.05
    const = g.get_parameter("synthesis.b4.const")
    assert (const.std(dim=(1, 2)) > 0.3).all()  # something to normalise by
