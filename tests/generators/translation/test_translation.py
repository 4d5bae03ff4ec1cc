"""What translators share: targets of the losses, rates and noise that fall, whole classes, conditions, joining."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.generators.translation.translation import PairedConfig, TranslationGenerator
from understudy.nets.losses import discriminator_loss
from understudy.nets.patch_gan import PatchGAN
from understudy.training.batches import Batch
from understudy.training.engine import Engine

MANY = LabelScheme(tuple(f"c{i}" for i in range(30)), tuple(range(30)))


class Toy(TranslationGenerator):
    """Translates nothing: a case of two image channels."""

    name = "toy"

    def __init__(self, size: tuple[int, ...] = (8, 8), direction: str = "labels", **settings: Any) -> None:
        torch.manual_seed(0)
        self.config = PairedConfig(images_seen=1000, **{"d_noise": 0.0, **settings})
        self.encoding = Encoding((Channel("a", 0, 255), Channel("b", 0, 255)), "uint8", MANY)
        self.size, self.engine, self.direction = size, Engine("fp32"), direction
        g = nn.Conv2d(2, 2, 1) if len(size) == 2 else nn.Conv3d(2, 2, 1)
        self.register_networks({"g": g}, {"d": PatchGAN(5, size, channels=4, layers=1)})

    @property
    def given(self) -> Any:
        return self.direction

    def build(self, encoding: Encoding, size: tuple[int, ...], classes: int = 0) -> None:
        raise NotImplementedError

    def update(self, batch: Batch) -> dict[str, Any]:
        raise NotImplementedError

    def draw(self, seeds: list[int], condition: Tensor | None = None) -> Tensor:
        raise NotImplementedError


def batch(images_seen: int = 0, size: tuple[int, ...] = (8, 8), n: int = 2) -> Batch:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (n, 2, *size)).astype(np.uint8)
    labels = random.integers(0, 30, (n, *size)).astype(np.uint8)
    return Batch(torch.from_numpy(Toy(size).encoding.encode(images, labels)), None, images_seen)


@pytest.mark.parametrize("kind", ["least-squares", "hinge"])
def test_the_discriminators_loss(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(adversarial=kind)
    real, synthetic, told = torch.rand(2, 2, 8, 8), torch.rand(2, 2, 8, 8).requires_grad_(), torch.rand(2, 3, 8, 8)
    toy.begin(batch())
    loss = toy.d_loss("d", real, synthetic, told)
    logits = [toy.discriminators["d"](torch.cat([told, x], dim=1))[0][-1] for x in (real, synthetic)]
    assert torch.allclose(loss, 0.5 * discriminator_loss(kind, *logits), atol=1e-6)
    loss.backward()
    assert synthetic.grad is None


def test_rates_fall_over_the_second_half() -> None:
    toy = Toy()
    assert [toy.rate_at(n) for n in (0, 500, 750, 1000)] == [1, 1, 0.5, 0]
    toy.begin(batch(900))
    assert [o.param_groups[0]["lr"] for o in toy.adams.values()] == pytest.approx([4e-5, 4e-5])
    assert Toy(decay_from=1.0).rate_at(999) == 1 and Toy(decay_from=0.0).rate_at(250) == 0.75


def test_noise_on_what_is_judged_falls_and_leaves_the_condition_alone() -> None:
    toy, seen = Toy(d_noise=0.2, d_noise_images=100.0), list[Tensor]()
    toy.discriminators["d"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    told, x = torch.rand(2, 3, 8, 8), torch.zeros(2, 2, 8, 8)
    for images_seen in (0, 100, 500):
        toy.begin(batch(images_seen))
        toy.discriminate("d", x, told)
    assert all(torch.equal(found[:, :3], told) for found in seen)
    for found, wanted in zip(seen, (0.2, 0.2 / math.e, 0.2 * math.exp(-5)), strict=True):
        assert float(found[:, 3:].std()) == pytest.approx(wanted, rel=0.15)
    assert Toy(d_noise=0.0).noise_at(0) == 0


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_splitting(size: tuple[int, ...], jitter: float) -> None:
    torch.manual_seed(0)
    cases = batch(size=size)
    images, labels = Toy(size, jitter=jitter).split(cases.x)
    assert images.shape == (2, 2, *size) and labels.shape == (2, *size) and labels.dtype == torch.int64
    assert int(labels.min()) >= 0 and int(labels.max()) < 30
    assert torch.equal(labels, cases.x[:, 2:].argmax(1)) == (jitter == 0)
    assert torch.equal(images, cases.x[:, :2]) == (jitter == 0)


def test_the_average_may_be_none() -> None:
    for half_life, copied in ((0.0, True), (1000.0, False)):
        toy = Toy(ema_images=half_life)
        toy.g.weight.data.add_(1)  # type: ignore[operator, union-attr]
        toy.average(batch(100_000))
        assert torch.equal(toy.ema.weight, toy.g.weight) == copied  # type: ignore[arg-type]


def test_conditions_that_do_not_fit_are_refused() -> None:
    toy = Toy()
    assert toy.network_input(torch.zeros(3, 8, 8, dtype=torch.int64), 3).shape == (3, 30, 8, 8)
    for condition in (None, torch.zeros(2, 8, 8), torch.zeros(3, 8, 9)):
        with pytest.raises(UsageError, match=r"toy is given labels: 3 of shape \(8, 8\) .* --labels"):
            toy.network_input(condition, 3)
    with pytest.raises(UsageError, match="classes 0 to 29 were expected, found 0 to 30"):
        toy.network_input(torch.arange(31)[:, None, None].expand(31, 8, 8), 31)
    images = Toy(direction="images")
    assert images.network_input(torch.zeros(1, 2, 8, 8), 1).shape == (1, 2, 8, 8)
    with pytest.raises(UsageError, match=r"toy is given images: 1 of shape \(2, 8, 8\)"):
        images.network_input(torch.zeros(1, 8, 8), 1)


def test_joining_gives_label_maps_back() -> None:
    toy, cases = Toy(), batch()
    x = toy.joined(cases.x[:, :2], cases.x[:, 2:].argmax(1))
    assert torch.equal(x, cases.x)
    images, labels = toy.encoding.decode(x.numpy())
    assert images is not None and labels is not None and labels.max() > 20


def test_class_columns_are_refused() -> None:
    with pytest.raises(ValidationError, match="not class columns"):
        PairedConfig(conditional=True)
