"""The adversary of a segmenter: it learns pairs, it teaches the segmenter, and all of it follows from the seed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from understudy.tasks import adversary
from understudy.tasks.adversary import Adversary
from understudy.tasks.segmentation import SegmentationConfig, train_segmenter
from understudy.training.engine import Engine

FLAT = {"validation": lambda _: 0.0}
CONFIG = SegmentationConfig(
    network="pix2pix", channels=(8, 16, 16), updates=60, checks=3, batch_size=8, learning_rate=4e-3, precision="fp32"
)


class Squares:
    """Bright squares on noise, labelled; 2D or 3D."""

    def __init__(self, n: int, seed: int, size: tuple[int, ...] = (24, 24)) -> None:
        rng = np.random.default_rng(seed)
        self.labels = np.zeros((n, *size), np.uint8)
        for label in self.labels:
            low = [int(rng.integers(0, side // 2)) for side in size]
            label[tuple(slice(a, a + side // 2) for a, side in zip(low, size, strict=True))] = 1
        self.images = (self.labels[:, None] - 0.5 + rng.normal(0, 0.1, (n, 1, *size))).astype(np.float32)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.images[chosen], self.labels[chosen]


def flat(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_it_learns_to_tell_pairs_and_the_lesson_reaches_the_segmenter() -> None:
    """Maps of another image are told from true ones, although each alone is a true one."""
    images, labels = (torch.from_numpy(a) for a in Squares(16, 0).read(np.arange(16)))
    made = Adversary((1, 24, 24), 2, 0, Engine("fp32"))
    other = F.one_hot(labels.flip(0).long(), 2).movedim(-1, 1).float() * 20 - 10
    logits = other.clone().requires_grad_(True)
    for _ in range(80):
        score = made(images, logits, labels)
    score.backward()
    assert logits.grad is not None and float(logits.grad.abs().sum()) > 0
    assert float(score.detach()) > 0.6 * adversary.WEIGHT
    true = F.one_hot(labels.long(), 2).movedim(-1, 1).float() * 20 - 10
    with torch.no_grad():
        seen = [made._logits(images, maps.softmax(1)).mean() for maps in (true, other)]
    assert seen[0] > seen[1] + 0.4


def test_the_segmenters_step_leaves_the_adversary_alone() -> None:
    made = Adversary((1, 24, 24), 2, 0, Engine("fp32"))
    images, labels = (torch.from_numpy(a) for a in Squares(4, 0).read(np.arange(4)))
    logits = torch.zeros(4, 2, 24, 24, requires_grad=True)
    score = made(images, logits, labels)
    gradients = [p.grad.clone() for p in made.network.parameters() if p.grad is not None]
    score.backward()
    assert gradients and all(
        torch.equal(a, b.grad) for a, b in zip(gradients, made.network.parameters(), strict=True) if b.grad is not None
    )


@pytest.mark.parametrize("size", [(24, 24), (8, 16, 16)])
def test_pix2pix_learns_and_the_same_seed_gives_the_same_bits(size: tuple[int, ...]) -> None:
    held = Squares(12, 1, size)
    config = CONFIG if len(size) == 2 else CONFIG.model_copy(update={"updates": 20, "checks": 1})

    def score(segmenter: object) -> float:
        found = segmenter.predict_cases(held)  # type: ignore[attr-defined]
        return float(2 * (found & held.labels).sum() / (found.sum() + held.labels.sum()))

    before = torch.get_rng_state()
    judges = {"validation": score}
    assert score(train_segmenter(Squares(24, 0, size), 2, config, 3, judges)) > (0.85 if len(size) == 2 else 0.7)
    short = config.model_copy(update={"updates": 3, "checks": 1})
    one, same, other = (flat(train_segmenter(Squares(9, 0, size), 2, short, s, FLAT).network) for s in (3, 3, 4))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(before, torch.get_rng_state())


def test_the_verdict_changes_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.model_copy(update={"updates": 3, "checks": 1})
    made = [flat(train_segmenter(Squares(8, 0), 2, config, 0, FLAT).network)]
    monkeypatch.setattr(adversary, "WEIGHT", 0.0)
    made.append(flat(train_segmenter(Squares(8, 0), 2, config, 0, FLAT).network))
    assert not torch.equal(*made)
