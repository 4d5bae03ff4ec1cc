"""CycleGAN: two unpaired cohorts, cycles that close, the pool that lasts, many classes, volumes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.generators.translation.cyclegan import CycleGAN, ImagePool
from understudy.nets.label_maps import one_hot
from understudy.training.engine import Engine
from understudy.training.record import fitting

TINY: dict[str, Any] = {
    "channels": 8, "blocks": 1, "kernel": 3, "patch_channels": 8, "learning_rate": 0.003, "discriminator_rate": 0.001,
    "ema_images": 0, "pool": 6,
}  # fmt: skip
Maker = Callable[..., Any]
ENGINE = Engine("fp32", "cpu")


@pytest.fixture
def made(toy: ModuleType) -> Maker:
    return partial(toy.started, CycleGAN, **TINY)


def test_the_two_cohorts_come_apart(toy: ModuleType, made: Maker) -> None:
    generator = made()
    cases = toy.batch(generator, 0, unpaired=True)
    labels, images = generator.unpaired(cases)
    assert torch.equal(labels, torch.from_numpy(toy.label_maps(4, 3, (16, 16), 0)).long())
    assert cases.other is not None and torch.equal(images, cases.other[:, :2])
    torch.manual_seed(0)
    moved = made(jitter=1.0).unpaired(cases)
    assert not torch.equal(moved[0], labels) and not torch.equal(moved[1], images)
    assert set(moved[0].unique().tolist()) <= {0, 1, 2}


def test_cycles_close_on_a_toy(toy: ModuleType, made: Maker) -> None:
    generator = made()
    losses = toy.train(generator, 60, unpaired=True)
    for cycle in ("cycle_labels", "cycle_images"):
        first, last = (sum(step[cycle] for step in part) / 5 for part in (losses[:5], losses[-5:]))
        assert last < 0.5 * first, cycle
    labels = torch.from_numpy(toy.label_maps(4, 3, (16, 16), 777)).long()
    with torch.no_grad():
        read = generator.translators["f"](generator.draw([0, 0, 0, 0], labels)[:, :2]).argmax(1)
    assert float((read == labels).float().mean()) > 0.85  # a rendered map is segmented as what it was


def test_the_weight_of_the_cycles(toy: ModuleType, made: Maker) -> None:
    losses = [toy.train(made(cycle_weight=value), 1, unpaired=True)[0] for value in (0.0, 10.0)]
    both = losses[0]["cycle_labels"] + losses[0]["cycle_images"]
    assert losses[1]["g"] - losses[0]["g"] == pytest.approx(10 * both, rel=1e-4)


def test_images_are_read_as_whole_classes(toy: ModuleType, made: Maker) -> None:
    """What is rendered again, and what the discriminator of label maps sees, are 0 and 1."""
    generator, seen = made(), list[Tensor]()
    for net in (generator.g, generator.discriminators["d_labels"]):
        net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    toy.train(generator, 1, unpaired=True)
    assert len(seen) == 4 and all(float((x - x.round()).abs().max()) < 1e-5 for x in seen)
    assert all(torch.allclose(x.sum(1), torch.ones(len(x), 16, 16), atol=1e-5) for x in seen)


def test_discriminators_see_old_cases_and_the_pool_lasts(
    toy: ModuleType, made: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, shown, new = made(), list[Tensor](), list[Tensor]()
    d_loss, exchange = generator.d_loss, generator.pools["images"].exchange

    def watched(name: str, real: Tensor, synthetic: Tensor, told: Tensor | None = None) -> Tensor:
        shown.append(synthetic.detach()) if name == "d_images" else None
        return d_loss(name, real, synthetic, told)

    def remembered(x: Tensor, engine: Engine) -> Tensor:
        new.append(x.detach().clone())
        return exchange(x, engine)

    monkeypatch.setattr(generator, "d_loss", watched)
    monkeypatch.setattr(generator.pools["images"], "exchange", remembered)
    toy.train(generator, 8, unpaired=True)
    assert torch.equal(shown[0], new[0])
    ages = [
        step - before
        for step in range(2, 8)
        for case in shown[step]
        for before in range(step + 1)
        if any(torch.equal(case, kept) for kept in new[before])
    ]
    assert len(ages) == 24 and 6 <= sum(age > 0 for age in ages) <= 18 and max(ages) > 1
    assert [len(pool.kept) for pool in generator.pools.values()] == [6, 6]
    assert generator.pools["labels"].kept[0].dtype == torch.uint8


def test_the_pool_is_a_part_of_the_state(toy: ModuleType, made: Maker) -> None:
    generator, again = made(), made()
    toy.train(generator, 3, unpaired=True)
    tensors, scalars = generator.state()
    assert tensors["pool.images"].shape == (6, 2, 16, 16) and tensors["pool.labels"].shape == (6, 16, 16)
    again.load_state({name: tensor.clone() for name, tensor in tensors.items()}, scalars)
    for one in (generator, again):
        torch.manual_seed(9)
        one.update(toy.batch(one, 9, unpaired=True))
    ours, theirs = generator.state()[0], again.state()[0]
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_step_moves_all_networks_and_the_average(toy: ModuleType, made: Maker) -> None:
    generator = made()
    before = {name: toy.weights(net).clone() for name, net in generator.modules().items()}
    toy.train(generator, 2, unpaired=True)
    assert set(before) == {"g", "f", "d_images", "d_labels", "ema"}
    for name, net in generator.modules().items():
        assert not torch.equal(toy.weights(net), before[name]), name


@pytest.mark.parametrize("size", [(16, 16), (8, 8, 16)])
def test_thirty_classes_and_three_contrasts(toy: ModuleType, made: Maker, size: tuple[int, ...]) -> None:
    generator = made(classes=30, contrasts=3, size=size, scales=2, jitter=1.0, d_noise=0.2, kernel=7)
    losses = toy.train(generator, 2, unpaired=True, n=2)
    assert all(value == value for step in losses for value in step.values())
    labels = toy.label_maps(3, 30, size, seed=5)
    samples, other = generator.sample(3, 0, labels), generator.sample(3, 1, labels)
    assert samples.images.shape == (3, 3, *size) and (samples.labels == labels).all()
    assert (samples.images == other.images).all()  # nothing is drawn at random
    rendered = generator.ema(one_hot(torch.from_numpy(labels), generator.scheme))
    assert rendered.shape == (3, 3, *size)


def test_refusals(made: Maker, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="kernel must be odd, found 4"):
        made(kernel=4)
    with pytest.raises(UsageError, match="learns from two cohorts: name the second with --other"):
        fitting(made(), None, None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="divide by 4"):
        made(size=(18, 18))
    with pytest.raises(UsageError, match="a kernel of 7 needs sides above 3, found 2 x 16 x 16: import with"):
        made(size=(2, 16, 16), kernel=7)


def numbered(first: int, n: int) -> torch.Tensor:
    return torch.arange(first, first + n, dtype=torch.float32).reshape(n, 1, 1, 1).expand(n, 1, 2, 2)


def test_it_shows_what_is_new_while_it_fills() -> None:
    pool = ImagePool(5)
    for first in (0, 2):
        assert torch.equal(pool.exchange(numbered(first, 2), ENGINE), numbered(first, 2))
    assert [float(case[0, 0, 0]) for case in pool.kept] == [0, 1, 2, 3]


def test_half_of_the_time_an_old_case_is_shown() -> None:
    torch.manual_seed(0)
    pool, shown = ImagePool(50), []
    for first in range(0, 2050, 10):
        shown += pool.exchange(numbered(first, 10), ENGINE)[:, 0, 0, 0].tolist()
    later = list(enumerate(shown))[50:]
    old = [(when, what) for when, what in later if when != what]
    assert abs(len(old) / len(later) - 0.5) < 0.04
    assert all(what < when for when, what in old) and len({what for _, what in old}) == len(old)
    ages = torch.tensor([when - what for when, what in old[200:]])
    assert 70 < float(ages.mean()) < 130  # a case stays for 100 steps of 1/2 * 1/50
    kept = {float(case[0, 0, 0]) for case in pool.kept}
    assert len(kept) == 50 and kept.isdisjoint(shown_again for _, shown_again in old)


def test_of_size_zero_it_does_nothing() -> None:
    assert torch.equal(ImagePool(0).exchange(numbered(0, 3), ENGINE), numbered(0, 3)) and not ImagePool(0).state("x")


def test_its_state_goes_with_a_checkpoint() -> None:
    torch.manual_seed(0)
    pool, again = ImagePool(4), ImagePool(4)
    pool.exchange(numbered(0, 3), ENGINE)
    for first in (3, 6, 9):
        state = {name: tensor.clone() for name, tensor in pool.state("p").items()}
        again.load("p", state, torch.device("cpu"))
        shown = []
        for one in (pool, again):
            torch.manual_seed(first)
            shown.append(one.exchange(numbered(first, 3), ENGINE))
        assert torch.equal(*shown) and torch.equal(pool.state("p")["p"], again.state("p")["p"])
    again.load("p", {}, torch.device("cpu"))
    assert not again.kept


def test_kept_cases_do_not_change_with_the_batch() -> None:
    pool, x = ImagePool(2), numbered(0, 2).clone()
    pool.exchange(x, ENGINE)
    x.fill_(9)
    assert [float(case[0, 0, 0]) for case in pool.kept] == [0, 1]
