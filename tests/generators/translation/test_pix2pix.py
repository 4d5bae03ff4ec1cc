"""pix2pix: weights and targets of its losses, both directions, dropout by seed, many classes, volumes."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch

from understudy.generators.translation.pix2pix import Pix2Pix

TINY: dict[str, Any] = {
    "channels": 8, "channels_max": 16, "patch_channels": 8, "learning_rate": 0.005, "discriminator_rate": 0.002,
    "ema_images": 0,
}  # fmt: skip
Maker = Callable[..., Any]


@pytest.fixture
def made(toy: ModuleType) -> Maker:
    return partial(toy.started, Pix2Pix, **TINY)


@pytest.mark.parametrize("direction", ["labels_to_images", "images_to_labels"])
def test_the_weight_of_l1(toy: ModuleType, made: Maker, direction: str) -> None:
    losses = []
    for weight in (0.0, 10.0):
        (found,) = toy.train(made(l1_weight=weight, direction=direction), 1)
        losses.append(found)
    assert losses[0]["d"] == losses[1]["d"] and losses[0]["distance"] == losses[1]["distance"]
    assert losses[1]["g"] - losses[0]["g"] == pytest.approx(10 * losses[0]["distance"], rel=1e-4)


def test_the_discriminator_learns_zero_for_synthetic_cases(toy: ModuleType, made: Maker) -> None:
    generator = made(learning_rate=1e-12, discriminator_rate=0.01)
    losses = toy.train(generator, 25)
    generator.begin(toy.batch(generator, 0))
    cases = toy.batch(generator, 99)
    images, labels = generator.split(cases.x)
    maps = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    with torch.no_grad():
        real, synthetic = (
            float(generator.discriminate("d", x, maps)[0][-1].mean()) for x in (images, generator.g(maps))
        )
    assert real > 0.7 and synthetic < 0.3 and losses[-1]["d"] < 0.1 and losses[-1]["g"] > 0.5


def test_the_discriminator_sees_pairs(toy: ModuleType, made: Maker) -> None:
    """A real image beside the label map of another case is not a real pair."""
    generator = made(learning_rate=1e-12)
    x, maps = torch.rand(2, 2, 16, 16), torch.rand(2, 3, 16, 16)
    generator.begin(toy.batch(generator, 0))
    ours, swapped = (generator.discriminate("d", x, m)[0][-1] for m in (maps, maps.flip(0)))
    assert not torch.allclose(ours, swapped, atol=1e-4)


def test_a_step_moves_all_networks_and_the_average(toy: ModuleType, made: Maker) -> None:
    generator = made()
    before = {name: toy.weights(net).clone() for name, net in generator.modules().items()}
    toy.train(generator, 1)
    for name, net in generator.modules().items():
        assert not torch.equal(toy.weights(net), before[name]), name
    assert torch.equal(toy.weights(generator.ema), toy.weights(generator.g))


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_it_learns_to_paint_held_out_maps(toy: ModuleType, made: Maker, size: tuple[int, ...]) -> None:
    generator = made(size=size, dropout_layers=0)
    toy.train(generator, 60)
    labels = toy.label_maps(4, 3, size, seed=777)
    with torch.no_grad():
        x = generator.draw([1, 2, 3, 4], torch.from_numpy(labels).long())
    images = (x[:, :2] + 1) / 2
    right = torch.from_numpy(toy.rendered(labels, 3, 2))
    constant = (right - right.mean()).abs().mean()
    assert float((images - right).abs().mean()) < 0.4 * float(constant)
    assert (generator.encoding.decode(x.numpy())[1] == labels).all()


def test_it_learns_to_read_images(toy: ModuleType, made: Maker) -> None:
    generator = made(direction="images_to_labels", size=(8, 16, 16))
    toy.train(generator, 60)
    labels = toy.label_maps(4, 3, (8, 16, 16), seed=777)
    images = toy.rendered(labels, 3, 2)
    samples = generator.sample(4, 0, images)
    assert samples.labels.max() <= 2 and float((samples.labels == labels).mean()) > 0.85
    assert abs(samples.images - images).max() < 1e-6
    again = generator.sample(4, 1, images)
    assert (again.labels == samples.labels).all()


def test_what_is_random_in_sampling(made: Maker) -> None:
    labels = torch.zeros(2, 16, 16, dtype=torch.int64)
    for random, equal in (("auto", False), ("dropout", False), ("none", True)):
        generator = made(random=random)
        with torch.no_grad():
            x = generator.draw([1, 2], labels)
            assert torch.allclose(x[0], x[1], atol=1e-5) == equal
            assert torch.equal(x, generator.draw([1, 2], labels))
            assert torch.allclose(generator.draw([5, 2, 7], labels[:1].expand(3, -1, -1))[1], x[1], atol=1e-5)


@pytest.mark.parametrize("direction", ["labels_to_images", "images_to_labels"])
@pytest.mark.parametrize("size", [(16, 16), (8, 8, 16)])
def test_thirty_classes_and_three_contrasts(
    toy: ModuleType, made: Maker, direction: str, size: tuple[int, ...]
) -> None:
    generator = made(direction=direction, classes=30, contrasts=3, size=size, scales=2, jitter=1.0, d_noise=0.2)
    losses = toy.train(generator, 2, n=2)
    assert all(value == value for step in losses for value in step.values())
    labels = toy.label_maps(3, 30, size, seed=5)
    condition = labels if direction == "labels_to_images" else toy.rendered(labels, 30, 3)
    samples = generator.sample(3, 0, condition)
    assert samples.images.shape == (3, 3, *size) and samples.labels.shape == (3, *size) and samples.labels.max() < 30
    if direction == "labels_to_images":
        assert (samples.labels == labels).all()
