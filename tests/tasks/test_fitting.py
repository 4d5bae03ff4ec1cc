"""Fine-tuning: first one set, then the other, as many updates in all, and weights of the second part only."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from understudy.core.errors import UsageError
from understudy.tasks.fitting import FineTuned, FittingConfig, TaskCases, chosen_from, fit
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


def train(cases: TaskCases, config: FittingConfig, scores: list[float]) -> tuple[list[tuple[int, float]], int]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    values = iter(scores)
    return fit(
        network,
        Engine("fp32"),
        cases,
        lambda z, y, _: (z, y),
        lambda logits, y, _: (logits[:, 0] - y).square().mean(),
        config,
        0,
        lambda: next(values),
    )


@pytest.mark.parametrize(("share", "before"), [(0.3, 7), (0.5, 5), (0.01, 9), (0.99, 1)])
def test_first_one_set_then_the_other(share: float, before: int) -> None:
    readings: list[str] = []
    cases = FineTuned(Watched(3, "synthetic", readings), Watched(40, "real", readings), share)
    curve, _ = train(cases, CONFIG, [0.5] * 5)
    assert readings == ["synthetic4"] * before + ["real4"] * (10 - before)
    assert [update for update, _ in curve] == [2, 4, 6, 8, 10] and chosen_from(cases, 10) == before


def test_weights_are_chosen_in_the_second_part_alone() -> None:
    cases = FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3)
    curve, chosen = train(cases, CONFIG, [0.9, 0.9, 0.9, 0.2, 0.1])
    assert chosen == 8 and curve[0] == (2, 0.9)
    assert train(cases.after, CONFIG, [0.9, 0.9, 0.9, 0.2, 0.1])[1] == 2
    late = CONFIG.model_copy(update={"checks": 1})
    assert train(cases, late, [0.1])[1] == 10


def test_one_update_cannot_be_parted() -> None:
    with pytest.raises(UsageError, match="two updates at least, found updates = 1"):
        FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3).start(1)


def test_both_sets_can_be_read() -> None:
    cases = FineTuned(Watched(3, "a"), Watched(4, "b"), 0.3)
    assert len(cases) == 7 and cases.read(np.array([0, 2, 3, 6]))[1].tolist() == [0, 2, 0, 3]
