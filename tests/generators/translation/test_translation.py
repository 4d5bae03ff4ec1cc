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
from understudy.generators.translation.translation import (
    PairedSettings,
    TranslationTraining,
    discriminator_loss,
    feature_matching,
    generator_loss,
    whole_classes,
)
from understudy.nets.patch_gan import PatchGAN
from understudy.training.engine import Engine
from understudy.training.feed import Batch

MANY = LabelScheme(tuple(f"c{i}" for i in range(30)), tuple(range(30)))


class Toy(TranslationTraining):
    """Translates nothing: a case of two image channels."""

    name = "toy"

    def __init__(self, size: tuple[int, ...] = (8, 8), direction: str = "labels", **settings: Any) -> None:
        torch.manual_seed(0)
        self.config = PairedSettings(images_seen=1000, **{"d_noise": 0.0, **settings})
        self.encoding = Encoding((Channel("a", 0, 255), Channel("b", 0, 255)), "uint8", MANY)
        self.size, self.engine, self.direction = size, Engine("fp32"), direction
        g = nn.Conv2d(2, 2, 1) if len(size) == 2 else nn.Conv3d(2, 2, 1)
        self.adopt({"g": g}, {"d": PatchGAN(5, size, channels=4, layers=1)})

    @property
    def given(self) -> Any:
        return self.direction


def batch(images_seen: int = 0, size: tuple[int, ...] = (8, 8), n: int = 2) -> Batch:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (n, 2, *size)).astype(np.uint8)
    labels = random.integers(0, 30, (n, *size)).astype(np.uint8)
    return Batch(torch.from_numpy(Toy(size).encoding.encode(images, labels)), None, images_seen)


def test_least_squares_wants_one_for_real_and_zero_for_synthetic() -> None:
    """Found by going down the loss; the released code of Platscher et al. asks for 1 on synthetic cases."""
    logits = torch.tensor([[0.3], [0.7]], requires_grad=True)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(discriminator_loss("least-squares", logits[:1], logits[1:]), logits)
        logits.data -= 0.1 * gradient
    assert torch.allclose(logits, torch.tensor([[1.0], [0.0]]), atol=1e-3)
    assert float(generator_loss("least-squares", torch.tensor([1.0]))) == 0
    assert float(generator_loss("least-squares", torch.tensor([0.0]))) == 1


def test_hinge() -> None:
    real, synthetic = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert float(discriminator_loss("hinge", real, synthetic)) == 0.25 + 0.5
    assert float(generator_loss("hinge", synthetic)) == 1.5


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
    assert [o.param_groups[0]["lr"] for o in toy.optimizers().values()] == pytest.approx([4e-5, 4e-5])
    assert Toy(decay_from=1.0).rate_at(999) == 1 and Toy(decay_from=0.0).rate_at(250) == 0.75


def test_noise_on_what_is_judged_falls_and_leaves_the_condition_alone() -> None:
    toy, seen = Toy(d_noise=0.2, d_noise_images=100.0), list[Tensor]()
    toy.discriminators["d"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    told, x = torch.rand(2, 3, 8, 8), torch.zeros(2, 2, 8, 8)
    for images_seen in (0, 100, 500):
        toy.begin(batch(images_seen))
        toy.judge("d", x, told)
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


def test_whole_classes_have_the_gradients_of_probabilities() -> None:
    torch.manual_seed(0)
    logits, weights = torch.randn(2, 5, 4, 3, requires_grad=True), torch.randn(2, 5, 4, 3)
    whole = whole_classes(logits)
    expected = nn.functional.one_hot(logits.argmax(1), 5).movedim(-1, 1).float()
    assert torch.allclose(whole, expected, atol=1e-6)
    (ours,) = torch.autograd.grad((whole * weights).sum(), logits)
    (soft,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
    assert torch.allclose(ours, soft, atol=1e-6)


def test_feature_matching() -> None:
    synthetic = [
        [torch.zeros(1, 2, requires_grad=True), torch.full((1, 3), 2.0), torch.zeros(1)],
        [torch.ones(2), torch.zeros(1)],
    ]
    real = [
        [torch.ones(1, 2, requires_grad=True), torch.zeros(1, 3), torch.full((1,), 99.0)],
        [torch.ones(2), torch.zeros(1)],
    ]
    loss = feature_matching(synthetic, real)
    assert float(loss.detach()) == (1 + 2 + 0) / 2  # two scales; logits do not count
    loss.backward()
    assert synthetic[0][0].grad is not None and real[0][0].grad is None


def test_the_average_may_be_none() -> None:
    for half_life, copied in ((0.0, True), (1000.0, False)):
        toy = Toy(ema_images=half_life)
        toy.g.weight.data.add_(1)  # type: ignore[operator, union-attr]
        toy.average(batch(100_000))
        assert torch.equal(toy.ema.weight, toy.g.weight) == copied  # type: ignore[arg-type]


def test_conditions_that_do_not_fit_are_refused() -> None:
    toy = Toy()
    assert toy.checked(torch.zeros(3, 8, 8, dtype=torch.int64), 3).shape == (3, 30, 8, 8)
    for condition in (None, torch.zeros(2, 8, 8), torch.zeros(3, 8, 9)):
        with pytest.raises(UsageError, match=r"toy translates labels: 3 of shape \(8, 8\) .* --labels"):
            toy.checked(condition, 3)
    with pytest.raises(UsageError, match="classes 0 to 29 were expected, found 0 to 30"):
        toy.checked(torch.arange(31)[:, None, None].expand(31, 8, 8), 31)
    images = Toy(direction="images")
    assert images.checked(torch.zeros(1, 2, 8, 8), 1).shape == (1, 2, 8, 8)
    with pytest.raises(UsageError, match=r"toy translates images: 1 of shape \(2, 8, 8\)"):
        images.checked(torch.zeros(1, 8, 8), 1)


def test_joining_gives_label_maps_back() -> None:
    toy, cases = Toy(), batch()
    x = toy.joined(cases.x[:, :2], cases.x[:, 2:].argmax(1))
    assert torch.equal(x, cases.x)
    images, labels = toy.encoding.decode(x.numpy())
    assert images is not None and labels is not None and labels.max() > 20


def test_class_columns_are_refused() -> None:
    with pytest.raises(ValidationError, match="not class columns"):
        PairedSettings(conditional=True)
