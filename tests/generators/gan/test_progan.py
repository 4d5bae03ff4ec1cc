"""ProGAN: gradient penalty against finite differences, drift, growing within the training, resume, sampling."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.generators.gan.progan import ProGAN, ProGANConfig, ProGANNetwork, activate_normalise
from understudy.nets.case_noise import CaseNoise
from understudy.nets.growing import (
    GrowingConv2d,
    GrowingDiscriminator,
    double,
    stage,
)
from understudy.training.batches import Batch
from understudy.training.checkpoint import read_state, write_state
from understudy.training.engine import Engine

SMALL: dict[str, Any] = {
    "z_dim": 8, "channel_base": 64, "channel_max": 8, "batch_size": 4, "group": 2, "precision": "fp32",
    "images_seen": 100, "stable_images": 12, "fade_images": 12, "learning_rate": 0.01,
}  # fmt: skip


def built(encoding: Encoding, classes: int = 0, side: int = 8, **changes: Any) -> ProGAN:
    method = ProGAN(ProGANConfig(**{**SMALL, **changes}))
    method._start(encoding, (side, side), classes, 0, Engine(method.config.precision))
    return method


def batch(method: ProGAN, images_seen: int, classes: int = 0) -> Batch:
    size, side = method.schedule(images_seen)
    x = torch.rand(size, 3, side, side, generator=torch.Generator().manual_seed(images_seen)) * 2 - 1
    return Batch(x, torch.eye(classes)[torch.arange(size) % classes] if classes else None, images_seen)


def train(method: ProGAN, steps: range, classes: int = 0) -> None:
    for images_seen in steps:
        torch.manual_seed(100 + images_seen)
        method.update(batch(method, images_seen, classes))


def perturb(*nets: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for net in nets:
        for p in net.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)


def test_gradient_penalty_against_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(Encoding((Channel("T1", 0, 1),), "float32", None), penalty=7.0, group=1, growing_share=0)
    perturb(method.d)
    method.d.double()
    real, synthetic = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64).view(3, 1, 1, 1)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: t if shape == (3, 1, 1, 1) else None)
    x, step = real + t * (synthetic - real), 1e-6
    changes = step * torch.eye(64, dtype=torch.float64).view(64, 1, 1, 8, 8)
    with torch.no_grad():
        ahead, behind = (method.d((x + d).flatten(0, 1), None, 3.0).view(64, 3) for d in (changes, -changes))
    norms = ((ahead - behind) / (2 * step)).norm(dim=0)
    expected = 7.0 * (norms - 1).square().mean().item()
    assert method.gradient_penalty(real, synthetic, None).item() == pytest.approx(expected, rel=1e-6)


def test_each_case_has_its_own_point_between_real_and_synthetic(
    encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = built(encoding, growing_share=0)
    seen: list[Tensor] = []
    discriminate = method.discriminate
    monkeypatch.setattr(method, "discriminate", lambda x, c: seen.append(x) or discriminate(x, c))
    method.gradient_penalty(torch.zeros(4, 3, 8, 8), torch.ones(4, 3, 8, 8), None)
    points = seen[0].detach().flatten(1)
    assert (points.max(dim=1).values == points.min(dim=1).values).all()
    assert len(points[:, 0].unique()) == 4 and points.min() >= 0 and points.max() <= 1


def test_losses_are_those_of_the_paper(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, drift=0.5, penalty=0.0, growing_share=0)

    def discriminate(x: Tensor, condition: Tensor | None) -> Tensor:
        return x.mean(dim=(1, 2, 3)).view(-1, 1) + 2

    monkeypatch.setattr(method, "discriminate", discriminate)
    monkeypatch.setattr(method, "_generate", lambda n, _: torch.full((n, 3, 8, 8), 5.0))
    losses = method.d_losses(torch.ones(4, 3, 8, 8), None)
    assert set(losses) == {"d", "drift"}
    assert losses["d"].item() == pytest.approx(7 - 3) and losses["drift"].item() == pytest.approx(0.5 * 9)
    assert method.g_losses(torch.ones(4, 3, 8, 8), None)["g"].item() == pytest.approx(-7)


def test_penalty_descends_and_takes_its_share(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, batch_size=8, penalty_share=0.5, growing_share=0)
    sizes: list[int] = []
    penalty = method.gradient_penalty
    monkeypatch.setattr(method, "gradient_penalty", lambda *given: sizes.append(len(given[0])) or penalty(*given))
    losses = method.d_losses(batch(method, 0).x, None)
    losses["penalty"].backward()
    weight = method.d.get_parameter("b8.conv1.weight")
    assert sizes == [4] and weight.grad is not None and weight.grad.abs().max() > 0


def test_ada_measures_from_the_middle_of_the_two_means(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, augment="ada", ada_images=40, penalty=0.0)
    monkeypatch.setattr(method, "discriminate", lambda x, _: x.mean(dim=(1, 2, 3)).view(-1, 1) + 50)
    monkeypatch.setattr(method, "_generate", lambda n, _: torch.zeros(n, 3, 4, 4))
    for _ in range(4):
        method.d_losses(torch.ones(4, 3, 4, 4), None)
    assert method.ada.p == pytest.approx(4 * 4 / 40)
    for _ in range(4):
        method.d_losses(-torch.ones(4, 3, 4, 4), None)
    assert method.ada.p == 0


def test_schedule_gives_resolution_and_its_batch_size(encoding: Encoding) -> None:
    method = built(encoding, side=16, batch_sizes={4: 8, 16: 2})
    assert [method.schedule(i) for i in (0, 12, 13, 24, 36, 37, 60, 99)] == [
        (8, 4), (8, 4), (4, 8), (4, 8), (4, 8), (2, 16), (2, 16), (2, 16),
    ]  # fmt: skip


def test_optimisers_start_anew_where_fades_begin_and_end(encoding: Encoding) -> None:
    method = built(encoding, side=8, learning_rates={8: 0.005}, discriminator_rate=0.03)
    ages: list[float] = []
    rates: list[float] = []
    for images_seen in range(0, 44, 4):
        train(method, range(images_seen, images_seen + 1))
        for optimizer in method.adams.values():
            ages.append(max(float(state["step"]) for state in optimizer.state.values()))
            rates.append(optimizer.param_groups[0]["lr"])
    # 4 px to 12 images, the fade to 24, then 8 px.
    assert ages[::2] == ages[1::2] == [1, 2, 3, 4, 1, 2, 1, 2, 3, 4, 5]
    assert rates[::2] == [0.01] * 4 + [0.005] * 7 and rates[1::2] == [0.03] * 4 + [0.015] * 7


def test_fading_trains_both_branches_and_nothing_above(encoding: Encoding) -> None:
    method = built(encoding, side=16)
    before = {n: p.clone() for n, p in method.g.named_parameters()}
    train(method, range(16, 17))
    moved = {n.split(".")[0] for n, p in method.g.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"b4", "b8", "write4", "write8"}


def test_real_cases_are_faded(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding)
    seen: list[Tensor] = []
    losses = method.d_losses
    monkeypatch.setattr(method, "d_losses", lambda x, c: seen.append(x) or losses(x, c))
    train(method, range(16, 17))
    x = batch(method, 16).x
    coarse = x.view(4, 3, 4, 2, 4, 2).mean(dim=(3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(seen[0], coarse.lerp(x, 1 / 3))


@pytest.mark.parametrize("classes", [0, 2])
def test_resumed_within_a_fade_is_the_uninterrupted_training(encoding: Encoding, classes: int) -> None:
    options: dict[str, Any] = {"augment": "ada", "augment_p": 0.3, "ada_images": 400}
    whole, first, second = (built(encoding, classes, **options) for _ in range(3))
    train(whole, range(8, 28, 4), classes)
    train(first, range(8, 20, 4), classes)
    tensors, scalars = first.state()
    assert stage(first.level) == (8, pytest.approx(1 / 3))
    second.load_state({k: v.clone() for k, v in tensors.items()}, scalars)
    train(second, range(20, 28, 4), classes)
    expected, found = whole.state(), second.state()
    assert expected[1] == found[1]
    assert all(torch.equal(expected[0][key], found[0][key]) for key in expected[0])


def test_a_snapshot_from_the_midst_samples_at_full_size(encoding: Encoding, tmp_path: Path) -> None:
    method = built(encoding, side=16)
    train(method, range(0, 20, 4))
    write_state(tmp_path / "snapshot", *method.snapshot())
    tensors, _ = read_state(tmp_path / "snapshot")
    other = built(encoding, side=16)
    other.ema.load_state_dict({k.removeprefix("ema."): v for k, v in tensors.items()})
    x = other.draw([1, 2])
    assert x.shape == (2, 3, 16, 16) and torch.equal(x, method.draw([1, 2]))
    assert torch.equal(x[..., ::2, ::2], x[..., 1::2, 1::2])  # grown to 8 pixels, each repeated
    z = CaseNoise((1, 2), torch.device("cpu")).normal(8)
    assert torch.equal(x[..., ::2, ::2], method.ema(z, level=2 + 4 / 12))


def test_a_training_too_short_to_grow_is_refused(encoding: Encoding) -> None:
    with pytest.raises(UsageError, match="growing to 16 pixels takes 48 images"):
        built(encoding, side=16, images_seen=40)
    assert built(encoding, side=16, images_seen=40, stable_images=None, fade_images=None).growth.end() == 16


def test_a_grown_run_can_be_gone_on_from_at_full_size(encoding: Encoding) -> None:
    grown, method = built(encoding), built(encoding, growing_share=0, stable_images=None, fade_images=None)
    assert method.schedule(0) == (4, 8) and method.draw([1]).shape == (1, 3, 8, 8) and method.ema.level == 3
    for name, module in method.modules().items():
        module.load_state_dict(grown.modules()[name].state_dict())
    train(method, range(0, 4, 4))
    assert method.ema.level == 3


def test_ema_follows_half_as_much_after_its_half_life(encoding: Encoding) -> None:
    method = built(encoding, ema_images=4.0)
    old = method.ema.get_parameter("b4.conv.weight").clone()
    train(method, range(8_000, 8_001))
    new = method.g.get_parameter("b4.conv.weight")
    torch.testing.assert_close(method.ema.get_parameter("b4.conv.weight"), (old + new) / 2)
    default = built(encoding)
    old = default.ema.get_parameter("b4.conv.weight").clone()
    train(default, range(80_000, 80_001))
    new = default.g.get_parameter("b4.conv.weight")
    torch.testing.assert_close(default.ema.get_parameter("b4.conv.weight"), old.lerp(new, 0.001))


def test_sampling_is_differentiable_and_each_case_stands_alone(encoding: Encoding) -> None:
    method = built(encoding, growing_share=0)
    perturb(method.ema)
    z = torch.randn(3, 8, requires_grad=True)
    x = method.generate(z)
    (gradient,) = torch.autograd.grad(x[1].sum(), z)
    assert (gradient[1] != 0).any() and (gradient[0] == 0).all() and x.dtype == torch.float32
    torch.testing.assert_close(method.draw([5, 6, 7])[1:2], method.draw([6]), atol=1e-5, rtol=1e-5)


def test_condition_changes_the_case_and_is_required(encoding: Encoding) -> None:
    method = built(encoding, classes=2)
    perturb(method.ema)
    one, two = (method.draw([1], torch.eye(2)[k : k + 1]) for k in (0, 1))
    assert not torch.allclose(one, two)
    with pytest.raises(UsageError, match="trained with 2 classes and needs a condition"):
        method.draw([1])
    known = batch(method, 0, 2)
    losses = method.update(Batch(known.x, torch.full((4, 2), torch.nan), 0))
    assert all(torch.isfinite(torch.as_tensor(v)) for v in losses.values())


@pytest.mark.parametrize("size", [(16, 32), (24, 24), (4, 4), (16, 16, 16)])
def test_sizes_that_cannot_be_are_refused(encoding: Encoding, size: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="square images with a side of 8, 16, 32 .* import with another --size"):
        ProGAN(ProGANConfig(**SMALL)).build(encoding, size)


@pytest.mark.parametrize(
    "bad", [{"batch_size": 3}, {"batch_sizes": {8: 5}}, {"first_resolution": 6}, {"lambda": 1}, {"augment": "some"}]
)
def test_configurations_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProGANConfig(**{**SMALL, **bad})


def test_the_published_preset() -> None:
    paper = ProGANConfig(**ProGAN.PRESETS["paper"])
    growth = paper.growth(1024, paper.images_seen)
    assert growth.begin(8) == 800_000 and growth.end() == 12_800_000 and growth.end() < paper.images_seen
    assert (paper.penalty, paper.drift, paper.learning_rate, paper.augment) == (10, 0.001, 0.001, "none")
    assert [paper.batch_sizes.get(r, paper.batch_size) for r in (4, 128, 256, 512, 1024)] == [16, 16, 14, 6, 3]


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
