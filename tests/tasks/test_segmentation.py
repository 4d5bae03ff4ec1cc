"""A segmenter learns what is there to learn, the same way each time, and keeps its best weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.tasks import fitting, segmentation
from understudy.tasks.segmentation import (
    SegmentationConfig,
    Segmenter,
    standardised,
    subject_cases,
    train_segmenter,
)

FLAT = {"validation": lambda _: 0.0}
NOTHING = {"validation": lambda _: float("nan")}
TINY = SegmentationConfig(updates=60, checks=3, channels=(8, 16, 16), batch_size=8, precision="fp32")


@dataclass
class Squares:
    """Bright squares on noise, labelled; three classes in two sizes."""

    n: int
    seed: int
    dims: int = 2

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        size = (24,) * self.dims if self.dims == 2 else (8, 16, 16)
        self.labels = np.zeros((self.n, *size), np.uint8)
        for i in range(self.n):
            for k in (1, 2):
                low = [rng.integers(0, s - s // 4) for s in size]
                self.labels[(i, *(slice(a, a + s // 4) for a, s in zip(low, size, strict=True)))] = k
        images = np.stack([self.labels == 1, self.labels == 2], 1) - 0.5 + rng.normal(0, 0.1, (self.n, 2, *size))
        self.images = images.astype(np.float32)

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.images[chosen], self.labels[chosen]


def accuracy(cases: Squares) -> Callable[[Segmenter], float]:
    def score(segmenter: Segmenter) -> float:
        predicted = segmenter.predict_cases(cases)
        return float(
            np.mean([((predicted == k) & (cases.labels == k)).sum() / (cases.labels == k).sum() for k in (1, 2)])
        )

    return score


@pytest.mark.parametrize("dims", [2, 3])
def test_learns_a_trivial_task(dims: int) -> None:
    held = Squares(12, 1, dims)
    segmenter = train_segmenter(Squares(24, 0, dims), 3, TINY, 0, {"validation": accuracy(held)})
    assert accuracy(held)(segmenter) > 0.8
    assert [update for update, _ in segmenter.curves["validation"]] == [5, 10, 20, 40, 60]
    assert segmenter.predict_cases(held).dtype == np.uint8


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_deep_supervision_and_other_schedules_learn_too(schedule: str) -> None:
    config = TINY.model_copy(update={"network": "nnunet", "channels": (8, 8, 16, 16), "schedule": schedule})
    held = Squares(12, 1)
    assert accuracy(held)(train_segmenter(Squares(24, 0), 3, config, 0, {"validation": accuracy(held)})) > 0.8


def test_a_network_brings_its_own_widths() -> None:
    assert SegmentationConfig().channels == (16, 16, 32, 64, 128)
    assert SegmentationConfig(network="swin").channels == (24,)
    assert SegmentationConfig(network="swin", channels=(12,)).channels == (12,)


def test_same_seed_same_bits_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TINY.model_copy(update={"updates": 6})
    held, first, second, other = (
        Squares(12, 1),
        *(train_segmenter(Squares(24, 0), 3, config, s, FLAT) for s in (3, 3, 4)),
    )
    for a, b in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not all(
        torch.equal(a, b) for a, b in zip(first.network.parameters(), other.network.parameters(), strict=True)
    )
    whole = first.predict_cases(held)
    monkeypatch.setattr(fitting, "VOXELS_PER_BLOCK", 24 * 24 * 5)
    assert (first.predict_cases(held) == whole).mean() > 0.999


def test_best_check_is_kept() -> None:
    scores = iter((0.1, 0.2, 0.9, 0.5))
    weights: list[torch.Tensor] = []

    def score(segmenter: Segmenter) -> float:
        weights.append(torch.cat([p.detach().flatten() for p in segmenter.network.parameters()]).clone())
        return next(scores)

    config = TINY.model_copy(update={"updates": 6})
    segmenter = train_segmenter(Squares(8, 0), 3, config, 0, {"validation": score})
    kept = torch.cat([p.flatten() for p in segmenter.network.parameters()])
    assert segmenter.kept["validation"].updates == 4
    assert torch.equal(kept, weights[2]) and not torch.equal(kept, weights[3])


def test_augmentation_can_be_left_out_and_progress_counts() -> None:
    calls: list[int] = []
    runs = [
        train_segmenter(
            Squares(8, 0),
            3,
            TINY.model_copy(update={"updates": 3, "augment": on}),
            0,
            FLAT,
            lambda: calls.append(1),
        )
        for on in (True, False)
    ]
    assert len(calls) == 6
    assert not torch.equal(*(next(iter(r.network.parameters())) for r in runs))


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(UnderstudyError, match="the validation cases that choose"):
        train_segmenter(Squares(8, 0), 3, TINY.model_copy(update={"updates": 2}), 0, NOTHING)


def test_z_scores_ignore_scale_and_offset_and_survive_constants() -> None:
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(standardised(0.2 * x - 0.4), standardised(x), atol=1e-4)
    assert torch.equal(standardised(torch.full((1, 1, 4, 4), 0.5)), torch.zeros(1, 1, 4, 4))


def test_augmentation_and_order_are_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, float]] = []

    def watched(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator, _: object) -> tuple[torch.Tensor, ...]:
        seen.append((generator.initial_seed(), float(x.sum() + y.sum())))
        return x, y

    monkeypatch.setattr(segmentation, "augment", watched)
    for seed in (3, 3, 4):
        train_segmenter(Squares(24, 0), 3, TINY.model_copy(update={"updates": 1, "checks": 1}), seed, FLAT)
    assert seen[0] == seen[1] and seen[0][0] != seen[2][0] and seen[0][1] != seen[2][1]


def test_subjects_are_numbered_in_order(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    cases, rows = subject_cases(cohort, "train"), cohort.rows("train")
    assert cases.subjects == cohort.subjects("train") and len(cases.labels) == len(rows) == 12
    assert (np.array(cases.subjects)[cases.number] == cohort.column("subject_id")[rows]).all()
    assert (cases.counts(cases.labels).sum((1, 2)) == 64).all()  # pixels of one case each
