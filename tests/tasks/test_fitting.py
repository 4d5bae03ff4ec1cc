"""Fine-tuning: first one set, then the other, as many updates in all, and weights of the second part only."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from understudy.core.errors import UsageError
from understudy.tasks.fitting import (
    FineTuned,
    FittingConfig,
    Mixed,
    TaskCases,
    TaskNetwork,
    check_points,
    chosen_from,
    fit,
)
from understudy.training.engine import Engine

CONFIG = FittingConfig(updates=10, checks=5, batch_size=4, augment=False, precision="fp32")


@dataclass
class Watched:
    """Images of one value; every reading is noted."""

    n: int
    name: str
    readings: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert chosen.max() < self.n
        self.readings.append(f"{self.name}{len(chosen)}")
        return np.tile(chosen[:, None, None, None], (1, 1, 4, 4)).astype(np.float32), chosen.astype(np.float32)


class Same(TaskNetwork):
    def predict(self, images: np.ndarray) -> np.ndarray:
        return images


def train(cases: TaskCases, config: FittingConfig, scores: list[float]) -> tuple[list[tuple[int, float]], int]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    values = iter(scores)
    found = fit(
        Same(network, Engine("fp32")),
        cases,
        lambda z, y, _: (z, y),
        lambda logits, y, _: (logits[:, 0] - y).square().mean(),
        config,
        0,
        {"validation": lambda _: next(values)},
    )
    return found.curves["validation"], found.kept["validation"].updates


@pytest.mark.parametrize(("share", "before"), [(0.3, 7), (0.5, 5), (0.01, 9), (0.99, 1)])
def test_first_one_set_then_the_other(share: float, before: int) -> None:
    readings: list[str] = []
    cases = FineTuned(Watched(3, "synthetic", readings), Watched(40, "real", readings), share)
    curve, _ = train(cases, CONFIG, [0.5] * 6)
    assert readings == ["synthetic4"] * before + ["real4"] * (10 - before)
    assert [update for update, _ in curve] == [1, 2, 4, 6, 8, 10] and chosen_from(cases, 10) == before


def test_weights_are_chosen_in_the_second_part_alone() -> None:
    cases = FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3)
    curve, chosen = train(cases, CONFIG, [0.9, 0.9, 0.9, 0.9, 0.2, 0.1])
    assert chosen == 8 and curve[0] == (1, 0.9)
    assert train(cases.after, CONFIG, [0.8, 0.9, 0.9, 0.9, 0.2, 0.1])[1] == 2
    late = CONFIG.model_copy(update={"checks": 1})
    assert train(cases, late, [0.3, 0.2, 0.1])[1] == 10


def test_one_update_cannot_be_parted() -> None:
    with pytest.raises(UsageError, match="two updates at least, found updates = 1"):
        FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3).start(1)


def test_both_sets_can_be_read() -> None:
    cases = FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3)
    assert len(cases) == 7 and cases.read(np.array([0, 2, 3, 6]))[1].tolist() == [0, 2, 0, 3]


@dataclass
class Numbers:
    start: int
    n: int

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert chosen.max() < self.n
        return (self.start + chosen)[:, None].astype(np.float32), chosen.astype(np.uint8)


def all_of(cases: Mixed) -> np.ndarray:
    return cases.read(np.arange(len(cases)))[0][:, 0].astype(int)


def test_both_sets_equally_often_and_the_larger_one_whole() -> None:
    cases = Mixed(Numbers(0, 3), Numbers(100, 7))
    assert len(cases) == 14
    images, targets = cases.read(np.arange(14))
    assert sorted(images[:, 0][images[:, 0] >= 100].tolist()) == [100.0 + i for i in range(7)]
    counts = np.bincount(images[:, 0][images[:, 0] < 100].astype(int))
    assert counts.sum() == 7 and counts.min() >= 2
    np.testing.assert_array_equal(targets, images[:, 0] % 100)


@pytest.mark.parametrize(("first", "second"), [(3, 7), (7, 3), (5, 5), (1, 40)])
def test_a_half_is_what_it_always_was(first: int, second: int) -> None:
    """Even positions are the first set's, odd ones the second's: earlier results can be had again, bit by bit."""
    cases = Mixed(Numbers(0, first), Numbers(100, second), 0.5)
    assert len(cases) == 2 * max(first, second)
    expected = [(p // 2 % first) if p % 2 == 0 else 100 + p // 2 % second for p in range(len(cases))]
    assert all_of(cases).tolist() == expected


@pytest.mark.parametrize("share", [0.25, 0.75, 0.1, 0.33, 0.29, 0.99])
@pytest.mark.parametrize(("first", "second"), [(30, 70), (70, 30), (2, 99)])
def test_shares_are_exact_and_no_case_is_favoured(share: float, first: int, second: int) -> None:
    found = all_of(Mixed(Numbers(0, first), Numbers(1000, second), share))
    assert (found >= 1000).mean() == pytest.approx(share, abs=1e-12)
    for counts in (np.bincount(found[found < 1000]), np.bincount(found[found >= 1000] - 1000)):
        assert len(counts) in (first, second) and counts.min() >= 1 and np.ptp(counts) <= 1


def test_cases_come_in_the_order_asked_for() -> None:
    for share in (0.5, 0.4):
        cases = Mixed(Numbers(0, 5), Numbers(100, 5), share)
        order = np.array([9, 0, 3, 3, 8, 1])
        each = np.concatenate([cases.read(order[i : i + 1])[0] for i in range(len(order))])
        np.testing.assert_array_equal(cases.read(order)[0], each)
    assert Mixed(Numbers(0, 5), Numbers(100, 5)).read(np.array([2, 4]))[0][:, 0].tolist() == [1.0, 2.0]


def test_every_judge_keeps_its_own_weights_and_the_last_are_there_too() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    seen: list[torch.Tensor] = []

    def note(score: list[float]) -> Callable[[Same], float]:
        values = iter(score)
        return lambda _: next(values)

    def first(one: Same) -> float:
        seen.append(next(one.network.parameters()).detach().clone())
        return [0.1, 0.2, 0.9, 0.3, 0.2, 0.1][len(seen) - 1]

    judges = {"real": first, "synthetic": note([0.1, 0.2, 0.3, 0.4, 0.8, 0.5])}
    loss = lambda logits, y, _: (logits[:, 0] - y).square().mean()  # noqa: E731
    found = fit(Same(network, Engine("fp32")), Watched(5, "a", []), lambda z, y, _: (z, y), loss, CONFIG, 0, judges)
    assert {name: kept.updates for name, kept in found.kept.items()} == {"real": 4, "synthetic": 8, "last": 10}
    weight = next(network.parameters())
    assert torch.equal(weight, seen[2])
    for name, at in (("synthetic", 4), ("last", 5), ("real", 2)):
        found.choose(name)
        assert torch.equal(weight, seen[at])


def test_checks_are_even_and_twice_early() -> None:
    assert sorted(check_points(600, 10)) == [15, 30, *range(60, 601, 60)]
    assert sorted(check_points(3, 10)) == [1, 2, 3] and check_points(1, 1) == {1}
