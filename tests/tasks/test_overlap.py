"""Overlap against MONAI where it is right and scikit-learn, and by hand where MONAI is not right."""

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU
from sklearn.metrics import precision_recall_fscore_support

from understudy.tasks.overlap import (
    OVERLAPS,
    RULES,
    class_mean,
    confusion,
    dice,
    overlaps,
    rules,
    whole,
)


def one_hot(labels: np.ndarray, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.eye(classes)[labels], -1, 1))


@pytest.mark.parametrize("shape", [(8, 8), (4, 8, 8)])
def test_agrees_with_monai_on_stacked_subjects(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    predicted, reference = rng.integers(0, 4, (2, 12, *shape)).astype(np.uint8)
    subject = np.array([0, 1, 2] * 4)
    counts = confusion(predicted, reference, subject, 3, 4)
    own = overlaps(counts)
    for name, metric in (("dice", DiceMetric), ("iou", MeanIoU)):
        monai = metric(include_background=False, reduction="none")
        for s in range(3):
            stacked = [one_hot(a[subject == s].reshape(1, -1, *shape[1:]), 4) for a in (predicted, reference)]
            assert own[s, :, OVERLAPS.index(name)] == pytest.approx(monai(*stacked)[0].numpy(), abs=1e-6)
    assert (dice(counts) == own[..., 0]).all()


def test_precision_recall_and_volumes() -> None:
    predicted, reference = np.random.default_rng(1).integers(0, 3, (2, 6, 9, 9)).astype(np.uint8)
    predicted[:3] = 0  # so that volumes differ
    counts = confusion(predicted, reference, np.arange(6) // 3, 2, 3)
    for s, cases in enumerate((slice(0, 3), slice(3, 6))):
        p, r = predicted[cases].ravel(), reference[cases].ravel()
        expected = precision_recall_fscore_support(r, p, labels=[1, 2], zero_division=0)[:2]
        found = overlaps(counts)[s]
        assert pytest.approx(np.array(expected), abs=1e-12) == found[:, 2:4].T
        volumes = np.array([[(a == k).sum() for k in (1, 2)] for a in (p, r)], float)
        assert found[:, 4] == pytest.approx(np.abs(volumes[0] - volumes[1]) / volumes.sum(0), abs=1e-12)
    joined = confusion((predicted > 0).astype(np.uint8), (reference > 0).astype(np.uint8), np.arange(6) // 3, 2, 2)
    assert (whole(counts) == joined).all()


def test_empty_maps_follow_the_rule_where_monai_gives_nan() -> None:
    empty, full = np.zeros((1, 4, 4), np.uint8), np.ones((1, 4, 4), np.uint8)
    predicted, reference = np.concatenate([empty, full, empty, full]), np.concatenate([full, empty, empty, full])
    counts = confusion(predicted, reference, np.arange(4), 4, 2)
    worst, nothing, best = [0, 0, 0, 0, 1], [np.nan] * 5, [1, 1, 1, 1, 0]
    assert np.array_equal(overlaps(counts)[:, 0], [worst, worst, nothing, best], equal_nan=True)
    assert [RULES[code] for code in rules(counts)[:, 0]] == ["missed", "false positive", "both empty", ""]
    monai = DiceMetric(include_background=False, reduction="none")(one_hot(full, 2), one_hot(empty, 2))
    assert torch.isnan(monai).all()


def test_a_slice_without_lesion_is_no_empty_map_of_its_subject() -> None:
    predicted, reference = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)
    predicted[:, 0], reference[0, 0] = 1, 1
    counts = confusion(predicted, reference, np.zeros(2, int), 1, 2)
    assert dice(counts)[0, 0] == pytest.approx(2 * 3 / (6 + 3)) and rules(counts)[0, 0] == 0
    assert counts.sum() == 18


def test_mean_leaves_out_what_does_not_count() -> None:
    scores = np.array([[0.5, np.nan], [0.2, 0.4], [np.nan, np.nan]])
    assert np.array_equal(class_mean(scores), [0.5, 0.30000000000000004, np.nan], equal_nan=True)
