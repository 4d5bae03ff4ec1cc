"""SPADE: latents of a batch, what is compared with an image, spectral weights, diversity, many classes, volumes."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from understudy.generators.translation.spade import SPADE
from understudy.training.feed import Batch

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
