"""SPADE: latents of a batch, what is compared with an image, spectral weights, diversity, many classes, volumes."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from understudy.generators.translation.spade import SPADE, ImageEncoder, Spade, SpadeBlock, SpadeGenerator
from understudy.nets.spatial import halvings
from understudy.training.batches import Batch

TINY: dict[str, Any] = {
    "channels": 8, "channels_max": 16, "hidden": 8, "z_dim": 4, "encoder_channels": 8, "patch_channels": 8,
    "learning_rate": 0.003, "discriminator_rate": 0.003, "ema_images": 0,
}  # fmt: skip
Maker = Callable[..., Any]


@pytest.fixture
def made(toy: ModuleType) -> Maker:
    return partial(toy.started, SPADE, **TINY)


@pytest.mark.parametrize(("share", "n", "pairs"), [(0.5, 4, 2), (0.5, 1, 1), (0.25, 8, 6), (0.0, 4, 4)])
def test_latents_of_a_batch(made: Maker, share: float, n: int, pairs: int) -> None:
    generator, images = made(prior_share=share), torch.rand(n, 2, 16, 16)
    torch.manual_seed(3)
    z, found, divergence = generator.latents(images)
    torch.manual_seed(3)
    noise = torch.randn(n, 4)
    mean, log_variance = generator.translators["e"](images[:pairs])
    assert found == pairs and torch.equal(z[pairs:], noise[pairs:])
    assert torch.allclose(z[:pairs], mean + (log_variance / 2).exp() * noise[:pairs], atol=1e-6)
    normal = torch.distributions.Normal
    exact = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(1).mean()
    assert torch.allclose(divergence, exact, atol=1e-5) and float(divergence.detach()) > 0


def test_without_an_encoder_latents_are_normal_and_all_are_pairs(made: Maker) -> None:
    generator = made(encoder=False)
    z, pairs, divergence = generator.latents(torch.rand(4, 2, 16, 16))
    assert pairs == 4 and float(divergence) == 0 and set(generator.modules()) == {"g", "d", "ema"} and z.shape == (4, 4)


def test_cases_from_normal_latents_are_not_compared_with_an_image(toy: ModuleType, made: Maker) -> None:
    found = []
    for changed in (False, True):
        generator = made()
        x = toy.batch(generator, 0).x.clone()
        if changed:
            x[2:, :2] = 1.0
        torch.manual_seed(0)
        found.append(generator.update(Batch(x, None, 0)))
    assert found[0]["distance"] == found[1]["distance"] and found[0]["d"] != found[1]["d"]


@pytest.mark.parametrize(("weight", "part"), [("l1_weight", "distance"), ("kl_weight", "divergence")])
def test_weights_of_the_loss(toy: ModuleType, made: Maker, weight: str, part: str) -> None:
    losses = [toy.train(made(**{weight: value}), 1)[0] for value in (0.0, 10.0)]
    assert losses[1]["g"] - losses[0]["g"] == pytest.approx(10 * losses[0][part], rel=1e-3)


def test_feature_matching_pulls_towards_the_image(toy: ModuleType, made: Maker) -> None:
    losses = [toy.train(made(feature_weight=value), 1)[0]["g"] for value in (0.0, 10.0, 20.0)]
    assert losses[1] > losses[0] and losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)


def test_a_step_moves_all_networks_and_the_average(toy: ModuleType, made: Maker) -> None:
    generator = made()
    before = {name: toy.weights(net).clone() for name, net in generator.modules().items()}
    toy.train(generator, 1)
    assert set(before) == {"g", "e", "d", "ema"}
    for name, net in generator.modules().items():
        assert not torch.equal(toy.weights(net), before[name]), name


def test_weights_of_the_discriminator_stay_spectral(toy: ModuleType, made: Maker) -> None:
    generator = made()
    toy.train(generator, 5)
    for scale in generator.discriminators["d"].scales:
        for layer in scale.layers:
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.1)
    assert not hasattr(made(spectral=False).discriminators["d"].scales[0].layers[0], "parametrizations")


def test_it_learns_to_paint_held_out_maps(toy: ModuleType, made: Maker) -> None:
    generator = made()
    toy.train(generator, 50)
    labels = toy.label_maps(4, 3, (16, 16), seed=777)
    samples = generator.sample(4, 0, labels)
    right = toy.rendered(labels, 3, 2)
    assert abs(samples.images - right).mean() < 0.4 * abs(right - right.mean()).mean()
    assert (samples.labels == labels).all()


def test_one_map_is_rendered_in_many_ways(made: Maker) -> None:
    generator, labels = made(), torch.zeros(3, 16, 16, dtype=torch.int64)
    with torch.no_grad():
        x = generator.draw([1, 2, 1], labels)
    assert torch.allclose(x[0], x[2], atol=1e-6) and not torch.allclose(x[0], x[1], atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (8, 8, 16)])
def test_thirty_classes_and_three_contrasts(toy: ModuleType, made: Maker, size: tuple[int, ...]) -> None:
    paper = {"encoder": False, "spectral": False, "adversarial": "least-squares", "feature_weight": 0.0, "kernel": 7}
    for settings in ({}, paper):
        generator = made(classes=30, contrasts=3, size=size, jitter=1.0, d_noise=0.2, **settings)
        losses = toy.train(generator, 2, n=2)
        assert all(value == value for step in losses for value in step.values())
        labels = toy.label_maps(3, 30, size, seed=5)
        samples = generator.sample(3, 0, labels)
        assert samples.images.shape == (3, 3, *size) and (samples.labels == labels).all()


def test_an_even_kernel_is_refused(made: Maker) -> None:
    with pytest.raises(ValidationError, match="kernel must be odd, found 4"):
        made(kernel=4)


def maps(n: int, classes: int, size: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    labels = torch.randint(classes, (n, *size), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(labels, classes).movedim(-1, 1).float()


def renderer(size: tuple[int, ...] = (16, 16), classes: int = 3, **changes: Any) -> SpadeGenerator:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"channels": 8, "channels_max": 16, "hidden": 8, **changes}
    return SpadeGenerator(4, classes, 2, size, halvings(size, 5, 4), **settings)


@pytest.mark.parametrize("size", [(6, 5), (4, 6, 5)])
def test_the_layer_is_equation_1(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, h, m = Spade(4, 3, 8, len(size)), torch.randn(2, 4, *size) * 2 + 1, maps(2, 3, size)
    convolve = F.conv2d if len(size) == 2 else F.conv3d
    seen = convolve(m, layer.shared.weight, layer.shared.bias, padding=1).clamp_min(0)
    gamma = 1 + convolve(seen, layer.gamma.weight, layer.gamma.bias, padding=1)
    beta = convolve(seen, layer.beta.weight, layer.beta.bias, padding=1)
    expected = torch.empty_like(h)
    for n in range(2):
        for c in range(4):
            mu, sigma = h[n, c].mean(), h[n, c].std(correction=0)
            expected[n, c] = gamma[n, c] * (h[n, c] - mu) / sigma + beta[n, c]
    assert torch.allclose(layer(h, m), expected, atol=1e-4)


def test_modulation_differs_from_pixel_to_pixel() -> None:
    torch.manual_seed(0)
    layer, h = Spade(4, 2, 8, 2), torch.randn(1, 4, 16, 16)
    for conv in (layer.shared, layer.gamma, layer.beta):
        conv.weight.data.mul_(20)
    m = torch.zeros(1, 2, 16, 16)
    m[:, 0] = 1
    other = m.clone()
    other[:, :, 4:8, 4:8] = torch.tensor([0.0, 1.0])[:, None, None]
    change = (layer(h, m) - layer(h, other)).detach().abs().amax(1)[0]
    assert float(change[4:8, 4:8].min()) > 1e-3 and float(change[:2].max()) == 0 and float(change[10:].max()) == 0


def test_the_shortcut_is_learned_where_channels_change() -> None:
    same, other = SpadeBlock(4, 4, 2, 8, 2, False), SpadeBlock(8, 4, 2, 8, 2, False)
    assert not hasattr(same, "conv_s") and other.conv_s.weight.shape == (4, 8, 1, 1) and other.conv_s.bias is None
    x, m = torch.randn(1, 4, 8, 8), maps(1, 2, (8, 8))
    for layer in (same.conv_0, same.conv_1):
        layer.weight.data.zero_()
    assert torch.equal(same(x, m), x)


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16), (8, 12, 8)])
@pytest.mark.parametrize("spectral", [False, True])
def test_shapes_and_gradients(size: tuple[int, ...], spectral: bool) -> None:
    net, z = renderer(size, classes=30, spectral=spectral), torch.randn(2, 4)
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = net(z, maps(2, 30, size))
        assert y.shape == (2, 2, *size) and y.dtype == torch.float32 and float(y.detach().abs().max()) <= 1
    y.square().mean().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and bool(p.grad.isfinite().all()), name


def test_published_widths() -> None:
    widths: dict[str, Any] = {"channels": 64, "channels_max": 1024, "hidden": 128, "spectral": False}
    with torch.device("meta"):
        net = SpadeGenerator(256, 3, 3, (256, 256), halvings((256, 256), 5, 4), **widths)
    assert net.start == (1024, 8, 8)
    assert [tuple(block.conv_1.weight.shape[:2]) for block in net.blocks] == [
        (1024, 1024), (1024, 1024), (512, 512), (256, 256), (128, 128), (64, 64),
    ]  # fmt: skip


def test_both_latent_and_map_matter_and_cases_are_apart() -> None:
    net, z = renderer().eval(), torch.randn(3, 4)
    for p in net.parameters():
        p.data.mul_(5)
    m = maps(3, 3, (16, 16))
    y = net(z, m)
    assert not torch.allclose(y, net(z.flip(0), m), atol=1e-3)
    assert not torch.allclose(y, net(z, m.flip(2)), atol=1e-3)
    assert torch.allclose(y[1], net(z[1:2], m[1:2])[0], atol=1e-5)


def test_a_small_lesion_reaches_the_coarsest_level() -> None:
    """One pixel in 256 changes what the first block is told."""
    net, told = renderer(), []
    net.blocks[0].register_forward_pre_hook(lambda _, inputs: told.append(inputs[1]))
    m = torch.zeros(1, 3, 16, 16)
    m[:, 0] = 1
    lesion = m.clone()
    lesion[0, :, 9, 9] = torch.tensor([0.0, 1.0, 0.0])
    net(torch.zeros(1, 4), m), net(torch.zeros(1, 4), lesion)
    assert told[0].shape == (1, 3, 4, 4)
    assert float(told[1][0, 1, 2, 2]) == 1 / 16 and float(told[1][0, 1].sum()) == 1 / 16
    assert torch.allclose(told[1].sum(1), torch.ones(1, 4, 4))


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_the_encoder_sees_brightness(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net, x = ImageEncoder(2, size, 4, channels=8, channels_max=16), torch.randn(2, 2, *size)
    mean, log_variance = net(x)
    assert mean.shape == log_variance.shape == (2, 4) and mean.dtype == torch.float32
    brighter, _ = net(x + 5)
    assert not torch.allclose(mean, brighter, atol=1e-4)
