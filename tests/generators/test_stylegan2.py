"""StyleGAN2: penalties against finite differences, lazy terms, state, sampling."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from understudy.training.engine import Engine
from understudy.training.feed import Batch

SMALL: dict[str, Any] = {
    "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8, "batch_size": 4, "group": 2,
    "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(
        (Channel("T1", 0, 1), Channel("T2", 0, 1)), "float32", LabelScheme.from_text("0=background,1=lesion")
    )


def built(encoding: Encoding, classes: int = 0, side: int = 16, **changes: Any) -> StyleGAN2:
    method = StyleGAN2(StyleGAN2Config(**{**SMALL, **changes}))
    method._start(encoding, (side, side), classes, 0, Engine(method.config.precision))
    return method


def batch(method: StyleGAN2, i: int, side: int = 16, classes: int = 0) -> Batch:
    g = torch.Generator().manual_seed(i)
    x = torch.rand(4, 3, side, side, generator=g) * 2 - 1
    condition = torch.eye(classes)[torch.arange(4) % classes] if classes else None
    return Batch(x, condition, i * 4)


def perturb(*nets: torch.nn.Module) -> None:
    torch.manual_seed(1)
    for net in nets:
        for p in net.parameters():
            p.data.add_(torch.randn_like(p) * 0.1)


def test_r1_against_finite_differences(encoding: Encoding) -> None:
    method = built(encoding, gamma=3.0, augment="none", side=8)
    perturb(method.d)
    method.d.double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    step = 1e-5
    total = 0.0
    with torch.no_grad():
        for i in range(x[0].numel()):
            for case in range(2):
                delta = torch.zeros_like(x)
                delta[case].view(-1)[i] = step
                slope = (method.d(x + delta).sum() - method.d(x - delta).sum()) / (2 * step)
                total += float(slope) ** 2
    assert method.r1(x, None).item() == pytest.approx(3.0 / 2 * total / 2, rel=1e-6)


def test_path_lengths_against_finite_differences(encoding: Encoding) -> None:
    method = built(encoding, side=8)
    perturb(method.g)
    method.g.double()
    ws = torch.randn(2, method.g.synthesis.num_ws, 8, dtype=torch.float64)
    y = torch.randn(2, 3, 8, 8, dtype=torch.float64) / 8
    step = 1e-6
    squares = torch.zeros(2, method.g.synthesis.num_ws, dtype=torch.float64)
    with torch.no_grad():
        for layer in range(ws.shape[1]):
            for k in range(8):
                delta = torch.zeros_like(ws)
                delta[:, layer, k] = step
                slope = ((method.g.synthesis(ws + delta) - method.g.synthesis(ws - delta)) * y).sum(dim=(1, 2, 3))
                squares[:, layer] += (slope / (2 * step)) ** 2
    ws.requires_grad_()
    lengths = method.path_lengths(method.g.synthesis(ws), ws, y)
    torch.testing.assert_close(lengths.detach(), squares.mean(dim=1).sqrt(), rtol=1e-5, atol=0)


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
    method = built(encoding, path_interval=2, r1_interval=3, gamma=1.0)
    names = [set(method.update(batch(method, i))) for i in range(7)]
    assert [i for i, n in enumerate(names) if "path" in n] == [0, 2, 4, 6]
    assert [i for i, n in enumerate(names) if "r1" in n] == [0, 3, 6]
    without = built(encoding, path_weight=0.0, gamma=0.0)
    assert set(without.update(batch(without, 0))) == {"g", "d", "augment_p"}


def test_each_step_changes_its_own_network(encoding: Encoding) -> None:
    method = built(encoding)
    before = {name: [p.clone() for p in net.parameters()] for name, net in (("g", method.g), ("d", method.d))}

    def changed(name: str, net: torch.nn.Module) -> bool:
        return any(not torch.equal(a, b) for a, b in zip(before[name], net.parameters(), strict=True))

    method._step(method.g, method.g_optimizer, lambda: method.generator_loss(4, None))
    assert changed("g", method.g)
    assert not changed("d", method.d)
    before["g"] = [p.clone() for p in method.g.parameters()]
    method._step(method.d, method.d_optimizer, lambda: method.discriminator_loss(batch(method, 0).x, None))
    assert changed("d", method.d)
    assert not changed("g", method.g)


def test_ada_hears_of_real_cases_only(encoding: Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(encoding, ada_images=40)

    def sure(x: Tensor, condition: Tensor | None) -> Tensor:
        real = x.flatten(1).abs().mean(dim=1, keepdim=True) > 90
        return torch.where(real, 1.0, -1.0) * method.d.b4.out.bias.new_ones(len(x), 1).requires_grad_()

    monkeypatch.setattr(method, "_judge", sure)
    for _ in range(4):
        method.discriminator_loss(torch.full((4, 3, 16, 16), 99.0), None)
    assert method.ada.p == pytest.approx(4 * 4 / 40)
    for _ in range(4):
        method.discriminator_loss(torch.zeros(4, 3, 16, 16), None)
    assert method.ada.p == 0


def test_average_style_is_tracked_and_ema_follows(encoding: Encoding) -> None:
    method = built(encoding)
    method.update(batch(method, 0))
    assert method.g.mapping.w_avg.abs().max().item() > 0
    assert torch.equal(method.ema.mapping.w_avg, method.g.mapping.w_avg)
    assert torch.equal(method.ema.synthesis.b4.const, method.g.synthesis.b4.const)  # images_seen 0: no memory yet


@pytest.mark.parametrize("classes", [0, 2])
def test_resumed_training_is_the_uninterrupted_one(encoding: Encoding, classes: int) -> None:
    def train(method: StyleGAN2, steps: range) -> None:
        for i in steps:
            torch.manual_seed(100 + i)
            method.update(batch(method, i, classes=classes))

    options: dict[str, Any] = {"path_interval": 2, "r1_interval": 3, "augment_p": 0.3, "ada_images": 400}
    whole, first, second = (built(encoding, classes, **options) for _ in range(3))
    train(whole, range(7))
    train(first, range(5))
    tensors, scalars = first.state()
    second.load_state({k: v.clone() for k, v in tensors.items()}, scalars)
    train(second, range(5, 7))
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
    known = batch(method, 0, classes=2)
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
